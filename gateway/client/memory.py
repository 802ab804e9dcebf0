"""Sealed chunks and boxes in a client's memory, read as a door reads a person's file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec

from gateway.client.rewrite import Draft
from vault.ids import GrantId, VaultId
from vault.store.records import ChunkRow
from vault.store.release import Indexed


class Memory:
    """Sealed chunks and boxes in memory: a ``vault.store.release.Source``."""

    def __init__(self, vault: VaultId) -> None:
        self.vault = vault
        self._headers: dict[bytes, bytes] = {}
        self._chunks: dict[int, tuple[int, ChunkRow]] = {}
        self._boxes: list[tuple[int, bytes, bytes]] = []
        self._seq = 1 << 40  # of buckets that are made: after everything that arrived

    def add_box(self, segments: bytes, box: bytes) -> None:
        """A grant's box."""
        self._boxes.append((len(self._boxes) + 1, segments, box))

    def add_chunk(self, header: bytes, chunk: ChunkRow) -> None:
        """A chunk as the host has it."""
        self._headers[chunk.segment] = header
        day = int.from_bytes(header[-4:], "big", signed=True)
        row = len(self._chunks) + 1
        self._chunks[row] = day, msgspec.structs.replace(chunk, row=row)

    def add_draft(self, draft: Draft) -> None:
        """A segment that was never sent."""
        fresh = draft.fresh
        numbers = iter(range(self._seq, self._seq + fresh))
        self._seq += fresh
        for chunk in draft.chunks(numbers):
            self.add_chunk(draft.header.encode(), ChunkRow(0, *msgspec.structs.astuple(chunk)))
        for box in draft.boxes():
            self.add_box(box.segments, box.box)

    def snapshot(self, vault: VaultId) -> AbstractContextManager[None]:  # noqa: ARG002 (there is one)
        """It does not change."""
        return nullcontext()

    def wrapped_seed(self, vault: VaultId, grant: GrantId) -> bytes | None:  # noqa: ARG002
        """The grant is in force for as long as this is."""
        return b"in force"

    def boxes(self, vault: VaultId, grant: GrantId, after: int) -> list[tuple[int, bytes, bytes]]:  # noqa: ARG002
        """Those after a row."""
        return [box for box in self._boxes if box[0] > after]

    def segment_header(self, vault: VaultId, segment: bytes) -> bytes | None:  # noqa: ARG002
        """None: not here."""
        return self._headers.get(segment)

    def chunk_index(
        self,
        vault: VaultId,  # noqa: ARG002
        after: int,
        resolutions: Sequence[str],
        first_day: int,
        last_day: int,
    ) -> Iterable[Indexed]:
        """As a reader finds them."""
        found = [
            (chunk.first_seq, row, chunk.segment, chunk.number, chunk.resolution)
            for row, (day, chunk) in self._chunks.items()
            if chunk.last_seq > after and chunk.resolution in resolutions and first_day <= day <= last_day
        ]
        return sorted(found)

    def chunk(self, vault: VaultId, row: int) -> ChunkRow | None:  # noqa: ARG002
        """One of them."""
        found = self._chunks.get(row)
        return found[1] if found else None
