"""Whatever a day holds, whoever may read what: keys that the client seals open that, and nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.client.day import Day, Kept, Part
from gateway.client.plan import plan_day
from gateway.client.recipients import Blackout, Known, Reader, Series
from gateway.client.rewrite import Draft
from policies.terms import Selector, Terms
from tests.world import Entropy
from vault.bucket import DAY_MS, FEWEST, span
from vault.chunk import ChunkHeader, open_chunk
from vault.errors import VaultError
from vault.gathering import HOUR_MS
from vault.ids import DeviceId, GrantId, VaultId
from vault.observation import Observation, Summary
from vault.person import Owner
from vault.segment import RAW, Lane, open_grant_box
from vault.store.records import ChunkPlace
from vault.suite import Recipient

Given = tuple[tuple[int, int], str, list[tuple[int, int]]]  # bounds, resolution, gaps
Hidden = tuple[tuple[int, int], frozenset[str], int]  # time, kinds, the hour in which it was made

VAULT, METER = VaultId(b"v" * 16), DeviceId(b"m" * 16)
OWNER = Owner(bytes(32))
DAY = 20_777
START = DAY * DAY_MS
SERIES = [Series(METER, "", "power"), Series(METER, "", "temperature")]
BRANDS = [Recipient(hashlib.sha256(b"%d" % number).digest()) for number in range(3)]

# Seconds of the day, at the edges of hours and between them.
MOMENTS = st.integers(0, 24).map(lambda hour: hour * 3600) | st.integers(0, 86_400)
STRETCHES = st.lists(MOMENTS, min_size=2, max_size=2, unique=True).map(lambda two: (min(two), max(two)))
READINGS = st.lists(
    st.tuples(st.sampled_from(SERIES), st.integers(0, 23), st.integers(1, 9)), min_size=1, max_size=8
)
BLACKOUTS = st.lists(
    st.tuples(STRETCHES, st.sampled_from([frozenset(), frozenset({"power"})]), st.sampled_from([0, 13, 50])),
    max_size=2,
)
GRANTS = st.lists(
    st.tuples(STRETCHES, st.sampled_from([RAW, "hour", "day"]), st.lists(STRETCHES, max_size=1)),
    min_size=1,
    max_size=3,
)


def seconds(at: int) -> int:
    return START // 1000 + at


def readers(grants: list[Given]) -> tuple[Reader, ...]:
    return tuple(
        Reader(
            GrantId(b"%016d" % number),
            BRANDS[number].public,
            Terms(
                selectors=tuple(Selector(METER.text, one.kind, None, resolution) for one in SERIES),
                data_from=seconds(since),
                data_until=seconds(until),
                access_until=seconds(until),
                purpose="dpv:ServiceProvision",
            ),
            tuple((seconds(first), seconds(last)) for first, last in gaps),
        )
        for number, ((since, until), resolution, gaps) in enumerate(grants)
    )


def day_of(bursts: list[tuple[Series, int, int]]) -> Day:
    """A day that one lane a series took, with so many readings in an hour."""
    parts = {one: Part(ChunkPlace(b"s" * 16, number, RAW), one, []) for number, one in enumerate(SERIES)}
    for seq, (series, hour, count) in enumerate(bursts):
        parts[series].kept += [
            Kept(
                1 + seq * 10 + at,
                Observation("", series.kind, START + hour * HOUR_MS + at * HOUR_MS // 9, float(at)),
            )
            for at in range(count)
        ]
    return Day(DAY, (), [part for part in parts.values() if part.kept])


def opened(draft: Draft, brand: int) -> list[tuple[Lane, str, Observation]]:
    """Everything of the new segment that one brand's key opens."""
    grant = GrantId(b"%016d" % brand)
    keys = [
        key
        for box in draft.boxes()
        if box.grant == grant
        for key in open_grant_box(BRANDS[brand], OWNER.key_id, VAULT, grant, box.segments, box.box)
    ]
    found: list[tuple[Lane, str, Observation]] = []
    for chunk in draft.chunks(iter(range(1 << 20, 1 << 21))):
        for key in keys:
            lane = Lane.decode(key.lane)
            header = ChunkHeader(
                draft.header, lane, chunk.first_seq, chunk.last_seq, chunk.count, chunk.resolution
            )
            try:
                readings = open_chunk(key.key, header, chunk.body)
            except VaultError:
                continue
            found += [(lane, chunk.resolution, one) for one in readings.observations]
    return found


