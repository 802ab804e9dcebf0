"""What ``hypertouch up`` says once everything runs, to a person or a program."""

from __future__ import annotations

import json

import msgspec

from cli.ask import say
from cli.places import EVERYWHERE, HTTP, Address
from cli.render import next_steps


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
    ws: str = ""
    wss: str = ""


def warn(where: Address) -> None:
    """Passwords can be read there; said to everybody, whatever the form of the answer."""
    say(f"WARNING: without TLS at {where.text}: passwords and readings cross the network readably")


def announce(started: Started, http: Address, *, as_json: bool) -> None:
    """Say it; ``http`` is what is listened on, which is not always what others are told."""
    if as_json:
        print(json.dumps(msgspec.to_builtins(started)), flush=True)
        return
    say("Hypertouch is up")
    say(f"  people and brands  {started.http}")
    say(f"  devices            {started.mqtt}" + (f", with TLS {started.mqtts}" if started.mqtts else ""))
    if started.ws or started.wss:
        say(f"  apps and browsers  {', '.join(filter(None, (started.ws, started.wss)))}")
    if started.ca:
        say(f"  certificate        {started.ca}")
        say(f"  its fingerprint    {started.ca_fingerprint}")
    say(f"  data               {started.data}")
    say("Ctrl-C stops it with nothing lost.")
    say(next_steps(*_first_steps(started, http)))


def _first_steps(started: Started, http: Address) -> list[tuple[str, str]]:
    """What to type in another terminal, with the addresses that it would not find by itself."""
    init = (
        "hypertouch init" if started.http == f"http://{HTTP}" else f"hypertouch init --server {started.http}"
    )
    steps = [("hypertouch device add NAME", "connect a device")]
    if started.mqtts:
        if started.ca:
            if http.host == EVERYWHERE[0]:  # whoever comes from this computer needs no invitation
                init = f"hypertouch init --server https://127.0.0.1:{started.http.rpartition(':')[2]}"
            init += f" --ca {started.ca}"
        steps.append(("hypertouch invite new", "let somebody else make a vault here"))
    return [(init, "make your vault"), *steps]
