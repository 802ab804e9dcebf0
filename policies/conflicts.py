"""What is wrong with rules as a whole: one that contradicts another, can never apply, or changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policies.groups import members
from policies.kinds import Catalogue
from policies.purposes import Purposes
from policies.rules import Rule, Rules, check_rules, within
from policies.wishes import RESOLUTIONS_SUPPORTED

_Condition = tuple[str, str, str, str]


def conflicts(rules: Rules, catalogue: Catalogue, purposes: Purposes) -> list[str]:
    """A sentence for each rule that another makes pointless; rules are numbered from 1.

    Raises:
        RulesError: a rule names a purpose or a kind the tables do not know.
    """
    check_rules(rules, catalogue, purposes)
    numbered = list(enumerate(rules.rules, 1))
    found = []
    for number, rule in numbered:
        others = ((other, one) for other, one in numbered if other != number)
        said = next(_about(number, rule, others, catalogue, purposes), None)
        if said is not None:
            found.append(said)
    return found


def _about(
    number: int, rule: Rule, others: Iterable[tuple[int, Rule]], catalogue: Catalogue, purposes: Purposes
) -> Iterator[str]:
    covering = [(other, one) for other, one in others if _covers(one, rule, catalogue, purposes)]
    for other, one in covering:
        if one == rule and other < number:
            yield f"Rule {number} says the same as rule {other}."
    for other, one in covering:
        if one.do == "never" and one != rule:
            if rule.do == "allow" and _condition(one) == _condition(rule):
                yield f"Rules {other} and {number} contradict each other: one refuses what the other allows."
            yield f"Rule {number} can never apply: rule {other} refuses first."
    for other, one in covering:
        if one.do == "ask" and rule.do == "allow" and _condition(one) == _condition(rule):
            yield f"Rule {number} can never apply: rule {other} asks first."
        if one.do == rule.do == "limit" and one != rule and _is_stricter(one, rule, catalogue):
            yield f"Rule {number} changes nothing: rule {other} is stricter."
        if (
            one.do == rule.do == "limit"
            and one.quiet
            and rule.quiet
            and one.zone != rule.zone
            and other < number
        ):
            yield f"Rules {other} and {number} count quiet hours in two time zones: nothing suits both."


def _condition(rule: Rule) -> _Condition:
    return rule.kind, rule.group, rule.purpose, rule.brand


def _kinds(rule: Rule, catalogue: Catalogue) -> frozenset[str]:
    if rule.kind:
        return frozenset({rule.kind})
    return members(catalogue)[rule.group] if rule.group else frozenset(catalogue.names())


def _covers(one: Rule, other: Rule, catalogue: Catalogue, purposes: Purposes) -> bool:
    """Whether the first rule's condition holds wherever the second's does."""
    return (
        one.brand in ("", other.brand)
        and (not one.purpose or (other.purpose != "" and purposes.subsumes(one.purpose, other.purpose)))
        and _kinds(one, catalogue) >= _kinds(other, catalogue)
    )


def _is_stricter(one: Rule, other: Rule, catalogue: Catalogue) -> bool:
    """Whether a limit leaves nothing for another of the same dimension to take away."""
    if one.detail and other.detail:
        kinds = [catalogue.kind(name) for name in _kinds(other, catalogue)]
        given = [(kind, name) for kind in kinds for name in RESOLUTIONS_SUPPORTED]
        left, more = (
            {(kind.name, name) for kind, name in given if within(detail, kind, name)}
            for detail in (one.detail, other.detail)
        )
        return left < more or (left == more and _condition(one) != _condition(other))
    for less, much in ((one.days, other.days), (one.history, other.history), (other.every, one.every)):
        if less is not None and much is not None:
            return less < much or (less == much and _condition(one) != _condition(other))
    return one.answers and other.answers
