"""What lies where, and how a module of this project looks."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs import REPO
from tests.peers import missing, require_peer

PACKAGES = ("policies", "vault", "gateway", "cli")
WORDS = {"README.md", "CHANGELOG.md", "LICENSE"}
ROOT = {*PACKAGES, *WORDS, "tests", ".ci", ".gitignore", "Makefile", "pyproject.toml"}
MODULES = sorted(path for package in PACKAGES for path in (REPO / package).rglob("*.py"))
LONGEST = 500  # lines; 90 to 250 feel right
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
OVERCLAIM = re.compile("zero[- ]knowledge", re.IGNORECASE)  # what this is not


def tracked() -> list[Path]:
    """Files under version control."""
    git = require_peer("git")
    listed = subprocess.run([git, "-C", str(REPO), "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode != 0:
        missing("this is not a git checkout")
    return [REPO / name for name in listed.stdout.decode().split("\0") if name]


def test_the_root_stays_small() -> None:
    assert {path.relative_to(REPO).parts[0] for path in tracked()} - ROOT == set()


def test_tests_are_flat_and_named_for_what_they_test() -> None:
    names = [path.name for path in (REPO / "tests").glob("test_*.py")]
    assert [name for name in names if name.split("_")[1] not in (*PACKAGES, "project", "system")] == []
    assert [path.name for path in (REPO / "tests").iterdir() if path.is_dir() and path.name in PACKAGES] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPO)))
class TestModule:
    def test_it_says_what_it_is_for(self, path: Path) -> None:
        tree = ast.parse(path.read_text())
        assert not tree.body or ast.get_docstring(tree)

    def test_it_postpones_annotations(self, path: Path) -> None:
        body = ast.parse(path.read_text()).body
        defines = any(isinstance(node, DEFINITIONS) for node in body)
        assert not defines or "from __future__ import annotations" in path.read_text().splitlines()

    def test_it_is_not_the_module_that_everything_is_in(self, path: Path) -> None:
        assert len(path.read_text().splitlines()) <= LONGEST


def test_nothing_is_left_for_later_and_nothing_is_claimed_too_much() -> None:
    kinds = (".py", ".md", ".toml", ".sql", "")
    text_files = [path for path in tracked() if path.suffix in kinds and path.is_file()]
    found = [
        f"{path.relative_to(REPO)}: {match[0]}"
        for path in text_files
        for pattern in (UNFINISHED, OVERCLAIM)
        if (match := pattern.search(path.read_text()))
    ]
    assert found == []
