"""The door for brands and for the owner's clients: one ASGI application, made by ``build``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Final

from litestar import Litestar, get
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import Message, Scope

from gateway.door import answers, data, grants, oauth, owner
from gateway.door.config import DoorConfig
from gateway.door.context import Door
from gateway.door.errors import DoorError, OAuthError, ProblemError
from gateway.door.http import ALWAYS, OAUTH_BODY, OAUTH_PATHS, Answer, HttpRequest, answer_error, answer_json
from gateway.door.quiet import report
from gateway.rpcclient import NodePort
from vault.ids import Entropy
from vault.store.reader import Reader

TIDY_S: Final = 2.0

STATUS_WORDS: Final = {
    404: (
        "not-found",
        "There is nothing here.",
        "/.well-known/oauth-authorization-server lists the endpoints.",
    ),
    405: ("method", "This endpoint has another method.", "The header Allow says which."),
    413: ("too-large", "The request is too large.", "Send less at once."),
}


@get("/healthz")
async def healthz() -> Answer:
    """Whether this door is there; nothing else."""
    return answer_json({"ok": True})


HANDLERS: Final = (
    healthz,
    oauth.server_metadata,
    oauth.resource_metadata,
    oauth.bc_authorize,
    oauth.token,
    grants.introspect,
    grants.revoke,
    grants.show_grant,
    grants.return_grant,
    data.observations,
    answers.answers,
    owner.owner_call,
    owner.owner_salts,
    owner.owner_login,
    owner.owner_create,
    owner.owner_enrol,
)


def build(
    config: DoorConfig,
    reader: Reader,
    node: NodePort,
    *,
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    entropy: Entropy = os.urandom,
) -> Litestar:
    """The application.  ``config.public_url`` is set; ``app.state.door`` is what its handlers share."""
    door = Door(config, reader, node, clock, entropy)

    @contextlib.asynccontextmanager
    async def tidied(_: Litestar) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(_tidy_for_ever(door))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await door.tidy(closing=True)

    app = Litestar(
        route_handlers=[*HANDLERS],
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={
            DoorError: answer_error,
            HTTPException: _http_error,
            Exception: _our_fault,
        },
        before_request=_framed_once,
        before_send=[_always],
        lifespan=[tidied],
        request_max_body_size=OAUTH_BODY,
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    app.state.door = door
    return app


async def _framed_once(request: HttpRequest) -> None:
    """Two ways to tell where a body ends are two requests to whoever reads the other one (RFC 9112, 6.3)."""
    names = [name for name, _ in request.scope["headers"]]
    if b"transfer-encoding" in names and b"content-length" in names:
        detail = "Send Content-Length or Transfer-Encoding, not both."
        raise ProblemError(
            "bad-request", "The request cannot be understood.", detail, 400, {"Connection": "close"}
        )


async def _always(message: Message, _: Scope) -> None:
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in ALWAYS.items():
            headers[name.decode()] = value.decode()


def _http_error(request: HttpRequest, error: HTTPException) -> Answer:
    """What the framework itself refuses, in our forms."""
    status = error.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _our_fault(request, error)
    slug, title, detail = STATUS_WORDS.get(
        status, ("bad-request", "The request cannot be understood.", "Check its form against PROTOCOL.md.")
    )
    return answer_error(request, ProblemError(slug, title, detail, status, error.headers))


def _our_fault(request: HttpRequest, error: Exception) -> Answer:
    """A fault of ours: a reference for both sides, and nothing of what was in memory."""
    reference = report(error)
    if request.scope["path"].rstrip("/") in OAUTH_PATHS:
        text = f"This is a fault of the server. Report it with the reference {reference}."
        return answer_error(request, OAuthError("server_error", text, 500))
    return answer_error(
        request,
        ProblemError(
            "fault",
            "This is a fault of the server.",
            f"Try again, and report it with the reference {reference}.",
            500,
        ),
    )


async def _tidy_for_ever(door: Door) -> None:
    while True:
        await asyncio.sleep(TIDY_S)
        try:
            await door.tidy()
        except Exception as error:  # the next round may go better; a door without it would keep keys for ever
            report(error)
