"""The writer: the only thing that writes to any file of the data directory.  One thread uses it.

A commit seals everything that arrived, for all vaults, into one blob of the intake journal; when that
is on disk, it is acknowledged.  Rows are moved into the persons' files in larger transactions.  What an
owner or a brand changes is a transaction of its own in the person's file, together with its ledger entry.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from vault.errors import VaultError
from vault.ids import DeviceId, Entropy, GrantId, VaultId
from vault.ledger import Entry, Head, extend, seal_entry
from vault.observation import Observation
from vault.segment import QUARANTINE
from vault.store.errors import NotAVault, Unavailable
from vault.store.files import Files
from vault.store.intake import ChunkDelta, Delta, DeviceDelta, Intake, condense, join
from vault.store.lanes import DAY_MS, OpenLane, OpenSegment, OpenVault
from vault.store.live import Live
from vault.store.paths import DataDir
from vault.store.person import PersonFile, apply, read_recent, write_recent
from vault.store.registry import Registry
from vault.store.restore import check_generation
from vault.store.sealing import merge_segment, seal_waiting

MOVE_BYTES: Final = 4 << 20  # of pending deltas, at which they are moved
OPEN_FILES: Final = 128  # persons' files kept open; a file in WAL mode costs three descriptors
OPEN_DAYS: Final = 64  # segments of one vault
QUIET_MS: Final = 600_000  # after its day ended, before a segment is closed


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One message of a device, read and ready to be stored; ``at`` is its arrival in milliseconds.

    ``quarantine`` is the whole payload with its topic, where not all of it was understood.  ``recent``
    is (client key, packet id, digest) of a QoS 1 or 2 message; with ``redelivered`` it is stored only
    if that digest is not remembered.
    """

    vault: VaultId
    device: DeviceId
    at: int
    observations: Sequence[Observation]
    quarantine: bytes | None = None
    dropped: int = 0
    recent: tuple[bytes, int, bytes] | None = None
    redelivered: bool = False


class Note(msgspec.Struct, frozen=True):
    """A ledger entry that shares the next commit."""

    vault: VaultId
    entry: Entry


class VaultState:
    """What the writer knows of a vault in memory."""

    __slots__ = ("failed", "head", "ledger", "next_seq", "open", "pending")

    def __init__(self, file: PersonFile, entropy: Entropy) -> None:
        self.open = OpenVault(file.id, file.vault.hpke_public, file.key_id, entropy)
        self.open.readers.update({grant.grant: grant for grant in file.live_grants()})
        self.next_seq = file.next_seq()
        self.head = file.head()
        self.ledger: OpenSegment | None = None
        self.pending: list[tuple[int, Delta]] = []
        self.failed = False


