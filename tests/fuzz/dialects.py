"""One message on one topic of one device, made of bytes."""

from __future__ import annotations

from gateway.dialects import DialectSettings, Notebook, read
from gateway.dialects.reading import NAMES
from tests.dialect_shapes import CASES, OWN
from tests.oracle import MAX_AGE, hold

_ARRIVALS = (1_790_000_000_000, 0, MAX_AGE, 4_294_967_296_000)
_TOPICS = sorted({case.topic for case in CASES})
_SETTINGS = [
    DialectSettings(dialect=name, own=own, timezone=zone)
    for name in ("", *NAMES)
    for own, zone in (((), "UTC"), (OWN, "Europe/Berlin"))
]


def one(data: bytes) -> None:
    """Read what the bytes say.

    The first four choose: a topic of a product's or one of their own, settings, an arrival, and whether a
    device has first declared what it is.  Up to the first line break is the topic, if it is their own.
    """
    if len(data) < 4:
        data = data.ljust(4, b"\0")
    which, how, when, before = data[:4]
    rest = data[4:]
    if which < 0x20:
        line, _, rest = rest.partition(b"\n")
        topic = line.decode("utf-8", "replace")
    else:
        topic = _TOPICS[which % len(_TOPICS)]
    arrival = _ARRIVALS[when % len(_ARRIVALS)]
    notebook = Notebook(_SETTINGS[how % len(_SETTINGS)])
    declared = CASES[before % len(CASES)].before if before & 0x80 else ()
    for told, said in declared:
        for lesson in read(told, said, arrival, notebook).lessons:
            notebook.learn(lesson)
    hold(topic, rest, arrival, notebook)
    hold(topic, rest, arrival, notebook)  # with what it may have taught of itself


def seeds() -> list[bytes]:
    """What products say, as ``one`` takes it: where a fuzzer begins."""
    return [
        b"\0\0\0\0" + case.topic.encode() + b"\n" + case.payload for case in CASES if "\n" not in case.topic
    ]
