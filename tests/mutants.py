"""``make mutants``: how many changes to the code that decides are noticed by its tests, module by module.

Reads what ``mutmut run`` left in the directory ``mutants`` and ends with 1 where a module has less than its
share.  A change that made the tests run for ever counts as noticed; one that no test reaches does not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

SHARE = 0.9
_SURVIVED, _NO_TESTS = 0, 33  # exit codes that mutmut keeps; all others are of tests that failed


class Found(msgspec.Struct):
    """What is kept of a module: the exit code of its tests under each change; None: not run."""

    exit_code_by_key: dict[str, int | None]


def main(directory: Path) -> int:
    """Print a line for each module; 1 if one is below its share, or was not run to the end."""
    wrong = 0
    for path in sorted(directory.rglob("*.meta")):
        codes = list(msgspec.json.decode(path.read_bytes(), type=Found).exit_code_by_key.values())
        if not codes:
            continue
        killed = sum(code not in (None, _SURVIVED, _NO_TESTS) for code in codes)
        left = sum(code is None for code in codes)
        wrong += killed < SHARE * len(codes) or left > 0
        rest = f", {left} not run" if left else ""
        print(f"{path.stem:15} {killed:5} of {len(codes):5} noticed, {killed / len(codes):6.1%}{rest}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path("mutants")))
