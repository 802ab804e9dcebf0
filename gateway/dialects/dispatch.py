"""The one way in: find the rules, or the dialect, and let them read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.dialects import plain
from gateway.dialects.blobs import is_blob
from gateway.dialects.books import Bound
from gateway.dialects.choice import Chosen, apply, choose, declined, sequence
from gateway.dialects.decode import MAX_PAYLOAD
from gateway.dialects.detect import detect
from gateway.dialects.engine import READINGS_LEAST, READINGS_MAX, Run
from gateway.dialects.library import Entry, entry
from gateway.dialects.message import Message
from gateway.dialects.notebook import EMPTY, Notebook
from gateway.dialects.reading import PLAIN, Lesson, Reading

_TOPIC_MAX = 1024  # characters; a channel, which most dialects make from it, has 255 bytes
TAUGHT = "taught"  # what a reading by a person's own rules is called
Route = tuple[Bound, ...]
_NO_RULES: Final[tuple[Route, Route]] = ((), ())


def read(topic: str, payload: bytes, arrival: int, notebook: Notebook = EMPTY) -> Reading:
    """Turn a payload into observations; for any input, without raising, and without changing the notebook.

    ``arrival`` is in ms since the epoch, UTC.  Payloads of more than 256 KiB, nested more than 32 deep,
    or on topics of more than 1024 characters, are not looked into: they come back as quarantine; pictures and
    other files come back as a blob.
    """
    message = Message(payload)
    dialect = notebook.settings.dialect or detect(topic, message)
    if len(payload) > MAX_PAYLOAD or len(topic) > _TOPIC_MAX or not _is_text(topic):
        return Reading(dialect, (), True, 0)
    if is_blob(payload):
        return Reading(PLAIN, (), False, 0, blob=True)
    own = _NO_RULES if notebook is EMPTY else (notebook.taught(topic), notebook.learned(topic))
    if own != _NO_RULES:
        reading = _with_own(topic, message, arrival, notebook, dialect, own)
        if reading is not None:
            return reading
    if dialect == PLAIN:
        reading = _as_before(topic, message, arrival, notebook) if notebook.heard else None
        return reading or plain.read(topic, payload, arrival, notebook.zone)
    return _in_dialect(dialect, topic, message, arrival, notebook)


def read_as(name: str, topic: str, payload: bytes, arrival: int, notebook: Notebook = EMPTY) -> Reading:
    """Read a payload in one dialect: by its module, where it has one for this topic, else by its rules."""
    return _in_dialect(name, topic, Message(payload), arrival, notebook)


def by_rules(name: str, topic: str, payload: bytes, arrival: int, notebook: Notebook = EMPTY) -> Reading:
    """Read a payload by the rules of one dialect's file, whatever its module would say."""
    return run_rules(entry(name), topic, Message(payload), arrival, notebook)


def _in_dialect(name: str, topic: str, message: Message, arrival: int, notebook: Notebook) -> Reading:
    dialect = entry(name)
    code = dialect.code(topic)
    if code is not None:
        reading = code(topic, message.payload, arrival, notebook)
        if reading is not None:
            return reading
    return run_rules(dialect, topic, message, arrival, notebook)


def _as_before(topic: str, message: Message, arrival: int, notebook: Notebook) -> Reading | None:
    """Read what nothing gives away in a dialect that the device has spoken; None: none has a rule for it."""
    if notebook.settings.dialect:
        return None
    for name in notebook.heard:
        run = Run(arrival, notebook)
        chosen = choose(entry(name).book.route(topic), message, run)
        if chosen is not None and not declined(chosen):
            return _reading(name, topic, message, run, [chosen], resends=entry(name).dialect.resends)
    return None


def run_rules(
    dialect: Entry, topic: str, message: Message, arrival: int, notebook: Notebook = EMPTY
) -> Reading:
    """Read a message by the rules of one dialect, which need not be one of this release."""
    run = Run(arrival, notebook)
    chosen = choose(dialect.book.route(topic), message, run)
    if chosen is None:
        return Reading(dialect.name, (), True, 0)
    return _reading(dialect.name, topic, message, run, [chosen], resends=dialect.dialect.resends)


def _with_own(
    topic: str, message: Message, arrival: int, notebook: Notebook, dialect: str, own: tuple[Route, Route]
) -> Reading | None:
    """Read by taught and learned rules, and what they leave in the dialect; None: none of them holds."""
    run = Run(arrival, notebook)
    chosen = [found for found in (choose(route, message, run) for route in own) if found is not None]
    if not chosen:
        return None
    first = chosen[0][0].group
    name = TAUGHT if first.layer == 0 else notebook.teacher(first.specs[0]) or dialect
    resends = False
    rest = None if dialect == PLAIN else choose(entry(dialect).book.route(topic), message, run)
    if rest is None or declined(rest):  # what they leave is read as a plain object's
        run.left = {}
    else:
        chosen.append(rest)
        resends = entry(dialect).dialect.resends
    reading = _reading(name, topic, message, run, chosen, resends=resends, leaving=dialect == PLAIN)
    return reading if not run.left else _and_plain(reading, topic, run.left, arrival, notebook)


def _and_plain(
    reading: Reading, topic: str, fields: Mapping[str, Any], arrival: int, notebook: Notebook
) -> Reading:
    """Add what rules left of a plain object."""
    rest = plain.read_fields(topic, fields, arrival, notebook.zone)
    return msgspec.structs.replace(
        reading,
        observations=reading.observations + rest.observations,
        quarantine=reading.quarantine or rest.quarantine,
        dropped=reading.dropped + rest.dropped,
    )


def _reading(
    name: str,
    topic: str,
    message: Message,
    run: Run,
    chosen: list[Chosen],
    *,
    resends: bool,
    leaving: bool = False,
) -> Reading:
    if len(chosen) > 1:
        run.bindings = {spec: one for bound, _ in chosen for spec, one in bound.bindings.items()}
    else:
        run.bindings = chosen[0][0].bindings
    run.most = min(READINGS_LEAST + len(message.payload), READINGS_MAX)
    form = apply(chosen, message, run, leaving=leaving)
    if run.full:
        return Reading(name, (), True, 0)
    lessons = () if run.facts is None else (Lesson(topic, (), run.facts, name),)
    return Reading(
        name,
        tuple(run.observations),
        run.quarantine,
        run.dropped,
        lessons,
        run.foreign,
        form == "blob",
        resends,
        sequence(chosen, message),
    )


def _is_text(topic: str) -> bool:
    """Whether a topic can be written as UTF-8; a lone surrogate cannot."""
    if topic.isascii():
        return True
    try:
        topic.encode()
    except UnicodeEncodeError:
        return False
    return True
