"""The entry point: exit statuses, one line of words, and nothing imported before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import click
import pytest

from cli import __version__, errors
from cli.commands import COMMANDS, hypertouch
from cli.errors import CliError, ExitCode
from cli.main import main
from tests import commands

REPO = Path(__file__).parent.parent
EXIT_CODES = {
    "CliError": 1,
    "UsageError": 2,
    "NotAuthorisedError": 3,
    "LockedError": 4,
    "NotFoundError": 5,
    "RefusedError": 6,
    "ConflictError": 7,
    "PartialError": 8,
    "NoVaultError": 10,
    "WrongPassphraseError": 12,
    "UnreachableError": 69,
    "CancelledError": 130,
}


@pytest.fixture(autouse=True)
def _failing_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "status", COMMANDS["status"])  # put back what install() replaces
    commands.install()


def run(*words: str, program: str = "", **options: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, with the failing commands installed."""
    code = program or "from tests import commands; commands.install(); from cli.main import entry; entry()"
    return subprocess.run(  # type: ignore[call-overload, no-any-return]  # any of its options
        [sys.executable, "-c", code, *words],
        **{"capture_output": True, "text": True, "cwd": REPO, "timeout": 60, "stdin": subprocess.DEVNULL}
        | options,
    )


class TestExitStatus:
    def test_the_table_names_every_error(self) -> None:
        tree = {"CliError"} | {error.__name__ for error in CliError.__subclasses__()}
        assert set(EXIT_CODES) == tree

    def test_the_numbers_are_those_that_scripts_rely_on(self) -> None:
        assert {code.value for code in ExitCode} == {0, *EXIT_CODES.values()}

    @pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
    def test_an_error_is_one_line_and_its_status(
        self, name: str, code: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["status", "fail", name]) == code
        assert capsys.readouterr() == ("", "hypertouch: it went wrong; do that\n")

    @pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
    def test_an_error_in_json_says_the_same(
        self, name: str, code: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["status", "fail", name, "--json"]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert json.loads(err) == {"error": "it went wrong", "hint": "do that", "exit": code}

    @pytest.mark.parametrize("words", [["leave", "69"], ["leave-click", "69"]])
    def test_a_command_may_leave_with_a_status(self, words: list[str]) -> None:
        assert main(["status", *words]) == 69

    def test_json_after_two_dashes_is_an_argument(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["status", "fail", "--", "NotFoundError"]) == 5
        assert capsys.readouterr().err == "hypertouch: it went wrong; do that\n"


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (["frobnicate"], "hypertouch: no such command 'frobnicate'; see: hypertouch --help\n"),
            (["--frob"], "hypertouch: no such option '--frob'; see: hypertouch --help\n"),
            (["status", "fail"], "hypertouch: missing argument 'NAME'; see: hypertouch status fail --help\n"),
            (["status", "nope"], "hypertouch: no such command 'nope'; see: hypertouch status --help\n"),
            (
                ["device", "release", "car"],
                "hypertouch: missing option '--reason'. Choose from: sale, rental, return, other;"
                " see: hypertouch device release --help\n",
            ),
        ],
    )
    def test_a_wrong_command_line_is_one_line_and_2(
        self, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(words) == ExitCode.USAGE
        assert capsys.readouterr() == ("", line)

    def test_a_wrong_command_line_in_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["frobnicate", "--json"]) == ExitCode.USAGE
        assert json.loads(capsys.readouterr().err)["exit"] == 2

    def test_what_was_typed_cannot_steer_the_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["fro\x1b[2Jb\nhypertouch: all is well"])
        err = capsys.readouterr().err
        assert "\x1b" not in err
        assert err.count("\n") == 1

    def test_without_a_terminal_a_question_is_an_error(self) -> None:
        done = run("status", "confirmed")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "hypertouch: needs an answer and there is no terminal to ask at; give --yes\n"
        assert run("status", "confirmed", "--yes").stdout == "done\n"


