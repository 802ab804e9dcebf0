"""No file, log, argument or environment of a running server holds what a person or device said (E1, E7)."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.canary import found, zstd
from tests.running import PASSPHRASE, Acme, Running, publish

ASK = {"type": "personal_data", "datatypes": ["app_event", "temperature"], "purpose": "dpv:ServiceProvision"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A running server, ended after the test."""
    with Running(tmp_path, "--poll-interval", "1") as running:
        yield running


LEAKS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda secret: b"..." + secret,
    "in UTF-16": lambda secret: secret.decode().encode("utf-16-le"),
    "in hexadecimal": lambda secret: secret.hex().encode(),
    "in base64": lambda secret: base64.b64encode(b"x" + secret + b"more"),
    "in base64 of another offset": lambda secret: base64.urlsafe_b64encode(b"xy" + secret + b"more"),
    "deflated": lambda secret: b"head" + zlib.compress(secret * 3),
    "under zstd": lambda secret: b"head" + zstd.compress(secret * 3) + b"tail",
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_would_be_found(tmp_path: Path, leak: str) -> None:
    """The known-bad control of the test below."""
    secret = b"canary-" + secrets.token_hex(12).encode()
    (tmp_path / "file").write_bytes(LEAKS[leak](secret))
    assert found([tmp_path], [secret]) == {(str(tmp_path / "file"), secret)}


def test_nothing_that_was_said_is_found_at_rest_at_work_or_after_a_kill(server: Running) -> None:
    server.make_vault()
    app = server.json("device", "add", f"canary-{secrets.token_hex(8)}")
    said = [f"canary-{secrets.token_hex(12)}" for _ in range(4)]
    event, item, topic, poison = said
    number = f"{secrets.randbelow(30) + 10}.{secrets.randbelow(10**6):06d}"
    messages = [
        (f"{topic}/app", json.dumps({"event": event, "item": item}).encode()),
        (f"{topic}/app", b'{"temperature":%s}' % number.encode()),
        (f"{topic}/odd", b"\xff" + poison.encode()),
    ]
    brand = server.json("brand", "add", "Acme", "--site", "https://acme.example")
    touchpoint = server.json("touchpoint", "new", "Acme")["touchpoint"]
    acme = Acme(server.http, brand["client_id"], brand["client_secret"])
    recovery = (server.directory / "recovery").read_text().split()
    told = [
        event, item, poison, number, app["password"], app["name"], PASSPHRASE,
        " ".join(recovery[:4]), brand["client_secret"],
    ]  # fmt: skip
    places = [server.data, server.home, server.directory / "up.log"]

    busy = threading.Thread(target=publish, args=(app, messages * 200))
    busy.start()
    hits = found(places, [secret.encode() for secret in [*told, topic]])  # while it ingests
    busy.join()
    asked = acme.ask(touchpoint, ASK)
    [request] = server.json("request", "list", "--wait", "30s")
    server.json("request", "approve", request["request"], "--for", "30d", "--history", "all", "--yes")
    token = acme.token(asked)["access_token"]
    told += [token, asked["auth_req_id"]]
    reader = threading.Thread(target=acme.read, args=(token,))
    reader.start()
    hits |= found(places, [secret.encode() for secret in told])  # while a brand reads
    reader.join()
    hits |= leaked_by_processes(server, told)
    server.stop(signal.SIGKILL)
    hits |= found(places, [secret.encode() for secret in told])
    assert hits == set()


def leaked_by_processes(server: Running, told: list[str]) -> set[tuple[str, bytes]]:
    """Secrets in the arguments or the environment of the server's processes."""
    hits: set[tuple[str, bytes]] = set()
    family = {server.process.pid}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) in family:
                family.add(int(entry.name))
        except OSError:
            continue
    assert len(family) >= 3  # up, node, door
    for pid in family:
        for name in ("cmdline", "environ"):
            try:
                content = Path(f"/proc/{pid}/{name}").read_bytes()
            except PermissionError:  # not dumpable, so that not even its own user may look
                assert name == "environ"
                assert os.geteuid() != 0
                continue
            hits |= {(name, secret.encode()) for secret in told if secret.encode() in content}
    return hits
