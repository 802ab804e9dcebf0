"""A small SDK for brands: ask a person, wait for the answer, read what was given.

Plain OAuth underneath (``PROTOCOL.md``): CIBA in poll mode, ``authorization_details``, introspection,
revocation.  Any OAuth client does; this one saves the reading of five RFCs::

    with Brand("https://host", client_id, client_secret) as brand:
        asked = brand.ask(touchpoint, [{"type": "personal_data", "datatypes": ["energy"], ...}])
        granted = brand.wait(asked, 3600)
        for reading in brand.readings(granted.access_token, kind="energy"):
            ...  # of the time of one that came before, with another ``resolution`` than raw: it replaces that
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec

from gateway.client.errors import AnswerError, ClientError
from gateway.client.http import TIMEOUT_S, check_address, connect, faults
from gateway.senmlout import Reading, decode
from vault.errors import FormatError

if TYPE_CHECKING:
    import httpx

CIBA: Final = "urn:openid:params:grant-type:ciba"
SLOWER_S: Final = 5  # RFC 8628 and CIBA: what slow_down adds to the interval

Json = dict[str, Any]
T = TypeVar("T")


class BrandError(ClientError):
    """The door said no: ``status`` is HTTP's, ``code`` OAuth's or the last word of the problem's type."""

    def __init__(self, status: int, code: str, what: str) -> None:
        super().__init__(f"{code}: {what}" if what else code)
        self.status = status
        self.code = code
        self.what = what


class Asked(msgspec.Struct, frozen=True):
    """A request that is on its way to a person. Times are seconds; ``auth_req_id`` is a secret."""

    auth_req_id: str
    expires_in: int
    interval: int = 5


class Granted(msgspec.Struct, frozen=True):
    """What the person gave, which may be less than was asked. ``access_token`` is a secret."""

    access_token: str
    grant_id: str
    authorization_details: list[Json]
    expires_in: int = 0


class Waiting(msgspec.Struct, frozen=True):
    """No answer yet; ask again after so many seconds."""

    after: int


class Page(msgspec.Struct, frozen=True):
    """Readings in order of arrival; ``next`` of the last page (no ``more``) returns what arrives later.

    ``incomplete`` are UTC days, and stretches of days ("2026-11-23/2026-11-25"), of which buckets are still
    to come.  ``uses_left`` is None where the person did not say how often this may be read.
    """

    readings: list[Reading]
    next: str
    more: bool
    incomplete: tuple[str, ...] = ()
    uses_left: int | None = None


class Answer(msgspec.Struct, frozen=True, rename={"since": "from"}):
    """A figure of one period, [since, until) in RFC 3339; None where it would tell single readings.

    ``complete``: it will not change any more.
    """

    since: str
    until: str
    value: float | None
    unit: str
    readings: int | None
    complete: bool


class Budget(msgspec.Struct, frozen=True):
    """How many answers a UTC day has and how many are left; None: nobody counts."""

    limit: int | None
    left: int | None
    resets_at: str


class Answers(msgspec.Struct, frozen=True):
    """What ``POST /answers`` says."""

    answers: list[Answer]
    budget: Budget


