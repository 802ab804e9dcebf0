"""Rules as sentences: "never marketing", "location never finer than h3-5", "quiet 22-07".

``parse_sentence(say(rule)) == rule``.  What is not understood is refused with what could be said instead: a
rule that means something else than the person thinks is worse than none.

    never X                             ask me for X
    auto-approve X at DETAIL, at most N days
    X never finer than DETAIL           X only as answers
    X at most N days                    X at most every N minutes
    X no history                        X at most N days of history
    X quiet 22-07 in ZONE

X is a kind, a group, a purpose or nothing; each may end with ``for PURPOSE``, ``for BRAND`` or both.  A brand
in double quotes is nothing but a brand, and without them never one that is called like something else here:
brands choose their names, and one may call itself "health".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from policies.errors import RulesError
from policies.iso8601 import DAY, HOUR, MAX_DAYS
from policies.kinds import Catalogue
from policies.minimise import zone_of
from policies.purposes import Purposes
from policies.rules import Rule, clock, minutes_of
from policies.strict import excerpt, unshowable
from policies.wishes import RESOLUTIONS_SUPPORTED
from policies.words import EVERYTHING, Subject, Words, words

MAX_SENTENCE: Final = 300  # characters
MAX_NAME: Final = 100  # characters of a brand's name; one that is longer is said by its id
_UNITS: Final = {"second": 1, "minute": 60, "hour": HOUR, "day": DAY}
_DETAILS: Final = {"hourly": "hour", "hours": "hour", "daily": "day", "days": "day", "every reading": "raw"}
# Said in full, for "heart rate at rest" and "oxygen uptake at most" are kinds.
_ANY_DETAIL: Final = "|".join([*RESOLUTIONS_SUPPORTED, *_DETAILS])
_HINT: Final = "say for example 'never marketing', 'location never finer than h3-5' or 'at most 30 days'"
_SPAN: Final = r"(?P<n>[1-9][0-9]{0,5}|a|an|one) (?P<unit>day|week)s?"

_Read = Callable[[re.Match[str]], dict[str, Any]]


def parse_sentence(
    text: str,
    catalogue: Catalogue,
    purposes: Purposes,
    *,
    brands: Mapping[str, str] | None = None,
    zone: str = "UTC",
) -> Rule:
    """Read one rule; ``brands`` is from names to ids, ``zone`` that of quiet hours that name none.

    Raises:
        RulesError: not understood, or understood in two ways; the text says what can be said instead.
    """
    if len(text) > MAX_SENTENCE or unshowable(text):
        raise RulesError(f"a rule is one line of at most {MAX_SENTENCE} characters; {_HINT}")
    table = words(catalogue, purposes)
    body, brand = _brand(" ".join(text.split()).removesuffix("."), brands or {}, table)
    body, purpose = _purpose(body, table)
    for pattern, read in _FORMS:
        found = pattern.fullmatch(body)
        if found is None:
            continue
        fields = read(found)
        subject = _subject(found, table)
        if subject is not None and subject.what == "purpose":
            if purpose:
                raise RulesError(f"this names two purposes; {_HINT}")
            purpose = subject.name
        elif subject is not None:
            fields[subject.what] = subject.name
        if "quiet" in fields:
            fields["zone"] = fields["zone"] or zone
            if zone_of(fields["zone"]) is None:
                raise RulesError(
                    f"there is no time zone '{excerpt(fields['zone'])}'; say one like Europe/Berlin"
                )
        rule = Rule(**fields, purpose=purpose, brand=brand)
        _check_detail(rule, catalogue)
        return rule
    raise RulesError(f"'{excerpt(text)}' is not understood; {_HINT}")


def say(rule: Rule, catalogue: Catalogue, purposes: Purposes, brands: Mapping[str, str] | None = None) -> str:
    """Write a rule as a sentence; a brand that ``brands`` (names to ids) does not name is said by its id."""
    table = words(catalogue, purposes)
    purpose = table.say(Subject("purpose", rule.purpose)) if rule.purpose else ""
    subject = ""
    if rule.kind or rule.group:
        subject = table.say(Subject("kind", rule.kind) if rule.kind else Subject("group", rule.group))
    elif rule.do == "never" and purpose:
        subject, purpose = purpose, ""
    tail = f" for {purpose}" if purpose else ""
    return _clause(rule, subject) + tail + _said_brand(rule.brand, brands or {})


def _clause(rule: Rule, subject: str) -> str:
    about = f"{subject} " if subject else ""
    match rule.do:
        case "never":
            return f"never {subject or 'anything'}"
        case "ask":
            return f"ask me for {subject or 'everything'}"
        case "allow":
            at = f" at {rule.detail}" if rule.detail else ""
            days = f", at most {_count(rule.days, 'day')}" if rule.days is not None else ""
            return f"auto-approve {subject or 'everything'}{at}{days}"
    if rule.detail:
        return f"{about}never finer than {rule.detail}"
    if rule.days is not None:
        return f"{about}at most {_count(rule.days, 'day')}"
    if rule.history is not None:
        return (
            f"{about}at most {_count(rule.history, 'day')} of history"
            if rule.history
            else f"{about}no history"
        )
    if rule.every is not None:
        unit = next(name for name in reversed(_UNITS) if rule.every % _UNITS[name] == 0)
        return f"{about}at most every {_count(rule.every // _UNITS[unit], unit)}"
    if rule.quiet is not None:
        return f"{about}quiet {clock(rule.quiet[0])}-{clock(rule.quiet[1])} in {rule.zone}"
    return f"{about}only as answers" if subject else "only answers"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _said_brand(brand: str, brands: Mapping[str, str]) -> str:
    if not brand:
        return ""
    for name, known in brands.items():
        plain = name == " ".join(name.split()) and len(name) <= MAX_NAME and not unshowable(name)
        if known == brand and plain and '"' not in name:
            return f' for "{name}"'
    return f" for the brand {brand}"


def _brand(text: str, brands: Mapping[str, str], table: Words) -> tuple[str, str]:
    """Take a brand off the end: in quotes, by its id, or by a name that is nothing else."""
    if found := re.fullmatch(r"(?P<body>.*?)(?: for (?:the brand )?)\"(?P<name>[^\"]*)\"", text):
        if found["name"] not in brands:
            raise RulesError(f"no brand is called '{excerpt(found['name'])}'; {_known(brands)}")
        return found["body"], brands[found["name"]]
    if found := re.fullmatch(r"(?P<body>.*?) for the brand (?P<id>[a-z2-7]{26})", text):
        return found["body"], found["id"]
    body, tail, word = text.rpartition(" for ")
    if not tail or table.ends(word) or word.lower() in EVERYTHING:
        return text, ""
    ids = {known for name, known in brands.items() if name.lower() == word.lower()}
    if len(ids) > 1:
        raise RulesError(f"{len(ids)} brands are called '{excerpt(word)}'; say 'for the brand' and its id")
    return (body, ids.pop()) if ids else (text, "")


def _known(brands: Mapping[str, str]) -> str:
    return f"known are {', '.join(excerpt(name) for name in list(brands)[:5])}" if brands else "none is known"


def _purpose(body: str, table: Words) -> tuple[str, str]:
    """Take a purpose off the end, as in "never location for marketing" and "ask me for marketing"."""
    # The longest first: a purpose may hold "for" itself; looking ahead, for a kind may end with it.
    for found in re.finditer(r"(?= for )", body):
        subject = table.find(body[found.start() + len(" for ") :], ("purpose",))
        if subject is not None:
            return body[: found.start()], subject.name
    return body, ""


def _subject(found: re.Match[str], table: Words) -> Subject | None:
    word = found.groupdict().get("x") or ""
    if not word or word.lower() in EVERYTHING:
        return None
    if " for " in word and table.find(word) is None:
        unknown = word.rpartition(" for ")[2]
        raise RulesError(
            f"no purpose or brand is called '{excerpt(unknown)}'; after 'for' say one that is known"
        )
    return table.need(word)


def _check_detail(rule: Rule, catalogue: Catalogue) -> None:
    known = catalogue.kind(rule.kind).resolutions if rule.kind else ()
    if rule.kind and rule.detail and rule.detail not in known:
        raise RulesError(
            f"{catalogue.kind(rule.kind).label} has no detail {rule.detail}; it has {', '.join(known)}"
        )


def _detail(word: str) -> str:
    detail = _DETAILS.get(word.lower(), word.lower())
    if detail not in RESOLUTIONS_SUPPORTED:
        known = ", ".join(RESOLUTIONS_SUPPORTED)
        raise RulesError(f"there is no detail '{excerpt(word)}'; say one of {known}")
    return detail


def _days(found: re.Match[str]) -> int:
    count = int(found["n"]) if found["n"].isdigit() else 1
    days = count * (7 if found["unit"].lower() == "week" else 1)
    if days > MAX_DAYS:
        raise RulesError(f"days are 1 to {MAX_DAYS}")
    return days


def _read_allow(found: re.Match[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"do": "allow"}
    if found["detail"]:
        fields["detail"] = _detail(found["detail"])
    if found["n"]:
        fields["days"] = _days(found)
    return fields


def _read_every(found: re.Match[str]) -> dict[str, Any]:
    return {"do": "limit", "every": int(found["n"] or 1) * _UNITS[found["unit"].lower()]}


def _form(pattern: str, read: _Read) -> tuple[re.Pattern[str], _Read]:
    return re.compile(pattern.replace("{X}", r"(?:(?P<x>.+?),? )?"), re.IGNORECASE), read


def _limit(**fields: Any) -> _Read:
    return lambda _found: {"do": "limit", **fields}


# The first form that fits is meant, so what begins like another stands before it.
_FORMS: Final = (
    _form(
        r"{X}never finer than (?P<detail>.+)",
        lambda found: {"do": "limit", "detail": _detail(found["detail"])},
    ),
    _form(r"(?:never read,? )?only (?:as )?answers", _limit(answers=True)),
    _form(r"{X}(?:never read,? )?only (?:as )?answers", _limit(answers=True)),
    _form(r"{X}at most every (?:(?P<n>[1-9][0-9]{0,8}) )?(?P<unit>second|minute|hour|day)s?", _read_every),
    _form(rf"{{X}}at most {_SPAN} of history", lambda found: {"do": "limit", "history": _days(found)}),
    _form(r"no history(?: of (?P<x>.+))?", _limit(history=0)),
    _form(r"{X}(?:no|without) history", _limit(history=0)),
    _form(
        rf"(?:auto-approve|auto approve|allow) (?P<x>.+?)(?: at (?P<detail>{_ANY_DETAIL}))?"
        rf"(?:,? at most {_SPAN})?",
        _read_allow,
    ),
    _form(
        r"{X}quiet (?P<hours>[0-9:]+ ?- ?[0-9:]+)(?: in (?P<zone>\S+))?",
        lambda found: {"do": "limit", "quiet": minutes_of(found["hours"]), "zone": found["zone"] or ""},
    ),
    _form(rf"{{X}}at most {_SPAN}", lambda found: {"do": "limit", "days": _days(found)}),
    _form(r"never (?P<x>.+)", lambda _found: {"do": "never"}),
    _form(r"(?:always )?ask(?: me)?(?: (?:for|about) (?P<x>.+))?", lambda _found: {"do": "ask"}),
)
