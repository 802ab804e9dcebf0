"""``hypertouch up``: starts a node and a door, keeps them running, and stops them with nothing lost.

Both are processes of their own, spawned and never forked.  This one binds the HTTP socket, so that a door
can make room for a fresh one while connections wait in the socket's queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Final

import msgspec
import rich_click as click

from cli import __version__, options
from cli.ask import say
from cli.bridges import bridged
from cli.errors import CliError, ConflictError, UsageError
from cli.places import EVERYWHERE, HTTP, MQTT, MQTTS, WS, WSS, Address, bound, own_names, place
from cli.started import Started, announce, warn
from cli.supervise import Kept, ready_line, spawn, stop
from gateway.door.config import DoorConfig
from gateway.errors import TlsError
from gateway.node.config import Exit, NodeConfig, Ready
from vault.store.paths import DataDir

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


class Plan(msgspec.Struct, frozen=True):
    """What to start."""

    data: DataDir
    http: Address
    mqtt: Address
    mqtts: Address | None
    ws: Address | None
    wss: Address | None
    names: list[str]
    certificate: Path | None  # the owner's own
    key: Path | None
    cleartext: bool
    mdns: bool
    poll_interval: int

    def readable(self, mqtt_port: int, ws_port: int) -> list[Address]:
        """Where passwords would cross a network readably, with these ports."""
        listened = [(self.mqtt, mqtt_port), (self.ws, ws_port)]
        return [Address(one.host, port) for one, port in listened if one is not None and not one.local]


@click.command("up")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Else HYPERTOUCH_DATA."
)
@click.option("--http", metavar="HOST:PORT", help=f"Where brands and people connect; {HTTP}.")
@click.option("--mqtt", metavar="HOST:PORT", help=f"Where devices connect; {MQTT}.")
@click.option("--mqtts", metavar="HOST:PORT", help=f"With --lan: where devices connect; {MQTTS}.")
@click.option("--ws", metavar="HOST:PORT", help=f"Where apps and browsers connect; {WS}, or off.")
@click.option(
    "--wss", metavar="HOST:PORT", help=f"With --lan: where apps and browsers connect; {WSS}, or off."
)
@click.option("--lan", is_flag=True, help="Serve this network too, with TLS, and announce it there by mDNS.")
@click.option("--no-mdns", is_flag=True, help="With --lan: do not announce it.")
@click.option("--name", "names", multiple=True, help="A host name for the certificate; may be repeated.")
@click.option(
    "--tls-cert", type=FILE, metavar="FILE", help="With --lan: a certificate chain of your own, in PEM."
)
@click.option(
    "--tls-key",
    type=FILE,
    metavar="FILE",
    help="With --tls-cert: its key; both are read anew when they change.",
)
@click.option(
    "--cleartext-mqtt",
    is_flag=True,
    help="Let devices connect without TLS beyond this computer: passwords cross the network readably.",
)
@click.option("--poll-interval", default=10, show_default=True, help="Seconds between a brand's questions.")
@options.as_json
def up(
    data: Path | None,
    http: str | None,
    mqtt: str | None,
    mqtts: str | None,
    ws: str | None,
    wss: str | None,
    lan: bool,
    no_mdns: bool,
    names: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    cleartext_mqtt: bool,
    poll_interval: int,
    as_json: bool,
) -> None:
    """Start the server: devices publish to it, brands ask it.

    Stops on Ctrl-C or SIGTERM with nothing lost.
    """
    plan = Plan(
        data=DataDir(data) if data else DataDir.default(),
        http=Address.parse(http or (HTTP if not lan else f"{EVERYWHERE[0]}:8787"), "--http"),
        mqtt=Address.parse(mqtt or MQTT, "--mqtt"),
        mqtts=Address.parse(mqtts or MQTTS, "--mqtts") if lan else None,
        ws=place(ws, WS, "--ws"),
        wss=place(wss, WSS, "--wss") if lan else None,
        names=_names(names, tls_cert, tls_key) if lan else list(names),
        certificate=tls_cert,
        key=tls_key,
        cleartext=cleartext_mqtt,
        mdns=lan and not no_mdns,
        poll_interval=poll_interval,
    )
    if not lan and not plan.http.local:
        raise UsageError("HTTP beyond this computer needs TLS", "add --lan")
    if not lan and (mqtts or wss or tls_cert or tls_key):
        raise UsageError("TLS is for the network", "add --lan")
    if plan.readable(0, 0) and not plan.cleartext:
        raise UsageError("MQTT beyond this computer needs TLS", "add --lan, or ask for --cleartext-mqtt")
    asyncio.run(_run(plan, as_json))


async def _run(plan: Plan, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stopped.set)
    plan.data.create()
    listener = bound(plan.http)
    http = Address(plan.http.host, listener.getsockname()[1])
    url = f"https://{_reached(plan, http).text}" if plan.mqtts else f"http://{http.text}"
    try:
        async with _node(plan, url) as (node, ready):
            config = _door_config(plan, http, ready)
            inherited = msgspec.structs.replace(config, fd=listener.fileno())
            door = Kept("gateway.door.run", inherited, listener.fileno())
            try:
                await door.ready()
                for where in plan.readable(ready.mqtt_port, ready.ws_port):
                    warn(where)
                announce(_started(plan, url, ready), plan.http, as_json=as_json)
                async with _mdns(plan, ready), bridged(plan.data):
                    await _first(stopped.wait(), node.wait(), door.failed())
                if not stopped.is_set():
                    raise CliError(
                        "the node stopped by itself", "start it again; what was acknowledged is stored"
                    )
            finally:
                await door.stop()
    finally:
        listener.close()
    if not as_json:
        say("stopped; everything acknowledged is stored")


async def _first(*waiting: Coroutine[object, object, object]) -> None:
    """Return when one of them does, and raise what it raises."""
    tasks = [asyncio.create_task(one) for one in waiting]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


@contextlib.asynccontextmanager
async def _node(plan: Plan, url: str) -> AsyncIterator[tuple[Process, Ready]]:
    config = NodeConfig(
        data=str(plan.data.path.absolute()),
        mqtt_host=plan.mqtt.host,
        mqtt_port=plan.mqtt.port,
        mqtts_host=plan.mqtts.host if plan.mqtts else "",
        mqtts_port=plan.mqtts.port if plan.mqtts else 0,
        ws_host=plan.ws.host if plan.ws else "",
        ws_port=plan.ws.port if plan.ws else 0,
        wss_host=plan.wss.host if plan.wss else "",
        wss_port=plan.wss.port if plan.wss else 0,
        tls_cert=str(plan.certificate.absolute()) if plan.certificate else "",
        tls_key=str(plan.key.absolute()) if plan.key else "",
        names=plan.names,
        cleartext=plan.cleartext,
        http=url,
        version=__version__,
    )
    process = await spawn("gateway.node.run", config)
    try:
        line = await ready_line(process)
        if not line:
            raise _why(await process.wait(), plan)
        yield process, msgspec.json.decode(line, type=Ready)
    finally:
        await stop(process)


def _door_config(plan: Plan, http: Address, ready: Ready) -> DoorConfig:
    tls = plan.mqtts is not None
    certificate, key = (
        plan.certificate or plan.data.tls / "server.pem",
        plan.key or plan.data.tls / "server.key",
    )
    devices = _devices(plan, ready)
    return DoorConfig(
        data=str(plan.data.path.absolute()),
        node_socket=str(plan.data.socket.absolute()),
        host=http.host,
        port=http.port,
        public_url=f"https://{_reached(plan, http).text}" if tls else "",
        tls_cert=str(certificate.absolute()) if tls else "",
        tls_key=str(key.absolute()) if tls else "",
        mqtt_host=devices.host,
        mqtt_port=devices.port,
        mqtt_tls=tls,
        ca_fingerprint=ready.ca_fingerprint,
        poll_interval=plan.poll_interval,
    )


def _devices(plan: Plan, ready: Ready) -> Address:
    """Where devices are told to connect: with TLS where there is a choice."""
    if plan.mqtts is not None:
        return _reached(plan, Address(plan.mqtts.host, ready.mqtts_port))
    return Address(plan.mqtt.host, ready.mqtt_port)


def _reached(plan: Plan, address: Address) -> Address:
    """The same, for others: by our name in the network where every address is listened on."""
    return Address(plan.names[0], address.port) if address.host in EVERYWHERE else address


@contextlib.asynccontextmanager
async def _mdns(plan: Plan, ready: Ready) -> AsyncIterator[None]:
    """Have the network know, where there is one."""
    if not plan.mdns or plan.mqtts is None:
        yield
        return
    from cli.mdns import PLAIN, SECURE, Service, announced

    services = [Service(SECURE, Address(plan.mqtts.host, ready.mqtts_port))]
    if not plan.mqtt.local:
        services.append(Service(PLAIN, Address(plan.mqtt.host, ready.mqtt_port)))
    async with announced(services, ready.ca_fingerprint, plan.names[0]):
        yield


def _names(given: tuple[str, ...], certificate: Path | None, key: Path | None) -> list[str]:
    """What the network calls us, the name to tell others first; a certificate of one's own has its names."""
    if certificate is None and key is None:
        return [*given, *own_names()]
    if certificate is None or key is None:
        raise UsageError("--tls-cert and --tls-key belong together")
    from gateway.tlsfiles import names_of

    try:
        names = [*given, *names_of(certificate)]
    except TlsError as error:
        raise UsageError(str(error), "--tls-cert takes a certificate chain in PEM, for a server") from None
    if not names:
        raise UsageError("the certificate names no host", "say with --name how devices reach this computer")
    return names


