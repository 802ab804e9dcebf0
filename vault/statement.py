"""Signed statements: the only way an owner's will reaches the writer.

A statement is canonical MessagePack of a tagged struct, signed with Ed25519 over
``"hypertouch 1 sign " || vec("statement", vault) || body``.  The writer seals only to grants whose
statement it verified; what a host writes into a table beside it does not count.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from policies.terms import Terms
from vault.errors import FormatError, SignatureError
from vault.ids import VaultId
from vault.labels import SIGN, SIGN_STATEMENT, vec


class GrantStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="grant"):
    """ "These terms, to this key": what an approval signs, and each change of a grant after it.

    ``key_hash`` is SHA-256 of the grant's public key; ``terms_hash`` is over exactly what the person
    was shown (``policies/GRANTS.md``); ``generation`` is the vault's when it was made; ``predecessor`` is
    SHA-256 of the body of the statement that this one takes the place of, nothing for an approval.
    """

    grant: str
    key_hash: bytes
    terms: Terms
    terms_hash: bytes
    generation: int
    predecessor: bytes = b""


class Enrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="enrolment"):
    """ "This client may speak for me": signed with the owner's key after unlocking."""

    client: str
    verify_key: bytes
    name: str


class Replacement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="replacement"):
    """ "These segments stand for those": the one way to rewrite what was stored.

    ``supersedes`` and ``segments`` are segment ids, sorted; ``digest`` is SHA-256 over the chunks that come,
    as ``vault.store.replace`` has them.  The same ids in both: a merge under the same lane keys, or payloads
    that were taught.  A new id in ``segments``, or none: a day that was sealed again
    (``vault.store.rewrite``), for buckets that were cut or a blackout in the past.
    """

    supersedes: tuple[bytes, ...]
    segments: tuple[bytes, ...]
    digest: bytes


ReleaseReason: TypeAlias = Literal["sale", "rental", "return", "other"]


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="release"):
    """ "This device is no longer mine": what a person hands over with a device.

    ``released`` is milliseconds; ``to`` and ``name`` are the owner's words, empty unless they said so.
    """

    device: str
    released: int
    reason: ReleaseReason
    to: str = ""
    name: str = ""


class StandingRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="rules"):
    """ "These rules answer for me": ``version`` is 1 for the first, and one more for each that follows.

    ``rules`` is their canonical form (``policies.rules.encode_rules``); ``made`` is milliseconds.
    """

    version: int
    rules: bytes
    made: int


Statement = GrantStatement | Enrolment | Replacement | Release | StandingRules


_STATEMENT: msgspec.msgpack.Decoder[Statement] = msgspec.msgpack.Decoder(Statement)


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A statement's bytes and the signature over them."""

    body: bytes
    signature: bytes


def sign(key: Ed25519PrivateKey, vault: VaultId, statement: Statement) -> Signed:
    """Sign a statement for one vault."""
    body = msgspec.msgpack.encode(statement, order="deterministic")
    return Signed(body, key.sign(_message(vault, body)))


def verify(verify_key: bytes, vault: VaultId, signed: Signed) -> Statement:
    """The statement, if this key signed it for this vault.

    Raises:
        SignatureError: another key, another vault, or altered bytes.
        FormatError: signed, but not a statement in canonical form.
    """
    try:
        Ed25519PublicKey.from_public_bytes(verify_key).verify(signed.signature, _message(vault, signed.body))
    except (InvalidSignature, ValueError):
        raise SignatureError("a statement is not signed by this owner") from None
    try:
        statement: Statement = _STATEMENT.decode(signed.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise FormatError("not a statement") from None
    told = msgspec.msgpack.decode(signed.body)
    whole = msgspec.msgpack.decode(msgspec.msgpack.encode(statement, order="deterministic"))
    if msgspec.msgpack.encode(told) != signed.body or not _written_as(told, whole):
        raise FormatError("a statement is not in its canonical form")
    return statement


def _written_as(told: object, whole: object) -> bool:
    """Whether what was signed is what we write, or lacks fields: one of an earlier version is as valid."""
    if isinstance(told, dict) and isinstance(whole, dict):
        names = [name for name in whole if name in told]
        return list(told) == names and all(_written_as(told[name], whole[name]) for name in names)
    if isinstance(told, list) and isinstance(whole, list):
        return len(told) == len(whole) and all(map(_written_as, told, whole))
    return told == whole


def _message(vault: VaultId, body: bytes) -> bytes:
    return SIGN + vec(SIGN_STATEMENT, vault) + body
