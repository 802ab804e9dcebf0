"""Says on the network that devices can connect here: mDNS and DNS-SD (RFC 6762, RFC 6763), with ``zeroconf``.

Names are chosen so that they say nothing of a person: computers are often called after theirs.  The service
types are the registered ones (IANA: ``mqtt``, ``secure-mqtt``), which MQTT clients look for by whether they
use TLS.  ``_mqtt._tcp`` with a TLS port would therefore have them send passwords readably: it is announced
for plain MQTT only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from cli.ask import say
from cli.places import EVERYWHERE, Address, own_names
from gateway.address import lan_name

SECURE: Final = "_secure-mqtt._tcp.local."
PLAIN: Final = "_mqtt._tcp.local."


class Service(msgspec.Struct, frozen=True):
    """One listener: its service type, and where it listens."""

    type: str
    at: Address


@contextlib.asynccontextmanager
async def announced(services: Sequence[Service], ca_fingerprint: str, host: str) -> AsyncIterator[None]:
    """Announce until the block ends, then say goodbye; where that cannot be done, a message says so.

    The block begins at once: to be sure of a name takes seconds.

    Args:
        services: on the interfaces that they listen on.
        ca_fingerprint: of our own authority; it gives the names. Empty with an owner's own certificate.
        host: the name in that certificate; unused otherwise.
    """
    registering = asyncio.create_task(_registered(services, ca_fingerprint, host))
    try:
        yield
    finally:
        registering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await registering


async def _registered(services: Sequence[Service], ca_fingerprint: str, host: str) -> None:
    from zeroconf import Error, InterfaceChoice, IPVersion
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    name = f"Hypertouch {ca_fingerprint[:8]}".rstrip()
    server = lan_name(ca_fingerprint) if ca_fingerprint or not host else host
    everywhere = any(one.at.host in EVERYWHERE for one in services)
    interfaces = InterfaceChoice.All if everywhere else sorted({one.at.host for one in services})
    version = IPVersion.V6Only if ":" in services[0].at.host and not everywhere else IPVersion.V4Only
    try:
        responder = AsyncZeroconf(interfaces=interfaces, ip_version=version)
    except (OSError, Error):
        say("not announced by mDNS: this computer has no multicast there; devices need the address")
        return
    try:
        for one in services:
            info = AsyncServiceInfo(
                one.type,
                f"{name}.{one.type}",
                port=one.at.port,
                server=f"{server}.",
                parsed_addresses=addresses(one.at),
            )
            await (await responder.async_register_service(info, allow_name_change=True))
        await asyncio.Event().wait()
    except (OSError, Error):
        say("not announced by mDNS: the network does not take it; devices need the address")
    finally:
        with contextlib.suppress(OSError, Error):
            await responder.async_unregister_all_services()
        await responder.async_close()


def addresses(at: Address) -> list[str]:
    """Under which addresses others reach what listens there."""
    if at.host not in EVERYWHERE:
        return [at.host]
    found = []
    for name in own_names():
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(name)
            found.append(name)
    return found
