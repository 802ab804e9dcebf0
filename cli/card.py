"""A brand's request as a person sees it: everything that an approval would give, in ten lines.

The words are part of the promise: an approval binds the hash of the terms shown here, so whatever would be
given must appear, and text of the brand's cannot pass for ours.
"""

from __future__ import annotations

from datetime import tzinfo

import msgspec

from cli.render import WIDTH, clock, columns, count, date, escape, iso_duration, wrap
from cli.wording import EVERY, detail_words, how_words, limit_words
from policies.minimise import Limit
from policies.wishes import Mode

QUESTION = "Approve exactly this? [y]es [n]o [c]hange [p]review"
HEADER = 64  # columns of the first line, where it fits
LABEL = 12  # columns before the words


class Sample(msgspec.Struct, frozen=True):
    """What the terms would have given yesterday: how many readings, and one of them."""

    readings: int
    time: int | None = None  # of the example: ms
    value: str = ""  # with its unit: "0.412 kWh"


class Detail(msgspec.Struct, frozen=True):
    """How exactly a kind would be given, and how exactly the brand would like it: resolutions."""

    kind: str  # its label
    given: str = "raw"
    ideal: str = "raw"


class Less(msgspec.Struct, frozen=True):
    """A limit of one kind, for people: its label, the unit it is said in, and what limits it."""

    kind: str
    unit: str
    limit: Limit


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the brand would like where that is more than would be given; None where it is not.

    ``history`` is days; ``access_until`` seconds since the epoch.
    """

    history: int | None = None
    access_until: int | None = None
    mode: Mode | None = None


class RequestCard(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, or what would be given after narrowing. Times are seconds since the epoch, UTC.

    ``details`` has an entry for each of ``kinds``, or none where every reading of all is meant.
    ``history_from`` is None for no history, 0 for all of it. ``data_until`` matters where it is not
    ``access_until``. ``notes`` are sentences of ours: what it asks too much, and what the rules say.
    """

    request: str  # the short form, "7K3F"
    brand: str
    site: str  # its host
    kinds: tuple[str, ...]  # labels
    why: str
    details: tuple[Detail, ...] = ()
    mode: Mode = "read"
    uses: int | None = None
    budget: int | None = None  # answers a day
    limits: tuple[Less, ...] = ()
    wishes: Wishes = Wishes()
    devices: tuple[str, ...]  # names of those that would be read
    history_from: int | None = None
    data_until: int | None = None
    access_until: int
    retention: str | None  # ISO 8601 duration
    recipients: tuple[str, ...] = ()
    benefit: str = ""
    yesterday: Sample | None = None  # None: not known, and not shown
    notes: tuple[str, ...] = ()


def request_card(card: RequestCard, zone: tzinfo | None = None) -> str:
    """The card, without the question; ``zone`` is for the example's time of day."""
    lines = _header(card)
    for label, words in (
        ("why", escape(card.why)),
        ("detail", _details(card)),
        ("limits", "; ".join(limits_in_words(card.limits))),
        ("how", _mode(card)),
        ("from", f"{_devices(card)}; {_span(card)}"),
        ("until", f"{date(card.access_until)}{_wished_end(card)}; you can end it any time"),
        ("they", f"{_retention(card)}, share with {_names(card.recipients) or 'nobody'}"),
        ("you get", escape(card.benefit) or "nothing in return"),
        ("yesterday", _yesterday(card, zone)),
        *(("note", escape(note)) for note in card.notes),
    ):
        lines += _field(label, words) if words else []
    return "\n".join(lines)


def revoked(brand: str, readings: int, retention: str | None, answers: int = 0) -> str:
    """What is true after a grant was ended: no more is read, and what was read is out of our hands."""
    name = escape(brand)
    if readings == 0 and answers == 0:
        return f"{name} can read nothing more. It had read nothing."
    promise = "it made no promise to delete"
    if retention:
        promise = f"it promised to delete within {iso_duration(retention)}"
    kept = [f"what it read ({count(readings, 'reading')})"] if readings else []
    kept += [count(answers, "answer")] if answers else []
    return f"{name} can read nothing more. It keeps {' and '.join(kept)}; {promise}."


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


def _details(card: RequestCard) -> str:
    """Kinds that are given alike, together; what the brand would like beside each."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in card.details:
        groups.setdefault((one.given, one.ideal), []).append(one.kind)
    if not groups or set(groups) == {("raw", "raw")}:
        return EVERY
    return "; ".join(
        detail_words(_names(tuple(kinds)), given) + ("" if ideal == given else f" ({_wish(ideal)})")
        for (given, ideal), kinds in groups.items()
    )


def _wish(resolution: str) -> str:
    wanted = EVERY if resolution == "raw" else f"it {how_words(resolution)}"
    return f"they would like {wanted}"


def limits_in_words(limits: tuple[Less, ...]) -> list[str]:
    """Each limit in words; one that holds for several kinds is said once."""
    said: dict[str, list[str]] = {}
    for kind, unit, limit in ((escape(less.kind), less.unit, less.limit) for less in limits):
        for words in limit_words(limit, unit):
            said.setdefault(words, []).append(kind)
    alike = {less.kind for less in limits}
    return [
        words if len(kinds) > 1 and len(kinds) == len(alike) else f"{', '.join(kinds)} {words}"
        for words, kinds in said.items()
    ]


def _mode(card: RequestCard) -> str:
    """How often they may have it; nothing where they read it as they like, as usual."""
    match card.mode:
        case "answer":
            a_day = f", at most {card.budget:,} a day" if card.budget is not None else ""
            words = f"answers made of it{a_day}; they see no reading"
        case _ if card.uses is not None:
            words = "they read it once" if card.uses == 1 else f"they read it {card.uses:,} times at most"
        case "once":
            words = "they read it once"
        case _:
            words = ""
    if card.wishes.mode is None:
        return words
    liked = {"answer": "answers", "once": "to read it once", "read": "to read it whenever they want"}
    return f"{words} (they would like {liked.get(card.wishes.mode, 'each reading as it comes')})"


def _wished_end(card: RequestCard) -> str:
    wish = card.wishes.access_until
    return "" if wish is None else f" (they would like it until {date(wish)})"


def _devices(card: RequestCard) -> str:
    return _names(card.devices) or "no device of yours yet"


def _span(card: RequestCard) -> str:
    ends = card.data_until is not None and card.data_until != card.access_until
    forward = f"from now until {date(card.data_until or 0)}" if ends else "from now on"
    wish = card.wishes.history
    wished = "" if wish is None else f" (they would like {count(wish, 'day')})"
    match card.history_from:
        case None:
            return f"{forward}, no history{wished}"
        case 0:
            return f"{forward}, and all history"
        case since:
            return f"{forward}, and history since {date(since)}{wished}"


def _retention(card: RequestCard) -> str:
    return f"keep it {iso_duration(card.retention)}" if card.retention else "do not say how long they keep it"


def _yesterday(card: RequestCard, zone: tzinfo | None) -> str:
    """What there was of it; an example only where it would be given as it is."""
    sample = card.yesterday
    if sample is None:
        return ""
    if sample.readings == 0:
        return "there was nothing of this"
    if card.mode == "answer" or card.limits or any(one.given != "raw" for one in card.details):
        return f"this would have been made of {count(sample.readings, 'reading')}"
    words = f"this was {count(sample.readings, 'reading')}"
    if sample.time is None:
        return words
    return f"{words}, e.g. {clock(sample.time, zone)} {escape(sample.value)}"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(escape(name) for name in names)
