"""What every command answers with ``--json``: a schema each, and one story in which all of them run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from tests.commandline import leaves
from tests.running import Acme, Running, publish

ASK = {
    "type": "personal_data",
    "datatypes": ["temperature", "energy"],
    "purpose": "dpv:ServiceProvision",
    "retention": "P90D",
}
NOT_IN_THE_STORY = {
    "demo",
    "up",
    "login",
    "recovery use",
    "client end",
    "backup restore",
    "passphrase change",
    "bridge test",
    "device authority",  # of a server with TLS: test_cli_profiles
}


def answer(**fields: Any) -> Any:
    """A JSON object with exactly these members."""
    return msgspec.defstruct("Answer", list(fields.items()), forbid_unknown_fields=True)


def many(item: Any) -> Any:
    """A JSON array of these."""
    return list.__class_getitem__(item)


def more(base: Any, **fields: Any) -> Any:
    """The same with further members."""
    return answer(**{field.name: field.type for field in msgspec.structs.fields(base)}, **fields)


Maybe: Any = str | None
DEVICE = answer(
    device=str,
    name=str,
    host=str,
    port=int,
    tls=bool,
    username=str,
    password=str,
    ca_fingerprint=str,
    profile=str,
    link=str,
    steps=many(answer(say=str, text=str)),
    notes=list[str],
)
DEVICE_ROW = answer(
    device=str,
    name=str,
    created=str,
    last_seen=Maybe,
    readings=int,
    quarantined=int,
    paused=bool,
    channels=list[str],
)
SAMPLE = answer(time=str, topic=str, payload=str)
SELECTOR = answer(device=str, kind=str, channels=list[str] | None)
TERMS = answer(
    kinds=list[str], details=dict[str, str], devices=many(SELECTOR), data_from=str, data_until=str,
    access_until=str, mode=str, uses=int | None, budget=int | None, limits=many(dict[str, Any]),
)  # fmt: skip
FLOW = answer(
    readings_a_day=float, bytes_a_day=float, kinds=list[str],
    series=many(
        answer(
            device=str, channel=str, kind=str, resolution=str, readings=int, low=float | None,
            mean=float | None, high=float | None, hours=many(Any),
        )
    ),
    sample=many(
        answer(time=str, device=str, channel=str, kind=str, resolution=str, value=Any, unit=str)
    ),
)  # fmt: skip
RARE = answer(device=str, channel=str, kind=str, resolution=str, readings=float)
REQUEST = answer(
    request=str, short=str, brand=str, brand_id=str, site=str, kinds=list[str], purpose=str, purpose_text=str,
    message=str, asked=str, expires=str, status=str, details=list[dict[str, Any]],
)  # fmt: skip
GRANT = answer(
    grant=str, short=str, brand=str, brand_id=str, kinds=list[str], details=dict[str, str], status=str,
    access_until=str, readings=int, answers=int, picked_up=Maybe,
)  # fmt: skip
RULES = answer(version=int, rules=many(answer(number=int, rule=str)), notes=list[str])
ITEM = answer(kinds=list[str], detail=dict[str, str], reason=str)
BLACKOUT = answer(blackout=str, **{"from": str}, until=str, kinds=list[str], status=str)
READING = answer(time=str, device=str, channel=str, kind=str, value=Any, unit=str)
SERIES = answer(
    device=str, channel=str, kind=str, unit=str, count=int, min=float, mean=float, max=float, last=float,
    last_time=str, readings=many(answer(time=str, value=float)),
)  # fmt: skip
ENTRY = answer(
    number=int, time=str, what=str, brand=Maybe, brand_id=Maybe, grant=Maybe, kinds=list[str], since=Maybe,
    until=Maybe, readings=int, times=int, note=str,
)  # fmt: skip
RELEASE = answer(device=str, vault=str, released=str, reason=str, to=str, name=str, fingerprint=str)
TIED = answer(grant=str, brand=str)
CHECK = answer(check=str, state=Literal["ok", "note", "warn", "fail"], what=str, next=str)
BRAND = answer(brand=str, name=str, client_id=str, client_secret=str)
BRIDGE = answer(
    bridge=str, broker=str, devices=list[str], workers=int, connected=bool, problem=str, last=Maybe,
    stored=int, waiting=int, retained=int, refused=int, dropped=int, forgotten=int,
)  # fmt: skip
BRIDGE_SESSION = answer(
    device=str, worker=int, client_id=str, connected=bool, problem=str, version=str, kept_seconds=int | None,
    last=Maybe, stored=int, waiting=int, retained=int, refused=int, dropped=int, forgotten=int,
)  # fmt: skip

SCHEMAS: dict[str, Any] = {
    "init": answer(vault=str, name=str, server=str, recovery_file=str),
    "unlock": answer(unlocked=bool, vault=str, idle_seconds=int),
    "status": answer(
        vault=str, name=str, server=str, reachable=bool, unlocked=bool, locks_in_seconds=int | None,
        devices=int, pending=int, active=int, paused=int, readings=int, readings_today=int, frozen=str,
        unproven=list[str], bridges=many(BRIDGE),
    ),
    "doctor": answer(ok=bool, checks=many(CHECK)),
    "device add": DEVICE,
    "device rotate": DEVICE,
    "device list": many(DEVICE_ROW),
    "device show": more(
        DEVICE_ROW, kinds=list[str], quarantine=answer(count=int, samples=many(SAMPLE)), dropped=int,
        duplicates=int, gaps=int, foreign=int, blobs=int, declared=int, timezone=str, dialect=str,
        own=list[str], taught=int,
    ),
    "device set": answer(
        device=str, name=str, timezone=str, dialect=str, own=list[str], secret=bool, taught=int
    ),
    "device remove": answer(device=str, name=str),
    "device teach": answer(
        device=str, name=str, taught=list[dict[str, Any]], payloads=int, readings=int, dropped=int, kept=int
    ),
    "device pause": answer(device=str, name=str, paused=bool),
    "device resume": answer(device=str, name=str, paused=bool),
    "device release": more(RELEASE, file=str, ended=many(TIED), going_on=many(TIED)),
    "device check-release": more(RELEASE, ok=bool),
    "brand add": BRAND,
    "brand list": many(answer(brand=str, name=str, site=str, created=str, status=str)),
    "brand remove": answer(brand=str, name=str, status=str),
    "bridge add": more(BRIDGE, made=list[str], file=str),
    "bridge list": many(BRIDGE),
    "bridge show": more(
        BRIDGE, username=str, own_authority=bool, client_id=str, map=many(answer(filter=str, device=str)),
        subscribed=dict[str, list[str]], sessions=many(BRIDGE_SESSION), file=str,
    ),
    "bridge remove": answer(bridge=str, devices=list[str], forgotten=bool),
    "touchpoint new": answer(touchpoint=str, brand=str, brand_id=str),
    "touchpoint list": many(answer(touchpoint=str, brand=str, brand_id=str, created=str, status=str)),
    "touchpoint revoke": answer(touchpoint=str, status=str),
    "request list": many(REQUEST),
    "inbox": many(REQUEST),
    "request show": more(REQUEST, terms=TERMS | None, yesterday=dict[str, Any] | None, notes=list[str]),
    "request preview": answer(
        request=str, terms=TERMS, since=str, until=str, asked=FLOW, settled=FLOW, rare=many(RARE)
    ),
    "request approve": more(TERMS, request=str, grant=str),
    "request deny": answer(request=str, status=str),
    "grant list": many(GRANT),
    "grant show": more(
        GRANT, selectors=many(more(SELECTOR, resolution=str)), data_from=str, data_until=str, purpose=str,
        purpose_text=str, retention=Maybe, recipients=list[str], benefit=str, mode=str, uses=int | None,
        uses_left=int | None, budget=int | None, limits=many(dict[str, Any]), pauses=many(list[str]),
        paused_since=Maybe, by_rules=int | None,
    ),
    "grant narrow": more(TERMS, grant=str, brand=str),
    "grant extend": more(TERMS, grant=str, brand=str),
    "grant pause": answer(grant=str, brand=str, status=str),
    "grant resume": answer(grant=str, brand=str, status=str),
    "grant revoke": answer(
        grant=str, brand=str, status=str, readings=int, answers=int, retention=Maybe
    ),
    "rule list": RULES,
    "rule add": RULES,
    "rule remove": RULES,
    "rule test": many(
        answer(
            request=str, brand=str, answer=str, grant=many(ITEM), ask=many(ITEM), refuse=many(ITEM),
            notes=list[str], waiting=bool,
        )
    ),
    "blackout add": more(
        BLACKOUT, read_before=many(answer(brand=str, grant=str, readings=int, last=str)), waiting=int
    ),
    "blackout list": many(BLACKOUT),
    "blackout end": BLACKOUT,
    "data show": answer(kind=str, unit=str, series=many(SERIES)),
    "data files": many(answer(time=str, device=str, topic=str, type=str, bytes=int, file=Maybe)),
    "data export": READING,
    "data tail": READING,
    "ledger log": many(ENTRY),
    "ledger verify": answer(ok=bool, entries=int, head=str),
    "tidy": answer(segments=int, before=int, after=int, days=int, buckets=int, waiting=int),
    "client list": many(answer(client=str, name=str, enrolled=str, status=str)),
    "backup create": answer(vault=str, file=str, bytes=int),
    "invite new": answer(invite=str, expires=str),
    "recovery test": answer(ok=bool, vault=str),
    "lock": answer(locked=bool, was_unlocked=bool),
}  # fmt: skip


class Story:
    """Runs commands and holds their answers to their schemas."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self.told: set[str] = set()

    def __call__(self, command: str, *arguments: str) -> Any:
        done = self._server.run(*command.split(), *arguments, "--json")
        assert done.returncode == 0, (command, done.stderr)
        lines = command in ("data export", "data tail")  # JSON lines
        values = (
            [json.loads(line) for line in done.stdout.splitlines()] if lines else [json.loads(done.stdout)]
        )
        for value in values:
            msgspec.convert(value, SCHEMAS[command])
        self.told.add(command)
        return values[0] if values else None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A running server, ended after the test."""
    with Running(tmp_path, "--poll-interval", "1") as running:
        yield running


def test_every_command_has_a_schema() -> None:
    assert {words for words, _ in leaves()} - NOT_IN_THE_STORY == SCHEMAS.keys()


def test_every_answer_is_as_its_schema_says(server: Running) -> None:
    tell = Story(server)
    passphrase, recovery = str(server.passphrase_file), str(server.directory / "recovery")
    tell(
        "init", "--server", server.http, "--passphrase-file", passphrase, "--recovery-file", recovery, "--yes"
    )
    tell("unlock", "--passphrase-file", passphrase)
    tell("device add", "meter")
    tell("device add", "old")
    meter = tell("device rotate", "meter", "--yes")
    publish(
        meter, [("a", b'{"temperature":21.5,"energy":3.25}'), ("b", b"\xff"), ("c", b"GIF89a" + bytes(30))]
    )
    tell("device set", "meter", "--timezone", "Europe/Berlin")
    brand = tell("brand add", "Acme", "--site", "https://acme.example")
    touchpoint = tell("touchpoint new", "Acme")["touchpoint"]
    acme = Acme(server.http, brand["client_id"], brand["client_secret"])
    acme.ask(touchpoint, ASK)
    request = tell("request list")[0]["request"]
    tell("inbox")
    tell("request show", request)
    tell("request preview", request)
    grant = tell("request approve", request, "--yes")["grant"]
    for command in ("grant list", "device list", "brand list", "touchpoint list", "client list", "tidy"):
        tell(command)
    tell("grant show", grant)
    tell("grant pause", grant)
    tell("grant resume", grant)
    tell("grant narrow", grant, "--for", "10d", "--yes")
    tell("grant extend", grant, "--for", "20d", "--yes")
    tell("rule add", "never marketing")
    tell("rule list")
    tell("rule test")
    tell("rule remove", "1")
    blackout = tell("blackout add", "--now", "--for", "3h", "--kinds", "location")["blackout"]
    tell("blackout list")
    tell("blackout end", blackout)
    tell("device show", "meter")
    publish(meter, [("c", b'{"pwr_kw":1.5}')])
    assert (
        tell("device teach", "meter", "--topic", "c", "--field", "pwr_kw=power:kW", "--yes")["payloads"] == 1
    )
    tell("device pause", "meter")
    tell("device resume", "meter")
    tell("data show", "energy")
    assert tell("data files")[0]["type"] == "gif"
    assert tell("data export")["unit"] == "Cel"
    tell("data tail", "--for", "1s")
    tell("status")
    tell("doctor")
    tell("grant revoke", grant, "--yes")
    acme.ask(touchpoint, ASK)
    tell("request deny", tell("request list")[0]["request"], "--yes")
    tell("touchpoint revoke", touchpoint, "--yes")
    tell("device remove", "old", "--yes")
    statement = str(server.directory / "release.json")
    tell("device release", "meter", "--reason", "sale", "--output", statement, "--yes")
    tell("device check-release", statement)
    tell("ledger log")
    tell("ledger verify")
    tell("backup create", str(server.directory / "copy.db"))
    tell("recovery test", "--recovery-file", recovery)
    tell("invite new")
    tell("brand remove", "Acme", "--yes")
    tell("bridge add", "attic", "--broker", "mqtt://127.0.0.1:1", "--map", "attic/#=attic")
    tell("status")
    tell("bridge list")
    tell("bridge show", "attic")
    tell("bridge remove", "attic", "--yes")
    tell("lock")
    assert tell.told == SCHEMAS.keys()


def test_an_answer_with_another_member_would_be_found_out() -> None:
    """The known-bad control."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"ok": True, "entries": 1, "head": "", "more": 1}, SCHEMAS["ledger verify"])
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"ok": True, "entries": "1", "head": ""}, SCHEMAS["ledger verify"])