class TestFaults:
    """What nobody expected: a place to report, and never the text, which may be private."""

    def test_a_fault_names_kind_and_place_only(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["status", "fault"]) == ExitCode.FAILED
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("hypertouch: unexpected ZeroDivisionError at cli/")
        assert "please report" in err
        assert err.count("\n") == 1
        assert commands.CANARY not in err

    def test_a_fault_in_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["status", "fault", "--json"]) == ExitCode.FAILED
        err = capsys.readouterr().err
        assert json.loads(err)["exit"] == 1
        assert commands.CANARY not in err

    def test_the_trace_is_there_when_asked_for(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Also the control of the test above: the text is there to be shown."""
        monkeypatch.setenv("HYPERTOUCH_DEBUG", "1")
        assert main(["status", "fault"]) == ExitCode.FAILED
        err = capsys.readouterr().err
        assert "Traceback" in err
        assert commands.CANARY in err


class TestEndings:
    def test_an_interrupt_is_130_and_no_trace(self) -> None:
        done = run("status", "interrupted")
        assert done.returncode == ExitCode.CANCELLED
        assert done.stderr.split("\n")[-2] == "hypertouch: cancelled"
        assert "Traceback" not in done.stderr

    def test_a_reader_that_leaves_is_no_error_to_talk_about(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "wb") as closed:
            done = run("status", "much", capture_output=False, stdout=closed, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (ExitCode.FAILED, "")

    def test_files_made_by_a_command_are_the_owners_alone(self) -> None:
        program = "import cli.main, os; cli.main.main = lambda _: os.umask(0); cli.main.entry()"
        assert run(program=program, umask=0).returncode == 0o077


class TestHelp:
    @pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
    def test_it_lists_every_command_with_its_purpose(
        self, words: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(words) == ExitCode.OK
        out, err = capsys.readouterr()
        assert err == ""
        for name, entry in COMMANDS.items():
            assert any(name in line and entry.short in line for line in out.splitlines()), name
        assert max(len(line) for line in out.splitlines()) <= 80
        assert "\x1b" not in out

    def test_the_listing_imports_no_command(self) -> None:
        program = (
            "import sys; from cli.main import main; main(['--help']);"
            "ours = [name for name in sys.modules if name.split('.')[0] in ('cli', 'gateway', 'vault')];"
            "print(sorted(ours), file=sys.stderr)"
        )
        assert run(program=program).stderr == "['cli', 'cli.commands', 'cli.errors', 'cli.main']\n"


class TestVersion:
    def test_it_is_the_packages(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == ExitCode.OK
        assert capsys.readouterr() == (f"hypertouch {__version__}\n", "")
        try:
            assert metadata.version("hypertouch") == __version__
        except metadata.PackageNotFoundError:
            assert '[tool.hatch.version]\npath = "cli/__init__.py"' in (REPO / "pyproject.toml").read_text()

    def test_it_needs_nothing_but_the_standard_library(self) -> None:
        program = (
            "import sys; before = set(sys.modules); from cli.main import main; main(['--version']);"
            "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
        )
        loaded = run(program=program).stderr.split()
        assert {name.split(".")[0] for name in loaded} <= sys.stdlib_module_names | {"cli"}


class TestOptions:
    def test_shared_options_reach_the_command(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["status", "given", "--home", str(tmp_path), "--passphrase-file", "-"]) == 0
        assert capsys.readouterr().out == f"{tmp_path}\n- None\n"

    def test_the_home_is_the_environments_else_the_platforms(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("HYPERTOUCH_HOME", "/some/where")
        main(["status", "given"])
        assert capsys.readouterr().out.startswith("/some/where\n")
        monkeypatch.delenv("HYPERTOUCH_HOME")
        monkeypatch.setenv("HOME", "/home/jane")
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        main(["status", "given"])
        assert capsys.readouterr().out.startswith("/home/jane/")

    def test_no_option_anywhere_takes_a_passphrase_itself(self) -> None:
        names = {name for parameter in commands.given.params for name in parameter.opts}
        assert names == {"--home", "--passphrase-file", "--passphrase-command"}


def test_every_error_class_is_in_the_drawn_tree() -> None:
    drawn = errors.__doc__ or ""
    for name, code in EXIT_CODES.items():
        assert f"{name} ({code})" in drawn


def test_the_group_is_one_that_click_can_walk() -> None:
    context = click.Context(hypertouch)
    assert hypertouch.list_commands(context) == list(COMMANDS)
