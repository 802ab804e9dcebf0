"""What one device is known to mean: what its owner set, and what it declared of itself."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

import msgspec

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError

from gateway.dialects.books import Book, Bound
from gateway.dialects.items import sensor_id
from gateway.dialects.reading import NAMES, DialectSettings, Lesson, heard, zone
from gateway.dialects.rules import Rule
from gateway.dialects.specs import Spec

LESSONS_MAX: Final = 4096
BYTES_MAX: Final = 1024 * 1024  # of all lessons, encoded
PATTERNS_MAX: Final = 64  # of members' names, in what a person taught: each is held against every member
_TAUGHT, _LEARNED = range(2)  # layers
_LEVEL: Final = 3  # of zstd
_DEFAULT: Final = DialectSettings()


class Notebook:
    """A device's settings and lessons, compiled; changed by ``learn`` alone, and by one thread."""

    __slots__ = (
        "_learned",
        "_lessons",
        "_sayers",
        "_sizes",
        "_specs",
        "_taught",
        "_teachers",
        "_total",
        "facts",
        "heard",
        "own",
        "settings",
        "zone",
    )

    def __init__(self, settings: DialectSettings = _DEFAULT, lessons: Iterable[Lesson] = ()) -> None:
        """Take what is known; lessons beyond the limits are left out."""
        self.settings = settings
        self.zone = zone(settings.timezone)
        self.own = frozenset(map(sensor_id, settings.own))
        self.facts: dict[str, str] = {}
        self.heard: tuple[str, ...] = ()  # dialects that the device has spoken
        self._taught = Book(compiled(settings.taught), _TAUGHT)
        self._learned = Book((), _LEARNED)
        self._lessons: dict[str, Lesson] = {}
        self._sayers: dict[str, dict[str, None]] = {}  # of a fact: the sources of lessons, the last one holds
        self._specs: dict[str, tuple[Spec, ...]] = {}
        self._teachers: dict[Spec, str] = {}
        self._sizes: dict[str, int] = {}
        self._total = 0
        for lesson in lessons:
            self.learn(lesson)

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        """What the device declared of itself."""
        return tuple(self._lessons.values())

    def learn(self, lesson: Lesson) -> bool:
        """Take a lesson; False: nothing changed, since it is known already, or there is no room for it.

        What has changed must be stored before the message is acknowledged.
        """
        before = self._lessons.get(lesson.source)
        if before == lesson:
            return False
        if not lesson.rules and not lesson.facts:
            if before is None:
                return False
            self._forget(before)
            return True
        size = len(msgspec.msgpack.encode(lesson))
        total = self._total - self._sizes.get(lesson.source, 0) + size
        if total > BYTES_MAX or (before is None and len(self._lessons) >= LESSONS_MAX):
            return False
        if before is not None:
            self._forget(before)
        self._lessons[lesson.source] = lesson
        self._sizes[lesson.source] = size
        self._total += size
        specs = self._specs[lesson.source] = compiled(lesson.rules)
        self._teachers.update(dict.fromkeys(specs, lesson.dialect))
        self._learned.replace((), specs)
        for key, text in lesson.facts.items():
            self.facts[key] = text
            self._sayers.setdefault(key, {})[lesson.source] = None
        if lesson == heard(lesson.dialect) and lesson.dialect in NAMES:
            self.heard = (*self.heard, lesson.dialect)
        return True

    def _forget(self, lesson: Lesson) -> None:
        del self._lessons[lesson.source]
        self._total -= self._sizes.pop(lesson.source)
        specs = self._specs.pop(lesson.source)
        self._learned.replace(specs, ())
        for spec in specs:
            del self._teachers[spec]
        for key in lesson.facts:  # and of no others: a device may say one of many anew with each message
            sayers = self._sayers[key]
            del sayers[lesson.source]
            if sayers:
                self.facts[key] = self._lessons[next(reversed(sayers))].facts[key]
            else:
                del self.facts[key], self._sayers[key]

    def taught(self, topic: str) -> tuple[Bound, ...]:
        """The person's rules about a topic."""
        return self._taught.route(topic) if self.settings.taught else ()

    def learned(self, topic: str) -> tuple[Bound, ...]:
        """The device's own rules about a topic."""
        return self._learned.route(topic) if self._teachers else ()

    def teacher(self, spec: Spec) -> str:
        """The dialect whose lesson a rule is from."""
        return self._teachers.get(spec, "")

    def with_settings(self, settings: DialectSettings) -> Notebook:
        """The same device, set otherwise."""
        return Notebook(settings, self.lessons)

    def lessons_bytes(self) -> bytes:
        """All lessons, for ``decode_lessons``: MessagePack under zstd."""
        plain = msgspec.msgpack.encode(self.lessons)
        return bytes(ZstdCompressor(level=_LEVEL).compress(plain, ZstdCompressor.FLUSH_FRAME))

    @staticmethod
    def decode_lessons(data: bytes) -> tuple[Lesson, ...]:
        """The lessons in what ``lessons_bytes`` made; none of what is damaged or of another release."""
        limit = BYTES_MAX + 16 * LESSONS_MAX
        try:
            decompressor = ZstdDecompressor()
            plain = decompressor.decompress(data, limit)
            return msgspec.msgpack.decode(plain, type=tuple[Lesson, ...]) if decompressor.eof else ()
        except (ZstdError, msgspec.MsgspecError, ValueError, EOFError):
            return ()


def compiled(rules: Iterable[Rule]) -> tuple[Spec, ...]:
    """Compile rules that a device or a person gave; those that are none, or too dear, are left out."""
    found: list[Spec] = []
    patterns = 0
    for rule in rules:
        try:
            spec = Spec(rule)
        except (ValueError, OverflowError):  # of another release, or of a device that has it wrong
            continue
        if patterns + spec.patterns <= PATTERNS_MAX:
            patterns += spec.patterns
            found.append(spec)
    return tuple(found)


EMPTY: Final = Notebook()
