"""What an approval would give: from a request and the person's choice to terms, and to their card.

The terms are made before the card and signed after it: what is approved is what was shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final
from urllib.parse import urlsplit

import msgspec

from cli.card import RequestCard, Sample
from cli.errors import RefusedError, UsageError
from cli.known import find_all
from cli.times import midnight
from cli.values import label_of, unit_of, words
from gateway import wire
from gateway.client import device as devices
from gateway.client.approve import Chosen, Series, choose_selectors, selects, series_of
from gateway.client.device import Devices
from gateway.client.read import Archive, is_reading
from gateway.client.session import Session
from policies.grant import Preparing, Refusal, Terms
from policies.kinds import catalogue
from policies.narrow import Bounds, History, exceeds, make_terms, settle_bounds
from policies.purposes import purposes
from policies.request import Ask, parse_details
from vault.ids import DeviceId, GrantId
from vault.store.records import GrantRow

DAY_S: Final = 86_400
ANY_CHANNEL: Final = "whatever channel it will use"
EVERY_CHANNEL: Final = "every channel, new ones too"
MORNING_MS: Final = 7 * 3_600_000  # the example is of seven o'clock, or the first after it


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How a person narrows a request; everything left out is as asked, but history, which is not given.

    ``duration`` is seconds from now; the others are seconds since the epoch.
    """

    kinds: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    history: History = "none"
    duration: int | None = None
    data_from: int | None = None
    data_until: int | None = None
    access_until: int | None = None
    future: bool = False


class Offer(msgspec.Struct, frozen=True):
    """A request, the terms that answer it, and the card that shows exactly these."""

    row: GrantRow
    asks: tuple[Ask, ...]
    terms: Terms
    card: RequestCard
    left_out: tuple[str, ...]  # labels of kinds without which the brand says it cannot serve


def asks_of(row: GrantRow) -> tuple[Ask, ...]:
    """The brand's words, read as of the moment they came."""
    return parse_details(row.ask, catalogue(), purposes(), row.asked // 1000)


def kinds_of(asks: tuple[Ask, ...]) -> tuple[str, ...]:
    """Every kind that is asked for."""
    return tuple(kind for ask in asks for kind in ask.kinds)


def site_of(row: GrantRow) -> str:
    """The host a brand's site is at."""
    try:
        return urlsplit(row.brand_site).hostname or row.brand_site
    except ValueError:
        return row.brand_site


def make_offer(session: Session, archive: Archive, row: GrantRow, choice: Choice) -> Offer:
    """Settle a request and a choice.

    Raises:
        UsageError: a kind that was not asked for, or a device that is not there.
        RefusedError: nothing would be left, or it would be more than was asked.
    """
    asks = asks_of(row)
    found = devices.fetch(session)
    overview = session.ask(wire.GetOverview(), wire.Overview)
    kinds = _kinds(asks, choice.kinds)
    now_s = session.clock() // 1000
    bounds = _bounds(asks[0], choice, now_s, overview.first_day)
    seen: set[Series] = set()
    if overview.first_day is not None and overview.last_day is not None:
        seen = series_of(archive.segments(overview.first_day, overview.last_day))
    chosen = choose_selectors(kinds, _device_ids(found, choice, bounds, now_s), seen, future=choice.future)
    terms = make_terms(asks, chosen.selectors, bounds)
    refusal = exceeds(asks, terms, answered_s=now_s)
    if refusal is not None:
        raise RefusedError(refusal.reason.removesuffix("."))
    return offer_of(
        session, archive, row, asks, terms, found, chosen=chosen, everything=_is_all(asks, choice)
    )


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
) -> Offer:
    """The offer for terms that are settled, as in an approval that was cut off."""
    approved = row.state.approved if isinstance(row.state, Preparing) else session.clock()
    # History begins at a midnight that is past; without it the terms begin when they were made.
    history = terms.data_from % DAY_S == 0 and terms.data_from < approved // 1000
    card = RequestCard(
        request=GrantId(row.grant).short,
        brand=row.brand_name,
        site=site_of(row),
        kinds=tuple(label_of(kind) for kind in terms.kinds),
        why=terms.purpose_text or purposes().label(terms.purpose),
        resolution=terms.resolution,
        minimum=asks[0].minimum,
        devices=_devices(found, terms, chosen.unseen if chosen else ()),
        history_from=(0 if everything else terms.data_from) if history else None,
        data_until=terms.data_until,
        access_until=terms.access_until,
        retention=terms.retention,
        recipients=terms.recipients,
        benefit=terms.benefit,
        yesterday=yesterday(session, archive, terms),
    )
    missing = [kind for ask in asks if ask.required for kind in ask.kinds if kind not in terms.kinds]
    return Offer(row, asks, terms, card, tuple(label_of(kind) for kind in missing))


def yesterday(session: Session, archive: Archive, terms: Terms, zone: tzinfo | None = None) -> Sample:
    """What the terms would have given of yesterday, by this computer's clock."""
    now = session.clock()
    start, end = midnight(now, 1, zone), midnight(now, 0, zone)
    readings = list(
        archive.readings(
            start,
            end,
            lambda lane: (
                is_reading(lane) and selects(terms.selectors, Series(lane.device, lane.channel, lane.kind))
            ),
        )
    )
    if not readings:
        return Sample(0)
    morning = [one for one in readings if one.observation.time >= start + MORNING_MS]
    example = (morning or readings)[0].observation
    return Sample(len(readings), example.time, words(example.value, unit_of(example.kind)))


def _kinds(asks: tuple[Ask, ...], wanted: Sequence[str]) -> tuple[str, ...]:
    asked = kinds_of(asks)
    kinds = []
    for text in wanted:
        found = catalogue().find(text.strip())
        if found is None or found.name not in asked:
            raise UsageError("that kind was not asked for", f"choose from: {', '.join(asked)}")
        kinds.append(found.name)
    return tuple(dict.fromkeys(kinds)) or asked


def _bounds(ask: Ask, choice: Choice, now_s: int, first_day: int | None) -> Bounds:
    until = choice.access_until if choice.access_until is not None else choice.data_until
    settled = settle_bounds(
        ask,
        now_s=now_s,
        history=choice.history,
        data_from=choice.data_from,
        duration_s=choice.duration,
        until=until,
        first_day=now_s // DAY_S if first_day is None else first_day,
    )
    if isinstance(settled, Refusal):
        raise RefusedError(settled.reason.removesuffix("."))
    if choice.data_until is None:
        return settled
    end = min(settled.data_until, choice.data_until)
    if end <= now_s:
        end = end // DAY_S * DAY_S  # what is past is given in whole UTC days
    if end <= settled.data_from:
        raise RefusedError("these bounds leave no time in which there could be data")
    return msgspec.structs.replace(settled, data_until=end)


def _device_ids(found: Devices, choice: Choice, bounds: Bounds, now_s: int) -> list[DeviceId]:
    """Live devices; with history those that were removed, too, for they may have sent some of it."""
    ids = [
        one.id
        for one in find_all(found, choice.devices)
        if one.live or (bounds.data_from < now_s and one.row.readings)
    ]
    if not ids:
        raise UsageError("there is no device to give anything of", "connect one: hypertouch device add NAME")
    return ids


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
        name if channels == {""} else f"{name} ({', '.join(sorted(c or 'itself' for c in channels))})"
        for name, channels in sorted(shown.items())
    )


def _is_all(asks: tuple[Ask, ...], choice: Choice) -> bool:
    return choice.history == "all" and choice.data_from is None and asks[0].data_from is None