def check(day: Day, known: Known, draft: Draft) -> list[str]:
    """What opens that should not, and what does not that should."""
    faults: list[str] = []
    for brand, reader in enumerate(known.readers):
        seen = set[tuple[str, str, int]]()
        for lane, resolution, one in opened(draft, brand):
            place = lane.kind, resolution, one.time
            seen.add(place)
            until = one.time + span(resolution)
            given = reader.resolution(Series(METER, lane.channel, lane.kind)) == resolution
            if not given or not reader.covers(one.time, until):
                faults.append(f"{place} opens for {brand}")
            if resolution == RAW and known.blacked_out(lane.kind, one.time):
                faults.append(f"{place} was blacked out, and opens for {brand}")
            if isinstance(one.value, Summary):
                faults += _summary(day, known, lane.kind, resolution, one.time, one.value)
        for part in day.parts:
            raw = reader.resolution(part.series) == RAW
            for kept in part.kept:
                time, kind = kept.observation.time, part.series.kind
                moved = any(one.keeps(kind) for one in known.blackouts) and _touched(part, known)
                due = raw and moved and reader.covers(time, time + 1)
                if due and not known.blacked_out(kind, time) and (kind, RAW, time) not in seen:
                    faults.append(f"{kind} {time} does not open for {brand}")
    return faults


def _touched(part: Part, known: Known) -> bool:
    return any(known.blacked_out(part.series.kind, kept.observation.time) for kept in part.kept)


def _summary(day: Day, known: Known, kind: str, resolution: str, start: int, value: Summary) -> list[str]:
    """A bucket is of readings that nobody hid, of enough of them, and was not sealed before they were."""
    inside = [
        kept.observation
        for part in day.parts
        if part.series.kind == kind
        for kept in part.kept
        if start <= kept.observation.time < start + span(resolution)
        and not known.blacked_out(kind, kept.observation.time)
    ]
    faults = []
    if value.count < FEWEST or value.count > len(inside):
        faults.append(f"a bucket of {value.count} readings where there are {len(inside)}")
    if resolution == "hour" and value.sum != sum(one.value for one in inside if isinstance(one.value, float)):
        faults.append("a bucket with something hidden in it")
    if known.withheld(kind, resolution, start):
        faults.append("a bucket that came again")
    return faults


@settings(deadline=None)
@given(READINGS, GRANTS, BLACKOUTS)
def test_keys_open_what_may_be_read_and_nothing_else(
    bursts: list[tuple[Series, int, int]],
    grants: list[Given],
    blackouts: list[Hidden],
) -> None:
    day, known = day_of(bursts), known_of(grants, blackouts)
    draft = Draft(OWNER, VAULT, DAY, Entropy())
    plan_day(draft, day, None, known, moving=known.blackouts)
    assert check(day, known, draft) == []


def known_of(
    grants: list[Given],
    blackouts: list[Hidden],
) -> Known:
    made = tuple(
        Blackout(seconds(since), seconds(until), kinds, START + hour * HOUR_MS)
        for (since, until), kinds, hour in blackouts
    )
    return Known(readers(grants), made)


class Generous(Known):
    """A known-bad client: whoever reads any of a series is given every lane of it."""

    def readers_of(self, series: Series, resolution: str, since: int, until: int) -> tuple[Reader, ...]:  # noqa: ARG002
        return self.readers


class Open(Known):
    """Another: nothing is hidden."""

    def blacked_out(self, kind: str, time: int) -> bool:  # noqa: ARG002
        return False


class Forgetful(Known):
    """A third: a bucket that was read with what is hidden comes again without."""

    def withheld(self, kind: str, resolution: str, start: int) -> bool:  # noqa: ARG002
        return False


@pytest.mark.parametrize("bad", [Generous, Open, Forgetful])
def test_known_bad_clients_are_caught(bad: type[Known]) -> None:
    bursts = [(SERIES[0], hour, 9) for hour in range(24)]
    grants: list[Given] = [((0, 43_200), RAW, []), ((0, 43_201), "hour", [])]
    day, known = day_of(bursts), known_of(grants, [((3600, 4400), frozenset(), 50)])
    for client, caught in ((Known, False), (bad, True)):
        draft = Draft(OWNER, VAULT, DAY, Entropy())
        plan_day(draft, day, None, client(*known), moving=known.blackouts)
        assert bool(check(day, known, draft)) is caught
