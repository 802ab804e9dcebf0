"""What a person says of payloads, in words: ``PATH=KIND[:UNIT][*SCALE][@CHANNEL]`` and ``PATH[:FORM]``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from cli.errors import UsageError
from cli.render import escape

if TYPE_CHECKING:
    from gateway.client.propose import Proposal
    from gateway.client.shapes import Kept, Member
    from gateway.client.teach import Choice
    from gateway.dialects import Notebook
    from gateway.dialects.rules import Rule, Time

_SAID: Final = re.compile(
    r"(?P<kind>[^:*@]+)(?::(?P<unit>[^*@]*))?(?:\*(?P<scale>[^@]+))?(?:@(?P<channel>.*))?"
)
_TIME: Final = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^":])+)(?::(.*))?', re.DOTALL)


class Said(NamedTuple):
    """A rule in the making."""

    topic: str
    form: str
    choices: list[Choice]
    time: Time | None
    channel: str | None


def told_rule(
    payloads: list[Kept],
    notebook: Notebook,
    topic: str,
    fields: tuple[str, ...],
    ignored: tuple[str, ...],
    time: str | None,
    channel: str | None,
) -> Rule:
    """The rule of a command line; raises UsageError."""
    from gateway.client.shapes import members, shapes
    from gateway.client.teach import Choice
    from gateway.dialects.patterns import Topic

    try:
        pattern = Topic(topic)
    except ValueError as error:
        raise UsageError(f"this is no topic: {error}", "write {name} where a level differs") from None
    about = [kept for kept in payloads if pattern.match(kept.topic) is not None]
    found = [member for shape in shapes(about) for member in members(shape, notebook)]
    choices = [parse_choice(text) for text in fields] + [Choice(path) for path in ignored]
    if not choices:
        raise UsageError("nothing is said of these payloads", "add --field or --ignore")
    forms = {shape.form for shape in shapes(about)} or {"json"}
    form = "value" if any(not one.path for one in choices if one.kind) else sorted(forms)[0]
    return make(Said(topic, form, choices, parse_time(time), channel), found)


def make(said: Said, found: list[Member]) -> Rule:
    """The rule, with what was understood beside it."""
    from gateway.client.teach import CHANNEL, complete, make_rule, place, time_of

    form: Any = said.form
    moment = said.time or (time_of(found) if said.form == "json" else None)
    choices = complete(found, place(found, said.choices), timed=moment is not None)
    channel = CHANNEL if said.channel is None else said.channel
    return make_rule(said.topic, form, choices, time=moment, channel=channel)


def parse_choice(text: str) -> Choice:
    """``PATH=KIND[:UNIT][*SCALE][@CHANNEL]``; raises UsageError."""
    from gateway.client.teach import Choice

    path, separator, said = text.rpartition("=")
    if not separator:
        raise UsageError(f"{escape(text)!r} does not say what it is", "write PATH=KIND, or --ignore PATH")
    return msgspec.structs.replace(parse_kind(said), path=path) if said else Choice(path)


def parse_kind(text: str) -> Choice:
    """``KIND[:UNIT][*SCALE][@CHANNEL]`` as a choice without a path; raises UsageError."""
    from gateway.client.teach import Choice
    from policies.kinds import catalogue

    found = _SAID.fullmatch(text.strip())
    kind = catalogue().find(found["kind"].strip()) if found else None
    if found is None or kind is None:
        raise UsageError(f"there is no kind {escape(text)!r}", "say it like temperature or energy:Wh")
    unit = (found["unit"] or "").strip()
    if unit and unit not in kind.units:
        known = ", ".join(filter(None, kind.units)) or "none"
        raise UsageError(f"{kind.name} is not measured in {escape(unit)!r}", f"its units: {known}")
    try:
        scale = float(found["scale"] or 1)
    except ValueError:
        scale = 0.0
    if not 0 < abs(scale) < 1e12:
        raise UsageError(f"{escape(found['scale'] or '')!r} is no scale", "write a number such as 0.1")
    return Choice("", kind.name, "" if unit == kind.unit else unit, scale, (found["channel"] or "").strip())


def parse_time(text: str | None) -> Time | None:
    """``PATH[:FORM]``; raises UsageError."""
    from gateway.dialects.rules import Time
    from gateway.dialects.times import reader

    if text is None:
        return None
    said = _TIME.fullmatch(text)
    path, form = (said[1], said[2] or "auto") if said else ("", "")
    try:
        reader(form)
    except ValueError:
        raise UsageError(
            f"{escape(form)!r} is no form of time", "use s, ms, rfc3339 or such as %Y-%m-%d"
        ) from None
    return Time(path, form)


def spoken(proposal: Proposal) -> str:
    """A proposal, as it could be typed."""
    unit = f":{proposal.unit}" if proposal.unit else ""
    scale = f"*{proposal.scale:g}" if proposal.scale != 1 else ""
    return f"{proposal.kind}{unit}{scale}"
