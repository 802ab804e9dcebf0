"""What a brand would have received of the past days: as it asked, and as the person is about to give it.

Made by the very way a brand reads: keys are sealed to a grant key that is drawn for it and thrown away,
``decide`` makes the permit, ``vault.store.release`` pages through sealed chunks, and what comes out is
written as the door writes it.  Only where the chunks come from is another: they are in this client's memory.
Buckets that are not complete are made there first, by the code that would seal them.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from gateway.client.buckets import make_buckets
from gateway.client.chosen import series_of
from gateway.client.day import Day, Part, gathered, raw_of
from gateway.client.flow import NOTHING, Flow, flow_of
from gateway.client.history import AHEAD_S, Contents, history_keys
from gateway.client.memory import Memory
from gateway.client.plan import put_buckets
from gateway.client.read import Archive, OpenSegment
from gateway.client.recipients import Known, Reader, Series, blackouts
from gateway.client.rewrite import Draft, seal_boxes
from gateway.client.session import Session
from policies.decide import Permit, Read, decide
from policies.errors import TermsError
from policies.grant import Active
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.narrow import Bounds, make_terms
from policies.request import Ask
from policies.terms import Selector, Terms
from policies.wishes import RESOLUTIONS_SUPPORTED
from vault.bucket import DAY_MS, FEWEST, coarser, span
from vault.ids import GrantId
from vault.segment import RAW
from vault.store.records import ChunkRow, GrantRow
from vault.store.release import GrantKeys, page
from vault.suite import Recipient

PAGE: Final = 1 << 20  # readings: one page holds them all


class Rare(msgspec.Struct, frozen=True):
    """A series of numbers that reports so seldom that its buckets hide nothing, or are not made.

    ``readings`` is how many a bucket holds as a rule.
    """

    device: str
    channel: str
    kind: str
    resolution: str
    readings: float


class Preview(msgspec.Struct, frozen=True):
    """Both flows, and what is too rare for the resolution that is about to be given."""

    asked: Flow
    settled: Flow
    rare: tuple[Rare, ...]


def preview(
    session: Session,
    archive: Archive,
    row: GrantRow,
    asks: tuple[Ask, ...],
    terms: Terms,
    *,
    days: int = 7,
    progress: Callable[[float], object] = lambda _: None,
) -> Preview:
    """Replay the past ``days`` as asked and as settled; raises as reading the vault does."""
    week = _Week(session, archive, GrantId(row.grant), days)
    asked = asked_terms(asks, week.series(), terms)
    wanted = [one for one in (terms, asked) if one is not None]
    week.read(wanted, progress)
    flows = [NOTHING if one is None else week.flow(one) for one in (asked, terms)]
    progress(1.0)
    return Preview(flows[0], flows[1], tuple(week.rare(terms)))


def asked_terms(asks: tuple[Ask, ...], seen: Iterable[Series], settled: Terms) -> Terms | None:
    """All that the brand asked for, in the detail it would like best, of every device.

    What no device reports is not in it, for nothing would have come of it; None: there is nothing at all.
    """
    ideal = {kind: ask.ideal for ask in asks for kind in ask.kinds}
    selectors = {
        Selector(one.device.text, one.kind, None, ideal[one.kind]) for one in seen if one.kind in ideal
    }
    often = tuple(msgspec.structs.replace(ask, frequency=None) for ask in asks)
    bounds = Bounds(settled.data_from, settled.data_until, settled.access_until)
    try:
        return make_terms(often, selectors, bounds, mode=asks[0].mode)
    except TermsError:
        return None


class _Week:
    """The chunks of some days, and buckets that are made of them."""

    def __init__(self, session: Session, archive: Archive, grant: GrantId, days: int) -> None:
        self._session, self._archive, self._grant, self._days = session, archive, grant, days
        self.now = session.clock()
        self.last = self.now // DAY_MS
        self.first = self.last - days
        self._rows = archive.rows(self.first, self.last)
        self._segments = archive.opened(self._rows)
        self._known = Known(blackouts=blackouts(session))
        self._chunks: list[tuple[OpenSegment, ChunkRow]] = []
        self._parts: dict[int, list[Part]] = {}
        self._recipient = Recipient(session.entropy(32))

    def series(self) -> set[Series]:
        """Every series that has a lane."""
        return series_of(self._segments)

    def read(self, wanted: Sequence[Terms], progress: Callable[[float], object]) -> None:
        """Fetch what any of these terms may need."""
        readers = [self._reader(terms) for terms in wanted]
        total = max(sum(len(segment.lanes) for segment in self._segments), 1)
        found = self._archive.chunks(
            self._segments,
            lambda lane: any(one.resolution(Series.of(lane)) for one in readers),
            0,
            RESOLUTIONS_SUPPORTED,
        )
        for segment, chunk in found:
            self._chunks.append((segment, chunk))
            progress(min(len(self._chunks) / total, 1.0) / 2)

    def flow(self, terms: Terms) -> Flow:
        """What a brand with these terms would have had; nothing where it gets answers alone."""
        reader = self._reader(terms)
        source = Memory(self._session.pins.vault)
        whole = [segment for segment in self._segments if self._is_whole(segment.header.day)]
        keys = history_keys(
            reader, self._segments, self.now // 1000, self._known, Contents(self._archive, self._chunks)
        )
        complete = {bytes(segment.header.segment) for segment in whole}
        keys = [key for key in keys if key.resolution == RAW or key.segment in complete]
        owner = self._session.owner
        for segments, box in seal_boxes(reader.public, owner.key_id, source.vault, self._grant, keys):
            source.add_box(segments, box)
        for segment, chunk in self._chunks:
            if chunk.resolution == RAW or bytes(segment.header.segment) in complete:
                source.add_chunk(segment.header.encode(), chunk)
        self._make(reader, source)
        permit = decide(Read(), Active(reader.terms, self.now, self.now), self.now)
        if not isinstance(permit, Permit):
            return NOTHING
        opened = GrantKeys(source.vault, self._grant, self._recipient, owner.key_id)
        return flow_of(page(source, permit, opened, 0, PAGE).readings)

    def rare(self, terms: Terms) -> Iterator[Rare]:
        """Of numbers: what hides nothing at the resolution that the terms give."""
        reader = self._reader(terms)
        counts: dict[tuple[Series, str], Counter[int]] = {}
        for day in range(self.first, self.last + 1):
            for part in self._day(day):
                resolution = reader.resolution(part.series) or RAW
                if resolution == RAW or part.place.resolution != RAW:
                    continue
                if catalogue().kind(part.series.kind).type == "number":
                    times = (kept.observation.time // span(resolution) for kept in part.kept)
                    counts.setdefault((part.series, resolution), Counter()).update(times)
        for (series, resolution), buckets in sorted(counts.items()):
            usual = statistics.median(buckets.values())
            if usual < FEWEST:
                yield Rare(series.device.text, series.channel, series.kind, resolution, float(usual))

    def _reader(self, terms: Terms) -> Reader:
        """The throw-away grant: these terms, of the past days."""
        until = self.now // 1000 + AHEAD_S
        moved = msgspec.structs.replace(
            terms, data_from=self.first * DAY, data_until=until, access_until=until + DAY
        )
        return Reader(self._grant, self._recipient.public, moved)

    def _is_whole(self, day: int) -> bool:
        """Whether the buckets of a day are those that a brand would be given."""
        rows = [row for row, one in zip(self._rows, self._segments, strict=True) if one.header.day == day]
        return not any(row.cut or row.open for row in rows)

    def _day(self, day: int) -> list[Part]:
        """What is read of a day, opened once."""
        if day not in self._parts:
            self._parts[day] = gathered(pair for pair in self._chunks if pair[0].header.day == day)
        return self._parts[day]

    def _make(self, reader: Reader, source: Memory) -> None:
        """Buckets of the days that have not all of them; of a day that goes on, those that are over."""
        if all(reader.terms.resolution_of(one) == RAW for one in reader.terms.selectors):
            return
        for day in sorted({segment.header.day for segment in self._segments}):
            if self._is_whole(day):
                continue
            draft = Draft(self._session.owner, source.vault, day, self._session.entropy)
            here, before = Day(day, (), self._day(day)), Day(day - 1, (), self._day(day - 1))
            for series in here.series:
                if reader.resolution(series) not in coarser(series.kind):
                    continue
                raw = raw_of(here.of(series))
                made = make_buckets(series, day, raw, before.last_hour(series), {}, self._known)
                over = [one for one in made if one.start + span(one.resolution) <= self.now]
                put_buckets(draft, series, over, Known((reader,)))
            source.add_draft(draft)