def _started(plan: Plan, url: str, ready: Ready) -> Started:
    return Started(
        ready=True,
        http=url,
        mqtt=Address(plan.mqtt.host, ready.mqtt_port).text,
        data=str(plan.data.path),
        pid=os.getpid(),
        mqtts=_devices(plan, ready).text if plan.mqtts else "",
        ca_fingerprint=ready.ca_fingerprint,
        ca=str(plan.data.tls / "ca.pem") if ready.ca_fingerprint else "",
        ws=f"ws://{Address(plan.ws.host, ready.ws_port).text}/mqtt" if plan.ws else "",
        wss=f"wss://{_reached(plan, Address(plan.wss.host, ready.wss_port)).text}/mqtt" if plan.wss else "",
    )


def _why(status: int, plan: Plan) -> CliError:
    if status == Exit.IN_USE:
        return ConflictError(
            "a node runs on this data directory already", "stop it, or choose another --data"
        )
    if status == Exit.CANNOT_LISTEN:
        return CliError(
            "a port is taken, or may not be listened on",
            "choose another HOST:PORT with --mqtt or --ws, and with --lan with --mqtts or --wss",
        )
    if status == Exit.NO_CERTIFICATE:
        return CliError("there is no certificate that can be used", "look at the node's message above")
    return CliError("the node does not start", f"look at its messages above, and at {plan.data.path}")
