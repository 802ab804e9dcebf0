"""Calls to the node on this very computer, over its socket in ``HYPERTOUCH_DATA``."""

from __future__ import annotations

from typing import TypeVar

from cli.errors import UnreachableError
from gateway import wire
from gateway.client.session import expect
from gateway.rpcclient import NodeError, call_sync
from vault.store.paths import DataDir

R = TypeVar("R", bound=wire.Reply)


def call(asked: wire.NodeCall, reply: type[R], data: DataDir | None = None) -> R:
    """What the node answers.

    Raises:
        UnreachableError: no node runs on this data directory.
        RefusalError, AnswerError
    """
    data = data or DataDir.default()
    try:
        return expect(call_sync(data.socket, asked), reply)
    except NodeError:
        hint = "is `hypertouch up` running here? name its directory with HYPERTOUCH_DATA"
        raise UnreachableError(f"no server answers at {data.path}", hint) from None
