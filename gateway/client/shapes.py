"""Payloads that nobody understood, grouped by shape, and what is in them: pure, from values to values.

A shape is what one rule can be about.  Its members are the values that its documents hold; each is told with
what it means already, or what it may mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.client.propose import Proposal, propose, propose_time
from gateway.dialects import EMPTY, Notebook, Reading, read
from gateway.dialects.decode import decode, word
from gateway.dialects.paths import join
from gateway.dialects.patterns import Topic
from gateway.dialects.plain import ACCURACIES, LATITUDES, LONGITUDES
from gateway.dialects.reading import NAMES
from gateway.dialects.rules import Format, literal
from vault.observation import Observation

MEMBERS_MAX: Final = 128  # of a shape, that are looked into
VALUES: Final = 5  # shown of each
LOOKED_AT: Final = 200  # payloads of a shape, the latest, in which members are looked for
_PLACE: Final = frozenset((*LATITUDES, *LONGITUDES, *ACCURACIES))
NO_READING: Final = "-"
NAME: Final = "name"  # what the level of a topic that differs is called

Steps = tuple[str | None, ...]  # None: every element of an array


class Kept(msgspec.Struct, frozen=True):
    """A payload in quarantine; ``time`` is its arrival in milliseconds."""

    seq: int
    time: int
    topic: str
    payload: bytes

    @classmethod
    def of(cls, seq: int, observation: Observation) -> Kept:
        """As the vault keeps it: topic, a zero byte, payload."""
        value = observation.value if isinstance(observation.value, bytes) else b""
        topic, _, payload = value.partition(b"\0")
        return cls(seq, observation.time, topic.decode("utf-8", "surrogateescape"), payload)


class Member(msgspec.Struct, frozen=True):
    """A value somewhere in the payloads of a shape.

    ``meaning`` is the kind as which it is understood already, ``NO_READING`` where it is none, "" where it is
    not understood.  ``channel`` is below the rule's, from the names of what it is in.
    """

    path: str
    name: str
    values: tuple[Any, ...]
    channel: str
    meaning: str = ""
    is_time: bool = False
    proposals: tuple[Proposal, ...] = ()
    place: tuple[str, str, str] | None = None  # paths of latitude, longitude and accuracy


class Shape(msgspec.Struct, frozen=True):
    """Payloads that one rule can be about; ``topic`` is a pattern, ``form`` what they are."""

    topic: str
    form: Format
    payloads: tuple[Kept, ...]

    @property
    def topics(self) -> list[str]:
        """The topics that there are, each once."""
        return sorted({kept.topic for kept in self.payloads})


# --- shapes ----------------------------------------------------------------------------------------------


def shapes(payloads: Iterable[Kept]) -> list[Shape]:
    """Group payloads, the largest group first.

    Topics of as many levels whose documents look alike are one shape where they differ in one level.
    """
    groups: dict[tuple[int, Format, frozenset[str]], list[Kept]] = {}
    for kept in payloads:
        form, names = _outline(kept)
        groups.setdefault((kept.topic.count("/"), form, names), []).append(kept)
    made: dict[tuple[str, Format], list[Kept]] = {}
    for (_, form, _names), group in groups.items():
        for topic, some in _by_topic(group):
            made.setdefault((topic, form), []).extend(some)
    _fold(made)
    found = [
        Shape(topic, form, tuple(sorted(some, key=lambda kept: kept.seq)))
        for (topic, form), some in made.items()
    ]
    return sorted(found, key=lambda shape: (-len(shape.payloads), shape.topic))


def _outline(kept: Kept) -> tuple[Format, frozenset[str]]:
    """What a payload is, and the names at its top; of a single value, the name is the end of its topic."""
    document = decode(kept.payload)
    if isinstance(document, dict):
        return "json", frozenset(document)
    if isinstance(document, list):
        return "json", frozenset(("[]",))
    if document is not None or word(kept.payload) is not None:
        return "value", frozenset((kept.topic.rpartition("/")[2],))
    return "any", frozenset()


def _fold(made: dict[tuple[str, Format], list[Kept]]) -> None:
    """A topic whose documents have a member more or less belongs to the pattern that fits it."""
    patterns = [(Topic(topic), form) for topic, form in made]
    for pattern, form in patterns:
        if pattern.literal is not None:
            continue
        for other, other_form in patterns:
            if other.literal is not None and other_form == form and pattern.match(other.literal):
                made[pattern.text, form].extend(made.pop((other.text, form), ()))


def _by_topic(group: list[Kept]) -> Iterator[tuple[str, list[Kept]]]:
    """The group under one pattern, if its topics differ in one level; else topic by topic."""
    topics: dict[str, list[Kept]] = {}
    for kept in group:
        topics.setdefault(kept.topic, []).append(kept)
    levels = [topic.split("/") for topic in topics]
    differing = [at for at, parts in enumerate(zip(*levels, strict=True)) if len(set(parts)) > 1]
    if len(differing) == 1 and all(parts[differing[0]] for parts in levels):
        shown = [f"{{{NAME}}}" if at == differing[0] else literal(part) for at, part in enumerate(levels[0])]
        yield "/".join(shown), group
    else:
        yield from ((literal(topic), some) for topic, some in topics.items())


# --- members ---------------------------------------------------------------------------------------------


def members(shape: Shape, notebook: Notebook) -> list[Member]:
    """What is in the payloads of a shape, in the order of the first that has it."""
    if shape.form == "any":
        return []
    latest = shape.payloads[-LOOKED_AT:]
    values: dict[Steps, list[Any]] = {}
    for kept in latest:
        document = decode(kept.payload)
        for steps, value in _leaves(word(kept.payload) if document is None else document, ()):
            if steps in values or len(values) < MEMBERS_MAX:
                values.setdefault(steps, []).append(value)
    meanings = _meanings(shape, list(values), notebook)
    found = [_member(steps, some, latest[-1].time, shape, meanings) for steps, some in values.items()]
    return _with_places(found)


def _leaves(value: Any, at: Steps) -> Iterator[tuple[Steps, Any]]:
    """Every value that holds no others, and the steps to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*at, name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, (*at, None))
    else:
        yield at, value


