"""Terms in the making: where a decision begins, and what a person's choice makes of it.

It begins at the most private point that the rules allow and that still serves, or at all that the brand
would like, or, of a grant in force, at what is given now.  Pure; whatever comes out is checked once more
against the request (``policies.narrow.exceeds``), here and by whoever accepts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cli.choice import Choice
from cli.errors import RefusedError, UsageError
from cli.limiting import limits_of, that_limit
from cli.typed import EVERY_KIND
from cli.values import label_of
from cli.wording import detail_words
from policies.grant import Refusal
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.minimise import Limit
from policies.narrow import Bounds, History, settle_bounds
from policies.request import Ask
from policies.settle import Item
from policies.terms import Terms
from policies.wishes import MODES_SUPPORTED, Mode


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What would be given, without devices.  ``duration`` is seconds from now.

    ``history`` None is the least that serves, as ``settle_bounds`` knows it; ``bounds`` are those of a grant
    in force, and stay where nothing else is said.
    """

    kinds: tuple[str, ...]
    details: Mapping[str, str]
    history: History | None = None
    duration: int | None = None
    bounds: Bounds | None = None
    mode: Mode | None = None
    uses: int | None = None
    budget: int | None = None
    limits: Mapping[str, Limit] = {}


def kinds_of(asks: Sequence[Ask]) -> tuple[str, ...]:
    """Every kind that is asked for."""
    return tuple(kind for ask in asks for kind in ask.kinds)


def settled(items: Sequence[Item]) -> Draft:
    """The point that the rules and the request settle at; of several items the least of each thing."""
    points = [item.point for item in items]
    limits: dict[str, Limit] = {}
    for item in items:
        for kind in item.ask.kinds:
            limit = Limit(kind=kind)
            if item.point.every is not None:
                limit = msgspec.structs.replace(limit, every=item.point.every)
            if item.point.hours is not None:
                limit = msgspec.structs.replace(limit, hours=item.point.hours, zone=item.point.zone)
            limits[kind] = limit
    durations = [point.duration for point in points if point.duration is not None]
    uses = [point.uses for point in points if point.uses is not None]
    return Draft(
        kinds=kinds_of([item.ask for item in items]),
        details=dict(pair for point in points for pair in point.resolutions),
        history=min((point.history for point in points), default=0) or "none",
        duration=min(durations) * DAY if durations else None,
        mode=min((point.mode for point in points), key=MODES_SUPPORTED.index, default="read"),
        uses=min(uses, default=None),
        limits=that_limit(limits),
    )


def as_asked(asks: Sequence[Ask]) -> Draft:
    """All that the brand would like; of the past only what it named."""
    first = asks[0]
    history: History = "none" if first.data_from is None else "all"
    every = {kind: ask.frequency.ideal for ask in asks if ask.frequency for kind in ask.kinds}
    return Draft(
        kinds=kinds_of(asks),
        details={kind: ask.ideal for ask in asks for kind in ask.kinds},
        history=history if first.history is None else first.history.ideal or "none",
        duration=None if first.duration is None else first.duration.ideal * DAY,
        mode=first.mode,
        limits={kind: Limit(kind=kind, every=seconds) for kind, seconds in every.items()},
    )


def in_force(terms: Terms) -> Draft:
    """What a grant gives now."""
    return Draft(
        kinds=terms.kinds,
        details={one.kind: terms.resolution_of(one) for one in terms.selectors},
        bounds=Bounds(terms.data_from, terms.data_until, terms.access_until),
        mode=terms.mode,
        uses=terms.uses,
        budget=terms.budget,
        limits={limit.kind: limit for limit in terms.limits},
    )


