"""Purposes a brand may name, and which of them fall under which (W3C Data Privacy Vocabulary 2.3)."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources

import msgspec

PREFIX = "dpv:"
ROOT = "dpv:Purpose"  # everything falls under it, so it says nothing and nobody may ask for it


class Purpose(msgspec.Struct, frozen=True):
    """One term as written in a request (``dpv:Marketing``), and the terms right above it."""

    term: str
    label: str
    broader: tuple[str, ...]


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: str
    broader: tuple[str, ...]


class Purposes:
    """A closed table of purposes: every broader term is in it, and no term is broader than itself."""

    def __init__(self, purposes: Iterable[Purpose]) -> None:
        """Raises ValueError if a broader term is missing or the terms run in a circle."""
        self._purposes = {purpose.term: purpose for purpose in purposes}
        self._above: dict[str, frozenset[str]] = {}
        for term in self._purposes:
            self._climb(term, ())

    def __iter__(self) -> Iterator[Purpose]:
        return iter(self._purposes.values())

    def find(self, term: str) -> Purpose | None:
        """Return the purpose written exactly so, prefix and case included, or None."""
        return self._purposes.get(term)

    def subsumes(self, broad: str, narrow: str) -> bool:
        """Tell whether ``narrow`` is ``broad`` or falls under it, over any number of steps.

        Raises:
            KeyError: a term is not in the table.  False would let an unknown term slip past a rule.
        """
        if broad not in self._purposes:
            raise KeyError(broad)
        return broad in self._above[narrow]

    def label(self, term: str) -> str:
        """Return the words a person reads; KeyError if the term is not in the table."""
        return self._purposes[term].label

    def _climb(self, term: str, path: tuple[str, ...]) -> frozenset[str]:
        if term in path:
            raise ValueError(f"purposes run in a circle: {' -> '.join((*path, term))}")
        if term not in self._purposes:
            raise ValueError(f"broader purpose is not in the table: {term}")
        if term not in self._above:
            above = (self._climb(broader, (*path, term)) for broader in self._purposes[term].broader)
            self._above[term] = frozenset({term}).union(*above)
        return self._above[term]


def read_purposes(text: str) -> Purposes:
    """Read a table in the form of ``purposes.toml``; terms there carry no prefix.

    Raises:
        ValueError: not TOML, an unknown field, or a table that is not closed.
    """
    rows: Mapping[str, _Row] = msgspec.convert(tomllib.loads(text), type=dict[str, _Row])
    return Purposes(
        Purpose(PREFIX + term, row.label, tuple(PREFIX + broader for broader in row.broader))
        for term, row in rows.items()
    )


@functools.cache
def purposes() -> Purposes:
    """Return the table that comes with the package, read once."""
    return read_purposes(resources.files(__package__).joinpath("purposes.toml").read_text(encoding="utf-8"))
