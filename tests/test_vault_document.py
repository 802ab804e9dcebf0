"""FORMAT.md says what the code does: labels, sizes, layouts, rows; tables are compared in both directions."""

from __future__ import annotations

import ast
import binascii
import re
import sqlite3
import struct
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import vault
from policies import kinds
from vault import (
    bucket,
    cell,
    chunk,
    columns,
    device,
    errors,
    gathering,
    grantkey,
    ids,
    labels,
    ledger,
    observation,
    person,
    secrets,
    segment,
    statement,
    suite,
    values,
)
from vault.chunk import ChunkHeader
from vault.grantkey import Slot
from vault.ids import DeviceId, GrantId, SegmentId, VaultId
from vault.segment import Lane, SegmentHeader
from vault.store.files import SCHEMA_VERSION, Files, statements
from vault.store.live import Live
from vault.store.sector import ClockMark, Counter, Frozen, Record

PACKAGE = Path(vault.__file__).parent
TEXT = (PACKAGE / "FORMAT.md").read_text("utf-8")
CORE = (
    bucket, cell, chunk, columns, device, errors, gathering, grantkey, ids, labels, ledger, person, secrets,
    segment, statement, suite, values,
)  # fmt: skip
VAULT, SEGMENT, GRANT, DEVICE = (bytes((n,)) * 16 for n in range(1, 5))
LANE = Lane(DeviceId(DEVICE), "grid/power", "energy", 7)
HEADER = SegmentHeader(VaultId(VAULT), SegmentId(SEGMENT), -3)
CHUNK = ChunkHeader(HEADER, LANE, 11, 12, 2)


def section(heading: str) -> str:
    return TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def table(heading: str, number: int = 0) -> list[list[str]]:
    """The rows of a table of a section, without its header; cells without their backquotes."""
    tables = re.findall(r"(?:^\|.*\n)+", section(heading), re.M)
    rows = tables[number].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\|)\|", row.strip("|"))] for row in rows]


def shown(value: object) -> str:
    """A constant as the document writes it."""
    if isinstance(value, bytes) and not any(value):
        return f"{len(value)} zero bytes"
    return value.decode() if isinstance(value, bytes) else str(value)