def changed(draft: Draft, choice: Choice, asks: Sequence[Ask]) -> Draft:
    """The draft as the person would have it.

    Raises:
        UsageError: a kind that was not asked for, or something that cannot be done with it.
        RefusedError: it would be more than was asked.
    """
    kinds = _kinds(choice.kinds, draft, asks)
    details = _details(draft, choice, asks, kinds)
    mode = draft.mode if choice.mode is None else choice.mode
    if mode is not None and MODES_SUPPORTED.index(mode) > MODES_SUPPORTED.index(asks[0].mode):
        hint = "give --answers-only" if asks[0].mode == "answer" else "give --once"
        raise RefusedError("they asked for less than that", hint)
    return msgspec.structs.replace(
        draft,
        kinds=kinds,
        details=details,
        history=draft.history if choice.history is None else choice.history,
        duration=draft.duration if choice.duration is None else choice.duration,
        mode=mode,
        uses=draft.uses if choice.mode is None else choice.uses,
        budget=draft.budget if choice.mode is None else choice.budget,
        limits=limits_of(draft.limits, choice, kinds, details),
    )


def bounds_of(draft: Draft, choice: Choice, ask: Ask, now_s: int, first_day: int | None) -> Bounds:
    """From when to when; raises RefusedError where no time is left."""
    if draft.bounds is not None and not _says_when(choice):
        return draft.bounds
    until = choice.access_until if choice.access_until is not None else choice.data_until
    found = settle_bounds(
        ask,
        now_s=now_s,
        history=draft.history,
        data_from=choice.data_from,
        duration_s=draft.duration if until is None else None,
        until=until,
        first_day=now_s // DAY if first_day is None else first_day,
    )
    if isinstance(found, Refusal):
        raise RefusedError(found.reason.removesuffix("."))
    if draft.bounds is not None:
        found = _kept(found, draft.bounds, choice)
    if choice.data_until is None:
        return found
    end = min(found.data_until, choice.data_until)
    if end <= now_s:
        end = end // DAY * DAY  # what is past is given in whole UTC days
    if end <= found.data_from:
        raise RefusedError("these bounds leave no time in which there could be data")
    return msgspec.structs.replace(found, data_until=end)


def _says_when(choice: Choice) -> bool:
    said = (choice.history, choice.duration, choice.data_from, choice.data_until, choice.access_until)
    return any(one is not None for one in said)


def _kept(found: Bounds, before: Bounds, choice: Choice) -> Bounds:
    """Of a grant in force each end stays that nothing was said about."""
    if choice.history is None and choice.data_from is None:
        found = msgspec.structs.replace(found, data_from=before.data_from)
    if choice.duration is None and choice.data_until is None and choice.access_until is None:
        found = msgspec.structs.replace(found, data_until=before.data_until, access_until=before.access_until)
    return found


def _kinds(wanted: Sequence[str], draft: Draft, asks: Sequence[Ask]) -> tuple[str, ...]:
    asked = kinds_of(asks)
    kinds = []
    for text in wanted:
        found = catalogue().find(text.strip())
        if found is None or found.name not in asked:
            raise UsageError("that kind was not asked for", f"choose from: {', '.join(asked)}")
        kinds.append(found.name)
    return tuple(dict.fromkeys(kinds)) or draft.kinds


def _details(draft: Draft, choice: Choice, asks: Sequence[Ask], kinds: Sequence[str]) -> dict[str, str]:
    ideals = {kind: ask.ideal for ask in asks for kind in ask.kinds}
    minimums = {kind: ask.minimum for ask in asks for kind in ask.kinds}
    details = {kind: draft.details.get(kind, minimums[kind]) for kind in kinds}
    for kind, wanted in choice.details:
        if kind != EVERY_KIND and kind not in kinds:
            raise UsageError("a detail of a kind that is not given", f"choose from: {', '.join(kinds)}")
        meant = [one for one in kinds if kind in (EVERY_KIND, one)]
        fitting = [one for one in meant if wanted in catalogue().kind(one).resolutions]
        if not fitting:
            known = catalogue().kind(meant[0]).resolutions
            raise UsageError(f"{label_of(meant[0])} cannot be given so", f"choose from: {', '.join(known)}")
        for one in fitting:
            if is_finer(one, wanted, ideals[one]):
                asked = detail_words(label_of(one), ideals[one])
                raise RefusedError(
                    f"they asked for {asked}, no more", f"give --detail {one}={ideals[one]} or less"
                )
            details[one] = wanted
    return details


def is_finer(kind: str, one: str, other: str) -> bool:
    """Whether a kind tells more at ``one`` than at ``other``."""
    known = catalogue().kind(kind).resolutions
    return one in known and other in known and known.index(one) < known.index(other)
