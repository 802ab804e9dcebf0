"""Standing rules against a request: what to give unasked, what to ask the person, what to refuse, and why.

Each kind is settled at the most private point that the request says still serves: its minimum in every
dimension.  A rule can refuse it, or forbid that much; else the most specific rule that asks or allows
decides.  The writer and the person's client both call this with the same signed rules and must come to the
same answer, so it looks at nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from policies.grant import Refusal
from policies.groups import members
from policies.iso8601 import DAY
from policies.kinds import Catalogue
from policies.minimise import Limit
from policies.narrow import make_terms, settle_bounds
from policies.needs import LONG_DAYS, notes
from policies.point import Point, Stop, cut, settle_point
from policies.purposes import Purposes
from policies.request import Ask
from policies.rules import Rule, Rules, check_rules, within
from policies.sentences import say
from policies.terms import Selector, Terms

UNASKED_DAYS = LONG_DAYS  # where a rule that allows says nothing of days

Verdict = Literal["grant", "ask", "refuse"]


class Item(msgspec.Struct, frozen=True):
    """Kinds of one detail that stand alike: at which point (of what is refused: as asked), and why."""

    ask: Ask
    point: Point
    reason: str


class Settlement(msgspec.Struct, frozen=True):
    """Every kind of the request stands in exactly one item; ``notes`` are what the person should look at."""

    grant: tuple[Item, ...]
    ask: tuple[Item, ...]
    refuse: tuple[Item, ...]
    notes: tuple[str, ...]

    @property
    def answer(self) -> Verdict:
        """The answer to the whole request: "grant" only if nothing that is left has to be asked."""
        if self.ask:
            return "ask"
        return "grant" if self.grant else "refuse"


def settle(
    asks: tuple[Ask, ...],
    rules: Rules,
    catalogue: Catalogue,
    purposes: Purposes,
    now_s: int,
    *,
    brand: str = "",
    brands: Mapping[str, str] | None = None,
) -> Settlement:
    """Settle the request of a brand (its id) as of ``now_s`` (seconds).

    A required part that a rule refuses takes the whole request with it: the brand cannot serve without.
    ``brands`` (names to ids) serve to write the reasons and change nothing else.

    Raises:
        RulesError: a rule names a purpose or a kind the tables do not know.  Skipping it would be a yes.
    """
    check_rules(rules, catalogue, purposes)
    judge = _Judge(asks[0].purpose, rules, catalogue, purposes, now_s, brand, brands or {"this brand": brand})
    found: dict[Verdict, list[Item]] = {"grant": [], "ask": [], "refuse": []}
    for ask in asks:
        for verdict, item in judge.items(ask):
            found[verdict].append(item)
    if any(item.ask.required for item in found["refuse"]):
        reason = "The brand says it cannot serve without something that is refused."
        rest = [*found["grant"], *found["ask"]]
        found["refuse"] += [Item(item.ask, item.point, reason) for item in rest]
        found["grant"], found["ask"] = [], []
    return Settlement(
        tuple(found["grant"]),
        tuple(found["ask"]),
        tuple(found["refuse"]),
        notes(asks, catalogue, purposes, now_s),
    )


def terms_of(
    settlement: Settlement,
    asks: tuple[Ask, ...],
    selectors: Iterable[Selector],
    now_s: int,
    *,
    history: bool = True,
    first_day: int = 0,
) -> Terms | Refusal:
    """The default offer: all that is not refused, at its point, of these devices and channels.

    ``history`` False gives what is to come and nothing before ``now_s``, as a node must that answers by rule
    while the vault is locked.  What differs from item to item and not within terms (days, history) is the
    least of them.

    Raises:
        TermsError: no selector has a kind that is left.
    """
    items = (*settlement.grant, *settlement.ask)
    points = {kind: item.point for item in items for kind in item.ask.kinds}
    details = {kind: detail for item in items for kind, detail in item.point.resolutions}
    chosen = [
        msgspec.structs.replace(one, resolution=details[one.kind]) for one in selectors if one.kind in points
    ]
    back = min((point.history for point in points.values()), default=0) if history else 0
    days = min((point.duration for point in points.values() if point.duration is not None), default=None)
    bounds = settle_bounds(
        asks[0],
        now_s=now_s,
        history=back or "none",
        duration_s=None if days is None else days * DAY,
        first_day=first_day,
    )
    if isinstance(bounds, Refusal):
        return bounds
    limits = [
        Limit(kind=kind, every=point.every, hours=point.hours, zone=point.zone)
        for kind, point in points.items()
        if point.every is not None or point.hours is not None
    ]
    return make_terms(asks, chosen, bounds, limits=limits)


class _Judge:
    """The rules that can matter to a request of this purpose and brand."""

    def __init__(
        self,
        purpose: str,
        rules: Rules,
        catalogue: Catalogue,
        purposes: Purposes,
        now_s: int,
        brand: str,
        brands: Mapping[str, str],
    ) -> None:
        self._catalogue, self._purposes, self._now_s, self._brands = catalogue, purposes, now_s, brands
        self._groups = members(catalogue)
        self._known = purposes.find(purpose) is not None
        self._rules = [
            rule
            for rule in rules.rules
            if self._known
            and rule.brand in ("", brand)
            and (not rule.purpose or purposes.subsumes(rule.purpose, purpose))
        ]

    def items(self, ask: Ask) -> list[tuple[Verdict, Item]]:
        """The kinds of one detail, those that stand alike together, in the order they are asked in."""
        alike: dict[tuple[Verdict, str, Point], list[tuple[str, str]]] = {}
        for name in ask.kinds:
            verdict, point, reason = self._kind(ask, name)
            key = (verdict, reason, msgspec.structs.replace(point, resolutions=()))
            alike.setdefault(key, []).extend(point.resolutions)
        return [
            (
                verdict,
                Item(
                    msgspec.structs.replace(ask, kinds=tuple(kind for kind, _ in pairs)),
                    msgspec.structs.replace(point, resolutions=tuple(pairs)),
                    reason,
                ),
            )
            for (verdict, reason, point), pairs in alike.items()
        ]

    def _kind(self, ask: Ask, name: str) -> tuple[Verdict, Point, str]:
        asked = _as_asked(ask, name)
        if not self._known:
            return "refuse", asked, "The purpose of this request is not known here."
        if name not in self._catalogue.names():
            return "refuse", asked, "This kind of data is not known here."
        matching = [rule for rule in self._rules if self._is_about(rule, name)]
        never = _most_specific(rule for rule in matching if rule.do == "never")
        if never is not None:
            return "refuse", asked, f"{self._said(never)} refuses this."
        kind = self._catalogue.kind(name)
        limits = [rule for rule in matching if rule.do == "limit"]
        point = settle_point(ask, kind, limits, self._now_s)
        if isinstance(point, Stop):
            if point.rule is None:
                return "refuse", asked, f"There is no {point.needs}."
            return "refuse", asked, f"{self._said(point.rule)} refuses this: it needs {point.needs}."
        decider = _most_specific(rule for rule in matching if rule.do in ("ask", "allow"))
        if decider is None:
            if not limits:
                return "ask", point, "No rule decides this."
            return "ask", point, f"{self._said(limits[0])} limits this, and no rule decides it."
        if decider.do == "ask":
            return "ask", point, f"{self._said(decider)} asks you."
        return self._allow(ask, name, point, decider)

    def _allow(self, ask: Ask, name: str, point: Point, rule: Rule) -> tuple[Verdict, Point, str]:
        """Give unasked what the rule covers; whatever it does not is asked, at the same point."""
        [(_, resolution)] = point.resolutions
        if rule.detail and not within(rule.detail, self._catalogue.kind(name), resolution):
            return "ask", point, f"{self._said(rule)} does not cover {resolution}."
        if point.history or (ask.data_until is not None and ask.data_until <= self._now_s):
            return "ask", point, f"{self._said(rule)} covers no history, and this asks for some."
        most = UNASKED_DAYS if rule.days is None else rule.days
        days = cut(ask, most, self._now_s)
        if isinstance(days, str):
            return "ask", point, f"{self._said(rule)} covers {most} days, and this needs {days}."
        least = min((one for one in (days, point.duration) if one is not None), default=None)
        return "grant", msgspec.structs.replace(point, duration=least), f"{self._said(rule)} allows this."

    def _is_about(self, rule: Rule, name: str) -> bool:
        if rule.kind:
            return rule.kind == name
        return not rule.group or name in self._groups[rule.group]

    def _said(self, rule: Rule) -> str:
        return f"Your rule '{say(rule, self._catalogue, self._purposes, self._brands)}'"


def _most_specific(rules: Iterable[Rule]) -> Rule | None:
    """The first of the most specific rules; asking goes before allowing."""
    return max(rules, key=lambda rule: (rule.weight, rule.do == "ask"), default=None)


def _as_asked(ask: Ask, name: str) -> Point:
    """What the request says would still serve, whether or not it can be."""
    return Point(
        resolutions=((name, ask.minimum),),
        history=0 if ask.history is None else ask.history.minimum,
        duration=None if ask.duration is None else ask.duration.minimum,
        mode=ask.mode_minimum,
        uses=1 if ask.mode_minimum == "once" else None,
        every=None if ask.frequency is None else ask.frequency.minimum,
    )
