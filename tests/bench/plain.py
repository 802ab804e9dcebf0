"""The same reading API without a vault: rows in plain text, a bearer token, the same pages and SenML.

Everything but the protection is as the door has it: framework, server and its settings, encoder, the size of
pages, the ``next`` link.  Started as a process with a ``Plain`` as a line of JSON; says ``{"port": N}``.
"""

from __future__ import annotations

import asyncio
import hmac
import sqlite3
import sys
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, Request, Response, get

from gateway.door.config import DoorConfig
from gateway.door.forms import parse_bearer, parse_query
from gateway.door.impatience import impatient
from gateway.door.run import BACKLOG, HEAD_MAX, listen
from gateway.senmlout import MEDIA_TYPE, encode
from tests.bench.table import PAGE
from vault.ids import DeviceId
from vault.observation import Observation


class Plain(msgspec.Struct, frozen=True):
    """Serve this file to whoever has this token."""

    path: str
    token: str


class _Row(msgspec.Struct, frozen=True):
    seq: int
    device: DeviceId
    observation: Observation
    resolution: str = "raw"


def build(config: Plain, port: int) -> Litestar:
    """The application."""
    connection = sqlite3.connect(f"file:{config.path}?mode=ro", uri=True, check_same_thread=False)

    @get("/observations")
    async def observations(request: Request[Any, Any, Any]) -> Response[bytes]:
        if not hmac.compare_digest(parse_bearer(request.scope["headers"]), config.token):
            return Response(b"", status_code=401)
        query = parse_query(request.scope["query_string"])
        after = int(query.cursor or 0)
        kind = (query.kinds or ("",))[0]
        rows = [
            _Row(seq, DeviceId(device), Observation("", kind, time, value))
            for seq, device, kind, time, value in connection.execute(PAGE, (kind, after, query.limit))
        ]
        last = rows[-1].seq if rows else after
        link = f"http://127.0.0.1:{port}/observations?kind={kind}&limit={query.limit}&cursor={last}"
        headers = {
            "Link": f'<{link}>; rel="next"',
            "Hypertouch-More": "true" if len(rows) == query.limit else "false",
            "Cache-Control": "no-store",
        }
        return Response(encode(rows), media_type=MEDIA_TYPE, headers=headers)

    return Litestar([observations], openapi_config=None, logging_config=None)


async def serve(config: Plain) -> None:
    """Until SIGTERM."""
    door = DoorConfig(data="")
    listener = listen(door)
    port: int = listener.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(
            build(config, port),
            http=impatient(door.patience_s),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=door.max_connections,
            backlog=BACKLOG,
            timeout_keep_alive=round(door.patience_s),
            h11_max_incomplete_event_size=HEAD_MAX,
        )
    )
    print(msgspec.json.encode({"port": port}).decode(), flush=True)
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    told = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plain)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(told))
    else:
        uvloop.run(serve(told))
