"""Everything that is asked of a node over its socket, and who answers it."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Literal, assert_never

import msgspec

from gateway.node.clock import ClockWatch, uptime_ms, wall_ms
from gateway.node.ingest import WriterThread
from gateway.node.login import LoginGate
from gateway.node.owner import OwnerCalls, reply
from gateway.wire import (
    AddBrand,
    AnyReply,
    AskGrant,
    Backup,
    BrandAdded,
    Brands,
    Carried,
    Count,
    Counted,
    CreateVault,
    Deliver,
    Done,
    EndBrand,
    Enrol,
    FirstUse,
    Flush,
    GetBridges,
    GetStatus,
    Invited,
    KdfReply,
    ListBrands,
    Login,
    LoginReply,
    NewInvite,
    NodeCall,
    NodeStatus,
    PickedUp,
    Record,
    Refused,
    ReportBridge,
    ReturnGrant,
    Salts,
    Unfreeze,
)
from vault.bucket import DAY_MS
from vault.errors import FormatError
from vault.ids import BrandId, GrantId, TouchpointId, VaultId
from vault.person import FLOOR, SALT_SIZE, login_verifier
from vault.store import asking, backup, grants, people, uses
from vault.store.errors import NotAVault, Unavailable
from vault.store.records import No
from vault.store.writer import Writer

UNAVAILABLE = Refused("unavailable", "the node cannot store this now", "look at its disk, then try again")


class NodeCalls:
    """Answers calls; work on the store runs on the writer's thread, one after the other."""

    def __init__(
        self,
        writer: Writer,
        thread: WriterThread,
        owner: OwnerCalls,
        watch: ClockWatch,
        status: Callable[[], NodeStatus],
    ) -> None:
        self._writer, self._thread, self._owner, self._watch, self._status = (
            writer,
            thread,
            owner,
            watch,
            status,
        )
        self._gate = LoginGate()
        self._used: dict[GrantId, int] = {}  # the day on which a grant was last seen to be read

    async def answer(self, call: NodeCall) -> AnyReply:
        """The reply to a call; never raises for what a caller did."""
        try:
            if isinstance(call, Record):
                return await self._record(call)
            if isinstance(call, Login) and (wait := self._wait(call)):
                return Refused("throttled", "too many attempts", "wait, then try again", retry_after=wait)
            return await self._thread.run(lambda: self._do(call))
        except FormatError:
            return Refused("invalid", "an id or key in this call is not one")
        except NotAVault:
            return Refused("not_found", "there is no such vault here")
        except Unavailable:
            return UNAVAILABLE

    def _wait(self, call: Login) -> int:
        return self._gate.wait(call.vault, call.source, asyncio.get_running_loop().time())

    async def _record(self, call: Record) -> AnyReply:
        vault = await self._thread.run(lambda: self._writer.registry.locate(call.grant))
        if vault is None:
            return Refused("not_found", "there is no such grant")
        if not await self._thread.note(vault, call.entry):
            return UNAVAILABLE
        if call.entry.what == "read":
            await self._read(vault, GrantId(call.grant), call.entry.time // DAY_MS)
        return Done()

    async def _read(self, vault: VaultId, grant: GrantId, day: int) -> None:
        """Remember that a grant is used, once a day; the entry is durable already, and an answer waits."""
        if self._used.get(grant) != day:
            await self._thread.run(lambda: uses.was_read(self._writer, vault, grant))
            self._used[grant] = day

    def _do(self, call: NodeCall) -> AnyReply:
        writer = self._writer
        match call:
            case Carried(envelope=envelope):
                return self._owner.apply(envelope)
            case Flush(vault=vault):
                writer.move(VaultId(vault))
                writer.state(VaultId(vault))
                return Done()
            case Record() | Deliver() | ReportBridge() | GetBridges():
                raise AssertionError("answered before")
            case AskGrant():
                return reply(asking.ask(writer, _request(call)))
            case PickedUp(grant=grant):
                return self._on_grant(grant, lambda v, g: uses.picked_up(writer, v, g))
            case FirstUse(grant=grant):
                return self._on_grant(grant, lambda v, g: uses.first_use(writer, v, g))
            case Count(grant=grant, what=what):
                return self._count(grant, what)
            case ReturnGrant(grant=grant):
                return self._on_grant(grant, lambda v, g: grants.give_back(writer, v, g))
            case Salts(vault=vault):
                return self._salts(VaultId(vault))
            case Login(vault=vault, login_key=key, by=by):
                found = people.check_login(writer, VaultId(vault), login_verifier(VaultId(vault), key), by)
                return LoginReply(*found) if found else Refused("not_authorised", "the passphrase is wrong")
            case CreateVault():
                return self._create(call)
            case Enrol(vault=vault, enrolment=enrolment):
                return reply(people.enrol(writer, VaultId(vault), enrolment))
            case AddBrand(name=name, site=site):
                if any(row.name == name and row.ended is None for row in writer.registry.brands()):
                    return Refused("conflict", "there is a brand of this name", "`hypertouch brand list`")
                return BrandAdded(*writer.registry.add_brand(name, site, writer.clock()))
            case EndBrand(brand=brand):
                ended = writer.registry.end_brand(brand, writer.clock())
                return Done() if ended else Refused("not_found", "there is no such brand")
            case ListBrands():
                return Brands(writer.registry.brands())
            case NewInvite(valid_ms=valid):
                expires = writer.clock() + valid
                return Invited(writer.registry.invite(expires), expires)
            case GetStatus():
                return msgspec.structs.replace(self._status(), vaults=len(writer.data.vault_ids()))
            case Backup(vault=vault, path=path):
                backup.create(writer, VaultId(vault), Path(path))
                return Done()
            case Unfreeze():
                writer.live.set_clock(self._watch.trust(wall_ms(), uptime_ms()))
                return Done()
            case _:
                assert_never(call)

    def _on_grant(self, raw: bytes, act: Callable[[VaultId, GrantId], No | None]) -> AnyReply:
        vault = self._writer.registry.locate(raw)
        if vault is None:
            return Refused("not_found", "there is no such grant")
        return reply(act(vault, GrantId(raw)))

    def _count(self, raw: bytes, what: Literal["use", "answer"]) -> AnyReply:
        vault = self._writer.registry.locate(raw)
        if vault is None:
            return Refused("not_found", "there is no such grant")
        match uses.count(self._writer, vault, GrantId(raw), what):
            case uses.Counted(number=number, left=left):
                return Counted(number, left)
            case uses.UsedUp(wait=0):
                return Refused("used_up", "this grant was used as often as its terms allow")
            case uses.UsedUp(wait=wait):
                return Refused("used_up", "the answers of this day are given", retry_after=wait)
            case No() as no:
                return reply(no)

    def _salts(self, vault: VaultId) -> AnyReply:
        wrapped = people.wrapped_root(self._writer, vault)
        if wrapped is None:
            return KdfReply(hmac.digest(self._writer.registry.decoy(), vault, "sha256")[:SALT_SIZE], FLOOR)
        return KdfReply(wrapped.salt, wrapped.params)

    def _create(self, call: CreateVault) -> AnyReply:
        writer = self._writer
        if not call.local and not writer.registry.redeem(call.invite, writer.clock()):
            return Refused(
                "not_authorised", "this node takes new people by invitation", "ask its owner for a code"
            )
        new = people.NewVault(
            VaultId(call.vault),
            call.hpke_public,
            call.verify_key,
            call.wrapped,
            call.login_verifier,
            call.recovery_verifier,
            call.enrolment,
        )
        return reply(people.create_vault(writer, new))


def _request(call: AskGrant) -> asking.Request:
    return asking.Request(
        GrantId(call.grant),
        TouchpointId(call.touchpoint),
        BrandId(call.brand),
        call.public,
        call.wrapped_seed,
        call.slot,
        call.ask,
        call.binding_message,
        call.expires,
    )
