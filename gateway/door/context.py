"""What all handlers of one door share: its ways to the store and the node, and its memory."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.door.config import DoorConfig
from gateway.door.errors import DoorError, unavailable
from gateway.door.limits import Buckets, Pace
from gateway.door.memory import KeyRing, Nonces, Refusals
from gateway.rpcclient import NodeError, NodePort
from gateway.wire import AnyReply, Done, NodeCall, Refused
from policies.grant import Active
from vault.errors import VaultError
from vault.grantkey import Slot, unwrap
from vault.ids import Entropy, GrantId, VaultId
from vault.store.reader import Reader
from vault.store.records import GrantRow, VaultRow
from vault.suite import Recipient

SERVED_MAX = 10_000  # grants watched for their end


class Held(msgspec.Struct, frozen=True):
    """A grant whose token was shown: the recipient is the grant's own private key."""

    owner: VaultRow
    vault: VaultId
    grant: GrantId
    row: GrantRow
    slot: Slot
    recipient: Recipient


class Door:
    """``clock`` is milliseconds since the Unix epoch; ``entropy`` is ``os.urandom`` outside tests."""

    def __init__(
        self, config: DoorConfig, reader: Reader, node: NodePort, clock: Callable[[], int], entropy: Entropy
    ) -> None:
        self.config, self.reader, self.node = config, reader, node
        self.clock, self.entropy = clock, entropy
        rates = config.rates
        self.clients = Buckets(rates.client)
        self.grants = Buckets(rates.grant)
        self.failures = Buckets(rates.failure)
        self.owners = Buckets(rates.owner)
        self.strangers = Buckets(rates.stranger)
        self.pace = Pace(config.poll_interval)
        self.keys = KeyRing(reader)
        self.refusals = Refusals()
        self.nonces = Nonces()
        self.retire_at: int | None = None  # ms; a fresh door should have taken over by then
        self._served: set[GrantId] = set()

    def now(self) -> int:
        """Milliseconds, for decisions on grants: never behind the mark that the node believed."""
        return max(self.clock(), self.reader.clock().mark)

    async def tell(self, call: NodeCall, otherwise: Callable[[], DoorError] = unavailable) -> None:
        """Ask the node for something that must be so before this request goes on.

        Raises:
            DoorError: ``otherwise``, when it is not so.
        """
        if not isinstance(await self.ask(call, otherwise), Done):
            raise otherwise()

    async def ask(self, call: NodeCall, otherwise: Callable[[], DoorError] = unavailable) -> AnyReply:
        """The node's answer; raises ``otherwise`` when there is none."""
        try:
            return await self.node.call(call)
        except NodeError:
            raise otherwise() from None

    def hold(self, token: str, vault: VaultId, grant: GrantId) -> Held | None:
        """The grant that this token opens, in whatever state; None: ended, or a wrong token."""
        owner = self.reader.vault(vault)
        if owner is None:
            return None
        slot, row = self.reader.slot(vault, grant), self.reader.grant(vault, grant)
        wrapped = self.reader.wrapped_seed(vault, grant)
        if slot is None or row is None or wrapped is None:
            return None
        try:
            return Held(owner, vault, grant, row, slot, unwrap(token, slot, wrapped, vault))
        except VaultError:
            return None

    def find(self, grant: GrantId) -> tuple[VaultId, GrantRow] | None:
        """A request or grant as it is now; None: there is none with this id."""
        vault = self.reader.locate(grant)
        if vault is None or self.reader.vault(vault) is None:
            return None
        row = self.reader.grant(vault, grant)
        return (vault, row) if row else None

    def in_force(self, grant: GrantId) -> GrantRow | None:
        """The grant, if at this very moment something may be read under it."""
        found = self.find(grant)
        if found is None or self.reader.slot(found[0], grant) is None:
            return None
        row = found[1]
        in_force = isinstance(row.state, Active) and self.now() < row.state.terms.access_until * 1000
        return row if in_force else None

    def serve(self, grant: GrantId) -> None:
        """This door has had secrets of the grant: watch for its end."""
        self._served.add(grant)
        if len(self._served) > SERVED_MAX:
            self.retire(self.clock())

    def forget(self, grant: GrantId) -> None:
        """The grant is over, rests, or gives something else now: forget its keys, and make room for a door
        that never had them.
        """
        self.keys.drop(grant)
        if grant in self._served:
            self._served.discard(grant)
            self.retire(self.clock())

    def retire(self, now: int) -> None:
        """Leave within the time that the configuration gives; the first call counts."""
        if self.retire_at is None:
            self.retire_at = now + self.config.ended_age_s * 1000

    async def tidy(self, *, closing: bool = False) -> None:
        """What time brings: to be called every few seconds, and at the end."""
        now = self.clock()
        self.keys.sweep(now)
        for grant in list(self._served):
            if self.in_force(grant) is None:
                self.forget(grant)
        for grant, state in self.keys.states():
            row = self.in_force(grant)
            if row is None or row.state != state:
                self.forget(grant)
        for record in self.refusals.due(now, everything=closing):
            try:
                reply = await self.node.call(record)
            except NodeError:
                self.refusals.again(record)
                continue
            if isinstance(reply, Refused) and reply.code == "unavailable":
                self.refusals.again(record)
