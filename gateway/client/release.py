"""Letting go of a device: the signed statement that it left its owner's hands, made and checked.

The statement is handed over as a file of JSON (``vault/FORMAT.md``, "Statements").  Checking it needs no
server and no vault: the signature, the members that repeat it, and whether the key is the one expected.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

import msgspec

from gateway import wire
from gateway.client.device import Device
from gateway.client.errors import AnswerError, TermsError
from gateway.client.session import Session
from policies.errors import MalformedError
from policies.iso8601 import LAST_SECOND, format_time
from policies.strict import canonical, load, unshowable
from vault.errors import FormatError, VaultError
from vault.ids import DeviceId, VaultId
from vault.statement import Release, ReleaseReason, Signed, sign, verify
from vault.store.handover import WORDS_MAX, shared, tied
from vault.store.records import GrantRow

TYPE: Final = "hypertouch device release"
VERSION: Final = 1


class Tied(msgspec.Struct, frozen=True):
    """What a release does to grants: those that name the device alone end, those of others too go on."""

    ending: list[GrantRow]
    going_on: list[GrantRow]


class Checked(msgspec.Struct, frozen=True):
    """A statement that holds: what it says, of which vault, and the SHA-256 of the key that signed it."""

    vault: VaultId
    statement: Release
    fingerprint: str


def tied_to(session: Session, device: Device) -> Tied:
    """The grants that a device's release would touch, as they stand now."""
    rows = session.ask(wire.GetGrants(), wire.Grants).grants
    return Tied(
        [row for row in rows if tied(row.state, device.id)],
        [row for row in rows if shared(row.state, device.id)],
    )


def release(
    session: Session, device: Device, reason: ReleaseReason, *, to: str = "", name: str = ""
) -> bytes:
    """Release a device; its statement, as the file that is handed over.

    Raises:
        TermsError: words that cannot be shown.
        ConflictError: it was removed or released before.
    """
    for words in (to, name):
        if len(words) > WORDS_MAX or unshowable(words):
            raise TermsError(f"who it goes to is up to {WORDS_MAX} plain characters")
    whole_second = session.clock() // 1000 * 1000
    statement = Release(device.id.text, whole_second, reason, to, name)
    signed = sign(session.owner.signing, session.pins.vault, statement)
    session.tell(wire.ReleaseDevice(device.id, signed), wire.Done)
    return write(session.pins.vault, session.owner.verify_key, signed)


def statement_of(session: Session, device: Device) -> bytes | None:
    """The statement of a device that was released before; None: it was not.

    Raises:
        AnswerError: what the server keeps was not signed by this owner for this device.
    """
    signed = device.row.released
    if signed is None:
        return None
    try:
        made = write(session.pins.vault, session.owner.verify_key, signed)
        if check(made).statement.device != device.id.text:
            raise FormatError("of another device")
    except VaultError:
        raise AnswerError("the server shows a release that you did not sign") from None
    return made


def write(vault: VaultId, verify_key: bytes, signed: Signed) -> bytes:
    """The file; raises SignatureError, FormatError for what is no release of this owner."""
    statement = verify(verify_key, vault, signed)
    if not isinstance(statement, Release):
        raise FormatError("not a release")
    members = _members(vault, statement) | {
        "verify_key": _text(verify_key),
        "statement": _text(signed.body),
        "signature": _text(signed.signature),
    }
    return msgspec.json.format(msgspec.json.encode(members), indent=2) + b"\n"


def check(data: bytes) -> Checked:
    """What a file says, if every member of it is what its key signed.

    Raises:
        FormatError: not such a file, or one whose members say something else than its statement.
        SignatureError: the key did not sign this statement for this vault.
    """
    try:
        members = load(data)
        if not isinstance(members, dict):
            raise FormatError("not a release statement")
        vault, key = VaultId.parse(members["vault"]), _bytes(members["verify_key"])
        signed = Signed(_bytes(members["statement"]), _bytes(members["signature"]))
    except (MalformedError, KeyError, TypeError, AttributeError):
        raise FormatError("not a release statement") from None
    statement = verify(key, vault, signed)
    if not isinstance(statement, Release):
        raise FormatError("a statement of something else")
    named = {"verify_key": members["verify_key"], "statement": members["statement"]}
    said = _members(vault, statement) | named | {"signature": members["signature"]}
    try:
        same = canonical(members) == canonical(said)  # Python takes true for 1
    except UnicodeEncodeError:  # half a character, as JSON can write it
        same = False
    if not same:
        raise FormatError("the file says something else than the statement that was signed")
    DeviceId.parse(statement.device)
    return Checked(vault, statement, fingerprint(key))


def fingerprint(verify_key: bytes) -> str:
    """SHA-256 of an owner's key, in hexadecimal."""
    return hashlib.sha256(verify_key).hexdigest()


def _members(vault: VaultId, statement: Release) -> dict[str, object]:
    """What the statement says, for people."""
    seconds, rest = divmod(statement.released, 1000)
    if rest or not 0 <= seconds <= LAST_SECOND:
        raise FormatError("a release is dated to the second, in a year of four digits")
    return {
        "type": TYPE,
        "version": VERSION,
        "vault": vault.text,
        "device": statement.device,
        "released": format_time(seconds),
        "reason": statement.reason,
        "to": statement.to,
        "name": statement.name,
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    """Strict: one text for each sequence of bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError("not base64") from None
    if _text(data) != text:
        raise FormatError("not base64 as it is written")
    return data
