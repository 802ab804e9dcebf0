"""Readings, lanes and keys that the tests of the vault share, and how to draw random ones."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import accumulate

from hypothesis import strategies as st

from vault.chunk import ChunkHeader, Sequenced
from vault.ids import DeviceId, SegmentId, VaultId
from vault.observation import Observation, Place, Share, Stay, Summary, Tally, Value
from vault.segment import RAW, Lane, SegmentHeader

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
# Regular meters, and everything a double can be.
DOUBLES = st.one_of(
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e308, float("inf"), 2.0**53, 2.0**53 - 1, 0.1, 21.5]),
    st.integers(-(10**6), 10**6).map(lambda n: n / 100),
)
FINITE = DOUBLES.filter(math.isfinite)
PLACES = st.builds(Place, DOUBLES, DOUBLES, st.none() | DOUBLES)
COLUMNS: tuple[st.SearchStrategy[Sequence[Value]], ...] = (
    st.lists(DOUBLES, min_size=1, max_size=30),
    st.lists(st.booleans(), min_size=1, max_size=30),
    st.lists(st.text(max_size=12), min_size=1, max_size=30),
    st.lists(st.binary(max_size=12), min_size=1, max_size=30),
    st.lists(PLACES, min_size=1, max_size=30),
)
COUNTS = st.integers(1, (1 << 63) - 1)
SUMMARIES = st.builds(
    lambda count, total, ends, squares: Summary(count, total, min(ends), max(ends), abs(squares)),
    COUNTS,
    FINITE,
    st.tuples(FINITE, FINITE),
    FINITE,
)
TALLIES = st.builds(
    lambda count, some, seconds: Tally(count, min(count, some), seconds),
    COUNTS,
    st.integers(0, 9) | COUNTS,
    st.integers(0, 86_400),
)
STAYS = {
    resolution: st.builds(Stay, st.from_regex(shape, fullmatch=True), st.integers(0, 3600), COUNTS)
    for resolution, shape in {
        "h3-7": "87[0-9a-f]{7}f{6}",
        "h3-5": "85[0-9a-f]{5}[37bf]f{7}",
    }.items()
}
BUCKETS: dict[str, tuple[st.SearchStrategy[Sequence[Value]], ...]] = {
    "hour": (st.lists(SUMMARIES, min_size=1, max_size=30), st.lists(TALLIES, min_size=1, max_size=30)),
    "day": (st.lists(st.builds(Share, st.text(max_size=12), COUNTS), min_size=1, max_size=30),),
    "h3-7": (st.lists(STAYS["h3-7"], min_size=1, max_size=30),),
    "h3-5": (st.lists(STAYS["h3-5"], min_size=1, max_size=30),),
}
LANE = Lane(DeviceId(b"d" * 16), "grid", "energy", 0)
HEADER = SegmentHeader(VaultId(b"v" * 16), SegmentId(b"s" * 16), 20_000)


@st.composite
def readings(draw: st.DrawFn, lane: Lane = LANE) -> Sequenced:
    """Readings of one lane: any value type, any order of time, some with a claimed time."""
    values = draw(st.one_of(COLUMNS))
    steps = draw(st.lists(st.integers(1, 1 << 40), min_size=len(values), max_size=len(values)))
    times = draw(st.lists(INT64, min_size=len(values), max_size=len(values)))
    claimed = draw(st.lists(st.none() | INT64, min_size=len(values), max_size=len(values)))
    observations = [
        Observation(lane.channel, lane.kind, time, value, claim)
        for time, value, claim in zip(times, values, claimed, strict=True)
    ]
    return Sequenced(list(accumulate(steps)), observations)


def squeeze(data: bytes) -> bytes:
    """One zstd frame."""
    packed: bytes = zstd.compress(data, level=3)
    return packed


def meter(count: int, first_seq: int = 1, lane: Lane = LANE, value: float = 0.5) -> Sequenced:
    """A minutely meter."""
    observations = [Observation(lane.channel, lane.kind, 60_000 * i, value + i) for i in range(count)]
    return Sequenced(list(range(first_seq, first_seq + count)), observations)


@st.composite
def buckets(draw: st.DrawFn, lane: Lane = LANE) -> tuple[str, Sequenced]:
    """A resolution, and buckets of one lane at it in any order of time."""
    resolution = draw(st.sampled_from(sorted(BUCKETS)))
    values = draw(st.one_of(BUCKETS[resolution]))
    steps = draw(st.lists(st.integers(1, 1 << 40), min_size=len(values), max_size=len(values)))
    days = draw(st.lists(st.integers(-(10**6), 10**6), min_size=len(values), max_size=len(values)))
    observations = [
        Observation(lane.channel, lane.kind, day * 86_400_000, value)
        for day, value in zip(days, values, strict=True)
    ]
    return resolution, Sequenced(list(accumulate(steps)), observations)


def header_of(
    found: Sequenced, lane: Lane = LANE, segment: SegmentHeader = HEADER, resolution: str = RAW
) -> ChunkHeader:
    """The header of a chunk of these readings."""
    return ChunkHeader(segment, lane, found.seqs[0], found.seqs[-1], len(found.seqs), resolution)
