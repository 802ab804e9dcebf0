"""The owner's client at the door: signed, once, in time; writes go to the node as they came."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway import wire
from gateway.client import person
from gateway.client.errors import NotAuthorisedError, ThrottledError, WrongSecretError
from gateway.client.http import Http
from gateway.rpcclient import NodeError
from tests.door_world import PASSPHRASE, Someone, World, temperature, world
from vault.ids import ClientId, VaultId
from vault.person import normalise
from vault.store.sealedreader import CHUNK_BYTES

HEADERS = {"content-type": "application/msgpack"}
LOOK = wire.GetDevices()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A door."""
    with world(tmp_path / "data") as it:
        yield it


@pytest.fixture
def someone(made: World) -> Someone:
    """A person with a vault at the door."""
    return Someone(made)


def envelope(someone: Someone, call: wire.OwnerCall = LOOK, **changed: Any) -> wire.Envelope:
    """A signed call; what is changed is changed before it is signed."""
    plain = wire.Envelope(
        vault=someone.vault,
        client=someone.identity.client,
        created=someone.world.clock(),
        nonce=os.urandom(16),
        seen=someone.pins.head,
        body=wire.encode(call),
    )
    return msgspec.structs.replace(plain, **changed).signed(someone.identity.key)


def send(made: World, sent: wire.Envelope) -> wire.AnyReply:
    """What the door replies."""
    answer = made.http().post("/owner/call", content=wire.encode(sent), headers=HEADERS)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/msgpack"
    assert answer.headers["cache-control"] == "no-store"
    reply: wire.AnyReply = msgspec.msgpack.decode(answer.content, type=wire.AnyReply)
    return reply


def refusal(reply: wire.AnyReply) -> str:
    """The code of a no."""
    assert isinstance(reply, wire.Refused)
    return reply.code


READS: list[tuple[wire.OwnerRead, type[wire.Reply]]] = [
    (wire.GetOverview(), wire.Overview),
    (wire.GetDevices(), wire.Devices),
    (wire.GetLearned(bytes(16)), wire.Learned),
    (wire.GetGrants(), wire.Grants),
    (wire.GetTouchpoints(), wire.Touchpoints),
    (wire.GetBrands(), wire.Brands),
    (wire.GetClients(), wire.Clients),
    (wire.GetSegments(0, 2**40), wire.Segments),
    (wire.GetChunks([bytes(16)], 2**64 - 1, 2**64 - 1), wire.Chunks),
    (wire.GetLedger(2**64 - 1, -5), wire.Ledger),
    (wire.GetRules(), wire.StandingRulesReply),
    (wire.GetBlackouts(), wire.Blackouts),
]


@pytest.mark.parametrize(("call", "reply"), READS, ids=lambda x: type(x).__name__)
def test_reads_are_answered_by_the_door(
    someone: Someone, call: wire.OwnerRead, reply: type[wire.Reply]
) -> None:
    assert isinstance(send(someone.world, envelope(someone, call)), reply)
    assert not any(isinstance(one, wire.Carried) for one in someone.world.calls)


def test_every_read_there_is_has_a_case() -> None:
    from typing import get_args

    assert {type(call) for call, _ in READS} == set(get_args(wire.OwnerRead))


def test_what_was_acknowledged_can_be_read_at_once(someone: Someone) -> None:
    """The node moves what its journal still holds before the door looks."""
    source = someone.device()
    someone.publish(source, temperature(someone.world, -1, 20))
    overview = send(someone.world, envelope(someone, wire.GetOverview()))
    assert isinstance(overview, wire.Overview)
    assert (overview.devices, overview.readings) == (1, 1)
    day = someone.world.clock() // 86_400_000
    segments = send(someone.world, envelope(someone, wire.GetSegments(day, day)))
    assert isinstance(segments, wire.Segments)
    headers = [segment.header[5 + 16 : 5 + 32] for segment in segments.segments]
    chunks = send(someone.world, envelope(someone, wire.GetChunks(headers)))
    assert isinstance(chunks, wire.Chunks)
    assert (sum(chunk.count for chunk in chunks.chunks), chunks.after) == (1, None)
    assert CHUNK_BYTES < wire.MAX_BODY


