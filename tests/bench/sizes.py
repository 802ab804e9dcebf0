"""How much is measured: all of it, or less for a quick look."""

from __future__ import annotations

from typing import Final

import msgspec


class Size(msgspec.Struct, frozen=True):
    """``messages`` are for one run of the load; ``days`` is the length of the history.

    ``idle`` connections do nothing; ``paced`` ones send for ``seconds``.
    """

    repeats: int
    messages: int
    consumed: int  # messages for the consumer, which is slower
    days: int
    starts: int
    idle: int = 1000
    paced: int = 500
    seconds: float = 10.0


FULL: Final = Size(repeats=3, messages=200_000, consumed=60_000, days=365, starts=15)
QUICK: Final = Size(repeats=2, messages=60_000, consumed=20_000, days=60, starts=5, seconds=4.0)
SMALLEST: Final = Size(
    repeats=1, messages=2_000, consumed=1_000, days=2, starts=1, idle=20, paced=10, seconds=0.5
)
