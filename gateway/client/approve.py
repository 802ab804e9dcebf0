"""An approval: from what the person chose to terms, a signed statement, and the keys of the history.

The first half is pure.  Which lane holds what is taken from the names that the owner's key opens, never
from a label of the host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence, Set
from typing import Final, NamedTuple

from gateway import wire
from gateway.client.errors import ConflictError, ImpostorError, TermsError
from gateway.client.read import Archive, OpenSegment, is_reading
from gateway.client.session import Session
from policies.grant import Preparing, Selector, Terms, ask_hash, terms_hash
from policies.iso8601 import DAY
from policies.request import Ask
from vault.errors import VaultError
from vault.ids import DeviceId, GrantId, VaultId
from vault.segment import LaneKey, lane_key, resolution_key, seal_grant_box
from vault.statement import GrantStatement, Signed, sign, verify
from vault.store.records import GrantRow

BOX_KEYS: Final = 2000  # in one box: about 250 kB
AHEAD_S: Final = 300  # how far a device's clock may run ahead and still be believed


class Series(NamedTuple):
    """A channel of a device and what it reports."""

    device: DeviceId
    channel: str
    kind: str


class Chosen(NamedTuple):
    """Selectors, and the kinds among them of which nothing was ever seen: those take any channel."""

    selectors: tuple[Selector, ...]
    unseen: tuple[str, ...]


def series_of(segments: Iterable[OpenSegment]) -> set[Series]:
    """Every series that has a lane in one of these segments."""
    return {
        Series(lane.device, lane.channel, lane.kind)
        for segment in segments
        for lane in segment.lanes.values()
        if is_reading(lane)
    }


def choose_selectors(
    kinds: Sequence[str], devices: Sequence[DeviceId], seen: Set[Series], *, future: bool = False
) -> Chosen:
    """What a grant of some kinds of some devices names.

    Of each kind exactly the channels seen so far, on the devices where it was seen; with ``future`` all their
    channels, those to come included.  A kind that was seen on none of the devices is given for all of them,
    whatever channel it will use: else a person could not say yes before the first reading.

    Raises:
        TermsError: no kind or no device.
    """
    if not kinds or not devices:
        raise TermsError("a grant names at least one kind and one device")
    selectors: list[Selector] = []
    unseen: list[str] = []
    for kind in sorted(set(kinds)):
        channels = {
            device: tuple(sorted(s.channel for s in seen if (s.device, s.kind) == (device, kind)))
            for device in sorted(set(devices))
        }
        if not any(channels.values()):
            unseen.append(kind)
            selectors += [Selector(device.text, kind, None) for device in channels]
            continue
        selectors += [
            Selector(device.text, kind, None if future else names)
            for device, names in channels.items()
            if names
        ]
    return Chosen(tuple(selectors), tuple(unseen))


def selects(selectors: Iterable[Selector], series: Series) -> bool:
    """Whether a series is given."""
    return any(
        one.device == series.device.text
        and one.kind == series.kind
        and (one.channels is None or series.channel in one.channels)
        for one in selectors
    )


def history_keys(terms: Terms, segments: Iterable[OpenSegment], now_s: int) -> list[LaneKey]:
    """The keys of the lanes that were written before the approval and that the terms give.

    A lane is given whole, so only one whose every reading lies within the bounds: its day begins at or after
    ``data_from``, and ``data_until`` is not before its day's end, or before what a device could claim by now.
    """
    keys: list[LaneKey] = []
    for segment in segments:
        start = segment.header.day * DAY
        latest = min(start + DAY, now_s + AHEAD_S)
        if start < terms.data_from or terms.data_until < latest:
            continue
        for number, lane in sorted(segment.lanes.items()):
            if is_reading(lane) and selects(terms.selectors, Series(lane.device, lane.channel, lane.kind)):
                key = resolution_key(lane_key(segment.key, lane), terms.resolution)
                keys.append(LaneKey(segment.header.segment, number, lane.encode(), terms.resolution, key))
    return keys


def seal_history(
    public: bytes, owner_key_id: bytes, vault: VaultId, grant: GrantId, keys: list[LaneKey]
) -> list[wire.SealedKeys]:
    """Seal keys to a grant, at most ``BOX_KEYS`` in a box."""
    return [
        wire.SealedKeys(*seal_grant_box(public, owner_key_id, vault, grant, keys[at : at + BOX_KEYS]))
        for at in range(0, len(keys), BOX_KEYS)
    ]


def make_statement(row: GrantRow, asks: tuple[Ask, ...], terms: Terms, generation: int) -> GrantStatement:
    """What an approval signs: these terms, for this key, as the answer to exactly this request."""
    return GrantStatement(
        grant=GrantId(row.grant).text,
        key_hash=hashlib.sha256(row.public).digest(),
        terms=terms,
        terms_hash=terms_hash(ask_hash(asks), terms),
        generation=generation,
    )


def read_statement(session: Session, row: GrantRow) -> GrantStatement:
    """The statement of an approval that was begun; raises ImpostorError where it is not this owner's."""
    try:
        statement = verify(session.pins.verify_key, session.pins.vault, row.statement or Signed(b"", b""))
    except VaultError:
        raise ImpostorError("the host shows an approval that is not signed by this vault's owner") from None
    ours = (GrantId(row.grant).text, hashlib.sha256(row.public).digest())
    if not isinstance(statement, GrantStatement) or (statement.grant, statement.key_hash) != ours:
        raise ImpostorError("the host shows an approval of another request")
    return statement


def approve(session: Session, archive: Archive, row: GrantRow, asks: tuple[Ask, ...], terms: Terms) -> Terms:
    """Give exactly these terms; returns when the grant is active.

    Raises:
        ConflictError: it was answered, or it lapsed, meanwhile.
    """
    statement = make_statement(row, asks, terms, session.pins.generation)
    signed = sign(session.owner.signing, session.pins.vault, statement)
    return _hand_over(session, archive, row, terms, signed)


def resume(session: Session, archive: Archive, row: GrantRow) -> Terms:
    """Finish an approval that was cut off after its statement: the same terms, nothing new to decide."""
    if not isinstance(row.state, Preparing) or row.statement is None:
        raise ConflictError("this request is not waiting for its keys")
    return _hand_over(session, archive, row, read_statement(session, row).terms, row.statement)


def _hand_over(session: Session, archive: Archive, row: GrantRow, terms: Terms, signed: Signed) -> Terms:
    grant = GrantId(row.grant)
    prepared = session.tell(wire.Prepare(grant, signed), wire.Prepared)
    keys = history_keys(terms, archive.opened(prepared.segments), session.clock() // 1000)
    boxes = seal_history(row.public, session.owner.key_id, session.pins.vault, grant, keys)
    session.tell(wire.CommitGrant(grant, boxes), wire.Done)
    return terms