def test_a_write_reaches_the_node_as_it_came(someone: Someone) -> None:
    sent = envelope(someone, wire.EndClient(bytes(16)))
    assert refusal(send(someone.world, sent)) == "not_found"
    assert [call.envelope for call in someone.world.calls if isinstance(call, wire.Carried)] == [sent]


def test_blackouts_are_made_ended_and_shown(someone: Someone) -> None:
    now = someone.world.clock() // 1000
    someone.tell(wire.AddBlackout(b"b" * 16, now, now + 3600, ["temperature"]))
    someone.world.clock.now += 1000
    someone.tell(wire.EndBlackout(b"b" * 16))
    shown = send(someone.world, envelope(someone, wire.GetBlackouts()))
    assert isinstance(shown, wire.Blackouts)
    (row,) = shown.blackouts
    assert (row.id, row.since, row.until, row.kinds) == (b"b" * 16, now, now + 3600, ("temperature",))
    assert (row.made, row.ended) == (someone.world.clock() - 1000, someone.world.clock())


WRONG: dict[str, dict[str, Any]] = {
    "another vault": {"vault": VaultId(bytes(16))},
    "another client": {"client": ClientId(bytes(16))},
}


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("call", [wire.GetGrants(), wire.EndClient(bytes(16))], ids=["read", "write"])
def test_a_stranger_learns_only_that(someone: Someone, changed: dict[str, Any], call: wire.OwnerCall) -> None:
    unknown = send(someone.world, envelope(someone, call, **changed))
    assert refusal(unknown) == "not_authorised"
    forged = msgspec.structs.replace(envelope(someone, call), signature=bytes(64))
    assert send(someone.world, forged) == unknown
    for field in ("vault", "client", "created", "nonce", "body"):
        altered = {"created": someone.world.clock() - 1, "body": wire.encode(wire.GetBrands())}
        other = msgspec.structs.replace(
            envelope(someone, call), **{field: altered.get(field, os.urandom(16))}
        )
        assert refusal(send(someone.world, other)) == "not_authorised"
    assert not any(isinstance(one, wire.Carried) for one in someone.world.calls)


def test_a_client_that_was_ended_is_a_stranger(someone: Someone) -> None:
    ending = envelope(someone, wire.EndClient(someone.identity.client))
    assert isinstance(send(someone.world, ending), wire.Done)
    with pytest.raises(NotAuthorisedError), someone.session() as session:
        session.ask(wire.GetGrants(), wire.Grants)


@pytest.mark.parametrize(
    ("off", "heard"), [(0, True), (60_000, True), (-60_000, True), (60_001, False), (-60_001, False)]
)
def test_a_call_is_of_its_minute(someone: Someone, off: int, heard: bool) -> None:
    reply = send(someone.world, envelope(someone, created=someone.world.clock() + off))
    assert isinstance(reply, wire.Devices) == heard


def test_a_call_counts_once(someone: Someone) -> None:
    sent = envelope(someone)
    assert isinstance(send(someone.world, sent), wire.Devices)
    assert refusal(send(someone.world, sent)) == "conflict"


def test_a_call_this_server_does_not_know_is_told_so(someone: Someone) -> None:
    assert refusal(send(someone.world, envelope(someone, body=b"\x81\xa4type\xa3New"))) == "invalid"
    assert refusal(send(someone.world, envelope(someone, body=b"\x81\xa4type\xa1\xff"))) == "invalid"
    assert refusal(send(someone.world, envelope(someone, nonce=b"short"))) == "invalid"


