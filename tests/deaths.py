"""The death of a process at each of its writes, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from tests.faults import Fault, Killed
from tests.world import World

_Begun = TypeVar("_Begun")


def deaths(
    path: Path, begin: Callable[[World], _Begun], act: Callable[[_Begun], object], *, after: bool
) -> Iterator[_Begun]:
    """What was begun in a world that died at the first write of ``act``, in one at the second, to the last.

    ``after``: right after the write.  Each world is up again when it is handed over.
    """
    for step in itertools.count(1):
        world = World(path / f"{step}")
        begun = begin(world)
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            act(begun)
            world.files.heal()
            return
        except Killed:
            world.crash()
        yield begun