def path_of(steps: Steps) -> str:
    """Steps in the notation of rules."""
    text = ""
    part: list[str | int] = []
    for step in steps:
        if step is None:
            text = _glue(text, join(part)) + "[]"
            part = []
        else:
            part.append(step)
    return _glue(text, join(part))


def _glue(before: str, after: str) -> str:
    return f"{before}.{after}" if before and after and not after.startswith("[") else before + after


def _member(
    steps: Steps, values: list[Any], arrival: int, shape: Shape, meanings: Mapping[Steps, str]
) -> Member:
    names = [step for step in steps if isinstance(step, str)]
    name = names[-1] if names else shape.topic.rpartition("/")[2]
    some = list({msgspec.json.encode(value): value for value in reversed(values)}.values())[:VALUES]
    meaning = meanings.get(steps, "")
    inner = [str(step) if step is not None else "{#}" for step in steps]
    while inner and inner[-1] != "{#}" and inner[-1] == name:
        inner.pop()
    return Member(
        path=path_of(steps),
        name=name,
        values=tuple(some),
        channel="/".join(part if part == "{#}" else literal(part) for part in inner),
        meaning=meaning,
        is_time=meaning in ("", NO_READING) and propose_time(name, values, arrival),
        proposals=() if meaning else tuple(propose(name, values)),
    )


def _meanings(shape: Shape, paths: list[Steps], notebook: Notebook) -> dict[Steps, str]:
    """Which members are understood, and as what: read alone, then beside those that are, then as places."""
    found: dict[Steps, str] = {}
    if shape.form != "json":
        return found
    said = {field.path or field.lat: field.kind for rule in notebook.settings.taught for field in rule.fields}
    latest = shape.payloads[-LOOKED_AT:]
    holding = {
        steps: kept
        for kept in latest
        for steps, value in _leaves(decode(kept.payload), ())
        if value is not None
    }
    places: dict[Steps, list[Steps]] = {}
    for steps in paths:
        if steps and str(steps[-1]).lower() in _PLACE:
            places.setdefault(steps[:-1], []).append(steps)
    for group in [*([steps] for steps in paths), *([steps] for steps in paths), *places.values()]:
        waiting = [steps for steps in group if steps not in found]
        if waiting:
            kept = holding.get(group[0], latest[-1])
            meaning = _meaning(group, list(found), kept, notebook)
            if meaning:
                found |= {steps: said.get(path_of(steps)) or meaning for steps in waiting}
    return found


def _meaning(some: list[Steps], known: list[Steps], kept: Kept, notebook: Notebook) -> str:
    """What some members mean together beside those that are known; nothing: they are not understood."""
    reading = _read_only(kept, {*some, *known}, notebook)
    if reading.quarantine:
        return ""
    around = _read_only(kept, set(known), notebook).observations
    new = [one for one in reading.observations if one not in around]
    return new[0].kind if new else NO_READING


def _read_only(kept: Kept, wanted: set[Steps], notebook: Notebook) -> Reading:
    """A payload as if it held these members and no others, in the dialect of all of it."""
    settings = notebook.settings
    dialect = settings.dialect or read(kept.topic, kept.payload, kept.time, EMPTY).dialect
    part = msgspec.json.encode(_pruned(decode(kept.payload), (), wanted))
    known = msgspec.structs.replace(settings, dialect=dialect if dialect in NAMES else "")
    return read(kept.topic, part, kept.time, notebook.with_settings(known))


def _pruned(value: Any, at: Steps, wanted: set[Steps]) -> Any:
    """A document with the wanted leaves only."""
    if isinstance(value, dict):
        inner = {name: _pruned(one, (*at, name), wanted) for name, one in value.items()}
        return {name: one for name, one in inner.items() if _holds((*at, name), one, wanted)}
    if isinstance(value, list):
        return [one for one in (_pruned(one, (*at, None), wanted) for one in value) if one != {}]
    return value


def _holds(at: Steps, value: Any, wanted: set[Steps]) -> bool:
    return bool(value) if isinstance(value, dict | list) else at in wanted


def _with_places(found: list[Member]) -> list[Member]:
    """Latitude and longitude side by side are one thing to be taught."""
    by_path = {member.path: member for member in found}
    made: list[Member] = []
    inside: set[str] = set()
    for member in found:
        if member.meaning not in ("", "location") or member.name.lower() not in LATITUDES:
            continue
        parent = member.path.removesuffix(member.name)

        def beside(names: Iterable[str], parent: str = parent) -> str:
            return next((parent + name for name in names if parent + name in by_path), "")

        longitude, accuracy = beside(LONGITUDES), beside(ACCURACIES)
        if longitude:
            paths = (member.path, longitude, accuracy)
            inside.update(path for path in paths if path)
            proposals = () if member.meaning else (Proposal("location"),)
            made.append(msgspec.structs.replace(member, place=paths, proposals=proposals))
    whole = {member.path: member for member in made}
    return [
        whole.get(member.path, member)
        for member in found
        if member.path in whole or member.path not in inside
    ]
