"""``hypertouch up``: starts a node and a door, keeps them running, and stops them with nothing lost.

Both are processes of their own, spawned and never forked.  This one binds the HTTP socket, so that a door
can make room for a fresh one while connections wait in the socket's queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Final

import msgspec
import rich_click as click

from cli import __version__, options
from cli.ask import say
from cli.errors import CliError, ConflictError, UsageError
from cli.render import next_steps
from cli.supervise import Kept, ready_line, spawn, stop
from gateway.address import is_loopback
from gateway.door.config import DoorConfig
from gateway.node.config import Exit, NodeConfig, Ready
from vault.store.paths import DataDir

HTTP: Final = "127.0.0.1:8787"
MQTT: Final = "127.0.0.1:1883"
MQTTS_PORT: Final = 8883
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  only with --lan, and with TLS


class Address(msgspec.Struct, frozen=True):
    """A host and a port; 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, option: str) -> Address:
        """From ``HOST:PORT``, IPv6 in brackets; raises UsageError."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"{option} takes HOST:PORT", f"for example {option} {HTTP}")
        return cls(host.strip("[]"), int(port))

    @property
    def text(self) -> str:
        """``HOST:PORT``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Plan(msgspec.Struct, frozen=True):
    """What to start."""

    data: DataDir
    http: Address
    mqtt: Address
    mqtts: Address | None
    names: list[str]
    cleartext: bool
    poll_interval: int


class Started(msgspec.Struct, frozen=True):
    """What is running; the one line of ``--json``."""

    ready: bool
    http: str
    mqtt: str
    data: str
    pid: int
    mqtts: str = ""
    ca_fingerprint: str = ""
    ca: str = ""


@click.command("up")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Else HYPERTOUCH_DATA."
)
@click.option("--http", metavar="HOST:PORT", help=f"Where brands and people connect; {HTTP}.")
@click.option("--mqtt", metavar="HOST:PORT", help=f"Where devices connect; {MQTT}.")
@click.option("--mqtts", metavar="HOST:PORT", help="With --lan: where devices connect; 0.0.0.0:8883.")
@click.option("--lan", is_flag=True, help="Serve this network too, with TLS.")
@click.option("--name", "names", multiple=True, help="A host name for the certificate; may be repeated.")
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
    lan: bool,
    names: tuple[str, ...],
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
        mqtts=Address.parse(mqtts or f"{EVERYWHERE[0]}:{MQTTS_PORT}", "--mqtts") if lan else None,
        names=[*names, *_own_names()] if lan else list(names),
        cleartext=cleartext_mqtt,
        poll_interval=poll_interval,
    )
    if not lan and not is_loopback(plan.http.host):
        raise UsageError("HTTP beyond this computer needs TLS", "add --lan")
    asyncio.run(_run(plan, as_json))


async def _run(plan: Plan, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stopped.set)
    plan.data.create()
    listener = _listen(plan.http)
    http = Address(plan.http.host, listener.getsockname()[1])
    url = f"https://{_reached(plan, http).text}" if plan.mqtts else f"http://{http.text}"
    try:
        async with _node(plan, url) as (node, ready):
            config = _door_config(plan, http, ready)
            inherited = msgspec.structs.replace(config, fd=listener.fileno())
            door = Kept("gateway.door.run", inherited, listener.fileno())
            try:
                await door.ready()
                _announce(plan, url, ready, as_json)
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
    devices = _devices(plan, ready)
    return DoorConfig(
        data=str(plan.data.path.absolute()),
        node_socket=str(plan.data.socket.absolute()),
        host=http.host,
        port=http.port,
        public_url=f"https://{_reached(plan, http).text}" if tls else "",
        tls_cert=str(plan.data.tls / "server.pem") if tls else "",
        tls_key=str(plan.data.tls / "server.key") if tls else "",
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


def _announce(plan: Plan, url: str, ready: Ready, as_json: bool) -> None:
    started = Started(
        ready=True,
        http=url,
        mqtt=Address(plan.mqtt.host, ready.mqtt_port).text,
        data=str(plan.data.path),
        pid=os.getpid(),
        mqtts=_devices(plan, ready).text if plan.mqtts else "",
        ca_fingerprint=ready.ca_fingerprint,
        ca=str(plan.data.tls / "ca.pem") if plan.mqtts else "",
    )
    if as_json:
        print(json.dumps(msgspec.to_builtins(started)), flush=True)
        return
    say("Hypertouch is up")
    say(f"  people and brands  {started.http}")
    say(f"  devices            {started.mqtt}" + (f", with TLS {started.mqtts}" if started.mqtts else ""))
    if started.ca:
        say(f"  certificate        {started.ca}")
        say(f"  its fingerprint    {started.ca_fingerprint}")
    say(f"  data               {started.data}")
    say("Ctrl-C stops it with nothing lost.")
    say(next_steps(*_first_steps(plan, started)))


def _first_steps(plan: Plan, started: Started) -> list[tuple[str, str]]:
    """What to type in another terminal, with the addresses that it would not find by itself."""
    init = (
        "hypertouch init" if started.http == f"http://{HTTP}" else f"hypertouch init --server {started.http}"
    )
    steps = [("hypertouch device add NAME", "connect a device")]
    if started.ca:
        if plan.http.host == EVERYWHERE[0]:  # whoever comes from this computer needs no invitation
            init = f"hypertouch init --server https://127.0.0.1:{started.http.rpartition(':')[2]}"
        init += f" --ca {started.ca}"
        steps.append(("hypertouch invite new", "let somebody else make a vault here"))
    return [(init, "make your vault"), *steps]


def _why(status: int, plan: Plan) -> CliError:
    if status == Exit.IN_USE:
        return ConflictError(
            "a node runs on this data directory already", "stop it, or choose another --data"
        )
    if status == Exit.CANNOT_LISTEN:
        return CliError("a port is taken, or may not be listened on", "choose another with --mqtt HOST:PORT")
    return CliError("the node does not start", f"look at its messages above, and at {plan.data.path}")


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except (OSError, socket.gaierror):
        listener.close()
        raise CliError(f"cannot listen on {address.text}", "choose another with --http HOST:PORT") from None
    listener.listen(512)
    return listener


def _own_names() -> list[str]:
    """What others on this network call this computer: its address towards them, and its name."""
    names = [socket.gethostname()]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1: nothing is sent, a route is chosen
        names.insert(0, probe.getsockname()[0])
    return names
