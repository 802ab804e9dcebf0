"""A brand's request as a person sees it: everything that an approval would give, in ten lines.

The words are part of the promise: an approval binds the hash of the terms shown here, so whatever would be
given must appear, and text of the brand's cannot pass for ours.
"""

from __future__ import annotations

from datetime import tzinfo

import msgspec

from cli.render import WIDTH, clock, columns, count, date, escape, iso_duration, wrap

QUESTION = "Approve exactly this? [y]es [n]o [c]hange"
HEADER = 64  # columns of the first line, where it fits
LABEL = 12  # columns before the words

DETAIL = {
    "raw": "every reading",
    "hour": "one value an hour",
    "day": "one value a day",
    "h3-7": "the place to about 1 km",
    "h3-5": "the place to about 9 km",
}


class Sample(msgspec.Struct, frozen=True):
    """What the terms would have given yesterday: how many readings, and one of them."""

    readings: int
    time: int | None = None  # of the example: ms
    value: str = ""  # with its unit: "0.412 kWh"


class RequestCard(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, or what would be given after narrowing. Times are seconds since the epoch, UTC.

    ``history_from`` is None for no history, 0 for all of it. ``data_until`` matters where it is not
    ``access_until``. ``minimum`` is the least detail that would still serve the brand.
    """

    request: str  # the short form, "7K3F"
    brand: str
    site: str  # its host
    kinds: tuple[str, ...]  # labels
    why: str
    resolution: str = "raw"
    minimum: str | None = None
    devices: tuple[str, ...]  # names of those that would be read
    history_from: int | None = None
    data_until: int | None = None
    access_until: int
    retention: str | None  # ISO 8601 duration
    recipients: tuple[str, ...] = ()
    benefit: str = ""
    yesterday: Sample | None = None  # None: not known, and not shown


def request_card(card: RequestCard, zone: tzinfo | None = None) -> str:
    """The card, without the question; ``zone`` is for the example's time of day."""
    lines = _header(card)
    for label, words in (
        ("why", escape(card.why)),
        ("detail", _detail(card)),
        ("from", f"{_devices(card)}; {_span(card)}"),
        ("until", f"{date(card.access_until)}; you can end it any time"),
        ("they", f"{_retention(card)}, share with {_names(card.recipients) or 'nobody'}"),
        ("you get", escape(card.benefit) or "nothing in return"),
        ("yesterday", _yesterday(card.yesterday, zone)),
    ):
        lines += _field(label, words) if words else []
    return "\n".join(lines)


def revoked(brand: str, readings: int, retention: str | None) -> str:
    """What is true after a grant was ended: no more is read, and what was read is out of our hands."""
    name = escape(brand)
    if readings == 0:
        return f"{name} can read nothing more. It had read nothing."
    promise = "it made no promise to delete"
    if retention:
        promise = f"it promised to delete within {iso_duration(retention)}"
    return f"{name} can read nothing more. It keeps what it read ({count(readings, 'reading')}); {promise}."


def _header(card: RequestCard) -> list[str]:
    who = f"{escape(card.brand)} ({escape(card.site)}) asks for {_names(card.kinds)}"
    which = f"request {escape(card.request)}"
    lines = wrap(who, WIDTH)
    room = HEADER if len(lines) == 1 and columns(who) + 2 + len(which) <= HEADER else WIDTH
    gap = room - columns(lines[-1]) - len(which)
    return [*lines[:-1], lines[-1] + " " * gap + which] if gap >= 2 else [*lines, which.rjust(WIDTH)]


def _field(label: str, words: str) -> list[str]:
    first, *rest = wrap(words, WIDTH - LABEL)
    return [f"  {label}".ljust(LABEL) + first, *(" " * LABEL + line for line in rest)]


def _detail(card: RequestCard) -> str:
    wanted = _resolution(card.resolution)
    if card.minimum is None or card.minimum == card.resolution:
        return wanted
    return f"{wanted}; {_resolution(card.minimum)} would do"


def _resolution(name: str) -> str:
    return DETAIL.get(name) or escape(name)


def _devices(card: RequestCard) -> str:
    return _names(card.devices) or "no device of yours yet"


def _span(card: RequestCard) -> str:
    ends = card.data_until is not None and card.data_until != card.access_until
    forward = f"from now until {date(card.data_until or 0)}" if ends else "from now on"
    match card.history_from:
        case None:
            return f"{forward}, no history"
        case 0:
            return f"{forward}, and all history"
        case since:
            return f"{forward}, and history since {date(since)}"


def _retention(card: RequestCard) -> str:
    return f"keep it {iso_duration(card.retention)}" if card.retention else "do not say how long they keep it"


def _yesterday(sample: Sample | None, zone: tzinfo | None) -> str:
    if sample is None:
        return ""
    if sample.readings == 0:
        return "there was nothing of this"
    words = f"this was {count(sample.readings, 'reading')}"
    if sample.time is None:
        return words
    return f"{words}, e.g. {clock(sample.time, zone)} {escape(sample.value)}"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(escape(name) for name in names)
