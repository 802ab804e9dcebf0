"""A person's devices: their names, which only the owner reads, and the credentials they connect with."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from gateway import wire
from gateway.client.errors import AnswerError, ConflictError, TermsError
from gateway.client.session import Session
from policies.strict import unshowable
from vault.device import Notes, verifier, wrap_notes
from vault.errors import VaultError
from vault.ids import DeviceId, Entropy
from vault.store.records import SETTINGS_MAX, DeviceRow
from vault.suite import NONCE_SIZE

if TYPE_CHECKING:
    from gateway.dialects.reading import DialectSettings, Lesson

NAME_MAX: Final = 64  # characters
PASSWORD_SIZE: Final = 26  # characters of a-z2-7: 130 bits


class Device(msgspec.Struct, frozen=True):
    """A device with its opened name."""

    id: DeviceId
    name: str
    row: DeviceRow

    @property
    def live(self) -> bool:
        """Whether it was not removed."""
        return self.row.ended is None


class Devices(msgspec.Struct, frozen=True):
    """All devices, removed ones too, and where devices connect."""

    devices: list[Device]
    listens: wire.Devices

    @property
    def live(self) -> list[Device]:
        """Those that may connect."""
        return [device for device in self.devices if device.live]

    def names(self) -> dict[DeviceId, str]:
        """The name of each."""
        return {device.id: device.name for device in self.devices}


class Credential(msgspec.Struct, frozen=True):
    """What a person enters into a device; the password is nowhere else, and cannot be shown again."""

    device: DeviceId
    name: str
    host: str
    port: int
    tls: bool
    username: str
    password: str
    ca_fingerprint: str


def fetch(session: Session) -> Devices:
    """Every device of the vault; raises AnswerError where a name does not open."""
    answer = session.ask(wire.GetDevices(), wire.Devices)
    try:
        opened = [
            Device(id_ := DeviceId(row.device), session.owner.open_name(id_, row.name), row)
            for row in answer.devices
        ]
    except VaultError:
        raise AnswerError("the name of a device does not open with your key") from None
    return Devices(opened, answer)


def add(session: Session, name: str, settings: DialectSettings | None = None) -> Credential:
    """Make a credential for a new device, set as told or by default.

    Raises:
        TermsError: no name that can be shown, or too many settings.
        ConflictError: another device has it.
    """
    known = fetch(session)
    check_name(name, [device.name for device in known.live])
    device, password = DeviceId.new(session.entropy), draw_password(session.entropy)
    sealed = session.owner.seal_name(device, name, session.entropy(NONCE_SIZE))
    noted = b"" if settings is None else _seal_settings(session, device, settings)
    kept, wrapped = verifier(device, password.encode()), _wrap_notes(session, device, password)
    session.tell(wire.AddDevice(device, sealed, kept, wrapped, noted), wire.Done)
    return _credential(device, name, password, known.listens)


def rotate(session: Session, device: Device, listens: wire.Devices) -> Credential:
    """Give a device another password; whoever is connected with the old one is cut off.

    What is noted of it stays; a device of before there were notes has some from now on.
    """
    password = draw_password(session.entropy)
    kept, wrapped = verifier(device.id, password.encode()), _wrap_notes(session, device.id, password)
    session.tell(wire.RotateDevice(device.id, kept, wrapped), wire.Done)
    return _credential(device.id, device.name, password, listens)


def configure(session: Session, device: Device, settings: DialectSettings) -> None:
    """Set what the device's payloads cannot say themselves; where it is connected, from now on.

    A device without notes (``row.notes``) is not read by them before its password was rotated.

    Raises:
        TermsError: more than a device can have set.
    """
    session.tell(wire.SetDevice(device.id, _seal_settings(session, device.id, settings)), wire.Done)


def settings_of(session: Session, device: Device) -> DialectSettings:
    """What was set for a device; raises AnswerError where it does not open."""
    from gateway.dialects.reading import DialectSettings  # the dialects are read by few commands

    if device.row.settings is None:
        return DialectSettings()
    try:
        opened = _notes(session, device.id).open_settings(device.row.settings)
        return msgspec.msgpack.decode(opened, type=DialectSettings)
    except (VaultError, *wire.NOT_OURS):
        raise AnswerError("the settings of a device do not open with your key") from None


def lessons_of(session: Session, device: Device) -> tuple[Lesson, ...]:
    """What a device declared itself; raises AnswerError where it does not open."""
    from gateway.dialects.notebook import Notebook

    answer = session.ask(wire.GetLearned(device.id), wire.Learned)
    if answer.learned is None:
        return ()
    try:
        return Notebook.decode_lessons(_notes(session, device.id).open_lessons(answer.learned))
    except VaultError:
        raise AnswerError("what a device declared does not open with your key") from None


def remove(session: Session, device: Device) -> None:
    """End a device's credential; what it sent stays."""
    session.tell(wire.RemoveDevice(device.id), wire.Done)


def check_name(name: str, taken: Sequence[str]) -> None:
    """Return if a device can have this name; raises TermsError, ConflictError."""
    if not 0 < len(name) <= NAME_MAX or name != name.strip() or unshowable(name):
        raise TermsError(f"a name has 1 to {NAME_MAX} plain characters")
    if name.casefold() in (other.casefold() for other in taken):
        raise ConflictError("a device has this name already", "choose another name")


def draw_password(entropy: Entropy) -> str:
    """26 characters of RFC 4648 base32, lower case."""
    return base64.b32encode(entropy(17)).decode().lower()[:PASSWORD_SIZE]


def _notes(session: Session, device: DeviceId) -> Notes:
    return Notes(device, session.owner.notes_key(device))


def _wrap_notes(session: Session, device: DeviceId, password: str) -> bytes:
    key = session.owner.notes_key(device)
    return wrap_notes(device, password.encode(), key, session.entropy(NONCE_SIZE))


def _seal_settings(session: Session, device: DeviceId, settings: DialectSettings) -> bytes:
    sealed = _notes(session, device).seal_settings(
        msgspec.msgpack.encode(settings), session.entropy(NONCE_SIZE)
    )
    if len(sealed) > SETTINGS_MAX:
        raise TermsError("these are more settings than a device can have", "teach it fewer rules")
    return sealed


def _credential(device: DeviceId, name: str, password: str, listens: wire.Devices) -> Credential:
    return Credential(
        device,
        name,
        listens.mqtt_host,
        listens.mqtt_port,
        listens.mqtt_tls,
        device.text,
        password,
        listens.ca_fingerprint,
    )
