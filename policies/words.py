"""What a person may call a kind, a group or a purpose in a rule; the nearest words where nothing is found."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

from policies.errors import RulesError
from policies.groups import GROUPS
from policies.kinds import Catalogue
from policies.purposes import PREFIX, ROOT, Purposes
from policies.strict import excerpt

What: TypeAlias = Literal["kind", "group", "purpose"]
EVERYTHING: Final = frozenset({"everything", "anything", "all", "all data", "any data"})
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Subject(NamedTuple):
    """A canonical name, and of what."""

    what: What
    name: str


class Words:
    """Every word of the tables, in one index: a word means one thing, or two things of which a kind wins."""

    def __init__(self, catalogue: Catalogue, purposes: Purposes) -> None:
        self._index: dict[str, Subject] = {}
        self._label: dict[Subject, str] = {}
        for name in catalogue.names():
            kind = catalogue.kind(name)
            self._add(Subject("kind", name), (kind.label, name, *kind.aliases))
        for name, group in GROUPS.items():
            self._add(Subject("group", name), (name, *group.words))
        for purpose in purposes:
            if purpose.term != ROOT:
                last = purpose.term.removeprefix(PREFIX)
                self._add(
                    Subject("purpose", purpose.term),
                    (purpose.label, last, _CAMEL.sub(" ", last), purpose.term),
                )

    def find(self, word: str, what: Iterable[What] = ("kind", "group", "purpose")) -> Subject | None:
        """The subject of this word, in any case, "-" and "_" read as a space; None: unknown, or another."""
        found = self._index.get(_key(word))
        return found if found is not None and found.what in what else None

    def need(self, word: str, what: Iterable[What] = ("kind", "group", "purpose")) -> Subject:
        """As ``find``; raises RulesError, with what could have been meant, where nothing is found."""
        wanted = tuple(what)
        found = self.find(word, wanted)
        if found is None:
            known = [key for key, subject in self._index.items() if subject.what in wanted]
            near = difflib.get_close_matches(_key(word), known, n=3, cutoff=0.6)
            near = list(dict.fromkeys(self.say(self._index[key]) for key in near))
            hint = f"; did you mean {' or '.join(near)}?" if near else f"; groups are {', '.join(GROUPS)}"
            raise RulesError(f"no {' or '.join(wanted)} is called '{excerpt(word)}'{hint}")
        return found

    def ends(self, word: str) -> bool:
        """Whether this is a word of the tables, or the end of one, as "consumer" is."""
        return _key(word) in self._index or any(key.endswith(f" for {_key(word)}") for key in self._index)

    def say(self, subject: Subject) -> str:
        """The word that is shown; it leads back to the subject."""
        return self._label.get(subject, subject.name)

    def _add(self, subject: Subject, words: Iterable[str]) -> None:
        for word in words:
            key = _key(word)
            if self._index.setdefault(key, subject) == subject and key not in EVERYTHING:
                self._label.setdefault(subject, key)


@functools.lru_cache(maxsize=8)
def words(catalogue: Catalogue, purposes: Purposes) -> Words:
    """The index of these tables."""
    return Words(catalogue, purposes)


def _key(word: str) -> str:
    return " ".join(word.lower().replace("_", " ").replace("-", " ").replace(",", " ").split())
