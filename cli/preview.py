"""What a brand would have received of the past days, as it asked and as it would be given, for people.

The flows come from the client, which makes them by the very way a brand reads (``gateway.client.preview``).
Every picture stands under a sentence that says the same, for those who hear their terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from cli.given import budget_of
from cli.plot import Ink
from cli.render import count, escape, size, table, wrap
from cli.review import Offer
from cli.times import rfc3339
from cli.values import label_of, plain
from cli.wording import how_words
from gateway.client import device as devices
from gateway.client.read import Archive
from gateway.client.session import Session
from vault.bucket import DAY_MS

if TYPE_CHECKING:  # pictures and the way a brand reads are imported when somebody looks
    from cli.picture import Pair
    from gateway.client.flow import Flow
    from gateway.client.preview import Preview
    from gateway.senmlout import Reading

DAYS: Final = 7
SHOWN: Final = 4  # pictures; more do not fit a screen
INDENT: Final = 78  # columns of a sentence that stands two in

Key = tuple[str, str, str]  # device, channel, kind


class TooSlowError(Exception):
    """A preview that takes longer than was allowed; only whoever set the limit hears of it."""


class Seen(NamedTuple):
    """A preview with what is needed to tell it: the names of devices, and when it was made (ms)."""

    found: Preview
    names: dict[str, str]
    now: int
    days: int
    answers: int | None = None  # so many a day are given instead of any reading

    @property
    def since(self) -> int:
        """The midnight, in UTC, that the replay begins with (ms)."""
        return (self.now // DAY_MS - self.days) * DAY_MS


def at_most(seconds: float) -> Callable[[float], None]:
    """A progress that ends what takes longer."""
    deadline = time.monotonic() + seconds

    def heard(done: float) -> None:
        if done < 1 and time.monotonic() > deadline:
            raise TooSlowError

    return heard


def look(
    session: Session, archive: Archive, offer: Offer, days: int, progress: Callable[[float], object]
) -> Seen:
    """Make the preview of exactly the terms of an offer."""
    from gateway.client.preview import preview as replay

    found = replay(session, archive, offer.row, offer.asks, offer.terms, days=days, progress=progress)
    names = {device.text: name for device, name in devices.fetch(session).names().items()}
    answers = budget_of(offer.terms) if offer.terms.mode == "answer" else None
    return Seen(found, names, session.clock(), days, answers)


def preview_text(seen: Seen, ink: Ink, zone: tzinfo | None = None) -> str:
    """A table of both flows, a sentence and a picture a series, and what hides nothing."""
    from cli.picture import picture

    asked, given = seen.found.asked, seen.found.settled
    title = {1: "since yesterday", DAYS: "last week"}.get(seen.days, f"in the last {seen.days} days")
    lines = [f"{title} they would have received"]
    lines += table(
        ["", "AS ASKED", "AS YOU WOULD GIVE IT"], _figures(asked, given), width=INDENT
    ).splitlines()
    if seen.answers is not None:
        lines += ["", f"you would give no reading, but answers made of them: at most {seen.answers:,} a day"]
    if not (asked.sample or given.sample):
        lines.append("there was nothing of this")
    pairs = _pairs(seen)
    for pair in pairs[:SHOWN]:
        lines += ["", *picture(pair, ink, zone)]
    if len(pairs) > SHOWN:
        lines += [
            "",
            f"and {count(len(pairs) - SHOWN, 'more series', 'more series')}: all of them with --json",
        ]
    for rare in rare_words(seen):
        lines += ["", *wrap(f"note: {rare}", INDENT)]
    return "\n".join(f"  {line}".rstrip() for line in lines)


def rare_words(seen: Seen) -> list[str]:
    """What reports too rarely for its buckets to hide anything."""
    return [
        f"{escape(label_of(rare.kind))} of {escape(_where(seen, rare.device, rare.channel))} has only"
        f" {count(round(rare.readings), 'reading')} in a bucket as a rule: {how_words(rare.resolution)}"
        " hides little of it, or leaves it out"
        for rare in seen.found.rare
    ]


def preview_json(seen: Seen) -> dict[str, Any]:
    """The same for programs, with every reading of the sample."""
    return {
        "since": rfc3339(seen.since),
        "until": rfc3339(seen.now),
        "asked": _flow(seen, seen.found.asked),
        "settled": _flow(seen, seen.found.settled),
        "rare": [
            {
                "device": seen.names.get(rare.device, rare.device),
                "channel": rare.channel,
                "kind": rare.kind,
                "resolution": rare.resolution,
                "readings": rare.readings,
            }
            for rare in seen.found.rare
        ],
    }


def _figures(asked: Flow, given: Flow) -> list[tuple[str, str, str]]:
    def kinds(flow: Flow) -> str:
        return ", ".join(label_of(kind) for kind in sorted({one.kind for one in flow.told})) or "none"

    return [
        ("readings a day", _rate(asked.readings), _rate(given.readings)),
        ("bytes a day", size(round(asked.bytes)), size(round(given.bytes))),
        ("kinds", kinds(asked), kinds(given)),
    ]


def _flow(seen: Seen, flow: Flow) -> dict[str, Any]:
    return {
        "readings_a_day": flow.readings,
        "bytes_a_day": flow.bytes,
        "kinds": sorted({one.kind for one in flow.told}),
        "series": [
            msgspec.to_builtins(one) | {"device": seen.names.get(one.device, one.device)} for one in flow.told
        ],
        "sample": [
            {
                "time": rfc3339(one.time),
                "device": seen.names.get(one.device, one.device),
                "channel": one.channel,
                "kind": one.kind,
                "resolution": one.resolution,
                "value": plain(one.value),
                "unit": one.unit,
            }
            for one in flow.sample
        ],
    }


def _pairs(seen: Seen) -> list[Pair]:
    """The series of both flows, those with the most readings first."""
    from cli.picture import Pair

    asked, given = _by_series(seen.found.asked.sample), _by_series(seen.found.settled.sample)
    keys = sorted({*asked, *given}, key=lambda key: (-len(given.get(key, ())), -len(asked.get(key, ())), key))
    told = [
        {(one.device, one.channel, one.kind): one for one in flow.told}
        for flow in (seen.found.asked, seen.found.settled)
    ]
    return [
        Pair(
            key[2], _where(seen, *key[:2]), asked.get(key, ()), given.get(key, ()), seen.since, seen.now,
            (told[0].get(key), told[1].get(key)),
        )
        for key in keys
    ]  # fmt: skip


def _by_series(sample: Iterable[Reading]) -> dict[Key, tuple[Reading, ...]]:
    found: dict[Key, list[Reading]] = {}
    for one in sample:
        found.setdefault((one.device, one.channel, one.kind), []).append(one)
    return {key: tuple(sorted(some, key=lambda one: one.time)) for key, some in found.items()}


def _where(seen: Seen, device: str, channel: str) -> str:
    return " ".join(filter(None, (seen.names.get(device, device), channel)))


def _rate(a_day: float) -> str:
    """``1,640``, ``68``, ``0.3``: no more digits than anybody compares."""
    return f"{a_day:,.0f}" if a_day >= 10 or a_day == round(a_day) else f"{a_day:.1f}"
