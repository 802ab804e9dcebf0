"""Programs that tests use as peers: missing ones are a visible skip, or a failure where all are required."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])  # mosquitto's


def require_peer(name: str) -> str:
    """The path of a program; without it the test skips, or fails under ``HYPERTOUCH_REQUIRE_PEERS=1``."""
    found = shutil.which(name, path=PLACES)
    if found is None:
        missing(f"{name} is not installed")
    return found


def missing(what: str) -> NoReturn:
    """Skip this test because of ``what``, or fail it where everything is required to be there."""
    if os.environ.get("HYPERTOUCH_REQUIRE_PEERS") == "1":
        pytest.fail(what)
    pytest.skip(what)
