"""What a person takes out of what is given, kind by kind: steps, stretches, hours, small buckets, fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cli.choice import Choice
from cli.errors import UsageError
from cli.typed import EVERY_KIND
from cli.values import label_of
from policies.errors import TermsError
from policies.kinds import catalogue
from policies.minimise import Limit, misfit


def limits_of(
    before: Mapping[str, Limit], choice: Choice, kinds: Sequence[str], details: Mapping[str, str]
) -> dict[str, Limit]:
    """The limits of these kinds, each given at its detail, after a choice; without those that limit nothing.

    Raises:
        UsageError: a limit of a kind that is not given, or that does not fit its kind or its detail.
    """
    limits = {kind: before.get(kind, Limit(kind=kind)) for kind in kinds}

    def put(meant: Sequence[str], **fields: object) -> None:
        for kind in meant:
            try:
                limits[kind] = msgspec.structs.replace(limits[kind], **fields)
            except TermsError as error:
                raise UsageError(str(error), "write it so") from None

    for kind, step in choice.rounds:
        meant = _meant(kind, kinds)
        if kind == EVERY_KIND:
            meant = [one for one in kinds if catalogue().kind(one).type == "number"]
        put(_some(meant, "is a number that could be rounded"), round=step)
    for kind, seconds in choice.every:
        put(_meant(kind, kinds), every=seconds)
    if choice.hours is not None:
        by_day = [kind for kind in kinds if details[kind] == "day"]
        if by_day:
            words = f"{label_of(by_day[0])} by the day has no hours"
            raise UsageError(words, f"give --detail {by_day[0]}=hour, or leave --hours out")
        put(kinds, hours=choice.hours, zone=choice.zone)
    if choice.fewest is not None:
        buckets = [kind for kind in kinds if details[kind] != "raw"]
        put(_some(buckets, "is given in buckets; give --detail hour, too"), fewest=choice.fewest)
    if choice.drop:
        places = [kind for kind in kinds if catalogue().kind(kind).type == "place"]
        put(_some(places if "accuracy" in choice.drop else kinds, "is a place"), drop=choice.drop)
    for kind, limit in limits.items():
        odd = misfit(limit, catalogue().kind(kind))
        if odd is not None:
            raise UsageError(odd.removesuffix("."), "leave it out, or name another kind")
    return that_limit(limits)


def _meant(kind: str, kinds: Sequence[str]) -> list[str]:
    if kind == EVERY_KIND:
        return list(kinds)
    if kind not in kinds:
        raise UsageError("a limit of a kind that is not given", f"choose from: {', '.join(kinds)}")
    return [kind]


def _some(kinds: Sequence[str], what: str) -> Sequence[str]:
    if not kinds:
        raise UsageError(f"nothing of this {what}", "leave it out")
    return kinds


def that_limit(limits: Mapping[str, Limit]) -> dict[str, Limit]:
    """Those that take anything away."""
    return {kind: limit for kind, limit in limits.items() if limit != Limit(kind=kind)}
