"""Errors of the gateway.

GatewayError
├── ProtocolError      a device's bytes that are not MQTT as this door speaks it: the device is at fault
├── MisuseError        a packet that the state of the connection does not let us send: we are at fault
├── ListenError        an address that cannot, or must not, be listened on
├── TlsError           keys or certificates that do not fit together, or lie open to others
├── BridgeConfigError  a bridge's configuration that cannot be used, or lies open to others
└── BrokerError        an existing broker cannot be reached, or refuses us

No text here holds a topic, a payload or a credential.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Anything this package raises."""


class ProtocolError(GatewayError):
    """A device broke the protocol; ``reason`` is the reason code of MQTT 5 (section 2.4) for it."""

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class MisuseError(GatewayError):
    """This side tried to send what the connection's state or version has no place for."""


class ListenError(GatewayError):
    """An address is taken, unknown, or would carry passwords in the clear over a network."""


class TlsError(GatewayError):
    """A key or certificate file is damaged, does not match its partner, or is readable by others."""


class BridgeConfigError(GatewayError):
    """A bridge cannot be set up so; ``hint`` says what would do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class BrokerError(GatewayError):
    """A broker cannot be reached or refuses us, in a sentence of ours: nothing it sent is in the text.

    ``refused``: it answered, and the answer was no.
    """

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused
