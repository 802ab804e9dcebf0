"""Vectors of boxes: sealed with one field of the info another, opened with all of them right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import msgspec

from tests.vectors.vault_cases import (
    BRAND,
    BRAND_SEED,
    GRANT,
    HEADER,
    K_LR,
    LANE,
    OTHER_GRANT,
    OTHER_K,
    OTHER_OWNER,
    OTHER_SEED,
    OTHER_SEGMENT,
    OTHER_VAULT,
    OWNER,
    OWNER_SEED,
    SEGMENT,
    VAULT,
    K,
    Vector,
    change,
    flip,
    vector,
)
from vault import labels
from vault.labels import vec
from vault.suite import Recipient

Box = Callable[[str, Recipient, bytes, bytes], bytes]


def owner_info(header: bytes, label: bytes = labels.OWNER_BOX, key_id: bytes = OWNER.key_id) -> bytes:
    return vec(label, header, key_id)


def grant_info(joined: bytes, **other: bytes) -> bytes:
    """FORMAT.md's info of a grant's box, with any of its fields another."""
    right = {
        "label": b"hypertouch 1 grant box",
        "version_suite": b"\1\1",
        "vault": bytes(VAULT),
        "grant": bytes(GRANT),
        "recipient": hashlib.sha256(BRAND.public).digest(),
        "key_id": OWNER.key_id,
        "segments": hashlib.sha256(joined).digest(),
    }
    return vec(*(right | other).values())


def boxes(box: Box) -> Iterator[Vector]:
    """Owner's and grant's boxes: sealed with one field of the info wrong, opened with all of them right."""
    public = OWNER.hpke.public
    yield vector("one", "public key", "ok", hashlib.sha256(public).digest(), public=public)
    yield vector("short", "public key", "format", public=public[:-1])
    yield vector("out of range", "public key", "format", public=b"\xff" * 1216)
    yield vector("low order", "public key", "format", public=public[:1184] + bytes(32))

    header = HEADER.encode()
    right = {"seed": OWNER_SEED, "owner_key_id": OWNER.key_id, "header": header}
    of, good = "owner's box", box("owner's box: one", OWNER.hpke, K, owner_info(header))
    yield vector("one", of, "ok", K, box=good, **right)
    infos = {
        "label": owner_info(header, labels.GRANT_BOX),
        "owner key": owner_info(header, key_id=OTHER_OWNER.key_id),
        "vault": owner_info(change(HEADER, vault=OTHER_VAULT).encode()),
        "segment": owner_info(change(HEADER, segment=OTHER_SEGMENT).encode()),
        "day": owner_info(change(HEADER, day=0).encode()),
        "no info": b"",
        "version": owner_info(header[:3] + b"\2" + header[4:]),
        "suite": owner_info(header[:4] + b"\2" + header[5:]),
    }
    for name, info in infos.items():
        yield vector(name, of, "seal", box=box(f"{of}: {name}", OWNER.hpke, K, info), **right)
    yield vector("recipient", of, "seal", box=good, **right | {"seed": OTHER_SEED})
    for name, bad in {
        "altered encapsulation": flip(good, 0),
        "altered X25519 part": flip(good, 1100),
        "altered": flip(good),
        "cut": good[:-1],
        "long": good + b"\0",
        "empty": b"",
    }.items():
        yield vector(name, of, "seal", box=bad, **right)
    short = box(f"{of}: short key", OWNER.hpke, K[:31], owner_info(header))
    yield vector("short key", of, "format", box=short, **right)

    of, number, lane = "grant's box", 3, LANE.encode()
    key = [bytes(SEGMENT), number, lane, "raw", K_LR]
    plain, segments = msgspec.msgpack.encode([key]), bytes(SEGMENT)
    right = {
        "seed": BRAND_SEED,
        "owner_key_id": OWNER.key_id,
        "vault": VAULT,
        "grant": GRANT,
        "segments": segments,
    }
    good = box(f"{of}: one", BRAND, plain, grant_info(segments))
    yield vector("one", of, "ok", K_LR, box=good, **right)
    two = [bytes(OTHER_SEGMENT), 0, lane, "raw", OTHER_K]
    both = bytes(SEGMENT) + bytes(OTHER_SEGMENT)
    many = box(f"{of}: two days", BRAND, msgspec.msgpack.encode([two, key]), grant_info(both))
    yield vector("two days", of, "ok", OTHER_K + K_LR, box=many, **right | {"segments": both})
    for name, other in {
        "label": {"label": labels.OWNER_BOX},
        "version": {"version_suite": b"\2\1"},
        "suite": {"version_suite": b"\1\2"},
        "vault": {"vault": bytes(OTHER_VAULT)},
        "grant": {"grant": bytes(OTHER_GRANT)},
        "recipient": {"recipient": hashlib.sha256(public).digest()},
        "owner key": {"key_id": OTHER_OWNER.key_id},
        "segment": {"segments": hashlib.sha256(both).digest()},
    }.items():
        made = box(f"{of}: {name}", BRAND, plain, grant_info(segments, **other))
        yield vector(name, of, "seal", box=made, **right)
    yield vector("another seed", of, "seal", box=good, **right | {"seed": OTHER_SEED})
    for name, held in {
        "a key of 16 bytes": [[*key[:4], K_LR[:16]]],
        "a segment of another size": [[b"s", *key[1:]]],
        "another segment than beside it": [[bytes(OTHER_SEGMENT), *key[1:]]],
        "nothing": [],
        "an unknown field": [[*key, 1]],
        "a missing field": [key[:4]],
        "no list": {"keys": 1},
    }.items():
        made = box(f"{of}: {name}", BRAND, msgspec.msgpack.encode(held), grant_info(segments))
        yield vector(name, of, "format", box=made, **right)
    broken = msgspec.msgpack.encode([[*key[:3], "raw", K_LR]]).replace(b"\xa3raw", b"\xa3ra\xff")
    made = box(f"{of}: not UTF-8", BRAND, broken, grant_info(segments))
    yield vector("not UTF-8", of, "format", box=made, **right)
