"""What every test gets: a fixed umask, no colours, no state of the person who runs the tests."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.mqtt_door import Opened
    from tests.node_process import NodeProcess, Person

settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile(
    "ci", deadline=None, max_examples=200, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPERTOUCH_HYPOTHESIS", "ci" if os.environ.get("CI") else "dev"))


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)  # so that what tests start can be interrupted


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests off the home and the settings of whoever runs them."""
    for name in ("HYPERTOUCH_DATA", "HYPERTOUCH_DEBUG", "XDG_RUNTIME_DIR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HYPERTOUCH_HOME", str(tmp_path_factory.getbasetemp() / "no-home"))
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Give the descriptors of a test's worlds back: beyond 1,024 of them some clients cannot wait for one."""
    yield
    worlds = sys.modules.get("tests.world")
    if worlds is not None:
        worlds.abandon_all()


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that takes nothing away: whatever mode a file has then, our code chose."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A directory in memory, where there is such a thing: for tests that sync often."""
    memory = Path("/dev/shm")  # noqa: S108 (mkdtemp draws the name)
    made = tempfile.mkdtemp(prefix="hypertouch-", dir=memory if os.access(memory, os.W_OK) else None)
    yield Path(made)
    shutil.rmtree(made)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A client's home that is set but does not exist yet."""
    path = tmp_path / "home"
    monkeypatch.setenv("HYPERTOUCH_HOME", str(path))
    return path


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """A vault with one device, whose node is yet to start."""
    from tests.node_process import Person
    from vault.store.paths import DataDir

    return Person(DataDir(tmp_path / "node"))


@pytest.fixture
def node(person: Person) -> Iterator[NodeProcess]:
    """A real node on it."""
    from tests.node_process import NodeProcess

    with NodeProcess(person.data) as running:
        yield running


@pytest.fixture(params=["TCP", "WebSocket"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """``mqtt_door.door`` for each kind of connection in turn: the same is promised of both."""
    from tests.mqtt_door import door

    return functools.partial(door, websocket=request.param == "WebSocket")
