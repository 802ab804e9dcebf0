"""An owner's writes: the envelope is verified here, where the write happens, and not in the door."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, assert_never

import msgspec

from gateway.wire import (
    NONCE_WINDOW_MS,
    NOT_OURS,
    AddBlackout,
    AddDevice,
    AnyReply,
    CommitGrant,
    Deny,
    Done,
    EndBlackout,
    EndClient,
    Envelope,
    NewTouchpoint,
    OwnerWrite,
    PauseDevice,
    PauseGrant,
    Prepare,
    Prepared,
    Refused,
    ReleaseDevice,
    RemoveDevice,
    Replace,
    Reserve,
    Reserved,
    Revoke,
    RevokeTouchpoint,
    Rewrap,
    Rewrite,
    RotateDevice,
    SetDevice,
    SetRules,
    Teach,
)
from vault.errors import FormatError
from vault.ids import BrandId, DeviceId, GrantId, TouchpointId, VaultId
from vault.store import blackouts, grants, handover, people, replace, rewrite, rules, taught
from vault.store.records import No
from vault.store.writer import Writer

NONCES: Final = 100_000
_DECODER: msgspec.msgpack.Decoder[OwnerWrite] = msgspec.msgpack.Decoder(OwnerWrite)


class OwnerCalls:
    """Applies signed calls; ``cut`` ends a device's connections, ``configured`` gives them its settings."""

    def __init__(
        self,
        writer: Writer,
        cut: Callable[[DeviceId], None],
        configured: Callable[[DeviceId, bytes], None] = lambda _device, _settings: None,
    ) -> None:
        self._writer, self._cut, self._configured = writer, cut, configured
        self._nonces: OrderedDict[bytes, int] = OrderedDict()

    def apply(self, envelope: Envelope) -> AnyReply:
        """Verify and do; on the writer's thread.

        Whoever is not an enrolled client of this vault learns only that.
        """
        try:
            vault, call = VaultId(envelope.vault), _DECODER.decode(envelope.body)
        except (FormatError, *NOT_OURS):
            return Refused(
                "invalid", "this is not a call this node knows", "use the same version on both sides"
            )
        key = people.client_key(self._writer, vault, envelope.client)
        if key is None or not envelope.is_signed_by(key):
            return Refused("not_authorised", "this client may not speak for this vault", "`hypertouch login`")
        if not self._fresh(envelope):
            return Refused(
                "not_authorised", "the call is too old, or was made before", "check this computer's clock"
            )
        return self.do(vault, call)

    def do(self, vault: VaultId, call: OwnerWrite) -> AnyReply:
        """Apply what this vault's owner tells, whoever carried it here; on the writer's thread."""
        try:
            return reply(self._do(vault, call))
        except FormatError:
            return Refused("invalid", "an id or key in this call is not one", "")

    def _fresh(self, envelope: Envelope) -> bool:
        now = self._writer.clock()
        while self._nonces and next(iter(self._nonces.values())) < now - 2 * NONCE_WINDOW_MS:
            self._nonces.popitem(last=False)
        if abs(now - envelope.created) > NONCE_WINDOW_MS or len(envelope.nonce) != 16:
            return False
        if envelope.nonce in self._nonces or len(self._nonces) >= NONCES:
            return False
        self._nonces[envelope.nonce] = now
        return True

    def _do(self, vault: VaultId, call: OwnerWrite) -> No | grants.Prepared | int | None:
        writer = self._writer
        match call:
            case AddDevice(
                device=device, name=name, verifier=verifier, wrapped_notes=notes, settings=settings
            ):
                return people.add_device(writer, vault, DeviceId(device), name, verifier, notes, settings)
            case RotateDevice(device=device, verifier=verifier, wrapped_notes=notes):
                return self._cutting(
                    device, lambda: people.rotate_device(writer, vault, DeviceId(device), verifier, notes)
                )
            case SetDevice(device=device, settings=settings):
                no = people.set_device(writer, vault, DeviceId(device), settings)
                return no or self._configured(DeviceId(device), settings)
            case RemoveDevice(device=device):
                return self._cutting(device, lambda: people.remove_device(writer, vault, DeviceId(device)))
            case PauseDevice(device=device, paused=True):
                return self._cutting(
                    device, lambda: handover.pause_device(writer, vault, DeviceId(device), paused=True)
                )
            case PauseDevice(device=device):
                return handover.pause_device(writer, vault, DeviceId(device), paused=False)
            case ReleaseDevice(device=device, statement=statement):
                return self._cutting(
                    device, lambda: handover.release_device(writer, vault, DeviceId(device), statement)
                )
            case NewTouchpoint(touchpoint=touchpoint, brand=brand):
                return people.new_touchpoint(writer, vault, TouchpointId(touchpoint), BrandId(brand))
            case RevokeTouchpoint(touchpoint=touchpoint):
                return people.revoke_touchpoint(writer, vault, TouchpointId(touchpoint))
            case Prepare(grant=grant, statement=statement):
                return grants.prepare(writer, vault, GrantId(grant), statement)
            case CommitGrant(grant=grant, boxes=boxes, of=of):
                pairs = [(box.segments, box.box) for box in boxes]
                return grants.commit(writer, vault, GrantId(grant), pairs, of)
            case Deny(grant=grant, reason=reason):
                return grants.deny(writer, vault, GrantId(grant), reason)
            case Revoke(grant=grant):
                return grants.revoke(writer, vault, GrantId(grant))
            case PauseGrant(grant=grant, paused=paused):
                return grants.pause(writer, vault, GrantId(grant), paused=paused)
            case SetRules(statement=statement):
                return rules.set_rules(writer, vault, statement)
            case AddBlackout(id=blackout, since=since, until=until, kinds=kinds):
                return blackouts.add_blackout(writer, vault, blackout, since, until, kinds)
            case EndBlackout(id=blackout):
                return blackouts.end_blackout(writer, vault, blackout)
            case Rewrap(wrapped=wrapped, login_verifier=login, recovery_verifier=recovery):
                people.rewrap(writer, vault, wrapped, login, recovery)
                return None
            case EndClient(client=client):
                return people.end_client(writer, vault, client)
            case Replace(statement=statement, chunks=chunks):
                return replace.apply_merge(writer, vault, statement, chunks)
            case Teach(statement=statement, taught=lesson):
                return taught.apply_taught(writer, vault, statement, lesson)
            case Reserve(count=count):
                return rewrite.reserve(writer, vault, count)
            case Rewrite(statement=statement, rewritten=rewritten):
                return rewrite.apply_rewrite(writer, vault, statement, rewritten)
            case _:
                assert_never(call)

    def _cutting(self, device: bytes, change: Callable[[], No | None]) -> No | None:
        """Cut a device that is this vault's, also where it is not known whether the change happened."""
        outcome: No | None = None
        try:
            outcome = change()
        finally:
            if outcome is None or outcome.code == "conflict":
                self._cut(DeviceId(device))
        return outcome


def reply(outcome: No | grants.Prepared | int | None) -> AnyReply:
    """What the store says, as an answer."""
    match outcome:
        case None:
            return Done()
        case No(code=code, what=what, hint=hint):
            return Refused(code, what, hint)
        case grants.Prepared(segments=segments, last_seq=last_seq):
            return Prepared(segments, last_seq)
        case int():
            return Reserved(outcome)
        case _:
            assert_never(outcome)
