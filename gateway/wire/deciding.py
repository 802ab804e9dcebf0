"""What a person decides beyond yes and no: pauses, standing rules, times in which nobody gets anything."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from gateway.wire.base import Call
from vault.statement import Signed

KINDS_MAX: Final = 256  # that a blackout names


class GetRules(Call, frozen=True):
    """-> StandingRulesReply: every version there was, so that answers by rule can be checked."""


class GetBlackouts(Call, frozen=True):
    """-> Blackouts: all of them, those that are over or ended too."""


class PauseGrant(Call, frozen=True):
    """-> Done: nothing can be read, and nothing new is sealed to it; or it goes on, without that time."""

    grant: bytes
    paused: bool


class SetRules(Call, frozen=True):
    """-> Done: from now on these rules answer; the statement's version is one more than the newest."""

    statement: Signed


class AddBlackout(Call, frozen=True):
    """-> Done: of [since, until), seconds of event time, nothing is sealed to any grant.

    The client draws the id; no ``kinds`` means all kinds.  The same call again changes nothing.
    """

    id: bytes
    since: int
    until: int
    kinds: Annotated[list[str], msgspec.Meta(max_length=KINDS_MAX)]


class EndBlackout(Call, frozen=True):
    """-> Done: it is over now; what it kept back stays kept back."""

    id: bytes