class Brand:
    """A brand at one door; ``sleep`` waits for so many seconds."""

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        *,
        ca_pem: str | None = None,
        timeout_s: float = TIMEOUT_S,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Raises AddressError."""
        self._base_url = check_address(base_url)
        self._credentials = (client_id, client_secret)
        self._ca_pem, self._timeout_s, self._sleep = ca_pem, timeout_s, sleep
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def ask(
        self, touchpoint: str, details: list[Json], *, message: str = "", expires_in: int | None = None
    ) -> Asked:
        """Ask the person behind a touchpoint; raises BrandError."""
        form = {"login_hint": touchpoint, "authorization_details": json.dumps(details), "scope": "openid"}
        if message:
            form["binding_message"] = message
        if expires_in is not None:
            form["requested_expiry"] = str(expires_in)
        return _convert(self._form("/bc-authorize", form), Asked)

    def poll(self, asked: Asked) -> Granted | Waiting:
        """Look for the answer once; raises BrandError: access_denied, expired_token."""
        try:
            form = {"grant_type": CIBA, "auth_req_id": asked.auth_req_id}
            return _convert(self._form("/token", form), Granted)
        except BrandError as error:
            match error.code:
                case "authorization_pending":
                    return Waiting(asked.interval)
                case "slow_down":
                    return Waiting(asked.interval + SLOWER_S)
                case _:
                    raise

    def wait(self, asked: Asked, timeout_s: float) -> Granted | None:
        """Poll until there is an answer, at most about so long; None: there was none. Raises as ``poll``."""
        waited = 0.0
        while True:
            answer = self.poll(asked)
            if isinstance(answer, Granted):
                return answer
            if waited + answer.after > timeout_s:
                return None
            self._sleep(answer.after)
            waited += answer.after

    def page(
        self, token: str, *, kind: str = "", since: str = "", until: str = "", limit: int | None = None
    ) -> Page:
        """The first page; ``since`` and ``until`` are RFC 3339."""
        query = {"kind": kind, "from": since, "until": until, "limit": "" if limit is None else str(limit)}
        given = {name: value for name, value in query.items() if value}
        return self._page(self._get("/observations", token, given))

    def follow(self, token: str, link: str) -> Page:
        """The page behind a ``next``."""
        return self._page(self._get(link, token, {}))

    def readings(self, token: str, *, kind: str = "", since: str = "", until: str = "") -> Iterator[Reading]:
        """Every reading that there is now, in order of arrival."""
        page = self.page(token, kind=kind, since=since, until=until)
        yield from page.readings
        while page.more:
            page = self.follow(token, page.next)
            yield from page.readings

    def answers(
        self,
        token: str,
        kind: str,
        function: str,
        period: str = "day",
        *,
        since: str = "",
        until: str = "",
        threshold: float | None = None,
        cells: Sequence[str] = (),
    ) -> Answers:
        """A figure for each whole day, week or month that the grant gives (``PROTOCOL.md``, "Answers").

        Raises BrandError; ``budget-exhausted``: there are new ones at midnight of UTC.
        """
        asked: Json = {"kind": kind, "function": function, "period": period}
        asked |= {name: text for name, text in (("from", since), ("until", until)) if text}
        if threshold is not None:
            asked["threshold"] = threshold
        if cells:
            asked["cells"] = list(cells)
        headers = {"authorization": f"Bearer {token}"}
        return _convert(_object(self._send("POST", "/answers", json=asked, headers=headers)), Answers)

    def introspect(self, token: str) -> Json:
        """RFC 7662: whether a token of ours is active, and for what."""
        return self._form("/introspect", {"token": token})

    def revoke(self, token: str) -> None:
        """RFC 7009: end the grant of this token."""
        self._form("/revoke", {"token": token})

    def grant(self, grant_id: str) -> Json:
        """The state of a grant of ours, the token apart."""
        return _object(self._send("GET", f"/grants/{grant_id}", auth=self._credentials))

    def end(self, grant_id: str) -> None:
        """Give a grant back."""
        self._send("DELETE", f"/grants/{grant_id}", auth=self._credentials)

    def _form(self, path: str, form: Mapping[str, str]) -> Json:
        return _object(self._send("POST", path, data=form, auth=self._credentials))

    def _get(self, path: str, token: str, query: Mapping[str, str]) -> httpx.Response:
        return self._send("GET", path, params=query or None, headers={"authorization": f"Bearer {token}"})

    def _page(self, answer: httpx.Response) -> Page:
        try:
            more = answer.headers["hypertouch-more"] == "true"
            said = answer.headers.get("hypertouch-incomplete", "")
            left = answer.headers.get("hypertouch-uses-left")
            return Page(
                decode(answer.content),
                answer.links["next"]["url"],
                more,
                tuple(part.strip() for part in said.split(",") if part.strip()),
                None if left is None else int(left),
            )
        except (FormatError, KeyError, ValueError):
            raise AnswerError("the server's answer is not readings in SenML") from None

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        if self._client is None:
            self._client = connect(self._base_url, self._ca_pem, self._timeout_s)
        with faults():
            answer = self._client.request(method, path, **options)
        if answer.is_success:
            return answer
        raise _refusal(answer)


def _refusal(answer: httpx.Response) -> BrandError:
    """OAuth says ``error`` and ``error_description``, a problem (RFC 9457) ``type`` and ``detail``."""
    try:
        said = _object(answer)
    except AnswerError:
        said = {}
    code = said.get("error") or str(said.get("type", "")).rpartition("/")[2] or f"http {answer.status_code}"
    what = said.get("error_description") or said.get("detail") or said.get("title") or ""
    return BrandError(answer.status_code, str(code), str(what))


def _object(answer: httpx.Response) -> Json:
    if not answer.content:
        return {}
    try:
        return msgspec.json.decode(answer.content, type=Json)
    except msgspec.MsgspecError:
        raise AnswerError("the server's answer is not a JSON object") from None


def _convert(said: Json, kind: type[T]) -> T:
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError:
        raise AnswerError("the server's answer lacks what it must hold") from None
