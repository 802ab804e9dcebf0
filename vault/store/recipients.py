"""For whom the writer seals: live grants, and the times in which it is for nobody."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from policies.grant import Gap
from policies.terms import Selector, Terms
from vault.bucket import coarser
from vault.ids import GrantId
from vault.segment import RAW, is_reserved


class LiveGrant(msgspec.Struct, frozen=True):
    """A live grant as the writer needs it; bounds and gaps are milliseconds of event time, half-open.

    A selector without a resolution gives raw readings: ``of`` leaves none.
    """

    grant: GrantId
    public: bytes
    selectors: tuple[Selector, ...]
    since: int
    until: int
    gaps: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, grant: GrantId, public: bytes, terms: Terms, gaps: Sequence[Gap] = ()) -> LiveGrant:
        """From the terms of a verified statement, and when it was paused (seconds)."""
        explicit = (msgspec.structs.replace(s, resolution=terms.resolution_of(s)) for s in terms.selectors)
        paused = tuple((since * 1000, until * 1000) for since, until in gaps)
        return cls(grant, public, tuple(explicit), terms.data_from * 1000, terms.data_until * 1000, paused)

    def reads(self, device: str, channel: str, kind: str) -> str | None:
        """At which resolution a series was granted, the finest of several; None: it was not.

        One of the vault's own kinds never is, nor any at a resolution that it does not have.
        """
        if is_reserved(kind):
            return None
        given = {
            s.resolution or RAW
            for s in self.selectors
            if s.kind == kind and s.device == device and (s.channels is None or channel in s.channels)
        }
        if not given:
            return None
        return next((r for r in (RAW, *coarser(kind)) if r in given), None)

    def may(self, since: int, until: int) -> bool:
        """Whether all of a time lies in the bounds, and nothing of it in a gap."""
        within = self.since <= since and until <= self.until
        return within and all(until <= begins or ends <= since for begins, ends in self.gaps)


class Blackout(msgspec.Struct, frozen=True):
    """A time in which nobody is given these kinds (None: any); milliseconds of event time, half-open."""

    since: int
    until: int
    kinds: frozenset[str] | None = None

    def covers(self, kind: str) -> bool:
        """Whether readings of this kind are kept back."""
        return self.kinds is None or kind in self.kinds
