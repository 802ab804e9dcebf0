"""What a node is told when it starts, and what it says when it is ready; no secret among it."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Exit(IntEnum):
    """How a node ends."""

    OK = 0
    IN_USE = 3  # another process has the data directory
    CANNOT_LISTEN = 4
    NO_CERTIFICATE = 5  # there is none that can be used
    FAULT = 70  # the writer failed in a way nobody foresaw (EX_SOFTWARE)


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to listen; empty hosts are not listened on."""

    data: str
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 1883
    mqtts_host: str = ""
    mqtts_port: int = 8883
    ws_host: str = ""  # MQTT in WebSockets
    ws_port: int = 8083
    wss_host: str = ""  # the same with TLS
    wss_port: int = 8884
    tls_cert: str = ""  # PEM files of the owner's own; "": under our own authority
    tls_key: str = ""
    names: list[str] = []  # host names and addresses for the certificate
    cleartext: bool = False  # plain MQTT beyond loopback, asked for by name
    device_day_bytes: int = 256 << 20  # of payloads that one device may store in a UTC day
    http: str = ""  # for `status`
    version: str = ""


class Ready(msgspec.Struct, frozen=True):
    """The one line that the node prints."""

    mqtt_port: int
    mqtts_port: int
    ca_fingerprint: str  # empty with a certificate of the owner's own
    ws_port: int = 0
    wss_port: int = 0