@pytest.mark.parametrize("path", ["call", "salts", "login", "create", "enrol"])
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xc1", HEADERS, 400),
        (b"\x81\xa4type\xa1\xff", HEADERS, 400),
        (b"", HEADERS, 400),
        (b"{}", {"content-type": "application/json"}, 415),
    ],
)
def test_what_is_no_call_is_a_problem(
    made: World, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = made.http().post(f"/owner/{path}", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_call_has_a_largest_size(made: World) -> None:
    for path, size in (("salts", 65_537), ("call", wire.MAX_BODY + 1)):
        answer = made.http().post(f"/owner/{path}", content=bytes(size), headers=HEADERS)
        assert answer.status_code == 413


def test_a_node_that_is_away_is_a_reply_too(someone: Someone) -> None:
    def away(_: wire.NodeCall) -> None:
        raise NodeError("away")

    someone.world.before = away
    for call in (wire.GetDevices(), wire.EndClient(bytes(16))):
        assert refusal(send(someone.world, envelope(someone, call))) == "unavailable"
    assert someone.world.http().post("/bc-authorize").status_code == 401  # who asks is known without the node


# --- before there is a client ---------------------------------------------------------------------------


def test_a_passphrase_is_tried_through_the_door(someone: Someone) -> None:
    http = Http(someone.world.url)
    assert person.open_by_passphrase(http, someone.vault, normalise(PASSPHRASE)).root == someone.opened.root
    with pytest.raises(WrongSecretError):
        person.open_by_passphrase(http, someone.vault, b"another")
    logins = [call for call in someone.world.calls if isinstance(call, wire.Login)]
    assert {call.source for call in logins} == {"127.0.0.1"}


def test_what_the_door_fills_in_nobody_else_can(made: World) -> None:
    """The source of a login and whether a call is local are the socket's to say."""
    call = wire.Login(vault=bytes(16), login_key=bytes(32), by="passphrase", source="10.0.0.1")
    spoofed = {**HEADERS, "x-forwarded-for": "10.0.0.2"}
    made.http().post("/owner/login", content=wire.encode(call), headers=spoofed)
    (login,) = [call for call in made.calls if isinstance(call, wire.Login)]
    assert login.source == "127.0.0.1"


CREATE: dict[str, tuple[dict[str, str], bool]] = {
    "a program on this machine": ({}, True),
    "by its name": ({"host": "localhost:1"}, True),
    "behind a proxy": ({"x-forwarded-for": "203.0.113.9"}, False),
    "behind another": ({"forwarded": "for=203.0.113.9"}, False),
    "a web page": ({"origin": "https://evil.example"}, False),
    "a name that was bound anew": ({"host": "evil.example"}, False),
}


@pytest.mark.parametrize(("headers", "local"), CREATE.values(), ids=CREATE.keys())
def test_only_this_machine_makes_a_vault_without_an_invitation(
    someone: Someone, headers: dict[str, str], local: bool
) -> None:
    (create,) = [call for call in someone.world.calls if isinstance(call, wire.CreateVault)]
    again = msgspec.structs.replace(create, vault=os.urandom(16), local=True)
    answer = someone.world.http().post(
        "/owner/create", content=wire.encode(again), headers={**HEADERS, **headers}
    )
    reply = msgspec.msgpack.decode(answer.content, type=wire.AnyReply)
    # Locally it fails only because the enrolment is of another vault.
    said = "the enrolment" if local else "this node takes new people by invitation"
    assert isinstance(reply, wire.Refused)
    assert reply.what.startswith(said)


def test_strangers_have_a_rate(tmp_path: Path) -> None:
    with world(tmp_path / "data", rates={"stranger": {"burst": 2, "per_second": 1}}) as made:
        http = Http(made.url)
        replies = [http.exchange("/owner/salts", wire.Salts(bytes(16))) for _ in range(3)]
        assert [isinstance(reply, wire.KdfReply) for reply in replies] == [True, True, False]
        with pytest.raises(ThrottledError):
            person.open_by_passphrase(http, VaultId(bytes(16)), b"x")


def test_the_answers_of_a_page_are_not_for_browsers(made: World) -> None:
    """No CORS, no other methods: a page elsewhere can neither ask nor read."""
    origin = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer: httpx.Response = made.http().options("/owner/create", headers=origin)
    assert not [name for name in answer.headers if name.startswith("access-control")]
