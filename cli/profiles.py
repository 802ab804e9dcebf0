"""What each product needs to be told to publish here, in its own words: pure, from a credential to text.

A guide is steps for a person; what is to be copied stands in ``text`` and is printed as it is, so every value
in it is quoted for the language it stands in.  No step puts a password into a command's arguments.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from gateway.client.device import Credential
from gateway.client.errors import TermsError

_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]{1,253}")  # a name or an address, and nothing a shell would read
_NOT_IN_TOPICS: Final = re.compile(r"[^A-Za-z0-9_-]+")
_PLAIN_NAME: Final = re.compile(r"\w[\w .-]*")  # nothing that a shell, or a mapping, reads as its own
AUTHORITY: Final = "hypertouch-ca.pem"  # the file that a person saves the authority in


class Step(NamedTuple):
    """One thing to do: a sentence, and what to copy, if anything."""

    say: str
    text: str = ""


class Guide(NamedTuple):
    """How one product is set up; ``link`` opens the product's app and goes into the QR code."""

    steps: tuple[Step, ...]
    link: str = ""
    notes: tuple[str, ...] = ()


class Profile(NamedTuple):
    """A product as ``--profile`` names it; a hub serves others too."""

    title: str
    guide: Callable[[Credential, str], Guide]
    hub: bool = False


def guide(profile: str, made: Credential, ca_pem: str) -> Guide:
    """The guide of a profile; ``ca_pem`` is the server's own authority, empty if there is none.

    Raises:
        TermsError: the server names a host that is none.
    """
    if not _HOST.fullmatch(made.host) or not 0 < made.port < 65536:
        raise TermsError("the server does not say where devices connect")
    found = PROFILES[profile]
    told = found.guide(made, ca_pem)
    return told._replace(notes=(*told.notes, *_HUB)) if found.hub else told


def topic_name(name: str) -> str:
    """A device's name as one level of a topic: letters, digits, "_" and "-"."""
    return _NOT_IN_TOPICS.sub("-", name).strip("-") or "device"


def link_of(made: Credential) -> str:
    """The whole credential as one URL."""
    return f"{_scheme(made)}://{made.username}:{made.password}@{_bracketed(made.host)}:{made.port}"


def owntracks_link(made: Credential) -> str:
    """A link that the app imports (https://owntracks.org/booklet/features/remoteconfig/)."""
    device = topic_name(made.name)
    settings = {
        "_type": "configuration",
        "mode": 0,  # MQTT
        "host": made.host,
        "port": made.port,
        "tls": made.tls,
        "auth": True,
        "username": made.username,
        "password": made.password,
        "mqttProtocolLevel": 4,  # 3.1.1: the newest that both apps speak
        "clientId": device,
        "deviceId": device,
        "tid": device[:2].lower(),
        "pubTopicBase": f"owntracks/me/{device}",
        "pubQos": 1,
        "cleanSession": False,
        "sub": False,
        "cmd": False,  # and "remoteConfiguration" is off unless said: a code of all this must fit a terminal
    }
    inline = base64.b64encode(json.dumps(settings, separators=(",", ":")).encode()).decode()
    return f"owntracks:///config?inline={inline}"


def _owntracks(made: Credential, ca_pem: str) -> Guide:
    link = owntracks_link(made)
    first = _trust(made, ca_pem, "the phone", "install it there as a CA certificate")
    scan = Step("Open this link on the phone, or scan the code with its camera:", link)
    return Guide((*first, scan), link, ("The app sends when you move; publish once by hand to try it.",))


