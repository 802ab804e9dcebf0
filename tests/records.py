"""Reads the text files of ``cryptography_vectors``: records of ``name = value`` that begin with COUNT."""

from __future__ import annotations

from pathlib import Path


def records(path: Path) -> list[dict[str, str]]:
    """Every record of a file, values as they stand there."""
    found: list[dict[str, str]] = []
    for line in path.read_text().splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("#") or not equals:
            continue
        if name == "COUNT":
            found.append({})
        if found:
            found[-1][name] = value
    return found
