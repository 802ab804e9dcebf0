"""Minimisation beyond resolutions: less of what a permit covers, decided by the person, done in code.

Keys cannot round a number or leave out every second reading; this does.  Pure: what comes out was in what
went in, or is coarser.
"""

from __future__ import annotations

import msgspec


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one kind is given less exactly than its resolution would allow; what is None limits nothing.

    ``round`` is a step in the kind's unit, a decimal such as "0.5"; ``every`` lets through one reading of a
    series in each such number of seconds (UTC, from the epoch); ``hours`` are local minutes of the day
    [from, until) in ``zone`` (IANA), and may run over midnight: what lies outside is left out; ``fewest`` is
    the least number of readings of a bucket; ``drop`` names fields that are left out, such as ``accuracy``.
    """

    kind: str
    round: str | None = None
    every: int | None = None
    hours: tuple[int, int] | None = None
    zone: str = "UTC"
    fewest: int | None = None
    drop: tuple[str, ...] = ()
