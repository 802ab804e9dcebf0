"""What a door is told when it starts; no secret among it."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.door.limits import Rate

POLL_INTERVAL_S: Final = 10


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often, by whom."""

    client: Rate = Rate(500, 50)  # a brand on the OAuth endpoints: ten seconds apart, 500 requests can wait
    grant: Rate = Rate(1200, 20)  # reads under one grant: a year of minutes is 526 pages
    failure: Rate = Rate(60, 0.5)  # wrong tokens and secrets from one address
    owner: Rate = Rate(600, 60)  # calls of one enrolled client
    stranger: Rate = Rate(120, 5)  # an owner's calls before there is a client, from one address


class DoorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One door.  Travels as JSON from the process that starts it."""

    data: str  # the data directory
    node_socket: str = ""  # "": where the data directory has it
    host: str = "127.0.0.1"
    port: int = 0  # 0: any; the ready line says which
    fd: int = -1  # a listening socket that was inherited; then host and port say where it listens
    public_url: str = ""  # as brands reach it, without a slash at its end; "": from host and port
    tls_cert: str = ""  # PEM files; "": plain HTTP
    tls_key: str = ""
    mqtt_host: str = ""  # where devices connect, for `device add`
    mqtt_port: int = 0
    mqtt_tls: bool = False
    ca_fingerprint: str = ""
    poll_interval: int = POLL_INTERVAL_S  # seconds between two polls of one request
    rates: Rates = Rates()
    max_connections: int = 800
    patience_s: float = 8.0  # for a request to begin, to arrive, and to go on arriving
    max_requests: int = 50_000  # after as many, or
    max_age_s: int = 3600  # after as long a door makes room for a fresh one
    ended_age_s: int = 45  # and so long after a grant that it served has ended

    def located(self, port: int) -> DoorConfig:
        """The same, knowing on which port it listens."""
        scheme = "https" if self.tls_cert else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        url = self.public_url or f"{scheme}://{host}:{port}"
        return msgspec.structs.replace(self, port=port, public_url=url)