def _tasmota(made: Credential, _: str) -> Guide:
    commands = [
        f"MqttHost {made.host}",
        f"MqttPort {made.port}",
        f"MqttUser {made.username}",
        f"MqttPassword {made.password}",
        f"Topic {topic_name(made.name)}",
        "SetOption52 1",  # times with their offset from UTC
    ]
    notes = ["Tasmota finds no .local names: give an address."] if made.host.endswith(".local") else []
    if made.tls:
        learn = " ".join(["00"] * 20)
        commands += ["SetOption103 1", "SetOption132 1", f"MqttFingerprint {learn}"]
        notes += [
            "It learns the server's key at the first connection, and trusts no other after that.",
            "Firmware for the ESP8266 has no TLS unless you compile it in: see `hypertouch up --help`"
            " for --cleartext-mqtt.",
        ]
    else:
        commands += ["SetOption103 0"]
    line = "Backlog " + "; ".join(commands)
    return Guide((Step("Enter this one line in the device's console:", line),), notes=tuple(notes))


def _shelly(made: Credential, ca_pem: str) -> Guide:
    config = {
        "enable": True,
        "server": f"{_bracketed(made.host)}:{made.port}",
        "user": made.username,
        "pass": made.password,
        "ssl_ca": ("user_ca.pem" if ca_pem else "ca.pem") if made.tls else None,
        "topic_prefix": topic_name(made.name),
        "rpc_ntf": True,
        "status_ntf": False,  # the same again, without the time
    }
    calls = [_rpc("Shelly.PutUserCA", {"data": ca_pem, "append": False})] if made.tls and ca_pem else []
    calls += [_rpc("MQTT.SetConfig", {"config": config}), _rpc("Shelly.Reboot", {})]
    notes = ["Generation 1 is set in its web page, under Internet & Security; it has no TLS."]
    return Guide(
        (
            Step("Generation 2 and later: put its address in, then paste this:", "SHELLY=192.168.33.1"),
            *(Step("", call) for call in calls),
        ),
        notes=tuple(notes),
    )


def _rpc(method: str, params: Mapping[str, Any]) -> str:
    """A call whose body is read from standard input: arguments are readable by everybody on a computer."""
    body = json.dumps({"id": 1, "method": method, "params": params})
    return f"curl -sS -d @- \"http://$SHELLY/rpc\" <<'EOF'\n{body}\nEOF"


def _zigbee2mqtt(made: Credential, ca_pem: str) -> Guide:
    server = f"{_scheme(made)}://{_bracketed(made.host)}:{made.port}"
    lines = [
        "mqtt:",
        "  base_topic: zigbee2mqtt",
        f"  server: {_yaml(server)}",
        f"  user: {_yaml(made.username)}",
        f"  password: {_yaml(made.password)}",
        "  version: 5",
    ]
    if made.tls and ca_pem:
        lines.append(f"  ca: /app/data/{AUTHORITY}")
    first = _trust(made, ca_pem, "Zigbee2MQTT", "put it beside configuration.yaml")
    return Guide((*first, Step("Replace this part of configuration.yaml, and restart:", "\n".join(lines))))


def _esphome(made: Credential, ca_pem: str) -> Guide:
    lines = [
        "mqtt:",
        f"  broker: {_yaml(made.host)}",
        f"  port: {made.port}",
        f"  username: {_yaml(made.username)}",
        f"  password: {_yaml(made.password)}",
        f"  topic_prefix: {_yaml(topic_name(made.name))}",
        "  discovery: true  # it says the names and units of what the device sends",
    ]
    notes = ["Without Home Assistant's own API, remove `api:`, or the device restarts every 15 minutes."]
    if made.tls:
        if ca_pem:
            lines.append("  certificate_authority: |")
            lines += ["    " + line for line in ca_pem.strip().splitlines()]
        notes.append("TLS needs the esp-idf framework on an ESP32.")
    step = Step("Add this to the device's YAML, and install it:", "\n".join(lines))
    return Guide((step,), notes=tuple(notes))


def _home_assistant(made: Credential, _: str) -> Guide:
    return Guide(
        (
            Step(
                "Keep Home Assistant's own broker, and let your vault's server listen to it. There:",
                "hypertouch bridge add home --broker mqtt://homeassistant.local:1883"
                f" --username USER --rotate --map '#={_named(made)}'",
            ),
            Step("Or enter these into anything of it that publishes by itself:", _lines(made)),
        )
    )


