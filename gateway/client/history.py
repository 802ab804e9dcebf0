"""Which keys of what was written before are given with a grant: of lanes, each at its resolution.

A lane is given whole, so only one of which every reading, or every bucket, may be read.  Where a day lies
whole within the bounds, and neither a gap nor a blackout touches it, that is so without a look; else the
lane is opened and each time in it is held against all of them.  Which lanes hold what a blackout keeps back
is written nowhere: it is found so, from the readings themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gateway import wire
from gateway.client.read import Archive, OpenSegment, is_reading, open_readings
from gateway.client.recipients import Known, Reader, Series, meets
from gateway.client.rewrite import seal_boxes
from policies.iso8601 import DAY
from policies.wishes import RESOLUTIONS_SUPPORTED
from vault.bucket import span
from vault.ids import GrantId, VaultId
from vault.segment import RAW, Lane, LaneKey, lane_key, resolution_key
from vault.store.records import ChunkRow

AHEAD_S: Final = 300  # how far a device's clock may run ahead and still be believed

Times = dict[tuple[int, str], list[int]]  # (lane, resolution) -> milliseconds


class Contents:
    """What lies when in the lanes of a segment; looked at once, or told by chunks that are here already."""

    def __init__(
        self, archive: Archive, chunks: Sequence[tuple[OpenSegment, ChunkRow]] | None = None
    ) -> None:
        self._archive, self._chunks = archive, chunks
        self._times: dict[bytes, Times] = {}

    def times(self, segment: OpenSegment, number: int, resolution: str) -> list[int]:
        """The times of all that a lane holds at a resolution; raises AnswerError."""
        known = self._times.get(segment.header.segment)
        if known is None:
            known = self._times[segment.header.segment] = {}
            for chunk in self._of(segment):
                times = known.setdefault((chunk.number, chunk.resolution), [])
                times += [one.observation.time for one in open_readings(segment, chunk)]
        return known.get((number, resolution), [])

    def _of(self, segment: OpenSegment) -> Iterator[ChunkRow]:
        if self._chunks is not None:  # fetched before
            return (chunk for one, chunk in self._chunks if one is segment)
        found = self._archive.chunks([segment], is_reading, 0, RESOLUTIONS_SUPPORTED)
        return (chunk for _, chunk in found)


def history_keys(
    reader: Reader,
    segments: Iterable[OpenSegment],
    now_s: int,
    known: Known = Known(),  # noqa: B008 (frozen)
    contents: Contents | None = None,
) -> list[LaneKey]:
    """The keys of the lanes that were written before and that the terms give.

    Without ``contents`` no lane is opened, and one that would have to be is not given.
    """
    keys: list[LaneKey] = []
    for segment in segments:
        for number, lane in sorted(segment.lanes.items()):
            resolution = reader.resolution(Series.of(lane))
            if resolution is None or not _given(reader, segment, number, lane, now_s, known, contents):
                continue
            key = resolution_key(lane_key(segment.key, lane), resolution)
            keys.append(LaneKey(bytes(segment.header.segment), number, lane.encode(), resolution, key))
    return keys


def _given(
    reader: Reader,
    segment: OpenSegment,
    number: int,
    lane: Lane,
    now_s: int,
    known: Known,
    contents: Contents | None,
) -> bool:
    terms, start = reader.terms, segment.header.day * DAY
    latest = min(start + DAY, now_s + AHEAD_S)
    day = start * 1000, (start + DAY) * 1000
    dark = any(one.touches(lane.kind, *day) for one in known.blackouts)
    within = terms.data_from <= start and latest <= terms.data_until
    if within and not dark and not meets(reader.gaps, *day):
        return True
    apart = terms.data_until <= start or start + DAY <= terms.data_from
    if apart or contents is None:
        return False
    resolution = reader.resolution(Series.of(lane)) or RAW
    times = contents.times(segment, number, resolution)
    return bool(times) and all(
        reader.covers(time, time + span(resolution)) and not _dark(known, lane.kind, resolution, time)
        for time in times
    )


def _dark(known: Known, kind: str, resolution: str, time: int) -> bool:
    if resolution == RAW:
        return known.blacked_out(kind, time)
    return known.withheld(kind, resolution, time)


def seal_history(
    public: bytes, owner_key_id: bytes, vault: VaultId, grant: GrantId, keys: list[LaneKey]
) -> list[wire.SealedKeys]:
    """Seal keys to a grant, at most ``BOX_KEYS`` in a box."""
    return [wire.SealedKeys(*box) for box in seal_boxes(public, owner_key_id, vault, grant, keys)]
