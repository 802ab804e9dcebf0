"""What the demo needs beside the commands: devices that publish, and somebody who searches the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from cli.errors import CliError

ACKNOWLEDGED_S: Final = 20.0


class DemoDevice(NamedTuple):
    """A device, the messages it publishes, and byte strings of them that must not be found anywhere."""

    name: str
    speaks: str
    messages: list[tuple[str, Any]]
    plain: list[bytes]


def publish(credential: dict[str, Any], device: DemoDevice) -> None:
    """Publish with paho-mqtt at QoS 1 until everything is acknowledged; raises CliError."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, client_id=device.name)
    client.max_inflight_messages_set(500)
    client.username_pw_set(credential["username"], credential["password"])
    client.connect(credential["host"], credential["port"])
    client.loop_start()
    try:
        for sent in [client.publish(topic, json.dumps(body), qos=1) for topic, body in device.messages]:
            sent.wait_for_publish(ACKNOWLEDGED_S)
            if not sent.is_published():
                raise CliError(f"the demo's {device.name} was not acknowledged in time")
    finally:
        client.disconnect()
        client.loop_stop()


def find_plain(directory: Path, plain: list[bytes]) -> tuple[int, int, list[bytes]]:
    """(files searched, their bytes, what was found of ``plain``)."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in files]
    found = [text for text in plain if any(text in content for content in contents)]
    return len(files), sum(map(len, contents)), found
