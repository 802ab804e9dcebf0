"""Reads Markdown the way the tests need it: fenced blocks, links, and the command lines in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPO = Path(__file__).parent.parent
SHELL = ("sh", "bash", "console", "shell")
_FENCE = re.compile(
    r"^(?P<fence>```+|~~~+)\s*(?P<language>[\w+-]*)[^\n]*\n(?P<text>.*?)^(?P=fence)\s*$", re.M | re.S
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_SEPARATORS = {";", "|", "&&", "||", ">", ">>", "<", "&"}


class Block(NamedTuple):
    """A fenced block: what follows the fence's backticks, its text, and the line it starts at (from 1)."""

    language: str
    text: str
    line: int


def documents() -> list[Path]:
    """Every Markdown file of the project."""
    return sorted(
        path
        for place in (REPO, *(REPO / name for name in ("policies", "vault", "gateway", "cli", "tests")))
        for path in (place.glob("*.md") if place == REPO else place.rglob("*.md"))
    )


def blocks(markdown: str, *languages: str) -> list[Block]:
    """The fenced blocks in these languages, or all of them."""
    return [
        Block(found["language"], found["text"], markdown.count("\n", 0, found.start()) + 2)
        for found in _FENCE.finditer(markdown)
        if not languages or found["language"] in languages
    ]


def links(markdown: str) -> list[str]:
    """Targets of inline links that lead to a file of the project."""
    prose = _FENCE.sub("", markdown)
    targets = (found["target"] for found in _LINK.finditer(prose))
    return [target for target in targets if not re.match(r"[a-z]+:|#", target)]


def command_lines(block: Block, program: str = "hypertouch") -> Iterator[list[str]]:
    """The words after ``program`` of each call in a block, prompts, comments and redirections left out."""
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        if program not in line:
            continue
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        call: list[str] | None = None
        for word in lexer:
            if word in _SEPARATORS:
                if call is not None:
                    yield call
                call = None
            elif call is not None:
                call.append(word)
            elif word == program:
                call = []
        if call is not None:
            yield call
