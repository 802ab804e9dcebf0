"""Eclipse's interoperability suite for MQTT servers, as far as it asks what this door promises.

The suite is not part of this repository.  With a checkout of github.com/eclipse/paho.mqtt.testing:

    HYPERTOUCH_PAHO_TESTING=DIRECTORY python -m pytest tests/test_gateway_interop.py

Without one these tests are skipped, and say so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.interop import BOTH, Task
from tests.node_process import PASSWORD, NodeProcess, Person

VARIABLE = "HYPERTOUCH_PAHO_TESTING"

# Every test of the suite: None where it applies as it is, or why it does not.
DELIVERS = "waits for a message to come back, and we deliver none"
HALF = "waits for a message to come back; what comes before that is asked in a half of our own: "
WILL = "waits for a Will, and we publish none"
SUITE_3: dict[str, str | None] = {
    "testBasic": HALF + "basic",
    "test_dollar_topics": None,
    "test_keepalive": WILL + "; what comes before that is asked in a half of our own: keepalive",
    "test_offline_message_queueing": DELIVERS,
    "test_overlapping_subscriptions": DELIVERS,
    "test_redelivery_on_reconnect": HALF + "redelivery, in the other direction",
    "test_retained_messages": DELIVERS,
    "test_subscribe_failure": "needs a topic that must not be subscribed to; all may be, and deliver nothing",
    "test_unsubscribe": DELIVERS,
    "test_zero_length_clientid": None,
    "will_message_test": WILL,
}
SUITE_5: dict[str, str | None] = {
    "test_assigned_clientid": None,
    "test_basic": HALF + "basic",
    "test_client_topic_alias": None,
    "test_dollar_topics": None,
    "test_flow_control1": DELIVERS,
    "test_flow_control2": None,
    "test_keepalive": WILL + "; what comes before that is asked in a half of our own: keepalive",
    "test_maximum_packet_size": DELIVERS,
    "test_offline_message_queueing": DELIVERS,
    "test_overlapping_subscriptions": DELIVERS,
    "test_payload_format": DELIVERS,
    "test_publication_expiry": DELIVERS,
    "test_redelivery_on_reconnect": HALF + "redelivery, in the other direction",
    "test_request_response": DELIVERS,
    "test_retained_message": DELIVERS,
    "test_server_keep_alive": "asks for a keep alive that the server chooses; ours takes the client's",
    "test_server_topic_alias": DELIVERS,
    "test_session_expiry": "asks for a session that holds subscriptions; ours holds what was acknowledged",
    "test_shared_subscriptions": DELIVERS,
    "test_subscribe_failure": "needs a topic that must not be subscribed to; all may be, and deliver nothing",
    "test_subscribe_identifiers": DELIVERS,
    "test_subscribe_options": DELIVERS,
    "test_unsubscribe": DELIVERS,
    "test_user_properties": DELIVERS,
    "test_will_delay": WILL,
    "test_will_message": WILL,
    "test_zero_length_clientid": None,
}
SUITES = {4: SUITE_3, 5: SUITE_5}


@pytest.fixture(scope="module")
def checkout() -> Path:
    """Where the suite is."""
    named = os.environ.get(VARIABLE)
    if not named:
        pytest.skip(f"{VARIABLE} names no checkout of paho.mqtt.testing")
    assert (Path(named) / "interoperability" / "client_test.py").exists(), (
        f"{VARIABLE} names another directory"
    )
    return Path(named)


def asked(
    checkout: Path, version: int, port: int, person: Person, whole: list[str], halves: list[str]
) -> dict[str, str]:
    """What the suite says of each."""
    task = Task(str(checkout), version, port, person.device.text, PASSWORD.decode(), whole, halves)
    done = subprocess.run(
        [sys.executable, "-m", "tests.interop"],
        input=msgspec.json.encode(task),
        capture_output=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    said: dict[str, str] = msgspec.json.decode(done.stdout)
    return said


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize("version", SUITES)
def test_the_applicable_part_of_the_suite_passes(
    version: int, checkout: Path, person: Person, node: NodeProcess
) -> None:
    applicable = [name for name, reason in SUITES[version].items() if reason is None]
    said = asked(checkout, version, node.port, person, applicable, list(BOTH))
    assert said.pop("*").split() == sorted(SUITES[version]), (
        "the suite has tests that this table does not know"
    )
    assert {name: text for name, text in said.items() if text} == {}
    assert set(said) == {*applicable, *BOTH}
    assert node.end() == (0, "")
    stored = person.stored()
    wanted = [*(10.0 * version + qos for qos in (0, 1, 2)), *(100.0 * version + qos for qos in (1, 2))]
    assert {value: stored[value] for value in wanted} == dict.fromkeys(wanted, 1), "stored, and once"


@pytest.mark.peer
def test_a_test_that_does_not_apply_would_be_seen_to_fail(
    checkout: Path, person: Person, node: NodeProcess
) -> None:
    """The control: the suite does look."""
    name = "test_unsubscribe"
    assert asked(checkout, 4, node.port, person, [name], [])[name]


@pytest.mark.parametrize("version", SUITES)
def test_whatever_is_left_out_has_its_reason(version: int) -> None:
    halves = [reason.rpartition(": ")[2].partition(",")[0] for reason in SUITES[version].values() if reason]
    assert set(BOTH) <= set(halves)
    assert all(reason is None or len(reason) > 20 for reason in SUITES[version].values())
