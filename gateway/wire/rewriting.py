"""What only the owner's client can make again: it has the keys, the node has the order."""

from __future__ import annotations

from gateway.wire.base import Call
from vault.statement import Signed
from vault.store.records import Rewritten


class Reserve(Call, frozen=True):
    """-> Reserved: sequence numbers for buckets that the client is about to seal."""

    count: int


class Rewrite(Call, frozen=True):
    """-> Done: a day that was read and sealed again, swapped at once.

    ``conflict`` also where readings arrived since the numbers were reserved: reserve again.
    """

    statement: Signed
    rewritten: Rewritten