def constants(module: ModuleType) -> dict[str, object]:
    """Public upper-case names that a module itself assigns."""
    assigned = set()
    for node in ast.parse(Path(str(module.__file__)).read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        assigned |= {name.id for t in targets if t for name in ast.walk(t) if isinstance(name, ast.Name)}
    return {
        name: value
        for name, value in vars(module).items()
        if name in assigned and name.isupper() and name[0] != "_" and isinstance(value, int | str | bytes)
    }


def all_labels() -> dict[str, str]:
    """Name -> full bytes of every label; an EWL label gets the prefix that EWL puts before it."""
    found = {n: v for n, v in constants(labels).items() if n not in ("PREFIX", "KEY_SIZE", "VERSION")}
    return {n: shown(labels.PREFIX) + v if isinstance(v, str) else shown(v) for n, v in found.items()}


def test_every_constant_is_in_the_document_and_every_one_there_is_in_the_code() -> None:
    named = all_labels()
    in_code = {
        f"{module.__name__.removeprefix('vault.')}.{name}": shown(value)
        for module in CORE
        for name, value in constants(module).items()
        if module is not labels or name not in named
    }
    assert {
        row[0]: row[1] if row[1] != "hypertouch 1" else row[1] + " " for row in table("Constants")
    } == in_code


def test_every_label_is_in_the_document_and_every_one_there_is_in_the_code() -> None:
    assert {name: text for name, text, _ in table("Labels")} == all_labels()


def test_no_two_labels_are_the_same() -> None:
    assert len(set(all_labels().values())) == len(all_labels())


def test_each_label_stands_where_its_row_says() -> None:
    """The formulas of the document use the labels of its table, and no others."""
    formulas = "".join(re.findall(r"```\n(.*?)```", TEXT, re.S))
    expanded = {f"hypertouch 1 {label}" for label in re.findall(r'EWL\([^"()]*"([a-z ]+)"', formulas)}
    spelled = set(re.findall(r'"(hypertouch 1 [a-z ]+)"', formulas))
    rows = table("Labels")
    assert expanded == {text for _, text, used in rows if used == "EWL"}
    assert spelled == {text for _, text, used in rows if used != "EWL" and text not in ("statement", "call")}


def test_the_errors() -> None:
    raised = {
        error.__name__ for error in errors.VaultError.__subclasses__() if error.__module__ == errors.__name__
    }
    assert {row[1] for row in table("Conventions")} == raised


LAYOUTS = {
    "Segment header": (HEADER.encode(), {"day": (-3).to_bytes(4, "big", signed=True)}),
    "Lane": (
        LANE.encode(),
        {"device": DEVICE, "channel": b"grid/power", "kind": b"energy", "part": bytes((0, 0, 0, 7))},
    ),
    "Chunk header": (
        CHUNK.encode(),
        {
            "segment header": HEADER.encode(),
            "lane": LANE.encode(),
            "first_seq": (11).to_bytes(8, "big"),
            "last_seq": (12).to_bytes(8, "big"),
            "count": (2).to_bytes(4, "big"),
        },
    ),
}
LENGTHS = {"c": 10, "k": 6, "n": len(LANE.encode()), "r": 3}


@pytest.mark.parametrize("heading", LAYOUTS)
def test_the_bytes_lie_as_they_are_drawn(heading: str) -> None:
    encoded, values = LAYOUTS[heading]
    known = {"vault": VAULT, "segment": SEGMENT, "version": b"\1", "suite": b"\1"} | values
    end = 0
    for at, size, field, value in table(heading):
        start = sum(LENGTHS.get(part) or int(part) for part in at.split("+"))
        length = LENGTHS.get(size) or int(size)
        assert start == end, field
        end = start + length
        expected = known.get(field) or (value.encode() if field else encoded[start:end])
        assert encoded[start:end] == expected, field
    assert end == len(encoded)


def test_a_sector_of_the_live_file_lies_as_it_is_drawn(tmp_path: Path) -> None:
    live = Live(Files(), tmp_path / "live")
    live.create_slot(VaultId(VAULT), GrantId(GRANT), Slot(b"p" * 32, b"s" * 32))
    live.set_clock(ClockMark(5, 6, Frozen.BEHIND))
    live.set_counter(VaultId(VAULT), GrantId(GRANT), Counter(1, 2, 3, 4))
    live.close()
    sectors = (tmp_path / "live").read_bytes()
    rows = {field or at: (int(at), int(size)) for at, size, field, _ in table("Live file")}
    sectors_of = [sectors[n : n + 512] for n in range(0, len(sectors), 512)]

    def field(sector: bytes, name: str) -> bytes:
        at, size = rows[name]
        return sector[at : at + size]

    pepper, pickup, clock, _, counter = sectors_of
    assert [field(pepper, name) for name in ("magic", "vault", "grant", "secret")] == [
        b"HTLV", VAULT, GRANT, b"p" * 32,
    ]  # fmt: skip
    assert field(pickup, "secret") == b"s" * 32
    assert field(clock, "numbers") == (5).to_bytes(8, "big") + (6).to_bytes(8, "big")
    assert [field(sector, "record")[0] for sector in sectors_of] == [
        Record.PEPPER,
        Record.PICKUP,
        Record.CLOCK,
        Record.COUNTER,
        Record.COUNTER,
    ]
    assert field(counter, "numbers") == struct.pack(">qq", 1, 2)
    assert field(counter, "secret") == struct.pack(">qq", 3, 4) + bytes(16)
    assert field(clock, "secret")[0] == Frozen.BEHIND
    assert all(field(s, "crc") == binascii.crc32(s[:-4]).to_bytes(4, "big") for s in sectors_of)
    assert {name: int(number) for number, name, _ in table("Live file", 1)} == dict(Record.__members__)
    assert sum(size for _, size in rows.values()) == 512


def test_the_bounds_of_key_derivation() -> None:
    names = person.KdfParams.__struct_fields__
    in_code = {n: (getattr(person.FLOOR, n), getattr(person.CEILING, n)) for n in names}
    assert {name: (int(low), int(high)) for name, low, high, _ in table("Person")} == in_code


def test_the_statements_and_what_they_hold() -> None:
    in_code = {
        str(kind.__struct_config__.tag): kind.__struct_fields__ for kind in get_args(statement.Statement)
    }
    written = {tag: tuple(re.findall(r"\w+", fields)) for tag, fields, _ in table("Statements")}
    assert written == in_code


def test_the_resolutions_of_buckets_and_the_kinds_that_have_them() -> None:
    written = {name: (set(re.findall(r"\w+", kinds)), says) for name, kinds, says in table("Buckets")}
    assert {name: types for name, (types, _) in written.items()} == {
        name: {kind for kind, names in kinds.RESOLUTIONS.items() if name in names} for name in bucket.SPANS
    }
    for name, span in bucket.SPANS.items():
        assert (" day " in written[name][1]) == (span == bucket.DAY_MS)
        assert (f"level {cell.LEVELS[name]}" in written[name][1]) if name in cell.LEVELS else True


def test_the_values_of_buckets_and_what_they_are_of() -> None:
    tags = {name for name, value in constants(values).items() if isinstance(value, int) and value > 4}
    assert {row[0] for row in table("Buckets", 1)} == tags
    of_values = {row[0]: row[1] for row in table("Chunk", 1)}
    assert set(of_values) == set(constants(values))
    for aggregate in get_args(observation.Aggregate):
        assert len(aggregate.__struct_fields__) == of_values[aggregate.__name__.upper()].count("(")


def test_the_entries_of_the_ledger() -> None:
    text = section("Ledger")
    fields = text.split("An entry is a map of ")[1].split(";")[0]
    assert tuple(re.findall(r"\w+", fields)) == ledger.Entry.__struct_fields__
    assert text.split("is one of: ")[1].split(".")[0].split(", ") == list(get_args(ledger.What))


def test_every_column_of_every_table_says_what_it_shows() -> None:
    in_code = set()
    for file in ("person", "intake", "node"):
        connection = sqlite3.connect(":memory:")
        for version in range(1, SCHEMA_VERSION + 1):
            for sql in statements(file, version):
                connection.execute(sql)
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        for (name,) in tables.fetchall():
            columns = connection.execute("SELECT name FROM pragma_table_info(?)", (name,))
            in_code |= {(file, f"{name}.{column}") for (column,) in columns}
    rows = table("Rows")
    assert {(file, column) for file, column, _ in rows} == in_code
    assert {re.split(r"[;:,]", says)[0] for *_, says in rows} <= {
        "clear", "sealed", "hash", "public", "the rows it becomes",
    }  # fmt: skip


def test_a_wrapped_root_is_as_large_as_the_document_says() -> None:
    wrapped = person.wrap_root(person.from_recovery(bytes(32)), VaultId(VAULT), bytes(32), bytes(12))
    assert f"{len(wrapped)} bytes; one by passphrase" in TEXT