def _theengs(made: Credential, ca_pem: str) -> Guide:
    settings: dict[str, Any] = {
        "host": made.host,
        "port": made.port,
        "user": made.username,
        "pass": made.password,
        "discovery": 0,
    }
    if made.tls:
        settings |= {"enable_tls": 1, "ca_certs": AUTHORITY if ca_pem else None}
    first = _trust(made, ca_pem, "Theengs Gateway", "put it beside theengsgw.conf")
    text = json.dumps({name: value for name, value in settings.items() if value is not None}, indent=2)
    return Guide(
        (*first, Step("Theengs Gateway: write this into ~/theengsgw.conf.", text)),
        notes=(
            "OpenMQTTGateway: enter host, port, user and password in its web portal.",
            "It hears your neighbours' sensors, too. Say which are yours: only those become readings."
            f" `hypertouch device set '{_named(made)}' --own MAC`",
        ),
    )


def _in_app(where: str, topic: str) -> Callable[[Credential, str], Guide]:
    def told(made: Credential, ca_pem: str) -> Guide:
        first = _trust(made, ca_pem, "the phone", "install it there as a CA certificate")
        text = _lines(made) + f"\ntopic     {topic}/{topic_name(made.name)}"
        return Guide((*first, Step(f"Enter this in the app, under {where}:", text)))

    return told


def _generic(made: Credential, _: str) -> Guide:
    return Guide((Step(f"Enter this into {made.name}:", _lines(made)),), link_of(made))


def _lines(made: Credential) -> str:
    lines = [
        f"host      {made.host}",
        f"port      {made.port}" + (" with TLS" if made.tls else " without TLS"),
        f"user      {made.username}",
        f"password  {made.password}",
    ]
    if made.tls and made.ca_fingerprint:
        lines.append(f"authority {made.ca_fingerprint}")
    return "\n".join(lines)


def _trust(made: Credential, ca_pem: str, who: str, then: str) -> tuple[Step, ...]:
    """The step before all others where the server has an authority of its own."""
    if not made.tls or not ca_pem:
        return ()
    text = f"hypertouch device authority --output {AUTHORITY}"
    return (Step(f"Let {who} trust your server: save its authority, and {then}.", text),)


def _named(made: Credential) -> str:
    """The name within single quotes of a command line, or a word to be replaced where it is no plain one."""
    return made.name if _PLAIN_NAME.fullmatch(made.name) else "NAME"


def _scheme(made: Credential) -> str:
    return "mqtts" if made.tls else "mqtt"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _yaml(text: str) -> str:
    """A JSON string is a YAML string."""
    return json.dumps(text)


_HUB: Final = (
    "Others depend on its broker? Then keep that, and use `hypertouch bridge add` instead: Hypertouch"
    " stores, and forwards nothing.",
)

PROFILES: Final[Mapping[str, Profile]] = {
    "owntracks": Profile("OwnTracks on a phone", _owntracks),
    "zigbee2mqtt": Profile("Zigbee2MQTT", _zigbee2mqtt, hub=True),
    "tasmota": Profile("Tasmota", _tasmota),
    "shelly": Profile("Shelly", _shelly),
    "esphome": Profile("ESPHome", _esphome),
    "home-assistant": Profile("Home Assistant", _home_assistant, hub=True),
    "theengs": Profile("Theengs Gateway, OpenMQTTGateway", _theengs),
    "sensor-logger": Profile("Sensor Logger", _in_app("Settings, Data Streaming, MQTT", "sensor-logger")),
    "health-auto-export": Profile("Health Auto Export", _in_app("Automations, MQTT", "health")),
    "generic": Profile("anything that speaks MQTT", _generic),
}
