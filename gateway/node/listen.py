"""What a node listens on: devices over TCP and TLS, by themselves and in WebSockets."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import TlsError
from gateway.node.config import NodeConfig, Ready
from gateway.node.endpoint import Endpoint
from gateway.node.tls import ServerTls, open_own, open_tls

_log = logging.getLogger("hypertouch.node")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where devices connect, as ``HOST:PORT``; empty where nothing listens."""

    ready: Ready
    mqtt: str
    mqtts: str
    ws: str
    wss: str
    tls: ServerTls | None

    def refresh(self, now: float) -> None:
        """Renew the certificate when it is due, and take a changed one; ``now`` in seconds of the epoch."""
        if self.tls is None:
            return
        try:
            if self.tls.refresh(now):
                _log.warning("a new certificate is in use")
        except TlsError as error:
            _log.error("the certificate stays as it was: %s", error)


async def listen(endpoint: Endpoint, config: NodeConfig, directory: Path, now: float) -> Listening:
    """Listen on every address of the configuration.

    Args:
        directory: of our own authority and certificate.
        now: seconds since the Unix epoch.

    Raises:
        ListenError: an address is taken or unknown, or would need ``cleartext``.
        TlsError: there is no usable certificate.
    """
    tls: ServerTls | None = None
    if config.mqtts_host or config.wss_host:
        if config.tls_cert:
            tls = open_own(Path(config.tls_cert), Path(config.tls_key))
        else:
            tls = open_tls(directory, config.names, now)
    ports: list[int] = []
    for host, port, secure, websocket in (
        (config.mqtt_host, config.mqtt_port, False, False),
        (config.mqtts_host, config.mqtts_port, True, False),
        (config.ws_host, config.ws_port, False, True),
        (config.wss_host, config.wss_port, True, True),
    ):
        context = tls.context if secure and tls is not None else None
        ports.append(
            await endpoint.start(host, port, context, cleartext=config.cleartext, websocket=websocket)
            if host
            else 0
        )
    mqtt, mqtts, ws, wss = ports
    return Listening(
        ready=Ready(mqtt, mqtts, tls.ca_fingerprint if tls is not None else "", ws, wss),
        mqtt=_text(config.mqtt_host, mqtt),
        mqtts=_text(config.mqtts_host, mqtts),
        ws=_text(config.ws_host, ws),
        wss=_text(config.wss_host, wss),
        tls=tls,
    )


def _text(host: str, port: int) -> str:
    return f"{host}:{port}" if port else ""
