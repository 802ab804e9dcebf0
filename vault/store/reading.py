"""Queries that the writer and the doors share."""

from __future__ import annotations

import sqlite3

from vault.store.records import LaneRow, SegmentRow


def segment_rows(
    connection: sqlite3.Connection, first_day: int, last_day: int, *, ledger: bool = False
) -> list[SegmentRow]:
    """Segments of a span of days (inclusive), with their lanes."""
    rows = connection.execute(
        "SELECT id, header, owner_box, open, cut FROM segment"
        " WHERE ledger = ? AND day BETWEEN ? AND ? ORDER BY day, id",
        (int(ledger), first_day, last_day),
    ).fetchall()
    lanes: dict[bytes, list[LaneRow]] = {row[0]: [] for row in rows}
    named = connection.execute(
        "SELECT lane.segment, number, device, name FROM lane JOIN segment ON segment.id = lane.segment"
        " WHERE ledger = ? AND day BETWEEN ? AND ? ORDER BY lane.segment, number",
        (int(ledger), first_day, last_day),
    )
    for segment, number, device, name in named:
        lanes[segment].append(LaneRow(number, device, name))
    return [
        SegmentRow(header, box, lanes[segment], bool(is_open), bool(cut))
        for segment, header, box, is_open, cut in rows
    ]
