"""Words that cannot rot: what the documents name exists, and what exists is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands import COMMANDS
from tests.commandline import find, options_of
from tests.docs import REPO, SHELL, Block, blocks, command_lines, documents, links

README = REPO / "README.md"


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(REPO)))
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    broken = [
        target for target in links(path.read_text()) if not (path.parent / target.split("#")[0]).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(REPO)))
def test_every_command_line_shown_can_be_typed(path: Path) -> None:
    wrong = [
        f"line {block.line}: hypertouch {' '.join(words)}: {problem}"
        for block in blocks(path.read_text(), "", *SHELL)
        for words in command_lines(block)
        if (problem := problem_with(words))
    ]
    assert wrong == []


def test_the_readme_names_every_command() -> None:
    text = README.read_text()
    assert [name for name in COMMANDS if f"hypertouch {name}" not in text] == []


def problem_with(words: list[str]) -> str:
    """Why this command line could not be typed; empty where it could."""
    if not words or words[0].startswith("-"):
        return "" if set(words) <= {"--version", "--help", "-h"} else "no such option"
    try:
        command = find(words)
    except KeyError as error:
        return f"no command {error}"
    known = options_of(command) | {"--help", "-h"}
    given = {word.split("=")[0] for word in words if word.startswith("-") and word not in ("-", "--")}
    return " ".join(f"no option {option}" for option in sorted(given - known))


class TestHarness:
    """The reader of documents itself, with known-bad input."""

    def test_it_finds_blocks_and_their_lines(self) -> None:
        text = "words\n```sh\nhypertouch up\n```\n\n~~~python\nx = 1\n~~~\n"
        assert blocks(text) == [Block("sh", "hypertouch up\n", 3), Block("python", "x = 1\n", 7)]
        assert blocks(text, "sh") == [Block("sh", "hypertouch up\n", 3)]

    def test_it_finds_links_to_files_outside_of_blocks(self) -> None:
        text = "[a](b.md) [c](https://d.example) [e](#f) ![g](h.png)\n```\n[i](j)\n```\n"
        assert links(text) == ["b.md"]

    @pytest.mark.parametrize(
        ("line", "calls"),
        [
            ("hypertouch up", [["up"]]),
            ("$ hypertouch up --lan  # on the network", [["up", "--lan"]]),
            ("hypertouch lock ; hypertouch unlock -x P", [["lock"], ["unlock", "-x", "P"]]),
            ("hypertouch data export > out.jsonl", [["data", "export"]]),
            ("cat p | hypertouch unlock --passphrase-file -", [["unlock", "--passphrase-file", "-"]]),
            ("hypertouch brand add \\\n  'Acme Ltd'", [["brand", "add", "Acme Ltd"]]),
            ("make demo", []),
        ],
    )
    def test_it_finds_the_words_of_every_call(self, line: str, calls: list[list[str]]) -> None:
        assert list(command_lines(Block("sh", f"{line}\n", 1))) == calls

    @pytest.mark.parametrize("words", [["frobnicate"], ["--frob"], ["lock", "--frob"], ["device", "frob"]])
    def test_a_command_line_that_does_not_exist_is_found_out(self, words: list[str]) -> None:
        assert problem_with(words) != ""
