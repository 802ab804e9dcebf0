"""What a grant gives, in words: a line for a list, and all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from cli.card import Less, limits_in_words
from cli.render import ago, count, date, escape, iso_duration
from cli.values import label_of, spoken_unit
from cli.wording import detail_words
from gateway.client.session import Session
from policies.grant import DEFAULT_BUDGET, Active, Ended, Gap, Paused, Preparing
from policies.terms import Terms
from vault.store.records import GrantRow


class Used(NamedTuple):
    """What the ledger says of grants, by id: readings handed out, never too few, and answers given."""

    readings: Counter[str]
    answers: Counter[str]


def used_of(session: Session) -> Used:
    """Read the whole ledger."""
    used = Used(Counter(), Counter())
    for _, entry in session.ledger():
        if entry.what == "read" and entry.note == "answers":
            used.answers[entry.grant] += entry.times
        elif entry.what == "read":
            used.readings[entry.grant] += entry.readings
    return used


def terms_of(row: GrantRow) -> Terms | None:
    """What was given; None: nothing ever was."""
    match row.state:
        case Preparing(terms=terms) | Active(terms=terms) | Paused(terms=terms) | Ended(terms=terms):
            return terms
        case _:
            return None


def gaps_of(row: GrantRow) -> tuple[Gap, ...]:
    """When a grant was paused, seconds."""
    match row.state:
        case Preparing(gaps=gaps) | Active(gaps=gaps) | Paused(gaps=gaps):
            return gaps
        case _:
            return ()


def uses_left(row: GrantRow) -> int | None:
    """How many uses a grant still has; None: nobody counts, or it has ended."""
    terms = terms_of(row)
    if terms is None or terms.uses is None or isinstance(row.state, Ended):
        return None
    return max(0, terms.uses - row.used)


def budget_of(terms: Terms) -> int | None:
    """Answers a day; None: as many as the brand likes."""
    return DEFAULT_BUDGET if terms.budget is None and terms.mode == "answer" else terms.budget


def in_short(terms: Terms) -> str:
    """``energy by the hour, power``, ``answers from energy by the day``; not escaped."""
    groups: dict[str, list[str]] = {}
    for kind in terms.kinds:
        detail = next(terms.resolution_of(one) for one in terms.selectors if one.kind == kind)
        groups.setdefault(detail, []).append(label_of(kind))
    said = [
        ", ".join(kinds) if detail == "raw" else detail_words(", ".join(kinds), detail)
        for detail, kinds in groups.items()
    ]
    return ("answers from " if terms.mode == "answer" else "") + "; ".join(said)


def in_full(
    row: GrantRow, terms: Terms, used: Used, names: Mapping[str, str], id: str, now: int
) -> list[str]:
    """Everything that the terms give, and what became of it, line by line; ``names`` are those of devices."""
    lines = []
    for selector in terms.selectors:
        channels = (
            "every channel"
            if selector.channels is None
            else ", ".join(c or "itself" for c in selector.channels)
        )
        device = names.get(selector.device, selector.device)
        what = detail_words(label_of(selector.kind), terms.resolution_of(selector))
        lines.append(_field("gives", f"{what} of {escape(device)} ({escape(channels)})"))
    less = tuple(Less(label_of(one.kind), spoken_unit(one.kind), one) for one in terms.limits)
    lines += [_field("limits", words) for words in limits_in_words(less)]
    lines += [_field("how", words) for words in _how(row, terms)]
    keeps = iso_duration(terms.retention) if terms.retention else "as long as it likes: it did not say"
    lines += [
        _field("data", f"from {date(terms.data_from)} until {date(terms.data_until)}"),
        _field("until", date(terms.access_until)),
        _field("keeps it", keeps),
        _field("has read", count(used.readings[id], "reading")),
    ]
    if used.answers[id]:
        lines.append(_field("was told", count(used.answers[id], "answer")))
    if row.rule is not None:
        lines.append(_field("given by", f"your rules, version {row.rule.rules_version}"))
    if isinstance(row.state, Paused):
        lines.append(_field("rests", f"since {date(row.state.since // 1000)}; of this time it gives nothing"))
    lines += [_field("rested", f"from {date(since)} until {date(until)}") for since, until in gaps_of(row)]
    if row.picked_up is not None:
        lines.append(_field("fetched", f"its key {ago(row.picked_up, now)}"))
    return lines


def _how(row: GrantRow, terms: Terms) -> list[str]:
    """How often, where that is limited."""
    said = []
    budget, left = budget_of(terms), uses_left(row)
    if terms.mode == "answer":
        a_day = f", at most {budget:,} a day" if budget is not None else ""
        said.append(f"answers made of it{a_day}; no reading")
    if terms.uses is not None:
        often = "once" if terms.uses == 1 else f"{terms.uses:,} times"
        said.append(f"{often} at most" + ("" if left is None else f"; {left:,} left"))
    return said


def _field(label: str, words: str) -> str:
    return f"  {label:<10}{words}"
