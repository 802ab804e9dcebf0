"""Standing rules: what a person has decided beforehand, as a document that is signed and stored.

A rule has a condition (a kind or a group of kinds, a purpose and all that falls under it, a brand: all that
it names must hold, and what it leaves open holds always) and does one thing:

- ``never``: refuse.
- ``ask``: always ask.
- ``allow``: give without asking, at ``detail`` or coarser, for ``days`` at most; what is to come, no history.
- ``limit``: one limit on whatever is given: ``detail``, ``days``, ``history``, ``answers``, ``every`` or
  ``quiet``.

``policies.sentences`` writes a rule as a sentence, ``policies.rulesfile`` as TOML.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal, TypeAlias

import msgspec

from policies.errors import MalformedError, RulesError, TermsError
from policies.groups import GROUPS
from policies.iso8601 import MAX_DAYS
from policies.kinds import RESOLUTIONS, Catalogue, Kind
from policies.minimise import MINUTES, Limit
from policies.purposes import ROOT, Purposes
from policies.strict import canonical, excerpt, load
from policies.wishes import RESOLUTIONS_SUPPORTED

RULES_VERSION: Final = 1
RULES_LABEL: Final = b"hypertouch 1 rules"
MAX_RULES: Final = 256
# What a limit can limit, and what each is where nothing is said.
_SILENT: Final = {"detail": "", "days": None, "history": None, "answers": False, "every": None, "quiet": None}
DIMENSIONS: Final = tuple(_SILENT)

Verb: TypeAlias = Literal["never", "ask", "allow", "limit"]
BRAND_ID: Final = re.compile(r"[a-z2-7]{26}")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule; ``brand`` is an id, ``quiet`` local minutes of the day [from, until) in ``zone``.

    ``every`` is seconds, ``days`` and ``history`` are days.
    """

    do: Verb
    kind: str = ""
    group: str = ""
    purpose: str = ""
    brand: str = ""
    detail: str = ""
    days: int | None = None
    history: int | None = None
    answers: bool = False
    every: int | None = None
    quiet: tuple[int, int] | None = None
    zone: str = ""

    def __post_init__(self) -> None:
        """Raises RulesError; whether kinds, purposes and zones exist is not asked here."""
        said = [name for name in DIMENSIONS if getattr(self, name) != _SILENT[name]]
        if self.kind and self.group:
            raise RulesError("a rule names a kind or a group, not both")
        if self.do == "limit" and len(said) != 1:
            raise RulesError(f"a limit limits one of: {', '.join(DIMENSIONS)}")
        if self.do == "allow" and not set(said) <= {"detail", "days"}:
            raise RulesError("what is given unasked has a detail and days, and no other limits")
        if self.do in ("never", "ask") and said:
            raise RulesError(f"a rule that says {self.do} has no {said[0]}")
        if self.group and self.group not in GROUPS:
            raise RulesError(f"the groups are {', '.join(GROUPS)}")
        if self.brand and not BRAND_ID.fullmatch(self.brand):
            raise RulesError("a brand is named by its id")
        if self.detail and self.detail not in RESOLUTIONS_SUPPORTED:
            raise RulesError(f"the details are {', '.join(RESOLUTIONS_SUPPORTED)}")
        self._check_numbers()

    def _check_numbers(self) -> None:
        if self.days is not None and not 1 <= self.days <= MAX_DAYS:
            raise RulesError(f"days are 1 to {MAX_DAYS}")
        if self.history is not None and not 0 <= self.history <= MAX_DAYS:
            raise RulesError(f"days of history are 0 to {MAX_DAYS}")
        if bool(self.zone) != (self.quiet is not None):
            raise RulesError("quiet hours have a time zone, and nothing else has")
        try:
            Limit(kind="", every=self.every, hours=self.quiet, zone=self.zone or "UTC")
        except TermsError as error:
            raise RulesError(str(error)) from None

    @property
    def weight(self) -> tuple[bool, bool, bool, bool]:
        """How specific the condition is: a brand before a kind, a group and a purpose."""
        return bool(self.brand), bool(self.kind), bool(self.group), bool(self.purpose)


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's standing rules, in the order they are shown in; the empty ones ask about everything."""

    version: int = RULES_VERSION
    rules: tuple[Rule, ...] = ()


