"""When we are at fault nothing of what was in memory goes anywhere: not to the brand, not to a log."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from gateway import wire
from gateway.door.quiet import QuietFormatter, place, report, set_up_logging
from tests.door_world import Story, World, tell_story, world

CANARY = "canary-4711"


class CanaryError(Exception):
    """What a library might raise, with what it had in its hands."""


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, by whomever, as a door's process writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(QuietFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A door."""
    with world(tmp_path / "data") as it:
        yield it


def break_node(made: World) -> None:
    """From now on everything that asks the node fails in a way nobody foresaw."""

    def fail(call: wire.NodeCall) -> NoReturn:
        token = f"{CANARY} {call!r}"
        raise CanaryError(token)

    made.before = fail


def requests_of(story: Story) -> dict[str, httpx.Response]:
    """One request to each endpoint that asks the node."""
    return {
        "/bc-authorize": story.brand.ask(story.touchpoint),
        "/revoke": story.brand.post("/revoke", {"token": story.token}),
        "/observations": story.brand.read(story.token),
        "/grants": story.world.http(auth=(story.brand.client_id, story.brand.secret)).delete(
            f"/grants/{story.grant}"
        ),
        "/owner/salts": story.world.http().post(
            "/owner/salts",
            content=wire.encode(wire.Salts(bytes(16))),
            headers={"content-type": "application/msgpack"},
        ),
    }


def test_a_fault_is_a_reference_and_nothing_else(made: World, log: io.StringIO) -> None:
    story = tell_story(made)
    break_node(made)
    for path, answer in requests_of(story).items():
        assert answer.status_code == 500
        body = answer.json()
        said = body["error_description"] if path in ("/bc-authorize", "/revoke") else body["detail"]
        reference = said.removesuffix(".").rpartition(" ")[2]
        assert f"{reference}: CanaryError at gateway.door." in log.getvalue()
        assert CANARY not in answer.text
    seen = log.getvalue()
    for secret in (CANARY, story.token, story.grant, story.auth_req_id, story.brand.secret, story.touchpoint):
        assert secret not in seen


def test_housekeeping_that_fails_goes_on(made: World, log: io.StringIO) -> None:
    story = tell_story(made)
    story.brand.read(story.token, "?kind=humidity")
    break_node(made)
    made.clock.now += 60_000
    with pytest.raises(CanaryError):
        made.tidy()
    assert made.http().get("/healthz").json() == {"ok": True}
    assert CANARY not in log.getvalue()


def test_no_request_leaves_a_line(made: World, log: io.StringIO) -> None:
    """No access log: an address, a query and a header are all somebody's."""
    story = tell_story(made)
    story.brand.read(story.token)
    story.brand.read("htg_wrong", f"?access_token={story.token}")
    story.brand.post("/token", {"auth_req_id": CANARY})
    made.http().get(f"/{CANARY}")
    ours = [line for line in log.getvalue().splitlines() if "httpx" not in line and "httpcore" not in line]
    for secret in (CANARY, story.token, story.grant, story.auth_req_id, "127.0.0.1", "observations"):
        assert not [line for line in ours if secret in line]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/token", 405),
        ("DELETE", "/observations", 405),
        ("GET", "/grants/../owner/call", 405),
        ("GET", "/schema", 404),
        ("OPTIONS", "/observations", 204),
        ("GET", "/observations", 401),
        ("GET", "/healthz", 200),
    ],
)
def test_every_answer_says_that_it_is_not_to_be_kept(
    made: World, method: str, path: str, status: int
) -> None:
    answer = made.http().request(method, path)
    assert answer.status_code == status
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
    if status >= 400:
        form = "application/json" if path == "/token" else "application/problem+json"
        assert answer.headers["content-type"] == form


# --- logging that cannot tell a secret ------------------------------------------------------------------


def raised() -> CanaryError:
    """An exception that was raised here."""
    try:
        raise CanaryError(CANARY)
    except CanaryError as error:
        return error


def test_an_exception_is_its_type_and_its_place(log: io.StringIO) -> None:
    reference = report(raised())
    assert f"{reference}: CanaryError at tests." in log.getvalue()
    assert CANARY not in log.getvalue()
    assert place(None) == "?"


def test_what_libraries_log_loses_what_they_put_into_it(log: io.StringIO) -> None:
    theirs = logging.getLogger("uvicorn.error")
    theirs.error("Exception in ASGI application\n", exc_info=raised())
    theirs.warning("read %s from %s", CANARY, CANARY)
    assert "CanaryError at tests." in log.getvalue()
    assert "read %s from %s" in log.getvalue()
    assert CANARY not in log.getvalue()


def test_without_it_they_would_tell(caplog: pytest.LogCaptureFixture) -> None:
    """The control: any other formatter writes the exception's words."""
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=raised())
    assert CANARY in caplog.text


def test_uncaught_exceptions_are_as_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        set_up_logging()
        error = raised()
        sys.excepthook(CanaryError, error, error.__traceback__)
        thread = threading.Thread(target=lambda: (_ for _ in ()).throw(CanaryError(CANARY)))
        thread.start()
        thread.join()
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level = before
    assert stream.getvalue().count("CanaryError at ") == 2
    assert CANARY not in stream.getvalue()
