"""What an approval would give: from a request and the person's choice to terms, and to their card.

The terms are made before the card and signed after it: what is approved is what was shown.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Final
from urllib.parse import urlsplit

import msgspec

from cli.card import Detail, Less, RequestCard, Sample, Wishes
from cli.choice import Choice
from cli.draft import Draft, bounds_of, changed, is_finer
from cli.errors import RefusedError, UsageError
from cli.named import ITSELF, selectors_of
from cli.standing import asks_of, begin
from cli.times import midnight
from cli.values import label_of, spoken_unit, unit_of, words
from cli.wording import detail_words
from gateway import wire
from gateway.client import device as devices
from gateway.client.chosen import Chosen, selects, series_of
from gateway.client.device import Devices
from gateway.client.read import Archive, is_reading
from gateway.client.recipients import Series
from gateway.client.session import Session
from policies.errors import TermsError
from policies.grant import DEFAULT_BUDGET, Active, Preparing
from policies.iso8601 import DAY
from policies.narrow import Bounds, exceeds, make_terms
from policies.purposes import purposes
from policies.request import Ask
from policies.terms import Terms
from vault.ids import GrantId
from vault.store.records import GrantRow

ANY_CHANNEL: Final = "whatever channel it will use"
EVERY_CHANNEL: Final = "every channel, new ones too"
MORNING_MS: Final = 7 * 3_600_000  # the example is of seven o'clock, or the first after it


class Offer(msgspec.Struct, frozen=True):
    """A request, the terms that answer it, and the card that shows exactly these."""

    row: GrantRow
    asks: tuple[Ask, ...]
    terms: Terms
    card: RequestCard
    left_out: tuple[str, ...]  # labels of kinds without which the brand says it cannot serve
    below: tuple[str, ...] = ()  # in words: what they say they need, of what is given more coarsely
    choice: Choice = Choice()  # what the person said so far


def site_of(row: GrantRow) -> str:
    """The host a brand's site is at."""
    try:
        return urlsplit(row.brand_site).hostname or row.brand_site
    except ValueError:
        return row.brand_site


def make_offer(session: Session, archive: Archive, row: GrantRow, choice: Choice) -> Offer:
    """Settle a request and a choice; of a grant in force, its terms and a choice.

    Raises:
        UsageError: a kind that was not asked for, a device or channel that is not there, a limit that does
            not fit.
        RefusedError: nothing would be left, or it would be more than was asked.
    """
    asks = asks_of(row)
    found = devices.fetch(session)
    overview = session.ask(wire.GetOverview(), wire.Overview)
    now_s = session.clock() // 1000
    before = row.state.terms if isinstance(row.state, Active) else None
    beginning = begin(session, row, asks, choice, now_s)
    draft = changed(beginning.draft, choice, asks)
    bounds = bounds_of(draft, choice, asks[0], now_s, overview.first_day)
    seen: set[Series] = set()
    if overview.first_day is not None and overview.last_day is not None:
        seen = series_of(archive.segments(overview.first_day, overview.last_day))
    chosen = selectors_of(draft, choice, found, seen, bounds, now_s, before)
    terms = _terms(asks, draft, chosen, bounds)
    refusal = exceeds(asks, terms, answered_s=now_s, before=before)
    if refusal is not None:
        raise RefusedError(refusal.reason.removesuffix("."), "give less, or have them ask for it")
    offer = offer_of(
        session, archive, row, asks, terms, found,
        chosen=chosen, everything=_is_all(asks, choice), notes=beginning.notes,
    )  # fmt: skip
    return msgspec.structs.replace(offer, choice=choice)


def _terms(asks: tuple[Ask, ...], draft: Draft, chosen: Chosen, bounds: Bounds) -> Terms:
    selectors = [
        msgspec.structs.replace(one, resolution=draft.details.get(one.kind)) for one in chosen.selectors
    ]
    try:
        return make_terms(
            asks, selectors, bounds,
            mode=draft.mode, uses=draft.uses, budget=draft.budget, limits=draft.limits.values(),
        )  # fmt: skip
    except TermsError as error:
        raise UsageError(str(error), "give less of it") from None


