"""A new segment in the making: lanes with keys that this client draws, boxes, chunks; and its swap.

Everything but the chunks is sealed before sequence numbers are reserved: what arrives between that and the
swap makes the host say no, because a brand may have paged beyond the numbers by then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from msgspec.structs import astuple

from gateway import wire
from gateway.client.errors import AnswerError, ConflictError
from gateway.client.read import open_segment
from gateway.client.recipients import Reader, Series
from gateway.client.session import Session
from vault.chunk import ChunkHeader, Sequenced, plain_size, seal_chunk
from vault.errors import FormatError
from vault.ids import Entropy, GrantId, SegmentId, VaultId
from vault.labels import KEY_SIZE
from vault.observation import Observation
from vault.person import Owner
from vault.segment import (
    Lane,
    LaneKey,
    SegmentHeader,
    lane_key,
    resolution_key,
    seal_grant_box,
    seal_lane_name,
    seal_owner_box,
)
from vault.statement import sign
from vault.store.records import ChunkPlace, ChunkRow, GrantBox, LaneRow, Rewritten, SealedChunk
from vault.store.rewrite import RESERVE_MAX, replacement
from vault.store.sealing import MERGED_BYTES, MERGED_READINGS, regroup
from vault.suite import NONCE_SIZE

BOX_KEYS: Final = 2000  # in one box: about 250 kB
TRIES: Final = 20  # how often readings may come in between
LOST: Final = "the server does not show what it just took"

Item = tuple[int | None, Observation]  # None: it gets a number that is reserved


class _Put(NamedTuple):
    number: int
    lane: Lane
    resolution: str
    key: bytes
    items: list[Item]


class Draft:
    """A segment of one day in the making."""

    def __init__(self, owner: Owner, vault: VaultId, day: int, entropy: Entropy) -> None:
        self._owner, self._vault, self._entropy = owner, vault, entropy
        self.header = SegmentHeader(vault, SegmentId.new(entropy), day)
        self._key = entropy(KEY_SIZE)
        self._lanes: dict[tuple[Series, int], tuple[int, Lane]] = {}
        self._parts: dict[tuple[Series, str], int] = {}  # how many there are
        self._keys: dict[GrantId, tuple[Reader, list[LaneKey]]] = {}
        self._puts: list[_Put] = []

    @property
    def empty(self) -> bool:
        """Whether there is nothing to seal."""
        return not self._puts

    @property
    def fresh(self) -> int:
        """How many numbers are to be reserved."""
        return sum(seq is None for put in self._puts for seq, _ in put.items)

    def put(self, series: Series, resolution: str, readers: Iterable[Reader], items: Iterable[Item]) -> None:
        """Seal readings or buckets of a series for exactly these readers.

        A series at one resolution takes a part for each call; another resolution of it may share the part,
        because its keys are others.
        """
        part = self._parts.get((series, resolution), 0)
        self._parts[series, resolution] = part + 1
        number, lane = self._lanes.setdefault(
            (series, part), (len(self._lanes), Lane(series.device, series.channel, series.kind, part))
        )
        key = resolution_key(lane_key(self._key, lane), resolution)
        ordered = sorted(items, key=lambda item: (item[0] is None, item[0] or 0))
        self._puts.append(_Put(number, lane, resolution, key, ordered))
        for reader in readers:
            entry = LaneKey(bytes(self.header.segment), number, lane.encode(), resolution, key)
            self._keys.setdefault(reader.grant, (reader, []))[1].append(entry)

    def boxes(self) -> list[GrantBox]:
        """A grant's box for every reader."""
        return [
            GrantBox(bytes(grant), *box)
            for grant, (reader, keys) in self._keys.items()
            for box in seal_boxes(reader.public, self._owner.key_id, self._vault, grant, keys)
        ]

    def lanes(self) -> list[LaneRow]:
        """Every lane with its sealed name."""
        return [
            LaneRow(
                number,
                bytes(lane.device),
                seal_lane_name(self._key, self.header, number, lane, self._entropy(NONCE_SIZE)),
            )
            for number, lane in self._lanes.values()
        ]

    def owner_box(self) -> bytes:
        """The owner's."""
        return seal_owner_box(self._owner.hpke.public, self._owner.key_id, self.header, self._key)

    def chunks(self, reserved: Iterator[int]) -> list[SealedChunk]:
        """Everything that was put, sealed; what has no number takes the next that was reserved."""
        sealed: list[SealedChunk] = []
        for put in self._puts:
            seqs = [next(reserved) if seq is None else seq for seq, _ in put.items]
            for group in _groups(Sequenced(seqs, [observation for _, observation in put.items])):
                first, last, many = group.seqs[0], group.seqs[-1], len(group.seqs)
                header = ChunkHeader(self.header, put.lane, first, last, many, put.resolution)
                body = seal_chunk(put.key, header, group, self._entropy(NONCE_SIZE))
                place = bytes(self.header.segment), put.number, put.resolution
                sealed.append(SealedChunk(*place, first, last, many, body))
        return sealed


