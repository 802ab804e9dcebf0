"""Vectors of texts, keys and headers: what is right once, and then one fault at a time.

What the other vectors are about (a vault, a lane, an owner, a grant) is made here too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from vault import device, labels, person, segment
from vault.grantkey import draw, pick_up
from vault.ids import DeviceId, GrantId, SegmentId, VaultId
from vault.labels import vec
from vault.observation import Observation, Place, Value
from vault.segment import Lane, SegmentHeader
from vault.suite import Recipient

Vector = dict[str, Any]


class Counter:
    """Entropy that is the same in every run."""

    def __init__(self, name: str) -> None:
        self._name, self._count = name, 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(f"{self._name} {self._count}".encode()).digest(size)


ENTROPY = Counter("vault.json")
VAULT, OTHER_VAULT = VaultId(ENTROPY(16)), VaultId(ENTROPY(16))
SEGMENT, OTHER_SEGMENT = sorted((SegmentId(ENTROPY(16)), SegmentId(ENTROPY(16))))
GRANT, OTHER_GRANT, DEVICE = GrantId(ENTROPY(16)), GrantId(ENTROPY(16)), DeviceId(ENTROPY(16))
K, OTHER_K, ROOT, RECOVERY, PASSWORD = (ENTROPY(32) for _ in range(5))
NONCE = ENTROPY(12)
OWNER, OTHER_OWNER = person.Owner(ROOT), person.Owner(ENTROPY(32))
OWNER_SEED = labels.expand_with_label(ROOT, labels.OWNER_HPKE)
BRAND_SEED, OTHER_SEED = ENTROPY(32), ENTROPY(32)
BRAND = Recipient(BRAND_SEED)
HEADER = SegmentHeader(VAULT, SEGMENT, 20_454)
LANE = Lane(DEVICE, "grid", "energy", 2)
K_LR = segment.resolution_key(segment.lane_key(K, LANE), "raw")
change = msgspec.structs.replace


def vector(name: str, of: str, expect: str, gives: bytes | str = b"", **fields: Any) -> Vector:
    """Bytes become hex; ``gives`` is what comes out of a vector that is ok."""
    plain = {key: value.hex() if isinstance(value, bytes) else value for key, value in fields.items()}
    out = {"gives": gives.hex() if isinstance(gives, bytes) else gives} if expect == "ok" else {}
    return {"name": f"{of}: {name}", "of": of, "expect": expect, **plain, **out}


def flip(data: bytes, at: int = -1) -> bytes:
    """The same with one bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def keys() -> Iterator[Vector]:
    """Texts, headers, derivations, the person's and the device's keys."""
    text, end = VAULT.text, VAULT.text[-1]
    stray = "abcdefghijklmnopqrstuvwxyz234567"["abcdefghijklmnopqrstuvwxyz234567".index(end) + 1]
    yield vector("one", "identifier", "ok", VAULT, text=text)
    for name, wrong in {
        "upper case": text.upper(),
        "stray bits": text[:-1] + stray,
        "a letter short": text[:-1],
        "a letter long": text + "a",
        "a letter of no alphabet": "1" + text[1:],
        "padding": text[:-1] + "=",
    }.items():
        yield vector(name, "identifier", "format", text=wrong)
    made = draw(VAULT, GRANT, Counter("draw"))
    token = pick_up(made.auth_req_id, made.slot, made.wrapped_seed, VAULT)
    stray = token[:-1] + {"a": "b", "q": "r"}[token[-1]]
    yield vector("a token", "secret", "ok", token, prefix="htg_", text=token)
    for name, wrong in {
        "checksum": token[:-3] + ("a" if token[-3] != "a" else "b") + token[-2:],
        "another prefix": "htr_" + token[4:],
        "no prefix": token[4:],
        "upper case": token[:4] + token[4:].upper(),
        "stray bits": stray,
        "a letter short": token[:-1],
        "a letter long": token + "a",
        "a letter of no alphabet": token[:9] + "0" + token[10:],
    }.items():
        yield vector(name, "secret", "format", prefix="htg_", text=wrong)
    slot = {"pepper": made.slot.pepper, "pickup_salt": made.slot.pickup_salt, "wrapped": made.wrapped_seed}
    public = hashlib.sha256(made.public).digest()
    yield vector("a token", "unwrap", "ok", public, token=token, vault=VAULT, **slot)
    used = slot | {"pickup_salt": bytes(32)}
    yield vector("after its first use", "unwrap", "ok", public, token=token, vault=VAULT, **used)
    yield vector("another vault", "unwrap", "seal", token=token, vault=OTHER_VAULT, **slot)
    for name, wrongly in {
        "ended": {"pepper": bytes(32)},
        "another pepper": {"pepper": flip(made.slot.pepper)},
        "altered": {"wrapped": flip(made.wrapped_seed)},
        "cut": {"wrapped": made.wrapped_seed[:27]},
    }.items():
        yield vector(name, "unwrap", "seal", token=token, vault=VAULT, **slot | wrongly)
    request = made.auth_req_id
    yield vector("a request", "pick up", "ok", token, auth_req_id=request, vault=VAULT, **slot)
    yield vector("used before", "pick up", "seal", auth_req_id=request, vault=VAULT, **used)
    yield vector("a token", "pick up", "format", auth_req_id=token, vault=VAULT, **slot)
    wrongly = slot | {"pickup_salt": flip(made.slot.pickup_salt)}
    yield vector("another salt", "pick up", "seal", auth_req_id=request, vault=VAULT, **wrongly)

    header = HEADER.encode()
    yield vector("one", "segment header", "ok", header, header=header)
    early = change(HEADER, day=-1).encode()
    yield vector("before 1970", "segment header", "ok", early, header=early)
    for name, data in {
        "magic": b"HTX" + header[3:],
        "version": header[:3] + b"\2" + header[4:],
        "cut": header[:-1],
        "suite": header[:4] + b"\2" + header[5:],
        "long": header + b"\0",
        "empty": b"",
    }.items():
        yield vector(name, "segment header", "format", header=data)
    lane, bare = LANE.encode(), DEVICE + vec(b"", b"energy") + bytes(4)
    yield vector("one", "lane", "ok", lane, data=lane)
    yield vector("the device itself", "lane", "ok", bare, data=bare)
    for name, data in {
        "cut": lane[:-1],
        "long": lane + b"\0",
        "no device": lane[:15],
        "channel too long": DEVICE + vec(b"c" * 256, b"energy") + bytes(4),
        "channel beyond its end": DEVICE + b"\xff\xff" + bare[18:],
        "channel not UTF-8": DEVICE + vec(b"\xff", b"energy") + bytes(4),
        "kind not UTF-8": DEVICE + vec(b"", b"\xed\xa0\x80") + bytes(4),
    }.items():
        yield vector(name, "lane", "format", data=data)
    lane_key = segment.lane_key(K, LANE)
    yield vector("one", "lane key", "ok", lane_key, key=K, lane=lane)
    yield vector("one", "resolution key", "ok", K_LR, key=lane_key, resolution="raw")
    for label in (labels.DIRECTORY, labels.LEDGER, labels.NAMES, labels.CLIENT_STATE):
        out = labels.expand_with_label(K, label)
        yield vector(label, "expand with label", "ok", out, key=K, label=label, context=b"")

    owned = OWNER.key_id + OWNER.verify_key + hashlib.sha256(OWNER.hpke.public).digest()
    yield vector("one", "owner", "ok", owned, root=ROOT)
    yield vector("short root", "owner", "format", root=ROOT[:31])
    pair = person.from_recovery(RECOVERY)
    yield vector("one", "recovery", "ok", pair.login_key + pair.wrapping_key, recovery=RECOVERY)
    yield vector("short", "recovery", "format", recovery=RECOVERY[:16])
    wrapped = person.wrap_root(pair, VAULT, ROOT, NONCE)
    yield vector("one", "root", "ok", ROOT, recovery=RECOVERY, vault=VAULT, wrapped=wrapped)
    yield vector("another phrase", "root", "seal", recovery=flip(RECOVERY), vault=VAULT, wrapped=wrapped)
    yield vector("another vault", "root", "seal", recovery=RECOVERY, vault=OTHER_VAULT, wrapped=wrapped)
    yield vector("altered", "root", "seal", recovery=RECOVERY, vault=VAULT, wrapped=flip(wrapped))
    login = person.Unlocking(pair.wrapping_key, pair.login_key)
    by_login = person.wrap_root(login, VAULT, ROOT, NONCE)
    yield vector("under the login key", "root", "seal", recovery=RECOVERY, vault=VAULT, wrapped=by_login)
    salt, floor = bytes(range(16)), msgspec.to_builtins(person.FLOOR)
    stretched = person.stretch(b"lantern orbit", salt)
    given: dict[str, Any] = {"passphrase": b"lantern orbit", "salt": salt, "params": floor}
    yield vector("the floor", "stretch", "ok", stretched.login_key + stretched.wrapping_key, **given)
    yield vector("a long salt", "stretch", "key-policy", **given | {"salt": bytes(17)})
    for name, least in floor.items():
        most = getattr(person.CEILING, name)
        for side, number in (("below the floor", least - 1), ("above the ceiling", most + 1)):
            params = floor | {name: number}
            yield vector(f"{name} {side}", "stretch", "key-policy", **given | {"params": params})
    out = person.login_verifier(VAULT, pair.login_key)
    yield vector("one", "login verifier", "ok", out, vault=VAULT, key=pair.login_key)
    for of, derive in (("device verifier", device.verifier), ("dedupe key", device.dedupe_key)):
        yield vector("one", of, "ok", derive(DEVICE, PASSWORD), device=DEVICE, password=PASSWORD)
    digest = device.message_digest(K, b"home/meter", b"{}")
    yield vector("one", "message digest", "ok", digest, key=K, topic=b"home/meter", payload=b"{}")
    yield vector("one", "client key", "ok", device.client_key(K, "meter"), key=K, client_id="meter")
    verifier = hashlib.sha256(vec(b"hypertouch 1 secret", b"hts_x")).digest()
    yield vector("one", "secret verifier", "ok", verifier, secret="hts_x")
    yield from notes()


