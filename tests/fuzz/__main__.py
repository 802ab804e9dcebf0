"""``python -m tests.fuzz dialects|codec [libFuzzer's options] [corpus ...]``: look for bytes that break one.

Needs atheris (``pip install .[fuzz]``).  It finds its way by what the code does with the bytes; that it
also runs without a fuzzer, and that it can find something, is shown by tests/test_gateway_fuzz.py.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PACKAGES = ["gateway.dialects", "gateway.mqtt"]


def main(argv: Sequence[str]) -> int:
    """Run libFuzzer, which ends the process itself; beside the corpora named, it begins with our seeds."""
    name = argv[1] if len(argv) > 1 else ""
    if name not in ("codec", "dialects"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        import atheris
    except ImportError:
        print("fuzzing needs atheris: pip install .[fuzz]", file=sys.stderr)
        return 1
    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz import codec, dialects
    target = {"codec": codec, "dialects": dialects}[name]
    with tempfile.TemporaryDirectory() as seeds:
        for at, seed in enumerate(target.seeds()):
            (Path(seeds) / f"{at}").write_bytes(seed)
        atheris.Setup([argv[0], *argv[2:], seeds], target.one)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
