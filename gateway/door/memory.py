"""What a door remembers between two requests, all of it bounded, none of it on a disk."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from gateway.wire import NONCE_WINDOW_MS, Record
from policies.grant import GrantState
from vault.ids import BrandId, GrantId, VaultId
from vault.ledger import Entry
from vault.person import owner_key_id
from vault.store.reader import Reader
from vault.store.records import VaultRow
from vault.store.release import GrantKeys
from vault.suite import Recipient

KEYS_MAX = 32  # grants whose lane keys are kept open
KEYS_IDLE_MS = 60_000
REFUSED_MS = 60_000  # refusals of one grant within it share one entry
NONCES_MAX = 100_000


class KeyRing:
    """Lane keys of the grants that read just now."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rings: OrderedDict[GrantId, tuple[GrantKeys, GrantState, int]] = OrderedDict()

    def keys(
        self, owner: VaultRow, grant: GrantId, recipient: Recipient, state: GrantState, now: int
    ) -> GrantKeys:
        """The grant's keys, with those that were sealed to it since; raises SealError.

        Those of other terms than ``state`` has are let go: a narrowed grant has fewer.
        """
        known = self._rings.get(grant)
        if known is None or known[1] != state:
            key_id = owner_key_id(owner.hpke_public, owner.verify_key)
            keys = GrantKeys(VaultId(owner.vault), grant, recipient, key_id)
        else:
            keys = known[0]
        keys.refresh(self._reader)
        self._rings[grant] = (keys, state, now)
        self._rings.move_to_end(grant)
        if len(self._rings) > KEYS_MAX:
            self._rings.popitem(last=False)
        return keys

    def drop(self, grant: GrantId) -> None:
        """The grant has ended."""
        self._rings.pop(grant, None)

    def sweep(self, now: int) -> None:
        """Let go of what nobody used for a minute."""
        for grant, (_, _, used) in list(self._rings.items()):
            if now - used >= KEYS_IDLE_MS:
                del self._rings[grant]

    def states(self) -> list[tuple[GrantId, GrantState]]:
        """Of which grants there are keys, and as of when."""
        return [(grant, state) for grant, (_, state, _) in self._rings.items()]

    def __len__(self) -> int:
        return len(self._rings)

    def __contains__(self, grant: object) -> bool:
        return grant in self._rings


class Refusals:
    """Refused reads, told to the ledger once a grant and minute."""

    def __init__(self) -> None:
        self._open: dict[GrantId, Entry] = {}

    def note(self, grant: GrantId, brand: bytes, why: str, now: int) -> None:
        """One more."""
        known = self._open.get(grant)
        if known is None:
            entry = Entry(now, "refused", grant=grant.text, brand=BrandId(brand).text, note=why)
        else:
            entry = msgspec.structs.replace(known, times=known.times + 1)
        self._open[grant] = entry

    def due(self, now: int, *, everything: bool = False) -> list[Record]:
        """What is to be told now; it is forgotten here."""
        done = [g for g, entry in self._open.items() if everything or now - entry.time >= REFUSED_MS]
        return [Record(grant, self._open.pop(grant)) for grant in done]

    def again(self, record: Record) -> None:
        """It could not be told: keep it for the next time."""
        self._open.setdefault(GrantId(record.grant), record.entry)


class Nonces:
    """Which envelopes this door has seen, for as long as their clock would still be accepted."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[bytes, bytes], int] = OrderedDict()

    def fresh(self, client: bytes, nonce: bytes, now: int) -> bool:
        """True once for each."""
        while self._seen and next(iter(self._seen.values())) < now - 2 * NONCE_WINDOW_MS:
            self._seen.popitem(last=False)
        if (client, nonce) in self._seen or len(self._seen) >= NONCES_MAX:
            return False
        self._seen[client, nonce] = now
        return True
