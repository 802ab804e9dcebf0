"""What ``doctor`` says of bridges and of the brokers behind them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from cli.broker_checks import closed, encrypted, kept, settings, working
from cli.checks import Check
from gateway.bridge.config import BridgeConfig, Broker, Credential
from gateway.bridge.filters import Mapping
from gateway.bridge.mosquitto import findings, read
from gateway.wire import BridgeState
from tests.broker import Mosquitto
from tests.peers import missing, require_peer

GOOD = {"max_queued_messages": "0", "persistence": "true", "autosave_interval": "30"}


def bridge(url: str, **more: str) -> BridgeConfig:
    """A configuration that connects there."""
    found = BridgeConfig(
        name="home",
        broker=Broker.parse(url),
        client_id="hypertouch-home",
        mappings=[Mapping("#", "meter")],
        devices={"meter": Credential("a" * 26, "x" * 26)},
    )
    return msgspec.structs.replace(found, **more)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"max_queued_messages": "1000"}, "max_queued_messages"),
        ({"max_queued_bytes": "65536"}, "max_queued_bytes"),
        ({"persistence": "false"}, "persistence"),
        ({"autosave_interval": "1800"}, "autosave_interval"),
        ({"autosave_interval": "0"}, "autosave_interval"),
        ({"persistent_client_expiration": "1d"}, "persistent_client_expiration"),
    ],
)
def test_each_setting_that_loses_messages_is_found(changed: dict[str, str], word: str) -> None:
    (found,) = findings(GOOD | changed)
    assert found.line.startswith(word)


def test_settings_that_keep_messages_are_well() -> None:
    assert findings(GOOD) == []
    assert findings(GOOD | {"max_queued_messages": "1000000"}) == []


def test_nothing_said_means_the_brokers_own_values_which_lose_messages() -> None:
    assert [found.line.split()[0] for found in findings({})] == ["max_queued_messages", "persistence"]


def test_included_files_are_read_and_the_last_word_counts(tmp_path: Path) -> None:
    more = tmp_path / "conf.d"
    more.mkdir()
    (more / "a.conf").write_text("max_queued_messages 0\n# persistence false\n")
    (more / "b.conf").write_text(f"persistence true\ninclude_dir {more}\n")  # a circle ends
    (more / "ignored.txt").write_text("persistence false\n")
    path = tmp_path / "mosquitto.conf"
    path.write_text(f"max_queued_messages 5\npersistence false\n\ninclude_dir {more}\n")
    assert read(path)["max_queued_messages"] == "0"
    assert read(path)["persistence"] == "true"


@pytest.mark.peer
def test_the_settings_that_debian_ships_lose_messages() -> None:
    """So that this is no invention; the file comes with the package."""
    require_peer("mosquitto")
    path = Path("/etc/mosquitto/mosquitto.conf")
    if not path.is_file():
        missing("not Debian's mosquitto")
    assert [found.line.split()[0] for found in findings(read(path))] == [
        "max_queued_messages",
        "autosave_interval",
    ]


@pytest.mark.parametrize(
    ("url", "states"),
    [
        ("mqtt://127.0.0.1", []),
        ("mqtts://broker.example", []),
        ("mqtt://broker.example", ["warn"]),
        ("ws://192.0.2.7", ["warn"]),
        ("wss://192.0.2.7", []),
    ],
)
def test_missing_tls_is_told_beyond_this_computer(url: str, states: list[str]) -> None:
    assert [check.state for check in encrypted(bridge(url))] == states


@pytest.mark.peer
def test_a_broker_that_lets_in_anybody_is_told(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "open") as broker:
        (check,) = closed(bridge(f"mqtt://127.0.0.1:{broker.port}"))
        assert (check.state, "anybody" in check.what) == ("warn", True)
    words = tmp_path / "words"
    subprocess.run([require_peer("mosquitto_passwd"), "-b", "-c", words, "bridge", "secret"], check=True)
    with Mosquitto(tmp_path / "shut", "allow_anonymous false", f"password_file {words}") as broker:
        (check,) = closed(bridge(f"mqtt://127.0.0.1:{broker.port}"))
        assert check.state == "ok"
    (check,) = closed(bridge(f"mqtt://127.0.0.1:{broker.port}"))  # it is gone
    assert (check.state, "cannot be reached" in check.what) == ("warn", True)


def test_the_brokers_file_is_read_where_it_is_here(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "mosquitto.conf", tmp_path / "none"
    path.write_text("persistence true\nautosave_interval 30\nmax_queued_messages 0\n")
    local, remote = bridge("mqtt://127.0.0.1"), bridge("mqtts://broker.example")
    assert [check.state for check in settings(local, path)] == ["ok"]
    assert [check.state for check in settings(remote, path)] == []  # another computer's
    given = bridge("mqtts://broker.example", broker_config=str(path))
    assert [check.state for check in settings(given, elsewhere)] == ["ok"]
    path.write_text("persistence true\nautosave_interval 30\n")
    (check,) = settings(given, elsewhere)
    assert check.state == "warn"
    assert "1,000 messages" in check.what
    assert "max_queued_messages 0" in check.next
    missing = bridge("mqtts://broker.example", broker_config=str(elsewhere))
    assert [check.state for check in settings(missing, path)] == ["warn"]


def test_a_session_that_is_soon_forgotten_is_told() -> None:
    def state(expiry: int | None) -> list[BridgeState]:
        return [BridgeState("home", 0, "meter", True, expiry=expiry)]

    assert list(kept("home", [])) == list(kept("home", state(None))) == []
    assert list(kept("home", state(30 * 86_400))) == []
    assert [check.what for check in kept("home", state(7200))] == [
        "home: the broker keeps what waits for us for 2 hours"
    ]
    (check,) = kept("home", state(0))
    assert check.state == "warn"


def test_how_it_fares_is_told() -> None:
    row = {"bridge": "home", "problem": "", "waiting": 0, "dropped": 0, "forgotten": 0}
    assert list(working(row)) == [Check("bridge", "ok", "home: connected")]
    told = list(working(row | {"problem": "the broker cannot be reached", "dropped": 2, "forgotten": 1}))
    assert [check.state for check in told] == ["fail", "warn", "warn"]
