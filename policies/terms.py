"""What was given, exactly: the terms of a grant, and the hashes that bind them to the request they answer."""

from __future__ import annotations

import hashlib

import msgspec

from policies.errors import TermsError
from policies.iso8601 import LAST_SECOND
from policies.minimise import Limit
from policies.request import Ask, format_details
from policies.strict import canonical
from policies.wishes import MODES_SUPPORTED, RESOLUTIONS_SUPPORTED, Mode

ASKS_LABEL = b"hypertouch 1 asks"
TERMS_LABEL = b"hypertouch 1 terms"
HASH_SIZE = 32  # bytes, SHA-256
MAX_COUNT = 1_000_000_000  # of uses, and of answers in a day


class Selector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of one device; ``channels`` None means every channel of it, future ones too.

    ``resolution`` None means that of the terms.
    """

    device: str
    kind: str
    channels: tuple[str, ...] | None = None
    resolution: str | None = None

    def __post_init__(self) -> None:
        if self.channels is not None and not self.channels:
            raise TermsError("a selector names no channel: that would give nothing")
        if self.resolution is not None:
            _check_resolution(self.resolution)


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was given, exactly as the person was shown it.

    Bounds are seconds since the Unix epoch, half-open; ``purpose`` and the texts are the brand's words.
    Whatever one of these structs holds can be granted: bounds leave time, nothing is named twice.
    """

    selectors: tuple[Selector, ...]
    resolution: str = "raw"
    data_from: int
    data_until: int
    access_until: int
    purpose: str
    purpose_text: str = ""
    retention: str | None = None
    recipients: tuple[str, ...] = ()
    benefit: str = ""
    mode: Mode = "read"
    uses: int | None = None  # how often it may be read; None: as often as the brand likes
    budget: int | None = None  # answers in a UTC day; None: this version's default where mode is answer
    limits: tuple[Limit, ...] = ()  # at most one a kind

    def __post_init__(self) -> None:
        if not self.selectors:
            raise TermsError("terms select nothing")
        if len({(selector.device, selector.kind) for selector in self.selectors}) != len(self.selectors):
            raise TermsError("terms select one kind of one device twice")
        if not (
            0 <= self.data_from < self.data_until <= LAST_SECOND and 0 < self.access_until <= LAST_SECOND
        ):
            raise TermsError("terms have no time, or milliseconds for seconds")
        _check_resolution(self.resolution)
        if self.mode not in MODES_SUPPORTED:
            raise TermsError("terms have a mode that is not there yet")
        for count in (self.uses, self.budget):
            if count is not None and not 1 <= count <= MAX_COUNT:
                raise TermsError("a number of uses or of answers is at least 1")
        if self.mode == "once" and self.uses != 1:
            raise TermsError("once is one use")
        if len({limit.kind for limit in self.limits}) != len(self.limits):
            raise TermsError("terms limit one kind twice")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds given, each once, in alphabetical order."""
        return tuple(sorted({selector.kind for selector in self.selectors}))

    def resolution_of(self, selector: Selector) -> str:
        """In how much detail a selector's readings are given."""
        return self.resolution if selector.resolution is None else selector.resolution


def ask_hash(asks: tuple[Ask, ...]) -> bytes:
    """Return the hash of a request's details, 32 bytes: of what the brand can no longer change."""
    return hashlib.sha256(ASKS_LABEL + b"\0" + canonical(format_details(asks))).digest()


def terms_hash(request_hash: bytes, terms: Terms) -> bytes:
    """Return what an approval signs, 32 bytes: one request answered with exactly these terms (GRANTS.md).

    Raises:
        TermsError: ``request_hash`` has not 32 bytes, so where it ends would be in doubt.
    """
    if len(request_hash) != HASH_SIZE:
        raise TermsError("the hash of a request has 32 bytes")
    return hashlib.sha256(TERMS_LABEL + b"\0" + request_hash + canonical(_plain(terms))).digest()


# Later members of terms, and what they are where nothing is said: then they are not in the hash, so that
# the hashes of terms from before they were there stay as they are.
_SILENT = {"mode": "read", "uses": None, "budget": None, "limits": ()}


def _plain(terms: Terms) -> dict[str, object]:
    """Terms as JSON values; the order of selectors, channels and limits says nothing, so it is fixed here."""
    plain: dict[str, object] = msgspec.structs.asdict(terms)
    plain = {name: value for name, value in plain.items() if name not in _SILENT or value != _SILENT[name]}
    selectors = sorted(terms.selectors, key=lambda selector: (selector.device, selector.kind))
    plain["selectors"] = [
        {
            "device": selector.device,
            "kind": selector.kind,
            "channels": None if selector.channels is None else sorted(set(selector.channels)),
            **({} if selector.resolution is None else {"resolution": selector.resolution}),
        }
        for selector in selectors
    ]
    plain["recipients"] = list(terms.recipients)
    if terms.limits:
        limits = sorted(terms.limits, key=lambda limit: limit.kind)
        plain["limits"] = [msgspec.to_builtins(limit) for limit in limits]  # no member at its default
    return plain


def _check_resolution(resolution: str) -> None:
    if resolution not in RESOLUTIONS_SUPPORTED:
        raise TermsError("terms have a resolution that is not there")
