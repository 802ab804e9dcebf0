"""Vectors of statements and of the ledger: right once, then one fault at a time."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from policies.terms import Selector, Terms
from tests.vectors.vault_cases import (
    DEVICE,
    GRANT,
    NONCE,
    OTHER_K,
    OTHER_OWNER,
    OTHER_SEGMENT,
    OTHER_VAULT,
    OWNER,
    SEGMENT,
    VAULT,
    K,
    Vector,
    change,
    flip,
    vector,
)
from vault import labels, ledger
from vault.segment import SegmentHeader
from vault.statement import Enrolment, GrantStatement, Release, Replacement, sign
from vault.suite import aead_seal


def statements() -> Iterator[Vector]:
    """What an owner signs."""
    terms = Terms(
        selectors=(Selector(DEVICE.text, "energy"),),
        data_from=1_767_225_600,
        data_until=1_798_761_600,
        access_until=1_801_440_000,
        purpose="dpv:ServiceProvision",
    )
    grant = GrantStatement(GRANT.text, hashlib.sha256(b"key").digest(), terms, bytes(32), 1)
    enrolment = Enrolment(GRANT.text, OWNER.verify_key, "laptop")
    replacement = Replacement((bytes(SEGMENT),), (bytes(SEGMENT),), bytes(32))
    release = Release(DEVICE.text, 1_767_225_600_000, "sale", to="the buyer")
    for statement in (grant, enrolment, replacement, release):
        signed = sign(OWNER.signing, VAULT, statement)
        right = {
            "verify_key": OWNER.verify_key,
            "vault": VAULT,
            "body": signed.body,
            "signature": signed.signature,
        }
        name = type(statement).__name__
        yield vector(name, "statement", "ok", name, **right)
    body = msgspec.msgpack.encode(enrolment, order="deterministic")

    def by(message: bytes) -> dict[str, bytes]:
        return {"signature": OWNER.signing.sign(message)}

    prefix = b"hypertouch 1 sign "
    right = {"verify_key": OWNER.verify_key, "vault": VAULT, "body": body}
    right |= by(prefix + vec_of(b"statement", VAULT) + body)
    faults: dict[str, dict[str, Any]] = {
        "another vault": {"vault": OTHER_VAULT},
        "another owner": {"verify_key": OTHER_OWNER.verify_key},
        "altered": {"body": flip(body)},
        "signature altered": {"signature": flip(right["signature"])},
        "signature cut": {"signature": right["signature"][:-1]},
        "no signature": {"signature": b""},
        "a key of another size": {"verify_key": OWNER.verify_key[:-1]},
        "signed as a call": by(prefix + vec_of(b"call", VAULT) + body),
        "signed without a label": by(vec_of(b"statement", VAULT) + body),
        "signed alone": by(body),
    }
    for name, wrong in faults.items():
        yield vector(name, "statement", "signature", **right | wrong)
    built: dict[str, Any] = msgspec.to_builtins(enrolment, builtin_types=(bytes,))
    given: dict[str, Any] = msgspec.to_builtins(grant, builtin_types=(bytes,))
    for name, value in {
        "fields in another order": dict(reversed(built.items())),
        "an unknown field": built | {"also": 1},
        "another tag": built | {"type": "all"},
        "no tag": {k: v for k, v in built.items() if k != "type"},
        "a field is missing": {k: v for k, v in built.items() if k != "name"},
        "a field of another type": built | {"name": 1},
        "a list": list(built.values()),
        "an unknown reason": {
            "type": "release",
            "device": DEVICE.text,
            "released": 1,
            "reason": "gift",
            "to": "",
            "name": "",
        },
        "terms that give nothing": given | {"terms": given["terms"] | {"selectors": []}},
    }.items():
        bad = msgspec.msgpack.encode(value)
        signed_bad = {"body": bad} | by(prefix + vec_of(b"statement", VAULT) + bad)
        yield vector(name, "statement", "format", **right | signed_bad)
    earlier = given | {"terms": {k: v for k, v in given["terms"].items() if k != "limits"}}
    del earlier["predecessor"]
    old = msgspec.msgpack.encode(earlier)
    signed_old = {"body": old} | by(prefix + vec_of(b"statement", VAULT) + old)
    name = "of a version without some fields"
    yield vector(name, "statement", "ok", "GrantStatement", **right | signed_old)
    for name, bad in {
        "bytes after it": body + b"\xc0",
        "a length written long": body.replace(b"\xa6laptop", b"\xd9\x06laptop"),
        "not UTF-8": body.replace(b"laptop", b"lapto\xff"),
        "nothing": b"",
    }.items():
        signed_bad = {"body": bad} | by(prefix + vec_of(b"statement", VAULT) + bad)
        yield vector(name, "statement", "format", **right | signed_bad)


def vec_of(*fields: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(one)) + one for one in fields)


def entries() -> Iterator[Vector]:
    """The ledger: entries, and the chain over them."""
    header, key = SegmentHeader(VAULT, SEGMENT, 20_454), labels.expand_with_label(K, "ledger")
    wrote = ledger.seal_entry(K, header, 1, ledger.Entry(5, "asked", grant=GRANT.text), NONCE)
    right: dict[str, Any] = {"key": K, "header": header.encode(), "number": 1, "sealed": wrote.sealed}
    yield vector("one", "ledger entry", "ok", "asked", **right)
    faults: dict[str, dict[str, Any]] = {
        "another number": {"number": 2},
        "another segment's key": {"key": OTHER_K},
        "another segment": {"header": change(header, segment=OTHER_SEGMENT).encode()},
        "another vault": {"header": change(header, vault=OTHER_VAULT).encode()},
        "altered": {"sealed": flip(wrote.sealed)},
        "under the segment key itself": {"key": key},
    }
    for name, wrong in faults.items():
        yield vector(name, "ledger entry", "seal", **right | wrong)
    aad = header.encode() + struct.pack(">Q", 1)
    for name, content in {
        "unknown what": msgspec.msgpack.encode({"time": 5, "what": "sold"}),
        "not MessagePack": b"\xc1",
        "an unknown field": msgspec.msgpack.encode({"time": 5, "what": "asked", "also": 1}),
        "not UTF-8": b"\x82\xa4time\x05\xa4what\xa5aske\xff",
    }.items():
        yield vector(
            name, "ledger entry", "format", **right | {"sealed": aead_seal(key, NONCE, content, aad)}
        )

    chain = [ledger.SealedEntry(n, bytes(SEGMENT), bytes((n,)) * 40) for n in range(1, 5)]
    head = ledger.follow(VAULT, ledger.Head(), chain)
    listed = [[entry.number, entry.segment.hex(), entry.sealed.hex()] for entry in chain]
    ends: dict[str, Any] = {"vault": VAULT, "entries": listed, "head": [head.number, head.hash.hex()]}
    yield vector("four entries", "ledger", "ok", head.hash, **ends)
    genesis = ends | {"entries": [], "head": [0, bytes(32).hex()]}
    yield vector("nothing yet", "ledger", "ok", bytes(32), **genesis)
    first, second, third, fourth = listed
    for name, changed in {
        "a gap": [first, second, fourth],
        "it begins late": [second, third, fourth],
        "cut": [first, second, third],
        "swapped": [first, third, second, fourth],
        "said twice": [first, first, second, third],
        "changed": [first, [2, second[1], first[2]], third, fourth],
        "swapped and renumbered": [first, [2, *third[1:]], [3, *second[1:]], fourth],
        "in another segment": [first, [2, OTHER_SEGMENT.hex(), second[2]], third, fourth],
    }.items():
        yield vector(name, "ledger", "signature", **ends | {"entries": changed})
    yield vector("another vault", "ledger", "signature", **ends | {"vault": OTHER_VAULT})
    yield vector("a segment of another size", "ledger", "format", **ends | {"entries": [[1, "00", "00"]]})