def encode_rules(rules: Rules) -> bytes:
    """Write rules in their one canonical form (RFC 8785), to be signed and stored."""
    return canonical(msgspec.to_builtins(rules))


def decode_rules(text: bytes) -> Rules:
    """Read rules; ``encode_rules(decode_rules(x)) == x`` for every x that is read.

    Raises:
        RulesError: not JSON, not our fields, a version that is not ours, too many, or not the canonical form.
    """
    try:
        rules = msgspec.convert(load(text), type=Rules)
    except (MalformedError, msgspec.ValidationError) as error:
        raise RulesError(f"these are no rules: {excerpt(str(error))}") from None
    if rules.version != RULES_VERSION:
        raise RulesError(f"these rules have version {rules.version}, known is {RULES_VERSION}")
    if len(rules.rules) > MAX_RULES:
        raise RulesError(f"these are {len(rules.rules)} rules, at most {MAX_RULES} can be kept")
    if encode_rules(rules) != text:
        raise RulesError("these rules are not in canonical form")
    return rules


def rules_hash(rules: Rules) -> bytes:
    """Return what an answer by rule refers to, 32 bytes: exactly these rules."""
    return hashlib.sha256(RULES_LABEL + b"\0" + encode_rules(rules)).digest()


def check_rules(rules: Rules, catalogue: Catalogue, purposes: Purposes) -> None:
    """Raises RulesError if a rule names what the tables do not know.  Skipping it would be a yes."""
    names = set(catalogue.names())
    for number, rule in enumerate(rules.rules, 1):
        if rule.kind and rule.kind not in names:
            raise RulesError(f"rule {number} names the unknown kind {excerpt(rule.kind)}")
        if rule.purpose and (purposes.find(rule.purpose) is None or rule.purpose == ROOT):
            raise RulesError(f"rule {number} names the unknown purpose {excerpt(rule.purpose)}")
        if rule.kind and rule.detail and rule.detail not in catalogue.kind(rule.kind).resolutions:
            known = ", ".join(catalogue.kind(rule.kind).resolutions)
            raise RulesError(f"rule {number}: {rule.kind} has no {rule.detail}; it has {known}")


def within(detail: str, kind: Kind, given: str) -> bool:
    """Whether ``given`` is no finer than a rule's detail for this kind.

    A detail that the kind has not got stands for its own at the same level: "day" and "h3-5" are both the
    second from raw.  A kind that has none there is always too fine.
    """
    level = next(names.index(detail) for names in RESOLUTIONS.values() if detail in names)
    return given in kind.resolutions and kind.resolutions.index(given) >= level


def minutes_of(text: str) -> tuple[int, int]:
    """Read "22-07" or "22:30-06:15" as minutes of the day; raises RulesError."""
    found = re.fullmatch(r"([0-9]{1,2})(?::([0-9]{2}))?\s*-\s*([0-9]{1,2})(?::([0-9]{2}))?", text)
    if not found:
        raise RulesError("hours are written like 22-07 or 22:30-06:15")
    since, until = (int(found[at]) * 60 + int(found[at + 1] or 0) for at in (1, 3))
    hour = max(int(found[2] or 0), int(found[4] or 0)) < 60
    if not hour or since == until or since >= MINUTES or until > MINUTES:
        raise RulesError("hours are two different times of a day, like 22-07")
    return since, until or MINUTES


def clock(minute: int) -> str:
    """Write a minute of the day, "22" or "22:30"; midnight at the end is "24"."""
    hour, rest = divmod(minute, 60)
    return f"{hour:02}:{rest:02}" if rest else f"{hour:02}"
