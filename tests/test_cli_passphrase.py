"""Passphrases come from a prompt, a file, standard input or a command, and from nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cli.errors import UsageError
from cli.passphrase import PassphraseSource, generate, normalised, read, read_bytes

REPO = Path(__file__).parent.parent


def written(tmp_path: Path, data: bytes) -> PassphraseSource:
    path = tmp_path / "p"
    path.write_bytes(data)
    return PassphraseSource(file=str(path))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"six words", "six words"),
        (b"six words\n", "six words"),
        (b"six words\r\n", "six words"),
        (b"six words\n\n", "six words\n"),  # one newline only
        (b" six words ", " six words "),  # spaces are part of it
        ("passé".encode(), "passé"),
    ],
)
def test_a_file_loses_one_newline_at_its_end_and_nothing_else(
    tmp_path: Path, data: bytes, expected: str
) -> None:
    assert read(written(tmp_path, data)) == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 4097, "longer than 4096 bytes"),
    ],
)
def test_a_file_that_holds_no_passphrase_is_refused_without_a_word_of_it(
    tmp_path: Path, data: bytes, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        read(written(tmp_path, data))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read(PassphraseSource(file=str(tmp_path / "none")))


class TestCommand:
    def test_its_output_is_the_passphrase(self) -> None:
        assert read(PassphraseSource(command="printf 'six words\\n'")) == "six words"

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("false", "ended with status 1"),
            ("/no/such/program", "cannot be run"),
            ("'unbalanced", "cannot be run"),
            ("", "cannot be run"),
            ("true", "is empty"),
        ],
    )
    def test_one_that_gives_none_is_refused(self, command: str, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            read(PassphraseSource(command=command))

    def test_it_runs_without_a_shell(self) -> None:
        assert read(PassphraseSource(command="echo a; echo $HOME")) == "a; echo $HOME"


def test_two_sources_are_refused() -> None:
    with pytest.raises(UsageError, match="one place only"):
        read(PassphraseSource(file="-", command="true"))


def test_differently_typed_letters_give_the_same_key_material(tmp_path: Path) -> None:
    composed, decomposed = "pass\u00e9".encode(), "passe\u0301".encode()
    assert composed != decomposed
    assert read_bytes(written(tmp_path, composed)) == read_bytes(written(tmp_path, decomposed))


def test_one_that_the_vault_does_not_accept_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="1024 bytes"):
        normalised("x" * 1025)


class TestGenerate:
    def test_it_draws_six_words_of_the_list(self) -> None:
        words = generate().split(" ")
        assert len(words) == 6
        assert generate().split(" ") != words

    def test_its_choice_is_an_argument(self) -> None:
        assert generate(lambda words: words[-1]) == "zoo zoo zoo zoo zoo zoo"
        assert generate(lambda words: str(len(words))) == "2048 2048 2048 2048 2048 2048"


def test_standard_input_is_a_source() -> None:
    code = "from cli.passphrase import *; print(repr(read(PassphraseSource(file='-'))))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, input=b"six words\n", capture_output=True, cwd=REPO, timeout=60, check=True
    )
    assert done.stdout == b"'six words'\n"


def test_without_a_terminal_and_a_source_it_is_an_error_and_no_wait() -> None:
    code = "from cli.passphrase import *; read(PassphraseSource())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, cwd=REPO, timeout=60, check=False
    )
    assert b"UsageError: needs an answer" in done.stderr


def test_what_is_typed_at_the_prompt_is_not_echoed() -> None:
    """At a real terminal: the answer arrives, and the terminal shows the prompt only."""
    code = (
        "from cli.passphrase import *\n"
        "import sys\n"
        "text = read_new(PassphraseSource())\n"
        "sys.exit(0 if text == 'secret words' else 3)"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(REPO)
        os.execv(sys.executable, [sys.executable, "-c", code])  # noqa: S606 -- there is no shell in it
    shown = b""
    for prompt in (b"New passphrase: ", b"New passphrase once more: "):
        while not shown.endswith(prompt):
            shown += os.read(terminal, 1024)
        os.write(terminal, b"secret words\n")
    try:
        while more := os.read(terminal, 1024):
            shown += more
    except OSError:  # Linux: the other side of the terminal is closed
        pass
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"secret" not in shown
