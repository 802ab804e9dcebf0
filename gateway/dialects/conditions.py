"""Conditions of rules and fields, compiled into functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.dialects.paths import ABSENT, Item, Path, getter, parse
from gateway.dialects.patterns import Captures
from gateway.dialects.rules import Check, Conditions, Scalar
from gateway.dialects.texts import Template
from gateway.dialects.values import is_number, number_in

CONDITIONS_MAX: Final = 32

Holds = Callable[[Item, Captures, Mapping[str, str]], bool]
_Test = Callable[[Any], bool]


def compile_conditions(
    conditions: Conditions, needs: tuple[str, ...] = ()
) -> tuple[Holds | None, tuple[Path, ...]]:
    """A function that says whether all of them hold, None if there are none; and the paths they name.

    Raises:
        ValueError: a path or template that is none, or too many of them.
    """
    if len(conditions) + len(needs) > CONDITIONS_MAX:
        raise ValueError("too many conditions")
    tests: list[Holds] = []
    paths: list[Path] = []
    for path in map(parse, needs):
        paths.append(path)
        tests.append(_at(path, _present))
    for key, wanted in conditions.items():
        test = _test(wanted)
        if "{" in key:
            template = Template(key)
            paths.extend(template.paths)
            tests.append(_filled(template, test))
        else:
            path = parse(key)
            paths.append(path)
            tests.append(_at(path, test))
    return functools.reduce(_both, tests) if tests else None, tuple(paths)


def _both(first: Holds, second: Holds) -> Holds:
    return lambda item, captures, facts: first(item, captures, facts) and second(item, captures, facts)


def words_of(conditions: Conditions) -> dict[str, frozenset[str]]:
    """Path -> texts, of conditions that one of these texts is there."""
    found = {}
    for path, wanted in conditions.items():
        texts = wanted if isinstance(wanted, tuple) else (wanted,)
        words = frozenset(text for text in texts if isinstance(text, str))
        if "{" not in path and len(words) == len(texts):
            found[path] = words
    return found


def same(value: Any, wanted: Scalar) -> bool:
    """Whether a value is this one: true is not 1, "1" is."""
    if value.__class__ is bool or wanted.__class__ is bool:
        return value.__class__ is wanted.__class__ and value == wanted
    if value.__class__ is str and wanted.__class__ is not str:
        return number_in(value) == wanted
    return bool(value == wanted)


def _at(path: Path, test: _Test) -> Holds:
    get = getter(path)
    return lambda item, _captures, _facts: test(get(item))


def _filled(template: Template, test: _Test) -> Holds:
    fill = template.fill
    return lambda item, captures, facts: test(fill(captures, item, facts))


def _present(value: Any) -> bool:
    return value is not ABSENT


def _test(wanted: Scalar | tuple[Scalar, ...] | Check) -> _Test:
    if isinstance(wanted, Check):
        others = frozenset(one for one in wanted.other_than if isinstance(one, str))
        alone = msgspec.structs.replace(wanted, other_than=()) == Check()
        if others and alone and len(others) == len(wanted.other_than):
            return lambda value: value is not ABSENT and (value.__class__ is not str or value not in others)
        return functools.partial(_checked, wanted)
    if isinstance(wanted, tuple):
        words = frozenset(one for one in wanted if isinstance(one, str))
        if len(words) == len(wanted):
            return lambda value: value.__class__ is str and value in words
        return lambda value: any(same(value, one) for one in wanted)
    if isinstance(wanted, str):
        return lambda value: value.__class__ is str and value == wanted
    return lambda value: same(value, wanted)


def _checked(check: Check, value: Any) -> bool:
    if check.present is not None and (value is not ABSENT) is not check.present:
        return False
    if check.other_than:
        if value is ABSENT:
            return False
        if any(same(value, one) for one in check.other_than):
            return False
    if check.least is None and check.most is None:
        return True
    number = number_in(value) if isinstance(value, str) else value if is_number(value) else None
    if number is None:
        return False
    return (check.least is None or number >= check.least) and (check.most is None or number <= check.most)
