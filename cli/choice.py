"""How a person answers a request, as options: less of anything, kind by kind.

The same words work on the command line and at the prompt: ``--detail energy=day`` there is ``detail
energy=day`` here.  A ``Choice`` holds what was said and nothing else; what is left out stays as offered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import rich_click as click

from cli.errors import UsageError
from cli.settings import local_zone
from cli.times import bound, span
from cli.typed import (
    Pairs,
    by_kind,
    last_words,
    parse_detail,
    parse_history,
    parse_hours,
    parse_step,
    parse_stretch,
    parse_zone,
    split,
)  # fmt: skip
from policies.narrow import History
from policies.wishes import RESOLUTIONS_SUPPORTED, Mode


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said; everything left out is as offered.

    ``details`` and ``rounds`` are by kind, ``every`` is seconds by kind; the bounds are seconds since the
    epoch, ``duration`` is seconds from now, ``hours`` are minutes of the local day in ``zone``.
    """

    as_asked: bool = False
    kinds: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    details: Pairs = ()
    history: History | None = None
    duration: int | None = None
    data_from: int | None = None
    data_until: int | None = None
    access_until: int | None = None
    future: bool = False
    mode: Mode | None = None
    uses: int | None = None
    budget: int | None = None
    rounds: Pairs = ()
    every: tuple[tuple[str, int], ...] = ()
    hours: tuple[int, int] | None = None
    zone: str = ""
    fewest: int | None = None
    drop: tuple[str, ...] = ()

    def and_then(self, later: Choice) -> Choice:
        """What was said later stands where the two differ; of what is by kind, each kind's last word."""
        said = {
            name: value for name, value in msgspec.structs.asdict(later).items() if value != _UNSAID[name]
        }
        for name in ("details", "rounds", "every"):
            if name in said:
                said[name] = last_words((*getattr(self, name), *said[name]))
        if "duration" in said:
            said |= {"data_until": None, "access_until": None}
        elif said.keys() & {"data_until", "access_until"}:
            said["duration"] = None
        if "mode" in said:
            said.setdefault("uses", None)
            said.setdefault("budget", None)
        return msgspec.structs.replace(self, **said)


_UNSAID: Final = msgspec.structs.asdict(Choice())


OPTIONS: Final = (
    click.option("--as-asked", is_flag=True, help="Begin with all that they would like, not with the least."),
    click.option("--kinds", metavar="A,B", help="Only these of what was asked."),
    click.option("--device", multiple=True, metavar="NAME", help="Only of this one; repeatable."),
    click.option("--channel", multiple=True, metavar="NAME", help="Only of this channel; repeatable."),
    click.option("--future", is_flag=True, help="Channels that are still to come, too."),
    click.option(
        "--detail",
        multiple=True,
        metavar="[KIND=]DETAIL",
        help=f"One of {', '.join(RESOLUTIONS_SUPPORTED)}; for one kind, or all that can be given so.",
    ),
    click.option("--for", "lasting", metavar="30d", help="For so long from now on."),
    click.option("--history", metavar="7d", help="none, all, or so long; else the least that serves."),
    click.option("--from", "since", metavar="DATE", help="Exactly: data from then on (UTC)."),
    click.option("--until", metavar="DATE", help="Exactly: data up to then (UTC)."),
    click.option("--access-until", metavar="DATE", help="Exactly: it may be read until then (UTC)."),
    click.option("--once", is_flag=True, help="They read it one time."),
    click.option("--times", type=click.IntRange(1, 1_000_000), metavar="N", help="They read it N times."),
    click.option("--answers-only", is_flag=True, help="They get answers made of it, no readings."),
    click.option("--budget", type=click.IntRange(1, 1_000_000), metavar="N", help="So many answers a day."),
    click.option("--round", multiple=True, metavar="[KIND=]STEP", help="Numbers to steps such as 0.5."),
    click.option("--every", multiple=True, metavar="[KIND=]15m", help="One reading in so long."),
    click.option("--hours", metavar="07-22", help="Only these hours of the day."),
    click.option("--zone", metavar="ZONE", help="Where those hours are; else as this computer."),
    click.option("--fewest", type=click.IntRange(1, 1_000_000), metavar="N", help="No bucket of fewer."),
    click.option("--drop", metavar="accuracy", help="Without these fields of a place."),
)  # fmt: skip


def narrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Every way to give less: the command takes ``choice: Choice``."""

    @functools.wraps(function)
    def with_choice(*args: Any, **options: Any) -> Any:
        said = {name: options.pop(name) for name in _NAMES}
        return function(*args, choice=make_choice(**said), **options)

    wrapped: Callable[..., Any] = with_choice
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def parse_choice(words: Sequence[str]) -> Choice:
    """The same from words as typed; raises UsageError, click.UsageError."""
    context = _PARSER.make_context("change", list(words))
    return make_choice(**context.params)


def make_choice(
    *,
    as_asked: bool,
    kinds: str | None,
    device: tuple[str, ...],
    channel: tuple[str, ...],
    future: bool,
    detail: tuple[str, ...],
    lasting: str | None,
    history: str | None,
    since: str | None,
    until: str | None,
    access_until: str | None,
    once: bool,
    times: int | None,
    answers_only: bool,
    budget: int | None,
    round: tuple[str, ...],
    every: tuple[str, ...],
    hours: str | None,
    zone: str | None,
    fewest: int | None,
    drop: str | None,
) -> Choice:
    """What the options mean; raises UsageError."""
    if lasting and (until or access_until):
        raise UsageError("--for and exact ends exclude each other", "give one of them")
    if once + answers_only + (times is not None) > 1:
        raise UsageError("--once, --times and --answers-only exclude each other", "give one of them")
    if budget is not None and not answers_only:
        raise UsageError("--budget counts answers", "give --answers-only, too")
    if zone and not hours:
        raise UsageError("--zone says where --hours are", "give both")
    uses = 1 if once else times
    return Choice(
        as_asked=as_asked,
        kinds=split(kinds or ""),
        devices=device,
        channels=channel,
        details=tuple((kind, parse_detail(word)) for kind, word in by_kind(detail)),
        history=parse_history(history) if history else None,
        duration=span(lasting) if lasting else None,
        data_from=bound(since) if since else None,
        data_until=bound(until) if until else None,
        access_until=bound(access_until) if access_until else None,
        future=future,
        mode="answer" if answers_only else "once" if uses == 1 else "read" if uses else None,
        uses=uses,
        budget=budget,
        rounds=tuple((kind, parse_step(word)) for kind, word in by_kind(round)),
        every=tuple((kind, parse_stretch(word)) for kind, word in by_kind(every)),
        hours=parse_hours(hours) if hours else None,
        zone=parse_zone(zone) if zone else local_zone() if hours else "",
        fewest=fewest,
        drop=tuple(sorted(set(split((drop or "").lower())))),
    )


_PARSER: Final = click.Command("change", params=[])
for _option in OPTIONS:
    _option(_PARSER)
_NAMES: Final = tuple(str(parameter.name) for parameter in _PARSER.params)


def words() -> dict[str, click.Option]:
    """Every option by the word it begins with, without its dashes."""
    return {one.opts[0].removeprefix("--"): one for one in _PARSER.params if isinstance(one, click.Option)}
