"""The owner's client at the door: signed calls, and the few that come before there is a key to sign with.

Reads are answered here, after the node has moved what it acknowledged; writes go on to the node as they came,
and it verifies them itself.  Every well-formed call has an answer with status 200, a ``Refused`` included.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Response, post

from gateway import wire
from gateway.door.context import Door
from gateway.door.errors import ProblemError
from gateway.door.forms import single
from gateway.door.http import Answer, HttpRequest, TheDoor, address, is_local, source
from gateway.door.reads import STRANGER, look
from gateway.rpcclient import NodeError
from vault.ids import ID_SIZE, VaultId

MSGPACK: Final = "application/msgpack"

_ENVELOPE: Final = msgspec.msgpack.Decoder(wire.Envelope)
_CALL: Final = msgspec.msgpack.Decoder(wire.OwnerCall)

UNAVAILABLE: Final = wire.Refused("unavailable", "the node does not answer", "try again in a moment", 5)


@post("/owner/call", status_code=200, request_max_body_size=wire.MAX_BODY)
async def owner_call(request: HttpRequest, door: TheDoor) -> Answer:
    """A signed call of an enrolled client."""
    envelope: wire.Envelope = await _read(request, _ENVELOPE)
    return _reply(await _answer(door, envelope, source(request)))


@post("/owner/salts", status_code=200)
async def owner_salts(request: HttpRequest, door: TheDoor) -> Answer:
    """How to stretch a passphrase."""
    return await _stranger(request, door, await _read(request, msgspec.msgpack.Decoder(wire.Salts)))


@post("/owner/login", status_code=200)
async def owner_login(request: HttpRequest, door: TheDoor) -> Answer:
    """The wrapped root, for who shows a login key; the node throttles by vault and source."""
    call: wire.Login = await _read(request, msgspec.msgpack.Decoder(wire.Login))
    return await _stranger(request, door, msgspec.structs.replace(call, source=address(request)))


@post("/owner/create", status_code=200)
async def owner_create(request: HttpRequest, door: TheDoor) -> Answer:
    """A new vault: with an invitation, or from this very machine."""
    call: wire.CreateVault = await _read(request, msgspec.msgpack.Decoder(wire.CreateVault))
    return await _stranger(request, door, msgspec.structs.replace(call, local=is_local(request)))


@post("/owner/enrol", status_code=200)
async def owner_enrol(request: HttpRequest, door: TheDoor) -> Answer:
    """One more client; the owner's signature stands for the envelope."""
    return await _stranger(request, door, await _read(request, msgspec.msgpack.Decoder(wire.Enrol)))


async def _stranger(
    request: HttpRequest, door: Door, call: wire.Salts | wire.Login | wire.CreateVault | wire.Enrol
) -> Answer:
    wait = door.strangers.take(source(request), door.clock())
    if wait:
        return _reply(_throttled(wait))
    return _reply(await _carry(door, call))


async def _answer(door: Door, envelope: wire.Envelope, source: str) -> wire.AnyReply:
    now = door.clock()
    if wait := door.failures.wait(("owner", source), now):
        return _throttled(wait)
    if any(len(field) != ID_SIZE for field in (envelope.vault, envelope.client, envelope.nonce)):
        return wire.Refused("invalid", "an id of the call has another size")
    vault = VaultId(envelope.vault)
    key = door.reader.client_key(vault, envelope.client)
    if key is None or not envelope.is_signed_by(key):
        door.failures.charge(("owner", source), now)
        return STRANGER
    if abs(now - envelope.created) > wire.NONCE_WINDOW_MS:
        return wire.Refused(
            "not_authorised", "the clocks of this computer and the server differ", "set this computer's clock"
        )
    if wait := door.owners.take(envelope.client, now):
        return _throttled(wait)
    if not door.nonces.fresh(envelope.client, envelope.nonce, now):
        return wire.Refused("conflict", "this very call was made before", "make it again")
    try:
        call = _CALL.decode(envelope.body)
    except wire.NOT_OURS:
        return wire.Refused(
            "invalid", "the server does not know this call", "its version may be older than yours"
        )
    if not isinstance(call, wire.OwnerRead):
        return await _carry(door, wire.Carried(envelope))
    moved = await _carry(door, wire.Flush(vault))
    return look(door.reader, door.config, vault, call) if isinstance(moved, wire.Done) else moved


async def _carry(door: Door, call: wire.NodeCall) -> wire.AnyReply:
    try:
        return await door.node.call(call)
    except NodeError:
        return UNAVAILABLE


async def _read(request: HttpRequest, decoder: msgspec.msgpack.Decoder[Any]) -> Any:
    content_type = single(request.scope["headers"], b"content-type") or ""
    if content_type.partition(";")[0].strip().lower() != MSGPACK:
        raise ProblemError("media-type", "The call is in another format.", f"Send {MSGPACK}.", 415)
    try:
        return decoder.decode(await request.body())
    except wire.NOT_OURS:
        raise ProblemError(
            "bad-request",
            "The call cannot be read.",
            "Use a client of this server's version, or a newer one.",
            400,
        ) from None


def _reply(reply: wire.AnyReply) -> Answer:
    return Response(wire.encode(reply), media_type=MSGPACK)


def _throttled(wait: int) -> wire.Refused:
    return wire.Refused("throttled", "too many calls", "wait, and call less often", wait)
