"""How often a passphrase may be tried: per vault and source, never locked."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

BURST: Final = 10  # attempts at once
INTERVAL_S: Final = 6.0  # then one every six seconds: ten a minute
PAIRS: Final = 10_000  # remembered; the one longest unused is forgotten first


class LoginGate:
    """The generic cell rate algorithm over (vault, source); ``now`` is seconds of a monotonic clock.

    It counts attempts before they are judged, so that parallel ones do not slip through; one source can not
    keep the owner out from another.
    """

    def __init__(self) -> None:
        self._due: OrderedDict[tuple[bytes, str], float] = OrderedDict()

    def wait(self, vault: bytes, source: str, now: float) -> int:
        """0: go on. Otherwise whole seconds until the next attempt counts; this one does not."""
        pair = (vault, source)
        due = max(self._due.get(pair, now), now)
        allowed = due - (BURST - 1) * INTERVAL_S
        if allowed > now:
            return math.ceil(allowed - now)
        self._due[pair] = due + INTERVAL_S
        self._due.move_to_end(pair)
        if len(self._due) > PAIRS:
            self._due.popitem(last=False)
        return 0
