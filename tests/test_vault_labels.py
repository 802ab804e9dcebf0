"""Labels and the derivations under them: one file, RFC vectors, and a second writing of ExpandWithLabel."""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

import vault
from tests.records import records
from vault.errors import FormatError
from vault.labels import expand_with_label, hkdf, pack, vec

PACKAGE = Path(vault.__file__).parent
EXPANDED = json.loads((Path(__file__).parent / "vectors" / "expand-with-label.json").read_text())
RFC5869 = records(Path(cryptography_vectors.__file__).parent / "KDF" / "rfc-5869-HKDF-SHA256.txt")


def foreign_labels(source: str) -> list[str]:
    """Literals in a module's code (not its docstrings) that look like a label, or are hashed as one."""
    tree = ast.parse(source)
    words = {
        node.body[0].value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
        if isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and node.value not in words:
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            found += [text] if text.startswith("hypertouch ") else []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("vec", "hkdf", "expand_with_label", "digest", "sha256"):
                inner = [part for arg in node.args[: 3 if name == "hkdf" else 2] for part in ast.walk(arg)]
                literals = [
                    p.value for p in inner if isinstance(p, ast.Constant) and p.value not in ("sha256", b"")
                ]
                found += [repr(v) for v in literals if isinstance(v, str | bytes) and not str(v).islower()]
                found += [repr(v) for v in literals if isinstance(v, bytes)]
    return found


def test_no_label_lives_outside_of_labels_py() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if path.name != "labels.py"]
    assert {path.name: found for path in modules if (found := foreign_labels(path.read_text()))} == {}


@pytest.mark.parametrize(
    "line",
    [
        'hkdf(salt, key, b"hypertouch 1 x")',
        'sha256(vec(b"x", key))',
        'hmac.digest(key, b"client\\0" + x, "sha256")',
    ],
)
def test_a_stray_label_would_be_found(line: str) -> None:
    """The control."""
    assert foreign_labels(f'"""hypertouch 1 in words is fine."""\n{line}\n')


@pytest.mark.parametrize("vector", EXPANDED["vectors"], ids=lambda v: f"suite {v['cipher_suite']}")
def test_expand_with_label_gives_the_values_of_mls(vector: dict[str, Any]) -> None:
    """The same function under MLS's prefix; the file names its source."""
    case = vector["expand_with_label"]
    secret, context, out = (bytes.fromhex(case[name]) for name in ("secret", "context", "out"))
    assert expand_with_label(secret, case["label"], context, case["length"], prefix=b"MLS 1.0 ") == out
    assert expand_with_label(secret, case["label"], context, case["length"]) != out


@pytest.mark.parametrize("case", RFC5869, ids=lambda case: f"A.{case['COUNT']}")
def test_hkdf_gives_the_values_of_rfc_5869(case: dict[str, str]) -> None:
    salt, ikm, info, okm = (bytes.fromhex(case.get(name, "")) for name in ("salt", "IKM", "info", "OKM"))
    assert hkdf(salt, ikm, info, int(case["L"])) == okm
    assert hkdf(salt, ikm, info) == HKDF(SHA256(), 32, salt, info).derive(ikm)


def by_hand(secret: bytes, label: bytes, context: bytes) -> bytes:
    """FORMAT.md's line for EWL, in HMAC: 32 bytes are one block of HKDF-Expand."""

    def opaque(value: bytes) -> bytes:
        size = len(value)
        return (bytes((size,)) if size < 64 else (size | 0x4000).to_bytes(2, "big")) + value

    info = (32).to_bytes(2, "big") + opaque(b"hypertouch 1 " + label) + opaque(context)
    return hmac.digest(secret, info + b"\1", hashlib.sha256)


@given(st.binary(min_size=32, max_size=32), st.text("abc ", max_size=60), st.binary(max_size=400))
def test_expand_with_label_is_what_the_document_says(secret: bytes, label: str, context: bytes) -> None:
    assert expand_with_label(secret, label, context) == by_hand(secret, label.encode(), context)


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_different_fields_are_never_the_same_bytes(one: list[bytes], other: list[bytes]) -> None:
    assert (vec(*one) == vec(*other)) == (one == other)


def test_what_does_not_fit_its_field_is_a_fault_of_format() -> None:
    assert vec(bytes(65535))[:2] == b"\xff\xff"
    with pytest.raises(FormatError):
        vec(bytes(65536))
    for layout, number in (("I", -1), ("I", 1 << 32), ("Q", -1), ("Q", 1 << 64), ("i", 1 << 31)):
        with pytest.raises(FormatError):
            pack(layout, number)
