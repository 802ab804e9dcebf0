"""A bucket of several cells or words is one set for a brand: on one page, and replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.client.read import Archive
from gateway.client.rebuild import cut_days, rebuild
from gateway.senmlout import Reading, decode
from policies.minimise import Limit
from policies.terms import Selector
from tests.door_world import Brand, Someone, World, grant_of, world
from vault.cell import cell_of
from vault.ids import DeviceId
from vault.observation import Observation, Place, Stay
from vault.store import release

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PLACES = [Place(47.0 + n / 10, 8.0, None) for n in range(7)]
CELLS = [cell_of(place, "h3-7") for place in PLACES]
Set = dict[str, Stay]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A door."""
    with world(tmp_path / "data") as it:
        yield it


def given(made: World, *limits: Limit) -> tuple[Someone, DeviceId, Brand, str]:
    """A grant of where somebody is, by cell and hour, from now on."""
    someone, brand = Someone(made), made.brand()
    source = someone.device("phone")
    request = brand.ask(someone.touchpoint(brand), "location", wishes={"resolution": "h3-7"}).json()
    grant = request["auth_req_id"]
    someone.approve(grant_of(grant), Selector(source.text, "location", None, "h3-7"), limits=limits)
    return someone, source, brand, brand.poll(grant).json()["access_token"]


def be(someone: Someone, source: DeviceId, time: int, place: Place) -> None:
    """Somewhere, as it is told at once."""
    someone.world.clock.now = time
    someone.publish(source, Observation("", "location", time, place))


def pages(brand: Brand, token: str, query: str) -> tuple[list[list[Reading]], str]:
    """Every page there is, and the link that goes on."""
    found: list[list[Reading]] = []
    while True:
        answer: httpx.Response = brand.read(token, query)
        assert answer.status_code == 200, answer.text
        found.append(decode(answer.content))
        query = answer.links["next"]["url"]
        if answer.headers["hypertouch-more"] == "false":
            return found, query


def sets(page: list[Reading]) -> dict[int, Set]:
    """The buckets of a page; raises AssertionError where the records of one are not together."""
    found: dict[int, Set] = {}
    for one in page:
        assert isinstance(one.value, Stay)
        found.setdefault(one.time, {})[one.value.cell] = one.value
    times = [one.time for one in page]
    assert sum(before != after for before, after in pairwise(times)) == max(0, len(found) - 1)
    return found


def ride(someone: Someone, source: DeviceId) -> int:
    """An hour in one place, whose end goes on into an hour in six others; when the first began."""
    start = someone.world.clock() // HOUR * HOUR + HOUR
    be(someone, source, start + 55 * MINUTE, PLACES[0])
    for number, place in enumerate(PLACES[1:]):
        be(someone, source, start + HOUR + (10 + 5 * number) * MINUTE, place)
    someone.world.pass_time(2 * HOUR)
    return start


def test_what_a_page_holds_of_a_bucket_is_all_of_it_whatever_its_limit(made: World) -> None:
    someone, source, brand, token = given(made)
    start = ride(someone, source)
    whole, _ = pages(brand, token, "")
    assert len(whole) == 1
    every = sets(whole[0])
    assert set(every[start + HOUR]) == set(CELLS)  # the place that it was in before, too
    for limit in range(1, 10):
        found, _ = pages(brand, token, f"?limit={limit}")
        assert [one for page in found for one in page] == whole[0], limit
        for page in found:
            assert len(page) <= max(limit, len(CELLS))
            assert sets(page) == {time: every[time] for time in sets(page)}, limit


def test_a_page_that_looked_at_enough_ends_between_buckets(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone, source, brand, token = given(made, Limit(kind="location", fewest=1))
    start = ride(someone, source)
    be(someone, source, start + 4 * HOUR, PLACES[2])
    someone.world.pass_time(2 * HOUR)
    monkeypatch.setattr(release, "EXAMINED", 1)
    since = release._Arrivals.since

    def singly(*of: Any) -> Iterator[list[release.Released]]:
        """As from chunks that end anywhere."""
        return ([one] for batch in since(*of) for one in batch)

    monkeypatch.setattr(release._Arrivals, "since", singly)
    found, _ = pages(brand, token, "")
    assert [list(sets(page)) for page in found] == [[start], [start + HOUR], [start + 4 * HOUR]]
    assert set(sets(found[1])[start + HOUR]) == set(CELLS[1:])  # where nobody reported, fewest leaves it out


def test_pages_that_end_anywhere_are_found_out(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with pages that are cut where they are full, the test above would fail."""
    someone, source, brand, token = given(made)
    start = ride(someone, source)
    monkeypatch.setattr(release, "_one_bucket", lambda _one, _other: False)
    found, _ = pages(brand, token, "?limit=3")
    holding = [sets(page)[start + HOUR] for page in found if start + HOUR in sets(page)]
    assert len(holding) > 1


def test_a_bucket_that_comes_again_without_a_cell_comes_together_and_behind_the_link(made: World) -> None:
    someone, source, brand, token = given(made)
    start = ride(someone, source)
    first, link = pages(brand, token, "?limit=1")
    held = {time: cells for page in first for time, cells in sets(page).items()}
    assert CELLS[0] in held[start + HOUR]

    made.clock.now = start // DAY * DAY + DAY + 6 * HOUR
    late = Observation("", "location", start + 56 * MINUTE, PLACES[3])  # they had left before the hour ended
    someone.publish(source, late)
    made.pass_time(HOUR)
    made.pass_time(HOUR)
    assert brand.read(token, link).headers["hypertouch-incomplete"]
    with someone.session() as session:
        archive = Archive(session)
        day = start // DAY
        assert rebuild(session, archive, cut_days(archive, day, day)).days == 1

    again, link = pages(brand, token, link)
    came = [one for page in again for one in sets(page).items()]
    assert [time for time, _ in came] == [start, start + HOUR]  # each on one page, although the limit is 1
    held |= dict(came)
    assert CELLS[0] not in held[start + HOUR]
    assert set(held[start + HOUR]) == set(CELLS[1:])
    assert pages(brand, token, link)[0] == [[]]
    afresh, _ = pages(brand, token, "")
    assert sets([one for page in afresh for one in page]) == held  # whoever begins anew finds the same

    with someone.session() as session:
        archive = Archive(session)
        opened = archive.opened(archive.rows(day, day))
        seqs = [
            (chunk.first_seq, chunk.last_seq, chunk.count)
            for _, chunk in archive.chunks(opened, lambda _: True, 0, ("h3-7",))
        ]
    assert all(last - first + 1 == count for first, last, count in seqs)
