"""All buckets that were ever sealed of a day, put together, tell of no few readings, nor what is hidden.

Each reading is another power of two, so that a sum says which readings it is of.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from gateway.client.buckets import Bucket, Old, make_buckets
from gateway.client.day import Kept
from gateway.client.recipients import Blackout, Known, Series
from vault.bucket import DAY_MS, FEWEST
from vault.gathering import HOUR_MS
from vault.ids import DeviceId
from vault.observation import Observation, Summary

Make = Callable[..., list[Bucket]]
DAY = 20_000
START = DAY * DAY_MS
SERIES = Series(DeviceId(b"m" * 16), "", "temperature")
HOURS = range(3)
MOST = 48  # readings: a double holds the sum of so many powers of two


class Sealed(NamedTuple):
    """The readings that a bucket is of, and in which round it was sealed."""

    readings: frozenset[int]
    turn: int


class Story:
    """A day that a writer sealed, and the days after, on which late readings and blackouts come."""

    def __init__(self, seed: int, make: Make, *, hiding: bool) -> None:
        self.dice, self._make, self._hiding = random.Random(seed), make, hiding
        self.raw: list[Kept] = []
        self.blackouts: list[tuple[Blackout, float]] = []  # and after which round
        self.sealed: dict[tuple[str, int], list[Sealed]] = {}
        self._old: Old = {}
        self._seq = 0

    def happen(self) -> None:
        for hour in HOURS:
            self._arrive(hour, self.dice.choice([0, 1, 2, 3, 4, 5, 6, 7, 12]))
        self._write()
        for turn in range(1, self.dice.randint(2, 5)):
            for hour in HOURS:
                if self.dice.random() < 0.6:
                    self._arrive(hour, self.dice.choice([1, 1, 2, 3, 4, 5, 6]))
            if self._hiding and self.dice.random() < 0.5:
                self._hide(START + DAY_MS + 5, turn - 0.5)
            self._publish(self._made(), turn)

    def hidden(self, blackout: Blackout) -> set[int]:
        return {
            number
            for number, kept in enumerate(self.raw)
            if blackout.touches(SERIES.kind, kept.observation.time, kept.observation.time + 1)
        }

    def _arrive(self, hour: int, count: int) -> None:
        for _ in range(min(count, MOST - len(self.raw))):
            number = len(self.raw)
            self._seq += 1
            time = START + hour * HOUR_MS + number * 60_000
            self.raw.append(Kept(self._seq, Observation("", SERIES.kind, time, 2.0**number)))

    def _hide(self, made: int, turn: float) -> None:
        since = START // 1000 + self.dice.choice(HOURS) * 3600 + self.dice.randrange(48) * 60
        until = since + self.dice.choice([60, 300, 1800, 5000])
        self.blackouts.append((Blackout(since, until, frozenset(), made), turn))

    def _made(self, *, forget: bool = False) -> list[Bucket]:
        known = Known((), () if forget else tuple(one for one, _ in self.blackouts))
        return self._make(SERIES, DAY, list(self.raw), (), self._old, known)

    def _write(self) -> None:
        """What a writer seals: all of it, or some hours and no day, where a crash or a blackout cut it."""
        cut = self.dice.random() < 0.6
        made = self._made(forget=True)
        if self._hiding and self.dice.random() < 0.5:
            cut, at = True, START + self.dice.choice([1, 2, 3]) * HOUR_MS
            self._hide(at, 0.5)
            before = [one for one in made if one.start + HOUR_MS <= at]
            made = before + [one for one in self._made() if one.start + HOUR_MS > at]
        lost = {START + hour * HOUR_MS for hour in HOURS if cut and self.dice.random() < 0.5}
        made = [one for one in made if not cut or (one.resolution == "hour" and one.start not in lost)]
        self._publish(made, 0)

    def _publish(self, made: Sequence[Bucket], turn: int) -> None:
        self._old = {}
        for bucket in made:
            (observation,) = bucket.observations
            place = bucket.resolution, bucket.start
            if bucket.seqs is None:
                self._seq += 1
                assert isinstance(observation.value, Summary)
                total = int(observation.value.sum)
                readings = frozenset(number for number in range(len(self.raw)) if total >> number & 1)
                self.sealed.setdefault(place, []).append(Sealed(readings, turn))
            seq = self._seq if bucket.seqs is None else bucket.seqs[0]
            self._old[place] = [Kept(seq, observation)]


def differences(story: Story) -> Iterator[tuple[Counter[int], int]]:
    """Days, and differences of days, with hours and differences of hours; since when each can be had."""
    days = [(one,) for one in story.sealed.get(("day", START), [])]
    choices: list[list[tuple[Sealed, ...]]] = [[(), *days, *_pairs([day for (day,) in days])]]
    for hour in HOURS:
        some = story.sealed.get(("hour", START + hour * HOUR_MS), [])
        choices.append([(), *((one,) for one in some), *_pairs(some)])
    for day, *hours in itertools.product(*choices):
        found: Counter[int] = Counter()
        for sign, chosen in ((1, day), *((-1, hour) for hour in hours)):
            for flip, one in zip((1, -1), chosen, strict=False):
                for number in one.readings:
                    found[number] += sign * flip
        yield found, max((one.turn for chosen in (day, *hours) for one in chosen), default=0)


def _pairs(some: Sequence[Sealed]) -> list[tuple[Sealed, ...]]:
    return [(one, other) for one in some for other in some if one is not other]


def faults(seed: int, make: Make = make_buckets, *, hiding: bool = False) -> list[str]:
    story = Story(seed, make, hiding=hiding)
    story.happen()
    hidden = [(story.hidden(one), turn) for one, turn in story.blackouts]
    found: list[str] = []
    for difference, turn in differences(story):
        told = {number for number, times in difference.items() if times}
        if 0 < len(told) < FEWEST:
            found.append(f"{seed}: {sorted(told)} are told")
        if told and any(turn > since and told <= kept_back for kept_back, since in hidden):
            found.append(f"{seed}: {sorted(told)} were hidden, and are told")
    return found


@pytest.mark.parametrize("hiding", [False, True])
def test_nothing_that_was_ever_sealed_tells_of_few_readings(*, hiding: bool) -> None:
    """D20: who has the hours and who has the days, and every version of them, have nothing more together."""
    assert [fault for seed in range(600) for fault in faults(seed, hiding=hiding)] == []


def test_an_hour_whose_few_readings_are_in_a_day_gets_no_bucket_when_one_more_comes() -> None:
    """4 in one hour and 1 in another are in the day; a bucket of 5 in the first would tell the other one."""
    times = [START + minute * 60_000 for minute in (0, 1, 2, 3, 60)]
    raw = [Kept(seq, Observation("", SERIES.kind, time, 1.0)) for seq, time in enumerate(times, start=1)]
    (day,) = make_buckets(SERIES, DAY, raw, (), {}, Known())
    assert day.resolution == "day"
    old: Old = {("day", START): [Kept(6, day.observations[0])]}
    late = Kept(7, Observation("", SERIES.kind, START + 5 * 60_000, 20.0))
    assert [one.resolution for one in make_buckets(SERIES, DAY, [*raw, late], (), old, Known())] == ["day"]
    alone = make_buckets(SERIES, DAY, [*raw, late], (), {}, Known())  # the control: it would have one
    assert [one.resolution for one in alone] == ["hour", "day"]


def test_a_day_of_which_a_sealed_hour_was_hidden_before_it_was_over_is_never_sealed() -> None:
    """The day without what is hidden, beside the hour with it, would tell it."""
    raw = [
        Kept(1 + at, Observation("", SERIES.kind, START + at * 10 * 60_000, float(at))) for at in range(36)
    ]
    dark = Blackout(START // 1000 + 600, START // 1000 + 1200, frozenset(), START + 2 * HOUR_MS)
    made = make_buckets(SERIES, DAY, raw, (), {}, Known((), (dark,)))
    assert {(one.resolution, (one.start - START) // HOUR_MS) for one in made} == {
        ("hour", hour) for hour in range(1, 6)
    }
    early = Blackout(
        dark.since, dark.until, frozenset(), START + 600_000
    )  # the hour was not over: nothing was sealed
    assert "day" in {one.resolution for one in make_buckets(SERIES, DAY, raw, (), {}, Known((), (early,)))}


def test_known_bad_buckets_that_forget_what_was_sealed_are_caught() -> None:
    def forgetful(series: Any, day: Any, raw: Any, before: Any, old: Any, known: Any) -> list[Bucket]:
        del old
        return make_buckets(series, day, raw, before, {}, known)

    assert any(faults(seed, forgetful) for seed in range(50))
    assert any("hidden" in fault for seed in range(50) for fault in faults(seed, forgetful, hiding=True))
