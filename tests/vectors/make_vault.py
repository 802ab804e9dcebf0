"""Writes ``vault.json``: vectors of our own format, one fault each.  ``python -m tests.vectors.make_vault``

Running it again writes the same file.  Entropy is a counter, and zstd frames are written by hand, because
their bytes would follow the library's version.  Sealing a box draws randomness that nobody can set, so a box
of the file is kept as long as it opens to what it should hold.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.vectors.vault_boxes import boxes
from tests.vectors.vault_cases import Vector, keys
from tests.vectors.vault_sealed import chunks, columns, lane_names
from tests.vectors.vault_signed import entries, statements
from vault.errors import SealError
from vault.suite import Recipient, seal

PATH = Path(__file__).with_name("vault.json")


def make(former: str) -> str:
    """The text of the file; ``former`` is what it was, or empty."""
    before: list[Vector] = json.loads(former)["vectors"] if former else []
    kept = {vector["name"]: bytes.fromhex(vector["box"]) for vector in before if "box" in vector}

    def box(name: str, recipient: Recipient, plain: bytes, info: bytes) -> bytes:
        try:
            if name in kept and recipient.open(kept[name], info) == plain:
                return kept[name]
        except SealError:
            pass
        return seal(recipient.public, plain, info)

    vectors = [*keys(), *boxes(box), *lane_names(), *columns(), *chunks(), *statements(), *entries()]
    whole = {"format": "hypertouch vault 1", "see": "vault/FORMAT.md", "vectors": vectors}
    return json.dumps(whole, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(make(PATH.read_text() if PATH.exists() else ""))