class Writer:
    """See the module; ``clock`` is milliseconds, ``entropy`` is ``os.urandom`` outside tests."""

    def __init__(self, data: DataDir, files: Files, clock: Callable[[], int], entropy: Entropy) -> None:
        self.data, self.files, self.clock, self.entropy = data, files, clock, entropy
        data.create()
        self.live = Live(files, data.live)
        self.registry = Registry(files, data.node_db, entropy)
        self.intake = Intake(files, data.intake_db, entropy)
        self.busy_checkpoints: set[VaultId] = set()
        self._states: dict[VaultId, VaultState] = {}
        self._files: OrderedDict[VaultId, PersonFile] = OrderedDict()
        self._pending_bytes = 0
        self._stuck: list[Delta] = []
        self._replay()

    # --- acknowledged means stored ---------------------------------------------------------------

    def commit(self, arrivals: Sequence[Arrival], notes: Sequence[Note] = ()) -> set[VaultId]:
        """Make all of it durable, but for the vaults that are returned: their files are damaged.

        Raises:
            Unavailable: the disk did not take it; nothing of it may be acknowledged.
        """
        now = self.clock()
        deltas: dict[VaultId, Delta] = {}
        heads: dict[VaultId, Head] = {}
        refused: set[VaultId] = set()
        for vault in {item.vault for items in (arrivals, notes) for item in items}:
            try:
                heads[vault] = self.state(vault).head
                deltas[vault] = Delta(vault)
            except VaultError:
                refused.add(vault)
        lanes: list[OpenLane] = []
        try:
            for arrival in arrivals:
                if (delta := deltas.get(arrival.vault)) is not None:
                    self._take(self._states[arrival.vault], arrival, delta, lanes, now)
            for note in notes:
                if (delta := deltas.get(note.vault)) is not None:
                    self.append(self._states[note.vault], note.entry, delta)
            for vault, delta in deltas.items():
                state = self._states[vault]
                state.open.seal_boxes(delta)
                delta.next_seq = state.next_seq
            for lane in lanes:
                if lane.seqs:
                    deltas[lane.segment.header.vault].chunks.extend(seal_waiting(lane, self.entropy))
            if deltas:
                self._journal(list(deltas.values()))
        except VaultError:
            self._undo(heads, lanes)
            raise
        return refused

    def append(self, state: VaultState, entry: Entry, delta: Delta) -> None:
        """Number, seal and chain a ledger entry into ``delta``."""
        day = entry.time // DAY_MS
        if state.ledger is None or state.ledger.header.day != day:
            state.ledger = state.open.new_segment(day, delta, ledger=True)
        header = state.ledger.header
        sealed = seal_entry(state.ledger.key, header, state.head.number + 1, entry, self.entropy(12))
        state.head = delta.head = extend(header.vault, state.head, sealed)
        delta.ledger.append(sealed)

    # --- changes to one vault --------------------------------------------------------------------

    def transact(
        self,
        vault: VaultId,
        entry: Entry | None,
        *steps: Callable[[sqlite3.Connection], object],
        ends: Sequence[GrantId] = (),
        generation: int | None = None,
    ) -> None:
        """Change a vault and its ledger in one transaction; ``ends`` are grants that can be read no more.

        For a narrowing: first SQLite with the next generation, then the live file, whose fsync is the
        commit; a crash in between is made good when the vault is next opened.

        Raises:
            Unavailable: it did not happen, or (the live file failed) it will have at the next opening.
        """
        state, file = self.state(vault), self.file(vault)
        self.move(vault)
        delta = Delta(vault)
        head = state.head
        raised: int | None = generation
        if ends and raised is None:
            raised = file.generation() + 1
        try:
            if entry is not None:
                self.append(state, entry, delta)
            changes = [*steps, lambda c: apply(c, delta)]
            if raised is not None:
                changes.append(lambda c: c.execute("UPDATE vault SET generation = ?", (raised,)))
            file.transact(*changes)
        except VaultError:
            state.head, state.ledger = head, None
            raise
        if raised is not None:
            try:
                self.live.end_grants(vault, list(ends), raised)
            except OSError as error:
                self._drop(vault)
                raise Unavailable("the live file could not be written") from error
            if not file.checkpoint():
                self.busy_checkpoints.add(vault)

    def state(self, vault: VaultId) -> VaultState:
        """The writer's memory of a vault, made on first use.

        Raises:
            Unavailable: its file is damaged or not there.
        """
        state = self._states.get(vault)
        if state is None:
            state = self._states[vault] = VaultState(self.file(vault), self.entropy)
            check_generation(self, vault)
        if state.failed:
            raise Unavailable("this vault's file is damaged")
        return state

    def vaults(self) -> list[VaultId]:
        """The vaults in use since start; those with requests or grants always are."""
        return list(self._states)

    def file(self, vault: VaultId) -> PersonFile:
        """A person's file, opened if need be; the least recently used is closed instead."""
        file = self._files.get(vault)
        if file is None:
            path = self.data.vault_db(vault)
            if not path.exists():
                raise NotAVault("there is no such vault here")
            file = self._files[vault] = PersonFile(self.files, path)
            while len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(vault)
        return file

    # --- from the journal into the persons' files --------------------------------------------------

    def move(self, vault: VaultId) -> None:
        """Move what is pending for one vault, so that it can be read; raises Unavailable."""
        state = self._states.get(vault)
        if state is None or not state.pending:
            return
        row = state.pending[-1][0]

        def deltas(connection: sqlite3.Connection) -> None:
            apply(connection, join([delta for _, delta in state.pending]))
            connection.execute("UPDATE vault SET intake = ?, moved = ?", (self.intake.id, row))

        self.file(vault).transact(deltas)
        state.pending.clear()

    def move_all(self) -> None:
        """Move everything and empty the journal.

        A vault that fails keeps its rows in the journal and takes no more; all others go on.
        """
        if not self._pending_bytes:
            return
        for vault, state in self._states.items():
            try:
                self.move(vault)
            except VaultError:
                state.failed = True
        kept = [delta for state in self._states.values() for _, delta in state.pending] + self._stuck
        if kept:  # written again as a row of their own, so that the others can be dropped
            row = self.intake.append(kept)
            for state in self._states.values():
                if state.pending:
                    state.pending = [(row, delta) for _, delta in state.pending]
            self.intake.drop(row - 1)
        else:
            self.intake.drop(self.intake.last)
        self._pending_bytes = 0

    # --- the end of a segment ----------------------------------------------------------------------

    def close_quiet(self, *, everything: bool = False, until: Callable[[], bool] = lambda: False) -> None:
        """Close segments whose day ended and that were quiet for ten minutes, and merge their chunks.

        Stops between segments when ``until()`` is true; what is not merged then stays as it is.
        """
        now = self.clock()
        for vault, state in list(self._states.items()):
            days = state.open.segments
            done = [
                day
                for day, segment in days.items()
                if everything or ((day + 1) * DAY_MS + QUIET_MS < now and segment.last_write + QUIET_MS < now)
            ]
            overfull = sorted(days, key=lambda day: days[day].last_write)[: max(0, len(days) - OPEN_DAYS)]
            for day in sorted({*done, *overfull}):
                if until():
                    return
                self.move(vault)
                merge = partial(merge_segment, segment=state.open.close(day), entropy=self.entropy)
                self.file(vault).transact(merge)

    def close(self, until: Callable[[], bool] = lambda: False) -> None:
        """Move, merge, give the files back."""
        self.move_all()
        self.close_quiet(everything=True, until=until)
        for file in self._files.values():
            file.close()
        self.intake.close()
        self.registry.close()
        self.live.close()

    # --- inside ------------------------------------------------------------------------------------

    def _take(
        self, state: VaultState, arrival: Arrival, delta: Delta, lanes: list[OpenLane], now: int
    ) -> None:
        device, recent = arrival.device, arrival.recent
        if recent is not None:
            client, packet_id, digest = recent
            if arrival.redelivered and self._remembers(state, delta, device, client, packet_id, digest):
                return
            delta.recent.append((device, client, 1, write_recent(packet_id, digest)))
        observations = arrival.observations
        if arrival.quarantine is not None:
            observations = [*observations, Observation("", QUARANTINE, arrival.at, arrival.quarantine)]
        seq = state.next_seq
        for observation in observations:
            lane = state.open.lane_for(device, observation, delta, now)
            if not lane.seqs:
                lanes.append(lane)
            lane.seqs.append(seq)
            lane.observations.append(observation)
            seq += 1
        state.next_seq = seq
        counts = delta.devices[-1] if delta.devices and delta.devices[-1].id == device else None
        if counts is None:
            counts = DeviceDelta(device, arrival.at)
            delta.devices.append(counts)
        counts.last_seen = arrival.at
        counts.readings += len(arrival.observations)
        counts.quarantined += arrival.quarantine is not None
        counts.dropped += arrival.dropped

    def _remembers(
        self, state: VaultState, delta: Delta, device: DeviceId, client: bytes, packet_id: int, digest: bytes
    ) -> bool:
        """Whether this very message was acknowledged before; the latest use of its packet id counts."""
        for waiting in (delta, *(pending for _, pending in reversed(state.pending))):
            for other, other_client, _, blob in reversed(waiting.recent):
                if other == device and other_client == client:
                    for number, found in reversed(list(read_recent(blob))):
                        if number == packet_id:
                            return found == digest
        return self.file(state.open.vault).recent(device, client).get(packet_id) == digest

    def _journal(self, deltas: list[Delta]) -> None:
        for delta in deltas:
            condense(delta)
        row = self.intake.append(deltas)
        for delta in deltas:
            self._states[VaultId(delta.vault)].pending.append((row, delta))
            self._pending_bytes += 256 + sum(len(chunk.body) + 64 for chunk in delta.chunks)
        if self._pending_bytes >= MOVE_BYTES:
            self.move_all()

    def _undo(self, heads: dict[VaultId, Head], lanes: list[OpenLane]) -> None:
        """Forget what a failed commit opened: lanes and segments that never reached the disk."""
        for lane in lanes:
            lane.seqs, lane.observations = [], []
        for vault, head in heads.items():
            state = self._states[vault]
            state.head, state.ledger = head, None
            state.open.forget()

    def _drop(self, vault: VaultId) -> None:
        self._states.pop(vault, None)
        if file := self._files.pop(vault, None):
            file.close()

    def _replay(self) -> None:
        """Move what a former process acknowledged, once: each file says how far it came."""
        for row, deltas in self.intake.pending():
            self._pending_bytes += 1
            for delta in deltas:
                vault = VaultId(delta.vault)
                try:
                    journal, moved = self.file(vault).moved()
                    if vault not in self._states:
                        self._states[vault] = VaultState(self.file(vault), self.entropy)
                except NotAVault:  # erased since: there is nowhere to move it
                    continue
                except VaultError:  # damaged: others go on, and its rows stay in the journal
                    self._stuck.append(delta)
                    continue
                if journal != self.intake.id or moved < row:
                    self._states[vault].pending.append((row, delta))
        self.move_all()
        failed = [vault for vault, state in self._states.items() if state.failed]
        self._states = {vault: self._states[vault] for vault in failed}
        for path_id in {vault for vault, _ in self.live.slots()}:
            vault = VaultId(path_id)
            if self.data.vault_db(vault).exists() and vault not in self._states:
                try:
                    self.state(vault)
                except VaultError:
                    continue


__all__ = ["Arrival", "ChunkDelta", "Note", "VaultState", "Writer"]
