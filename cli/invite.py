"""``invite new``: a one-time code with which another person makes a vault on this server."""

from __future__ import annotations

import rich_click as click

from cli import options
from cli.ask import say
from cli.errors import UsageError
from cli.node import call
from cli.render import emit, moment
from cli.times import rfc3339, span
from gateway import wire

LONGEST_S = 90 * 86_400


@click.group("invite")
def invite() -> None:
    """Let another person make a vault on this server."""


@invite.command("new")
@click.option(
    "--for", "lasting", default="7d", show_default=True, metavar="TIME", help="How long it is good."
)
@options.as_json
def new(lasting: str, as_json: bool) -> None:
    """Make a code that is good once."""
    seconds = span(lasting)
    if not 0 < seconds <= LONGEST_S:
        raise UsageError("an invitation is good for at most 90 days", "give --for 7d")
    made = call(wire.NewInvite(seconds * 1000), wire.Invited)
    emit({"invite": made.code, "expires": rfc3339(made.expires)}, as_json, made.code)
    if not as_json:
        say(f"Good once, until {moment(made.expires)}. They put it in a file and run:")
        say("hypertouch init --server URL --invite-file FILE")
