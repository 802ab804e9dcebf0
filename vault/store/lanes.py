"""What is written: segments and their lanes, with keys that are in memory only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from vault.observation import Observation
from vault.segment import RAW, Lane, SegmentHeader, lane_key, resolution_key
from vault.store.recipients import LiveGrant
from vault.store.seriesday import SeriesDay

Readers: TypeAlias = Mapping[str, tuple[LiveGrant, ...]]  # resolution -> who is given its key


class OpenLane:
    """A lane being written: for whom at which resolution, the event times it takes, and what waits.

    ``since`` and ``until`` bound its raw readings; a lane that was opened for a bucket takes none.
    ``gathered`` is where its readings are counted, None: nowhere.
    """

    __slots__ = (
        "gathered",
        "key",
        "lane",
        "number",
        "observations",
        "readers",
        "segment",
        "seqs",
        "since",
        "until",
    )

    def __init__(
        self,
        segment: OpenSegment,
        number: int,
        lane: Lane,
        readers: Readers,
        since: int,
        until: int,
        gathered: SeriesDay | None = None,
    ) -> None:
        self.segment, self.number, self.lane = segment, number, lane
        self.key = self.resolution_key(RAW)
        self.readers, self.since, self.until, self.gathered = readers, since, until, gathered
        self.seqs: list[int] = []
        self.observations: list[Observation] = []

    def resolution_key(self, resolution: str) -> bytes:
        """The key of its chunks at a resolution."""
        return resolution_key(lane_key(self.segment.key, self.lane), resolution)


class OpenSegment:
    """A segment being written; its key exists here and in the owner's box, nowhere else."""

    __slots__ = ("cut", "header", "key", "lanes", "last_write", "numbers", "parts")

    def __init__(self, header: SegmentHeader, key: bytes) -> None:
        self.header, self.key = header, key
        self.lanes: dict[int, OpenLane] = {}
        self.parts: dict[tuple[bytes, str, str], int] = {}
        self.numbers = 0
        self.last_write = 0
        self.cut = False  # on disk: some of its readings are in no bucket
