"""A brand's ``authorization_details`` (RFC 9396): read strictly, written canonically.

Reading refuses whatever we would have to guess about; each refusal says what to do next.  One request has one
purpose, one promise and one set of bounds, so its details differ in ``datatypes``, ``required``,
``resolution`` and ``frequency`` only: the person answers all of it with one set of terms.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from policies.errors import MalformedError, RequestError
from policies.fields import check_once, check_text, read_flag, read_names, read_optional, read_text
from policies.iso8601 import DAY, MAX_DAYS, format_time, parse_retention, parse_time
from policies.kinds import Catalogue
from policies.purposes import ROOT, Purposes
from policies.strict import excerpt, load
from policies.wishes import (
    Mode,
    Wish,
    read_days,
    read_frequency,
    read_mode,
    read_resolution,
    write_days,
    write_frequency,
    write_pair,
)

DETAIL_TYPE = "personal_data"
ACTIONS_SUPPORTED = ("read",)
FIELDS = (
    "type", "actions", "datatypes", "resolution", "frequency", "mode", "history", "duration",
    "data_from", "data_until", "access_until",
    "purpose", "purpose_text", "retention", "recipients", "benefit", "required",
)  # fmt: skip

MAX_DETAILS = 8
MAX_DATATYPES = 64
MAX_RECIPIENTS = 32
MAX_TEXT = 500  # characters
MAX_NAME = 100  # characters
MAX_SPAN = MAX_DAYS * DAY  # seconds

_TIME_HINT = "write it like 2026-01-31T00:00:00Z"


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One detail of a request.

    Times are seconds since the Unix epoch, half-open; None where the brand does not say.  ``kinds`` are
    canonical names, ``ideal`` and ``minimum`` resolutions, ``retention`` an ISO 8601 duration.  ``required``:
    the brand cannot serve without it.
    """

    actions: tuple[str, ...]
    kinds: tuple[str, ...]
    ideal: str
    minimum: str
    data_from: int | None
    data_until: int | None
    access_until: int | None
    purpose: str
    purpose_text: str
    retention: str | None
    recipients: tuple[str, ...]
    benefit: str
    required: bool
    history: Wish | None = None  # days back from the answer, instead of data_from
    duration: Wish | None = None  # days from the answer, instead of data_until and access_until
    mode: Mode = "read"
    mode_minimum: Mode = "read"
    frequency: Wish | None = None  # seconds between two readings of a series: ideal <= minimum

    @property
    def access_end(self) -> int | None:
        """When access must have ended: as the brand says, or with the data; None if it says neither."""
        return self.data_until if self.access_until is None else self.access_until


def parse_details(text: str | bytes, catalogue: Catalogue, purposes: Purposes, now_s: int) -> tuple[Ask, ...]:
    """Read the value of ``authorization_details`` as of ``now_s`` (seconds); 1 to 8 details.

    Raises:
        RequestError: anything else than a request that a person can be shown and can answer.
    """
    try:
        value = load(text)
    except MalformedError as error:
        raise RequestError(
            f"authorization_details is not strict JSON: {error}", "send a JSON list in UTF-8, at most 64 KiB"
        ) from None
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_DETAILS:
        raise RequestError(
            "authorization_details is not a list of details",
            f"send [{{...}}] with 1 to {MAX_DETAILS} objects",
        )
    asks = tuple(_parse_detail(item, catalogue, purposes, now_s) for item in value)
    _check_together(asks)
    return asks


def format_details(asks: tuple[Ask, ...]) -> list[dict[str, object]]:
    """Write asks in their canonical form, every field that has a value; parsing it gives the asks again."""
    return [_format_detail(ask) for ask in asks]


def _format_detail(ask: Ask) -> dict[str, object]:
    bounds = {"data_from": ask.data_from, "data_until": ask.data_until, "access_until": ask.access_until}
    return {
        "type": DETAIL_TYPE,
        "actions": list(ask.actions),
        "datatypes": list(ask.kinds),
        "resolution": write_pair(ask.ideal, ask.minimum),
        **({} if ask.frequency is None else {"frequency": write_frequency(ask.frequency)}),
        **({} if ask.mode_minimum == "read" else {"mode": write_pair(ask.mode, ask.mode_minimum)}),
        **({} if ask.history is None else {"history": write_days(ask.history)}),
        **({} if ask.duration is None else {"duration": write_days(ask.duration)}),
        **{field: format_time(bound) for field, bound in bounds.items() if bound is not None},
        "purpose": ask.purpose,
        "purpose_text": ask.purpose_text,
        **({} if ask.retention is None else {"retention": ask.retention}),
        "recipients": list(ask.recipients),
        "benefit": ask.benefit,
        "required": ask.required,
    }