def seal_boxes(
    public: bytes, owner_key_id: bytes, vault: VaultId, grant: GrantId, keys: list[LaneKey]
) -> list[tuple[bytes, bytes]]:
    """(segments, box) of keys sealed to a grant, at most ``BOX_KEYS`` in a box."""
    return [
        seal_grant_box(public, owner_key_id, vault, grant, keys[at : at + BOX_KEYS])
        for at in range(0, len(keys), BOX_KEYS)
    ]


def submit(session: Session, draft: Draft, gone: Sequence[ChunkPlace], whole: Sequence[bytes]) -> None:
    """Swap the draft in for what is gone; then see that the host shows it.

    Raises:
        ConflictError: the day changed since it was read, or readings came without a pause.
        AnswerError: the host does not show all that it took.
    """
    if draft.empty and not gone:
        rewritten = Rewritten(b"", b"", (), (), (), (), tuple(sorted(whole)), 0, session.pins.generation)
        _tell(session, rewritten)
        return
    sealed = (
        draft.header.encode(),
        draft.owner_box(),
        tuple(draft.lanes()),
    )
    boxes, places, closed = tuple(draft.boxes()), tuple(sorted(gone, key=astuple)), tuple(sorted(whole))
    for attempt in range(1, TRIES + 1):
        numbers = _reserve(session, draft.fresh)
        chunks = tuple(draft.chunks(iter(numbers)))
        first = numbers[0] if numbers else 0
        generation = session.pins.generation
        rewritten = Rewritten(*sealed, chunks, boxes, places, closed, first, generation)
        try:
            _tell(session, rewritten)
            break
        except ConflictError:
            if attempt == TRIES or not numbers:
                raise
    _check(session, draft, rewritten)


def _tell(session: Session, rewritten: Rewritten) -> None:
    statement = sign(session.owner.signing, session.pins.vault, replacement(rewritten))
    session.tell(wire.Rewrite(statement, rewritten), wire.Done)


def _reserve(session: Session, count: int) -> list[int]:
    numbers: list[int] = []
    while len(numbers) < count:
        some = min(count - len(numbers), RESERVE_MAX)
        first = session.tell(wire.Reserve(some), wire.Reserved).first
        numbers += range(first, first + some)
    return numbers


def _check(session: Session, draft: Draft, rewritten: Rewritten) -> None:
    """The host shows the segment as it was sent, and nothing of what it replaced; raises AnswerError."""
    day, segment = draft.header.day, bytes(draft.header.segment)
    rows = session.ask(wire.GetSegments(day, day), wire.Segments).segments
    found = [row for row in rows if row.header == rewritten.header]
    if len(found) != 1 or found[0].owner_box != rewritten.owner_box:
        raise AnswerError(LOST)
    open_segment(session.owner, session.pins.vault, found[0])
    if sorted(found[0].lanes, key=astuple) != sorted(rewritten.lanes, key=astuple):
        raise AnswerError(LOST)
    there = {_told(chunk) for chunk in _chunks(session, [segment])}
    if there != {_told(chunk) for chunk in rewritten.chunks}:
        raise AnswerError(LOST)
    before = sorted({place.segment for place in rewritten.gone})
    left = {ChunkPlace(one.segment, one.number, one.resolution) for one in _chunks(session, before)}
    if left & set(rewritten.gone):
        raise AnswerError("the server still shows what was replaced")


def _chunks(session: Session, segments: list[bytes]) -> Iterator[ChunkRow]:
    after: int | None = 0
    while segments and after is not None:
        answer = session.ask(wire.GetChunks(segments, after), wire.Chunks)
        yield from answer.chunks
        if answer.after is not None and answer.after <= after:
            raise AnswerError("the server repeats itself")
        after = answer.after


def _told(chunk: ChunkRow | SealedChunk) -> tuple[int, str, int, int, int, bytes]:
    body = hashlib.sha256(chunk.body).digest()
    return chunk.number, chunk.resolution, chunk.first_seq, chunk.last_seq, chunk.count, body


def _groups(readings: Sequenced) -> Iterable[Sequenced]:
    """In one chunk, or in several where one could not hold it."""
    if not readings.seqs:
        raise FormatError("a lane without readings")
    if len(readings.seqs) <= MERGED_READINGS and plain_size(readings) <= MERGED_BYTES:
        return (readings,)
    each = zip(readings.seqs, readings.observations, strict=True)
    return regroup(Sequenced([seq], [observation]) for seq, observation in each)
