"""cli -> gateway -> vault -> policies, and nobody the other way; checked with an offender for each rule."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import REPO

PACKAGES = ("policies", "vault", "gateway", "cli")
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
OFFENDERS = {
    "layers": ("policies/kinds.py", "import vault.ids"),
    "policies-pure": ("policies/decide.py", "import time"),
    "vault-quiet": ("vault/segment.py", "import asyncio"),
    "vault-core": ("vault/chunk.py", "import sqlite3"),
    "doors-apart": ("gateway/door/__init__.py", "import gateway.node"),
    "fast-start": ("cli/render.py", "import gateway.node"),
}
# What is pure of the standard library: nothing here tells the time, draws a number or opens anything.
PURE = {
    "__future__", "base64", "bisect", "calendar", "collections", "csv", "dataclasses", "datetime", "decimal",
    "difflib",
    "enum", "fractions", "functools", "hashlib", "importlib", "itertools", "json", "math", "operator", "re",
    "string", "tomllib", "types", "typing", "unicodedata", "zoneinfo",
}  # fmt: skip


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts of pyproject.toml over the packages below ``root``."""
    return subprocess.run(
        [sys.executable, "-c", LINT], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )


def contract_names() -> dict[str, str]:
    """Contract ids to the names that the linter prints."""
    import tomllib

    settings = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {contract["id"]: contract["name"] for contract in settings["contracts"]}


def test_every_contract_is_kept() -> None:
    done = lint(REPO)
    assert done.returncode == 0, done.stdout


def test_every_contract_catches_its_offender(tmp_path: Path) -> None:
    """The control: a copy of the packages with one forbidden import for each contract breaks all of them."""
    shutil.copy(REPO / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(REPO / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, line in OFFENDERS.values():
        with (tmp_path / path).open("a") as module:
            module.write(f"\n{line}\n")
    done = lint(tmp_path)
    names = contract_names()
    assert set(names) == set(OFFENDERS)
    assert [key for key in OFFENDERS if f"{names[key]} BROKEN" not in done.stdout] == []


def imported(path: Path) -> set[str]:
    """Top-level names of every absolute import in a module, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def relative(path: Path) -> list[int]:
    """Lines with a relative import."""
    tree = ast.walk(ast.parse(path.read_text()))
    return [node.lineno for node in tree if isinstance(node, ast.ImportFrom) and node.level > 0]


@pytest.mark.parametrize("path", sorted((REPO / "policies").rglob("*.py")), ids=lambda path: path.name)
def test_policies_imports_only_msgspec_and_what_is_pure(path: Path) -> None:
    assert imported(path) - PURE - {"msgspec", "policies"} == set()


def test_policies_never_asks_what_time_it_is() -> None:
    calls = ("datetime.now", "datetime.utcnow", "date.today", "time.time")
    found = [
        f"{path.name}: {call}"
        for path in (REPO / "policies").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and (call := ast.unparse(node)).endswith(calls)
    ]
    assert found == []


def test_imports_are_absolute() -> None:
    paths = [path for package in (*PACKAGES, "tests") for path in (REPO / package).rglob("*.py")]
    assert [f"{path}:{lines}" for path in paths if (lines := relative(path))] == []


def test_the_finder_of_imports_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("import os.path\nfrom time import time\nfrom . import x\n\ndef f():\n    import random\n")
    assert imported(path) == {"os", "time", "random"}
    assert relative(path) == [3]
