"""How much is measured: all of it, or less for a quick look."""

from __future__ import annotations

from typing import Final

import msgspec


class Size(msgspec.Struct, frozen=True):
    """``messages`` are for one run of the load; ``days`` is the length of the history.

    ``idle`` connections do nothing; ``paced`` ones send for ``seconds``.  A preview is of ``previewed`` days;
    a message is understood ``calls`` times between two looks at the clock.
    """

    repeats: int
    messages: int
    consumed: int  # messages for the consumer, which is slower
    days: int
    starts: int
    idle: int = 1000
    paced: int = 500
    seconds: float = 10.0
    previewed: int = 7
    calls: int = 50


FULL: Final = Size(repeats=3, messages=200_000, consumed=60_000, days=365, starts=15)
QUICK: Final = Size(repeats=2, messages=60_000, consumed=20_000, days=60, starts=5, seconds=4.0)
SMALLEST: Final = Size(
    repeats=1,
    messages=500,
    consumed=500,
    days=2,
    starts=1,
    idle=20,
    paced=10,
    seconds=0.5,
    previewed=1,
    calls=5,
)
