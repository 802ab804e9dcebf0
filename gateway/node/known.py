"""What the node knows of one connected device: what its owner set, and what it declared itself.

Both lie sealed under a key that the device's password unwraps, so that they are known while it is connected
and not longer.  All links of a device share them; after it was made, only the writer's thread changes one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import msgspec

from gateway.dialects.notebook import EMPTY, Notebook
from gateway.dialects.reading import NAMES, PLAIN, DialectSettings, Lesson, heard
from vault.device import Notes
from vault.errors import VaultError
from vault.ids import DeviceId, Entropy, VaultId
from vault.observation import Observation
from vault.suite import NONCE_SIZE

_log = logging.getLogger("hypertouch.node")
_SETTINGS = msgspec.msgpack.Decoder(DialectSettings)


class Known:
    """See the module.

    ``notes_key`` is None for a device of before there were notes: it has the default settings, and what it
    declares is known while it is connected.  What does not open is nothing, and is overwritten in time.
    """

    __slots__ = (
        "__weakref__",
        "_key",
        "_learned",
        "_notebook",
        "_notes",
        "_sealed",
        "_settings",
        "charged",
        "device",
        "vault",
        "written",
    )

    def __init__(
        self,
        vault: VaultId,
        device: DeviceId,
        notes_key: bytes | None,
        settings: bytes | None,
        learned: bytes | None,
    ) -> None:
        self.vault, self.device = vault, device
        self._key, self._settings, self._learned = notes_key, settings, learned
        self.written = 0  # bytes of lessons that were stored; the writer's thread counts them
        self.charged = 0  # of these, what counts as sent by the device; the event loop's
        self._notes: Notes | None = None
        self._notebook: Notebook | None = None  # opened when the device first says something
        self._sealed: bytes | None = None

    @property
    def notebook(self) -> Notebook:
        """What its messages are read with."""
        notebook = self._notebook
        if notebook is None:
            notebook = self._notebook = self._open()
        return notebook

    def hears(self, dialect: str) -> bool:
        """Whether this is the first message in a dialect: that is to be stored with it, too."""
        if dialect == PLAIN or dialect in self.notebook.heard or dialect not in NAMES:
            return False
        return self.learn((heard(dialect),))

    def learn(self, lessons: Iterable[Lesson]) -> bool:
        """Take lessons; True: they are to be stored with the message that they are from."""
        if self.notebook is EMPTY:  # which is everybody's
            self._notebook = Notebook()
        taken = [self.notebook.learn(lesson) for lesson in lessons]
        return any(taken)

    def seal(self, entropy: Entropy) -> bytes | None:
        """All lessons, as they are stored; None: this device has no place for them."""
        notes = self.notes
        if notes is not None:
            self._sealed = notes.seal_lessons(self.notebook.lessons_bytes(), entropy(NONCE_SIZE))
        return self._sealed

    def settle(self, *, stored: bool) -> None:
        """What was sealed is on disk, or it is not: then it was not learned either."""
        if stored:
            self._learned = self._sealed
            self.written += len(self._sealed or b"")
        else:
            self._notebook = None
        self._sealed = None

    def configure(self, settings: bytes) -> None:
        """Its owner set it anew."""
        self._settings = settings
        if self._key is not None:
            self._notebook = None

    def digests(self, readings: Sequence[Observation]) -> Sequence[bytes]:
        """What recognises these readings when they are sent again; none where there is no key for it."""
        notes = self.notes
        return tuple(map(notes.reading_digest, readings)) if notes is not None else ()

    @property
    def notes(self) -> Notes | None:
        """The keys of what is noted of it."""
        if self._notes is None and self._key is not None:
            self._notes = Notes(self.device, self._key)
        return self._notes

    def _open(self) -> Notebook:
        if not self._settings and not self._learned:
            return EMPTY
        notes = self.notes
        if notes is None:
            return EMPTY
        settings, lessons = DialectSettings(), tuple[Lesson, ...]()
        try:
            if self._settings:
                settings = _SETTINGS.decode(notes.open_settings(self._settings))
        except (VaultError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        try:
            if self._learned:
                lessons = Notebook.decode_lessons(notes.open_lessons(self._learned))
        except VaultError:
            pass
        try:
            return Notebook(settings, lessons)
        except Exception as error:  # a fault of ours; a device that declares oddly must not end the node
            _log.error("a notebook failed: %s", type(error).__name__)  # never its text
            return Notebook()