def _parse_detail(item: object, catalogue: Catalogue, purposes: Purposes, now_s: int) -> Ask:
    if not isinstance(item, dict):
        raise RequestError("a detail is not an object", "send a list of objects")
    detail: Mapping[str, object] = item
    if detail.get("type") != DETAIL_TYPE:
        raise RequestError("the type of a detail is unknown", f"the only type is {DETAIL_TYPE}")
    unknown = [field for field in detail if field not in FIELDS]
    if unknown:
        raise RequestError(
            f"the field '{excerpt(unknown[0])}' is unknown", f"the fields are {', '.join(FIELDS)}"
        )
    actions, kinds = _actions(detail), _kinds(detail, catalogue)
    ideal, minimum = read_resolution(detail.get("resolution", "raw"), map(catalogue.kind, kinds))
    mode, mode_minimum = read_mode(detail.get("mode", "read"))
    ask = Ask(
        actions=actions,
        kinds=kinds,
        ideal=ideal,
        minimum=minimum,
        data_from=read_optional(detail, "data_from", parse_time, _TIME_HINT),
        data_until=read_optional(detail, "data_until", parse_time, _TIME_HINT),
        access_until=read_optional(detail, "access_until", parse_time, _TIME_HINT),
        purpose=_purpose(detail, purposes),
        purpose_text=read_text(detail, "purpose_text", MAX_TEXT),
        retention=read_optional(detail, "retention", _canonical_retention, "write it like P90D, P2W or P1Y"),
        recipients=_recipients(detail),
        benefit=read_text(detail, "benefit", MAX_TEXT),
        required=read_flag(detail, "required"),
        history=read_days("history", detail["history"], 0) if "history" in detail else None,
        duration=read_days("duration", detail["duration"], 1) if "duration" in detail else None,
        mode=mode,
        mode_minimum=mode_minimum,
        frequency=read_frequency(detail["frequency"]) if "frequency" in detail else None,
    )
    _check_exclusive(detail)
    _check_times(ask, now_s)
    return ask


def _actions(detail: Mapping[str, object]) -> tuple[str, ...]:
    if detail.get("actions", list(ACTIONS_SUPPORTED)) != list(ACTIONS_SUPPORTED):
        raise RequestError("actions holds something else than read", "send ['read'], or leave it out")
    return ACTIONS_SUPPORTED


def _kinds(detail: Mapping[str, object], catalogue: Catalogue) -> tuple[str, ...]:
    names = read_names(detail, "datatypes", 1, MAX_DATATYPES)
    for name in names:
        kind = catalogue.find(name)
        # Aliases are for devices: some turn the meaning around, and a brand must know what it asks for.
        if kind is None or kind.name != name:
            hint = "name a kind of the vocabulary, like energy" if kind is None else f"write {kind.name}"
            raise RequestError(f"the datatype '{excerpt(name)}' is unknown", hint)
    check_once(names, "datatypes")
    return tuple(names)


def _purpose(detail: Mapping[str, object], purposes: Purposes) -> str:
    hint = "name a purpose of the Data Privacy Vocabulary that we know, like dpv:ServiceProvision"
    term = detail.get("purpose")
    if not isinstance(term, str):
        raise RequestError("purpose is missing or not a text", hint)
    if purposes.find(term) is None:
        raise RequestError(f"the purpose '{excerpt(term)}' is unknown", hint)
    if term == ROOT:
        raise RequestError(f"{ROOT} says nothing about why", hint)
    return term


def _recipients(detail: Mapping[str, object]) -> tuple[str, ...]:
    names = read_names(detail, "recipients", 0, MAX_RECIPIENTS)
    for name in names:
        check_text("recipients", name, MAX_NAME)
        if not name:
            raise RequestError("recipients holds an empty name", "name each, or send an empty list")
    check_once(names, "recipients")
    return tuple(names)


def _canonical_retention(text: str) -> str:
    parse_retention(text)
    return text


def _check_exclusive(detail: Mapping[str, object]) -> None:
    for one, other in (("history", "data_from"), ("duration", "data_until"), ("duration", "access_until")):
        if one in detail and other in detail:
            raise RequestError(f"{one} and {other} exclude each other", f"send {one} or {other}, not both")


def _check_times(ask: Ask, now_s: int) -> None:
    for field in ("data_from", "data_until", "access_until"):
        bound = getattr(ask, field)
        if bound is not None and abs(bound - now_s) > MAX_SPAN:
            raise RequestError(f"{field} is more than ten years from now", "ask for less, and again later")
    start = ask.data_from
    if start is not None and ask.data_until is not None:
        if ask.data_until <= start:
            raise RequestError(
                "data_until is not after data_from", "the bounds are half-open: from <= t < until"
            )
        if ask.data_until - start > MAX_SPAN:
            raise RequestError("data_from and data_until are more than ten years apart", "ask for less")
    if ask.access_until is not None and ask.access_until <= now_s:
        raise RequestError("access_until is in the past", "send a moment by which you will have read")
    if ask.access_until is None and ask.data_until is not None and ask.data_until <= now_s:
        raise RequestError("data_until is in the past and access_until is missing", "send access_until too")
    if start is not None and ask.access_until is not None and ask.access_until <= start:
        raise RequestError(
            "access_until is not after data_from", "nothing could be read: send a later moment"
        )
    if start is not None and ask.duration is not None and start >= now_s + ask.duration.ideal * DAY:
        raise RequestError("duration ends before data_from", "it begins with the answer: send a longer one")
    if _from_now_on(ask) and ask.data_until is not None and ask.data_until <= now_s:
        raise RequestError("data_until is in the past and history is P0D", "nothing could be read")


def _from_now_on(ask: Ask) -> bool:
    return ask.history is not None and not ask.history.ideal


def _check_together(asks: tuple[Ask, ...]) -> None:
    common = {
        msgspec.structs.replace(ask, kinds=(), required=False, ideal="", minimum="", frequency=None)
        for ask in asks
    }
    if len(common) > 1:
        raise RequestError(
            "the details differ in more than datatypes, required, resolution and frequency",
            "ask for another purpose, another time or another promise in a request of its own",
        )
    kinds = [kind for ask in asks for kind in ask.kinds]
    check_once(kinds, "datatypes")
    if len(kinds) > MAX_DATATYPES:
        raise RequestError(f"the request names {len(kinds)} datatypes", f"name at most {MAX_DATATYPES}")