def offer_of(
    session: Session,
    archive: Archive,
    row: GrantRow,
    asks: tuple[Ask, ...],
    terms: Terms,
    found: Devices,
    *,
    chosen: Chosen | None = None,
    everything: bool = False,
    notes: tuple[str, ...] = (),
) -> Offer:
    """The offer for terms that are settled, as in an approval that was cut off."""
    approved = row.state.approved if isinstance(row.state, Preparing | Active) else session.clock()
    # History begins at a midnight that is past; without it the terms begin when they were made.
    history = terms.data_from % DAY == 0 and terms.data_from < approved // 1000
    card = RequestCard(
        request=GrantId(row.grant).short,
        brand=row.brand_name,
        site=site_of(row),
        kinds=tuple(label_of(kind) for kind in terms.kinds),
        why=terms.purpose_text or purposes().label(terms.purpose),
        details=_details(asks, terms),
        mode=terms.mode,
        uses=terms.uses,
        budget=(terms.budget or DEFAULT_BUDGET) if terms.mode == "answer" else None,
        limits=tuple(Less(label_of(one.kind), spoken_unit(one.kind), one) for one in terms.limits),
        wishes=_wishes(asks[0], terms, approved // 1000),
        devices=_devices(found, terms, chosen.unseen if chosen else ()),
        history_from=(0 if everything else terms.data_from) if history else None,
        data_until=terms.data_until,
        access_until=terms.access_until,
        retention=terms.retention,
        recipients=terms.recipients,
        benefit=terms.benefit,
        yesterday=yesterday(session, archive, terms),
        notes=notes,
    )
    missing = [kind for ask in asks if ask.required for kind in ask.kinds if kind not in terms.kinds]
    minimums = {kind: ask.minimum for ask in asks for kind in ask.kinds}
    below: dict[str, list[str]] = {}
    for kind in terms.kinds:
        given = next(terms.resolution_of(one) for one in terms.selectors if one.kind == kind)
        if kind in minimums and is_finer(kind, minimums[kind], given):
            below.setdefault(minimums[kind], []).append(label_of(kind))
    needed = tuple(detail_words(", ".join(kinds), least) for least, kinds in below.items())
    return Offer(row, asks, terms, card, tuple(label_of(kind) for kind in missing), needed)


def yesterday(session: Session, archive: Archive, terms: Terms, zone: tzinfo | None = None) -> Sample:
    """What the terms would have given of yesterday, by this computer's clock."""
    now = session.clock()
    start, end = midnight(now, 1, zone), midnight(now, 0, zone)
    readings = list(
        archive.readings(
            start,
            end,
            lambda lane: is_reading(lane) and selects(terms.selectors, Series.of(lane)),
        )
    )
    if not readings:
        return Sample(0)
    morning = [one for one in readings if one.observation.time >= start + MORNING_MS]
    example = (morning or readings)[0].observation
    return Sample(len(readings), example.time, words(example.value, unit_of(example.kind)))


def _details(asks: tuple[Ask, ...], terms: Terms) -> tuple[Detail, ...]:
    """How exactly each kind is given, and how exactly the brand would like it."""
    ideals = {kind: ask.ideal for ask in asks for kind in ask.kinds}
    given = {one.kind: terms.resolution_of(one) for one in terms.selectors}
    return tuple(Detail(label_of(kind), given[kind], ideals.get(kind, given[kind])) for kind in terms.kinds)


def _wishes(ask: Ask, terms: Terms, now_s: int) -> Wishes:
    """What the brand would like beyond the terms; a day more or less is none."""
    since = ask.data_from if ask.history is None else now_s - ask.history.ideal * DAY
    end = ask.access_end if ask.duration is None else now_s + ask.duration.ideal * DAY
    more_past = since is not None and since < now_s - DAY and since < terms.data_from - DAY
    return Wishes(
        history=(now_s - since) // DAY if since is not None and more_past else None,
        access_until=end if end is not None and end > terms.access_until + DAY else None,
        mode=ask.mode if ask.mode != terms.mode or (terms.uses and ask.mode == "read") else None,
    )


def _devices(found: Devices, terms: Terms, unseen: tuple[str, ...]) -> tuple[str, ...]:
    """Each device with the channels that would be given of it."""
    names = {device.text: name for device, name in found.names().items()}
    shown: dict[str, set[str]] = {}
    for selector in terms.selectors:
        channels = shown.setdefault(names.get(selector.device, selector.device), set())
        if selector.channels is None:
            channels.add(ANY_CHANNEL if selector.kind in unseen else EVERY_CHANNEL)
        else:
            channels.update(selector.channels)
    return tuple(
        name if channels == {""} else f"{name} ({', '.join(sorted(c or ITSELF for c in channels))})"
        for name, channels in sorted(shown.items())
    )


def _is_all(asks: tuple[Ask, ...], choice: Choice) -> bool:
    return choice.history == "all" and choice.data_from is None and asks[0].data_from is None
