"""The four plain names are ours alone, and the wheel carries all of them and nothing else."""

from __future__ import annotations

import importlib
import importlib.util
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.docs import REPO
from tests.peers import missing

PACKAGES = ("policies", "vault", "gateway", "cli")


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_distribution_has_a_package_of_this_name(name: str) -> None:
    owners = set(metadata.packages_distributions().get(name, ["hypertouch"]))
    assert owners == {"hypertouch"}


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_imported_is_ours(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__) == REPO / name / "__init__.py"
    assert (REPO / name / "py.typed").exists()


def test_the_wheel_carries_every_file_of_the_packages(tmp_path: Path) -> None:
    """Vocabulary, schema and specifications are data that the packages read or point to."""
    if importlib.util.find_spec("hatchling") is None:
        missing("hatchling is not installed")
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(REPO)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(REPO).as_posix()
        for package in PACKAGES
        for path in (REPO / package).rglob("*")
        if path.is_file() and path.suffix in (".py", ".toml", ".sql", ".md", ".typed")
    }
    assert names == expected
