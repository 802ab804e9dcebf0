"""Runs one vector of ``tests/vectors/vault.json``: inputs through the code, its outcome in a closed set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from vault import device, labels, ledger, person, segment, statement, suite
from vault.chunk import ChunkHeader, Sequenced, decode_columns, encode_columns, open_chunk
from vault.errors import FormatError, KeyPolicyError, SealError, SignatureError
from vault.grantkey import Slot, pick_up, unwrap
from vault.ids import DeviceId, GrantId, VaultId
from vault.observation import Observation, Place, Value
from vault.secrets import read_secret, write_secret
from vault.segment import Lane, SegmentHeader
from vault.store.registry import secret_verifier

Vector = dict[str, Any]
EXPECT = ("ok", "seal", "format", "signature", "key-policy")
FAULTS: dict[type[Exception], str] = {
    SealError: "seal",
    FormatError: "format",
    SignatureError: "signature",
    KeyPolicyError: "key-policy",
}


class Fields:
    """The inputs of a vector; each must be used, so that none stands there for nothing."""

    def __init__(self, vector: Vector) -> None:
        self._vector = vector
        self.used = {"name", "of", "expect", "gives"}

    def get(self, name: str) -> Any:
        self.used.add(name)
        return self._vector[name]

    def hex(self, name: str) -> bytes:
        return bytes.fromhex(self.get(name))

    @property
    def header(self) -> SegmentHeader:
        return SegmentHeader.decode(self.hex("header"))

    @property
    def vault(self) -> VaultId:
        return VaultId(self.hex("vault"))

    @property
    def slot(self) -> Slot:
        return Slot(self.hex("pepper"), self.hex("pickup_salt"))


def run(vector: Vector) -> tuple[str, str]:
    """(outcome, what came out: empty for a fault).

    Raises:
        AssertionError: a field of the vector that nothing used; others as a bug of ours would.
    """
    fields = Fields(vector)
    try:
        found = OPERATIONS[vector["of"]](fields)
    except tuple(FAULTS) as error:
        return FAULTS[type(error)], ""
    assert fields.used == set(vector), f"unused fields: {set(vector) - fields.used}"
    return "ok", found.hex() if isinstance(found, bytes) else found


def _columns(found: Sequenced) -> bytes:
    return encode_columns(found)


def _chunk(f: Fields) -> bytes:
    lane, (first, last, count) = Lane.decode(f.hex("lane")), f.get("numbers")
    header = ChunkHeader(f.header, lane, first, last, count, f.get("resolution"))
    return _columns(open_chunk(f.hex("key"), header, f.hex("sealed")))


def _grant_box(f: Fields) -> bytes:
    keys = segment.open_grant_box(
        suite.Recipient(f.hex("seed")),
        f.hex("owner_key_id"),
        f.vault,
        GrantId(f.hex("grant")),
        f.hex("segments"),
        f.hex("box"),
    )
    return b"".join(key.key for key in keys)


def _statement(f: Fields) -> str:
    signed = statement.Signed(f.hex("body"), f.hex("signature"))
    return type(statement.verify(f.hex("verify_key"), f.vault, signed)).__name__


def _chain(f: Fields) -> bytes:
    entries = [
        ledger.SealedEntry(n, bytes.fromhex(s), bytes.fromhex(body)) for n, s, body in f.get("entries")
    ]
    number, claimed = f.get("head")
    head = ledger.follow(f.vault, ledger.Head(), entries)
    if (head.number, head.hash.hex()) != (number, claimed):
        raise SignatureError("another head")
    return head.hash


def _ledger_entry(f: Fields) -> str:
    sealed = ledger.SealedEntry(f.get("number"), f.hex("header")[21:37], f.hex("sealed"))
    return ledger.open_entry(f.hex("key"), f.header, sealed).what


def _pair(found: person.Unlocking) -> bytes:
    return found.login_key + found.wrapping_key


def _secret(f: Fields) -> str:
    grant, secret = read_secret(f.get("prefix"), f.get("text"))
    return write_secret(f.get("prefix"), grant, secret)


def _public_key(f: Fields) -> bytes:
    suite.check_public(f.hex("public"))
    return hashlib.sha256(f.hex("public")).digest()


def _owner(f: Fields) -> bytes:
    owner = person.Owner(f.hex("root"))
    return owner.key_id + owner.verify_key + hashlib.sha256(owner.hpke.public).digest()


def _unwrap(f: Fields) -> bytes:
    return hashlib.sha256(unwrap(f.get("token"), f.slot, f.hex("wrapped"), f.vault).public).digest()


def _notes(f: Fields) -> device.Notes:
    return device.Notes(DeviceId(f.hex("device")), f.hex("key"))


def _reading(f: Fields) -> Observation:
    match f.get("value"):
        case [lat, lon, accuracy]:
            value: Value = Place(lat, lon, accuracy)
        case {"hex": blob}:
            value = bytes.fromhex(blob)
        case plain:
            value = plain
    return Observation(f.get("channel"), f.get("kind"), f.get("at"), value)


OPERATIONS: dict[str, Callable[[Fields], bytes | str]] = {
    "identifier": lambda f: VaultId.parse(f.get("text")),
    "secret": _secret,
    "segment header": lambda f: f.header.encode(),
    "lane": lambda f: Lane.decode(f.hex("data")).encode(),
    "lane key": lambda f: segment.lane_key(f.hex("key"), Lane.decode(f.hex("lane"))),
    "resolution key": lambda f: segment.resolution_key(f.hex("key"), f.get("resolution")),
    "lane name": lambda f: segment.open_lane_name(
        f.hex("key"), f.header, f.get("number"), f.hex("sealed")
    ).encode(),
    "owner's box": lambda f: segment.open_owner_box(
        suite.Recipient(f.hex("seed")), f.hex("owner_key_id"), f.header, f.hex("box")
    ),
    "grant's box": _grant_box,
    "public key": _public_key,
    "columns": lambda f: _columns(decode_columns(f.hex("data"), Lane.decode(f.hex("lane")))),
    "chunk": _chunk,
    "unwrap": _unwrap,
    "pick up": lambda f: pick_up(f.get("auth_req_id"), f.slot, f.hex("wrapped"), f.vault),
    "statement": _statement,
    "ledger entry": _ledger_entry,
    "ledger": _chain,
    "owner": _owner,
    "root": lambda f: person.unwrap_root(person.from_recovery(f.hex("recovery")), f.vault, f.hex("wrapped")),
    "recovery": lambda f: _pair(person.from_recovery(f.hex("recovery"))),
    "stretch": lambda f: _pair(
        person.stretch(f.hex("passphrase"), f.hex("salt"), msgspec.convert(f.get("params"), person.KdfParams))
    ),
    "login verifier": lambda f: person.login_verifier(f.vault, f.hex("key")),
    "device verifier": lambda f: device.verifier(DeviceId(f.hex("device")), f.hex("password")),
    "dedupe key": lambda f: device.dedupe_key(DeviceId(f.hex("device")), f.hex("password")),
    "message digest": lambda f: device.message_digest(f.hex("key"), f.hex("topic"), f.hex("payload")),
    "client key": lambda f: device.client_key(f.hex("key"), f.get("client_id")),
    "notes key": lambda f: person.Owner(f.hex("root")).notes_key(DeviceId(f.hex("device"))),
    "wrapped notes": lambda f: device.unwrap_notes(
        DeviceId(f.hex("device")), f.hex("password"), f.hex("wrapped")
    ),
    "settings": lambda f: _notes(f).open_settings(f.hex("sealed")),
    "learned": lambda f: _notes(f).open_lessons(f.hex("sealed")),
    "reading digest": lambda f: _notes(f).reading_digest(_reading(f)),
    "secret verifier": lambda f: secret_verifier(f.get("secret")),
    "expand with label": lambda f: labels.expand_with_label(f.hex("key"), f.get("label"), f.hex("context")),
}
