"""A no to a brand or an owner's client, in the words of HTTP.

DoorError
├── OAuthError     on the OAuth endpoints: ``application/json`` with ``error`` (RFC 6749, section 5.2)
└── ProblemError   everywhere else: ``application/problem+json`` (RFC 9457)

Whoever asked is at fault, or has to wait.  What we did wrong ourselves is any other exception and becomes a
500 that says nothing but a reference.  No text here holds a token, an id or a purpose.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import GatewayError

PROBLEM = "urn:hypertouch:problem/"  # in front of a problem's slug


class DoorError(GatewayError):
    """A request that is not answered; ``status`` is of HTTP, ``headers`` go with the answer."""

    def __init__(self, text: str, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class OAuthError(DoorError):
    """``description`` says what to do next; what RFC 6749 does not allow in it becomes ``?``."""

    def __init__(
        self, error: str, description: str, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(error, status, headers or {})
        self.error = error
        self.description = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in description)


class ProblemError(DoorError):
    """``title`` says what happened, in the same words for one ``slug``; ``detail`` what to do next."""

    def __init__(
        self, slug: str, title: str, detail: str, status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(slug, status, headers or {})
        self.slug = slug
        self.title = title
        self.detail = detail


def invalid_request(description: str) -> OAuthError:
    """A parameter is missing, repeated or not of its form."""
    return OAuthError("invalid_request", description)


def invalid_client() -> OAuthError:
    """Unknown, ended, or a wrong secret: all alike."""
    return OAuthError(
        "invalid_client",
        "The client is unknown or its secret is wrong: check client_id and client_secret.",
        401,
        {"WWW-Authenticate": 'Basic realm="hypertouch", charset="UTF-8"'},
    )


def oauth_slow(retry_after: int) -> OAuthError:
    """Too many requests on an OAuth endpoint."""
    return OAuthError(
        "temporarily_unavailable",
        "Too many requests: wait as long as Retry-After says, and ask less often.",
        429,
        {"Retry-After": str(retry_after)},
    )


def oauth_unavailable(retry_after: int = 5) -> OAuthError:
    """The node cannot do it now."""
    return OAuthError(
        "temporarily_unavailable",
        "This cannot be done now: try again after as long as Retry-After says.",
        503,
        {"Retry-After": str(retry_after)},
    )


def bad_query(detail: str) -> ProblemError:
    """A query that cannot be answered as it stands."""
    return ProblemError("bad-request", "The request cannot be understood.", detail, 400)


def no_token() -> ProblemError:
    """Nobody said who asks (RFC 6750, section 3.1: no error code then)."""
    return ProblemError(
        "unauthorized",
        "An access token is needed.",
        "Send the token of a grant in the header: Authorization: Bearer htg_...",
        401,
        {"WWW-Authenticate": 'Bearer realm="hypertouch"'},
    )


def invalid_token() -> ProblemError:
    """Unknown, expired and revoked look alike, byte for byte."""
    return ProblemError(
        "invalid-token",
        "The access token opens nothing.",
        "It is unknown, expired or revoked. Introspect it, or ask for a new grant at /bc-authorize.",
        401,
        {"WWW-Authenticate": 'Bearer realm="hypertouch", error="invalid_token"'},
    )


def insufficient_scope() -> ProblemError:
    """The grant is in force and does not give this."""
    return ProblemError(
        "insufficient-scope",
        "The grant does not give what was asked for.",
        "Leave kind out to read all that was granted; authorization_details of the token response lists it.",
        403,
        {"WWW-Authenticate": 'Bearer realm="hypertouch", error="insufficient_scope"'},
    )


def answers_only() -> ProblemError:
    """The grant is in force, and gives figures instead of the data."""
    return ProblemError(
        "answers-only",
        "The grant gives answers, and not the data.",
        "Ask for a figure at POST /answers.",
        403,
    )


def used_up() -> ProblemError:
    """The grant may be read so many times, and was."""
    return ProblemError(
        "used-up",
        "The grant was used as often as it may be.",
        "Follow the next link of a use that has begun within its hour, or ask for a new grant.",
        403,
    )


def paused() -> ProblemError:
    """The person lets the grant rest; told to nobody but who holds its key."""
    return ProblemError(
        "paused",
        "The person has paused the grant.",
        "Keep the token and try again another day: of the time of a pause nothing is given.",
        403,
    )


def changing(retry_after: int = 10) -> ProblemError:
    """The person narrows or extends the grant just now, or did so while the answer was made."""
    return ProblemError(
        "changing",
        "The person is changing the grant.",
        "Nothing was released. Try again after as long as Retry-After says; introspect it for what it gives.",
        503,
        {"Retry-After": str(retry_after)},
    )


def budget_exhausted(retry_after: int) -> ProblemError:
    """The answers of this UTC day are given."""
    return ProblemError(
        "budget-exhausted",
        "The answers of this day are given.",
        "Wait as long as Retry-After says: the budget is a new one at midnight of UTC.",
        429,
        {"Retry-After": str(retry_after)},
    )


def not_json() -> ProblemError:
    """A body of another media type."""
    return ProblemError(
        "media-type", "The body is of another media type.", "Send it as application/json.", 415
    )


def slow(retry_after: int) -> ProblemError:
    """Too many requests."""
    return ProblemError(
        "too-many-requests",
        "Too many requests.",
        "Wait as long as Retry-After says, and ask less often.",
        429,
        {"Retry-After": str(retry_after)},
    )


def unavailable(retry_after: int = 5) -> ProblemError:
    """The node cannot do it now, or the ledger cannot be written: then nothing is released."""
    return ProblemError(
        "unavailable",
        "This cannot be done now.",
        "Nothing was released. Try again after as long as Retry-After says.",
        503,
        {"Retry-After": str(retry_after)},
    )


def frozen() -> ProblemError:
    """The node's clock is in doubt, so nobody knows which grants are over."""
    return ProblemError(
        "clock",
        "The clock of this node is in doubt, so grants rest.",
        "Nothing was released and no grant has ended. Try again after as long as Retry-After says.",
        503,
        {"Retry-After": "60"},
    )


def unknown_grant() -> ProblemError:
    """No such grant, or another brand's."""
    return ProblemError(
        "not-found", "There is no such grant.", "Use the grant_id of your own token response.", 404
    )