def notes() -> Iterator[Vector]:
    """What is noted of a device: its key, what that opens, and the digests of readings."""
    key = person.Owner(ROOT).notes_key(DEVICE)
    yield vector("one", "notes key", "ok", key, root=ROOT, device=DEVICE)
    wrapped = device.wrap_notes(DEVICE, PASSWORD, key, NONCE)
    given = {"device": DEVICE, "password": PASSWORD, "wrapped": wrapped}
    yield vector("one", "wrapped notes", "ok", key, **given)
    yield vector("another password", "wrapped notes", "seal", **given | {"password": flip(PASSWORD)})
    yield vector("another device", "wrapped notes", "seal", **given | {"device": DeviceId(flip(DEVICE, 0))})
    yield vector("altered", "wrapped notes", "seal", **given | {"wrapped": flip(wrapped)})
    yield vector("cut short", "wrapped notes", "seal", **given | {"wrapped": wrapped[:27]})
    mine = device.Notes(DEVICE, key)
    sealed = {"settings": mine.seal_settings(b"set", NONCE), "learned": mine.seal_lessons(b"told", NONCE)}
    for of, other in (("settings", "learned"), ("learned", "settings")):
        plain = b"set" if of == "settings" else b"told"
        opens = {"device": DEVICE, "key": key, "sealed": sealed[of]}
        yield vector("one", of, "ok", plain, **opens)
        yield vector("of the other sort", of, "seal", **opens | {"sealed": sealed[other]})
        yield vector("another device", of, "seal", **opens | {"device": DeviceId(flip(DEVICE, 0))})
        yield vector("another key", of, "seal", **opens | {"key": flip(key)})
        yield vector("a short key", of, "format", **opens | {"key": key[:16]})
    values: dict[str, Value] = {
        "a number": 21.5,
        "a boolean": True,
        "a text": "on",
        "a place": Place(44.5, 26.0),
        "a place with its accuracy": Place(44.5, 26.0, 12.0),
        "a blob": b"\xff\xd8",
    }
    for name, value in values.items():
        digest = mine.reading_digest(Observation("home/meter", "energy", 1_700_000_000_000, value))
        plain_value = msgspec.to_builtins(value) if not isinstance(value, bytes) else {"hex": value.hex()}
        yield vector(
            name, "reading digest", "ok", digest, device=DEVICE, key=key, channel="home/meter", kind="energy",
            at=1_700_000_000_000, value=plain_value,
        )  # fmt: skip
