"""What a request asks for in excess: many kinds, long times, more detail than its purpose usually takes."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from importlib import resources

import msgspec

from policies.groups import GROUPS, members
from policies.iso8601 import DAY, parse_retention
from policies.kinds import Catalogue
from policies.purposes import PREFIX, Purposes
from policies.request import Ask
from policies.rules import within
from policies.wishes import RESOLUTIONS_SUPPORTED

MANY_KINDS = 8
LONG_DAYS = 366
COMMERCIAL = ("dpv:Marketing", "dpv:SellProducts", "dpv:CommercialPurpose")


class Need(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A purpose needs no more of a group than this detail; "" means that its peers serve without."""

    purpose: str
    group: str
    why: str
    detail: str = ""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    need: tuple[Need, ...]


def read_needs(text: str) -> tuple[Need, ...]:
    """Read a table in the form of ``needs.toml``; terms there carry no prefix.

    Raises:
        ValueError: not TOML, an unknown field, group or detail, a row twice, a row without its reason.
    """
    rows = msgspec.toml.decode(text, type=_Table).need
    for row in rows:
        known = row.group in GROUPS and row.detail in ("", *RESOLUTIONS_SUPPORTED)
        if not known or not row.why.endswith("."):
            raise ValueError(f"a row for {row.purpose} names no group, no detail or no reason")
    if len({(row.purpose, row.group) for row in rows}) != len(rows):
        raise ValueError("a purpose needs a group twice")
    return tuple(msgspec.structs.replace(row, purpose=PREFIX + row.purpose) for row in rows)


@functools.cache
def needs() -> tuple[Need, ...]:
    """Return the table that comes with the package, read once."""
    return read_needs(resources.files(__package__).joinpath("needs.toml").read_text(encoding="utf-8"))


def nearest(purpose: str, group: str, table: Iterable[Need], purposes: Purposes) -> Need | None:
    """The row of the narrowest purpose this one falls under; of two equally near, the one that needs less."""
    above = [row for row in table if row.group == group and purposes.subsumes(row.purpose, purpose)]
    near = [row for row in above if not any(_is_nearer(other, row, purposes) for other in above)]
    return max(near, key=lambda row: _coarseness(row.detail), default=None)


def notes(asks: tuple[Ask, ...], catalogue: Catalogue, purposes: Purposes, now_s: int) -> tuple[str, ...]:
    """Say where the request asks for much, so that nobody has to compare by heart."""
    ask = asks[0]
    kinds = [kind for one in asks for kind in one.kinds if catalogue.find(kind) is not None]
    known = purposes.find(ask.purpose) is not None
    found = []
    if len(kinds) > MANY_KINDS:
        found.append(f"It asks for {len(kinds)} kinds of data at once.")
    if _days(ask, now_s) > LONG_DAYS:
        found.append("It asks for access for longer than a year.")
    if known and any(purposes.subsumes(broad, ask.purpose) for broad in COMMERCIAL):
        special = [catalogue.kind(kind).label for kind in kinds if catalogue.kind(kind).tier == "special"]
        if special:
            found.append(f"It asks for sensitive data ({', '.join(special)}) to sell or advertise.")
    if known:
        found += _excess(asks, catalogue, purposes)
    if ask.retention is None:
        found.append("It does not say how long it keeps the data.")
    elif parse_retention(ask.retention).at_most_days > LONG_DAYS:
        found.append("It keeps the data for longer than a year.")
    return tuple(found)


def _excess(asks: tuple[Ask, ...], catalogue: Catalogue, purposes: Purposes) -> list[str]:
    """One sentence for all kinds of one detail that peers serve with one other."""
    groups = members(catalogue)
    said: dict[tuple[str, str], list[str]] = {}
    rows: Mapping[str, Need | None] = {
        group: nearest(asks[0].purpose, group, needs(), purposes) for group in groups
    }
    for ask in asks:
        for name in ask.kinds:
            row = next((rows[group] for group in groups if rows[group] and name in groups[group]), None)
            if row is None or name not in catalogue.names():
                continue
            kind = catalogue.kind(name)
            enough = [one for one in kind.resolutions if row.detail and within(row.detail, kind, one)]
            usual = enough[0] if enough else "" if not row.detail else kind.resolutions[-1]
            if not usual or kind.resolutions.index(usual) > _index(kind.resolutions, ask.minimum):
                said.setdefault((ask.minimum, usual), []).append(kind.label)
    label = purposes.label(asks[0].purpose)
    return [
        f"It needs {minimum} {', '.join(labels)} for a purpose ({label}) that peers serve "
        + (f"with {usual}." if usual else "without.")
        for (minimum, usual), labels in said.items()
    ]


def _days(ask: Ask, now_s: int) -> int:
    if ask.duration is not None:
        return ask.duration.ideal
    return 0 if ask.access_end is None else -(-(ask.access_end - now_s) // DAY)


def _index(resolutions: tuple[str, ...], resolution: str) -> int:
    return resolutions.index(resolution) if resolution in resolutions else 0


def _is_nearer(one: Need, other: Need, purposes: Purposes) -> bool:
    return one.purpose != other.purpose and purposes.subsumes(other.purpose, one.purpose)


def _coarseness(detail: str) -> int:
    return {"raw": 0, "hour": 1, "h3-7": 1, "day": 2, "h3-5": 2, "": 3}[detail]
