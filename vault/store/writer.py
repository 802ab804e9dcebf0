"""The writer: the only thing that writes to any file of the data directory.  One thread uses it.

A commit seals everything that arrived, for all vaults, into one blob of the intake journal; when that
is on disk, it is acknowledged.  Rows are moved into the persons' files in larger transactions.  What an
owner or a brand changes is a transaction of its own in the person's file, together with its ledger entry.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from vault.bucket import DAY_MS, QUIET_MS
from vault.errors import VaultError
from vault.ids import DeviceId, Entropy, GrantId, VaultId
from vault.ledger import Entry
from vault.store.errors import NotAVault, StoreError, Unavailable, unavailable
from vault.store.files import Files, is_current
from vault.store.intake import Delta, Intake, join
from vault.store.live import Live
from vault.store.paths import DataDir
from vault.store.person import PersonFile, apply, continues, read_recent
from vault.store.registry import Registry
from vault.store.resent import OpenDays, split
from vault.store.restore import check_generation
from vault.store.sealing import merge_segment
from vault.store.sector import Frozen
from vault.store.state import Arrival, Digests, Learned, VaultState

MOVE_BYTES: Final = 4 << 20  # of pending deltas, at which they are moved
OPEN_FILES: Final = 128  # persons' files kept open; a file in WAL mode costs three descriptors
OPEN_DAYS: Final = 64  # segments of one vault
BUCKETS: Final = 256  # hours and days of series that are sealed in one commit
HURRIED: Final = 8192  # of one vault, before it is given: less than a second in which no commit is made
HURRY_MS: Final = 100


class Note(msgspec.Struct, frozen=True):
    """A ledger entry that shares the next commit."""

    vault: VaultId
    entry: Entry


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
        self._left: dict[VaultId, tuple[int, int, int]] = {}  # where files stood when they were closed
        self._pending: dict[VaultId, list[tuple[int, Delta]]] = {}  # in the journal, not in the files
        self._pending_bytes = 0
        self._learned: dict[bytes, bytes] = {}  # of devices, what is pending of it
        self.days = OpenDays(self._stored_digests)
        self._failed: set[VaultId] = set()  # not asked again before the next move
        self._drain = False  # the journal's log may hold boxes of a grant that has ended
        self._replay()

    def now(self) -> int:
        """The time at which is decided about grants: it never goes back, whatever the clock does."""
        return max(self.clock(), self.live.clock().mark)

    # --- acknowledged means stored ---------------------------------------------------------------

    def commit(
        self, arrivals: Sequence[Arrival], notes: Sequence[Note] = (), learned: Sequence[Learned] = ()
    ) -> set[VaultId]:
        """Make all of it durable, but for the vaults that are returned: their files are damaged.

        Raises:
            Unavailable: the disk did not take it; nothing of it may be acknowledged.
        """
        now = self.clock()
        work: dict[VaultId, tuple[list[Arrival], list[Entry], list[Learned]]] = {}
        for arrival in arrivals:
            work.setdefault(arrival.vault, ([], [], []))[0].append(arrival)
        for note in notes:
            work.setdefault(note.vault, ([], [], []))[1].append(note.entry)
        for one in learned:
            work.setdefault(one.vault, ([], [], []))[2].append(one)
        sealed: list[tuple[VaultId, VaultState, Delta]] = []
        refused: set[VaultId] = set()
        try:
            for vault, (mine, entries, lessons) in work.items():
                try:
                    state = self.state(vault)
                    sealed.append((vault, state, state.seal(mine, entries, now, lessons)))
                except VaultError:
                    refused.add(vault)
            if not sealed:
                return refused
            row = self.intake.append([delta for _, _, delta in sealed])
        except BaseException:
            for _, state, _ in sealed:
                state.undo()
            raise
        self._settle(row, sealed)
        return refused

    # --- changes to one vault --------------------------------------------------------------------

    def transact(
        self,
        vault: VaultId,
        entry: Entry | None,
        *steps: Callable[[sqlite3.Connection], object],
        more: Sequence[Entry] = (),
        arrivals: Sequence[Arrival] = (),
        ends: Collection[GrantId] = (),
        generation: int | None = None,
    ) -> None:
        """Change a vault and its ledger in one transaction; ``ends`` are grants that can be read no more.

        ``more`` are further entries; ``arrivals`` are sealed to today's recipients and stored in the same
        transaction.  For a narrowing: first SQLite with the next generation, then the live file, whose
        fsync is the commit; a crash in between is made good when the vault is next opened.

        Raises:
            Unavailable: it is not known whether it happened; the file will say, and its ledger with it.
        """
        self.move(vault)
        state, file = self.state(vault), self.file(vault)
        if ends and generation is None:
            generation = file.generation() + 1
        entries = [entry, *more] if entry is not None else [*more]
        delta = state.seal(arrivals, entries, self.clock())
        changes = [*steps, lambda c: apply(c, delta)]
        if generation is not None:
            changes.append(lambda c: c.execute("UPDATE vault SET generation = ?", (generation,)))
        try:
            file.transact(*changes)
            state.settle()
            if generation is not None:
                self.live.end_grants(vault, ends, generation)
        except Unavailable:  # whether it is on disk is not known: ask the file, when it is next opened
            self._forget(vault)
            raise
        except BaseException:
            state.undo()
            raise
        if generation is not None:
            self._drain = True
            self.checkpoint(vault)

    def checkpoint(self, vault: VaultId) -> None:
        """Take deleted bytes out of a file's log, now or, while a reader is in the way, soon."""
        if self._file(vault).checkpoint():
            self.busy_checkpoints.discard(vault)
        else:
            self.busy_checkpoints.add(vault)

    def state(self, vault: VaultId) -> VaultState:
        """The writer's memory of a vault, made on first use, when an older copy of the file is found out.

        Raises:
            Unavailable: its file is damaged.
            NotAVault: it is not there.
        """
        state = self._states.get(vault)
        if state is None:
            if vault in self._failed:
                raise Unavailable("this vault's file is damaged")
            try:
                self.move(vault)
                file = self._file(vault)
                slots = self.live.grants(vault)
                readers = [reader for reader in file.live_grants() if reader.grant in slots]
                state = VaultState(
                    file,
                    readers,
                    self.entropy,
                    partial(self._digests, vault),
                    self.days,
                    lambda device, day: self._file(vault).has_readings(device, day),
                )
                self._states[vault] = state
                check_generation(self, vault)
            except NotAVault:
                raise
            except VaultError:
                self._forget(vault)
                self._failed.add(vault)
                raise
        return state

    def vaults(self) -> list[VaultId]:
        """The vaults that have requests or grants, which time may end."""
        return self.live.vaults()

    def file(self, vault: VaultId) -> PersonFile:
        """A person's file, of which is known that it is no older copy; raises as ``state``."""
        self.state(vault)
        return self._file(vault)

    # --- from the journal into the persons' files --------------------------------------------------

    def move(self, vault: VaultId) -> None:
        """Move what is pending for one vault, so that it can be read; raises Unavailable."""
        self._move(vault, len(self._pending.get(vault, ())))

    def move_turn(self, upto: int, chunks: int) -> bool:
        """Move some of the journal's rows up to ``upto``; True: there is more, and a commit may come first.

        Rows with about so many chunks, at least one row.  What fails is left to ``move_all``.
        """
        for vault, pending in list(self._pending.items()):
            count = size = 0
            while count < len(pending) and pending[count][0] <= upto and size < chunks:
                size += len(pending[count][1].chunks)
                count += 1
            if count:
                with suppress(VaultError):
                    self._move(vault, count)
                    return True
        return False

    def _move(self, vault: VaultId, count: int) -> None:
        """The first so many of what is pending for a vault."""
        pending = self._pending.get(vault, [])[:count]
        if not pending:
            return

        def deltas(connection: sqlite3.Connection) -> None:
            """Once, whatever came of the times before: the file says how far it came."""
            journal, moved = connection.execute("SELECT intake, moved FROM vault").fetchone()
            new = [delta for row, delta in pending if journal != self.intake.id or row > moved]
            if new:
                joined = join(new)
                if not continues(connection, joined):  # an older copy: the ledger will say so
                    joined.ledger, joined.head = [], None
                apply(connection, joined)
                connection.execute("UPDATE vault SET intake = ?, moved = ?", (self.intake.id, pending[-1][0]))

        try:
            self._file(vault).transact(deltas)
        except Unavailable:
            self._close_file(vault)
            raise
        left = self._pending.pop(vault)[count:]
        if left:
            self._pending[vault] = left
        later = {device for _, delta in left for device, _ in delta.learned}
        for _, delta in pending:
            for device, _ in delta.learned:
                if device not in later:
                    self._learned.pop(device, None)

    def learned(self, device: DeviceId) -> bytes | None:
        """What a device declared, where the journal knows more than its file; any thread may ask.

        Ask before the file is read: what is not here any more is there.
        """
        return self._learned.get(device)

    def move_all(self) -> None:
        """Move everything and empty the journal; raises Unavailable.

        A vault that fails keeps its rows in the journal and takes no more; all others go on.
        """
        self._failed.clear()
        for vault in list(self._pending):
            try:
                self.move(vault)
            except VaultError:
                if self.data.vault_db(vault).exists():
                    self._failed.add(vault)
                else:  # erased since: there is nowhere to move it
                    del self._pending[vault]
        self._pending_bytes = 0
        kept: dict[int, list[Delta]] = {}
        for pending in self._pending.values():
            for row, delta in pending:
                kept.setdefault(row, []).append(delta)
        self.intake.keep(kept)
        if self._drain:
            self.intake.truncate()
            self._drain = False

    # --- finished buckets, and the end of a segment ------------------------------------------------------

    def seal_buckets(self, limit: int = BUCKETS) -> int:
        """Seal up to about so many finished buckets in one commit; 0: none is left.

        Vaults take turns.  Nothing is sealed while the clock is not believed: it would be too early.

        Raises:
            Unavailable: the disk did not take it; all of them are finished still.
        """
        if self.live.clock().frozen is not Frozen.NO:
            return 0
        now = self.clock()
        due = [state for state in self._states.items() if state[1].open.buckets.due(now, 1)]
        share = max(1, limit // max(1, len(due)))
        sealed: list[tuple[VaultId, VaultState, Delta]] = []
        try:
            for vault, state in due[:limit]:
                with suppress(VaultError):  # a damaged file: the others go on
                    delta = state.seal_buckets(share, now)
                    if delta is not None:
                        sealed.append((vault, state, delta))
            if sealed:
                self._settle(self.intake.append([delta for _, _, delta in sealed]), sealed)
        except BaseException:
            for _, state, _ in sealed:
                state.undo()
            raise
        return sum(state.open.buckets.due(now, limit) for _, state in due)

    def seal_now(self, vault: VaultId) -> None:
        """Seal what is over of a vault without the ten quiet minutes, for whoever is about to be given it.

        What came just now may go on coming, and waits.  A reading that comes after all cuts its
        bucket.  Raises Unavailable.
        """
        turns = iter(range(HURRIED // BUCKETS))
        state = self.state(vault)
        self._finish(vault, state, self.clock(), lambda: next(turns, None) is None, HURRY_MS)

    def close_quiet(self, *, everything: bool = False, until: Callable[[], bool] = lambda: False) -> None:
        """Close segments whose day ended and that were quiet for ten minutes, and merge their chunks.

        Their finished buckets are sealed first; those that are not finished are cut.  Stops between segments
        when ``until()`` is true; what is not merged then stays as it is, and so does what a damaged file or
        a full disk does not let be merged.
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
                with suppress(VaultError):  # then they are cut
                    self._finish(vault, state, now, until)
                segment = state.open.close(day)
                with suppress(VaultError):
                    self.move(vault)
                    self._file(vault).transact(partial(merge_segment, segment=segment, entropy=self.entropy))
            if state.idle(now // DAY_MS) and vault not in self._pending:
                del self._states[vault]

    def close(self, until: Callable[[], bool] = lambda: False) -> None:
        """Seal what is finished, move, merge, give the files back.

        Raises:
            Unavailable: the journal could not be emptied.
        """
        with suppress(VaultError):  # then its segments say that it is missing
            left = 0
            while (now_left := self.seal_buckets()) not in (0, left) and not until():
                left = now_left
        try:
            self.move_all()
        finally:
            self.close_quiet(everything=True, until=until)
            for file in self._files.values():
                file.close()
            self.intake.close()
            self.registry.close()
            self.live.close()

    # --- inside ------------------------------------------------------------------------------------

    def _settle(self, row: int, sealed: Sequence[tuple[VaultId, VaultState, Delta]]) -> None:
        """A commit is in this row of the journal."""
        for vault, state, delta in sealed:
            state.settle()
            self._wait(vault, row, delta)
            self._pending_bytes += 256 + sum(len(chunk.body) + 64 for chunk in delta.chunks)
            self._pending_bytes += sum(len(lessons) for _, lessons in delta.learned)
        if self._pending_bytes >= MOVE_BYTES:
            with suppress(VaultError):  # what is in the journal is stored: moving it is tried again
                self.move_all()

    def _finish(
        self, vault: VaultId, state: VaultState, now: int, until: Callable[[], bool], quiet: int = QUIET_MS
    ) -> None:
        """Seal all finished buckets of one vault; raises Unavailable."""
        if self.live.clock().frozen is not Frozen.NO:
            return
        while state.open.buckets.due(now, 1, quiet) and not until():
            delta = state.seal_buckets(BUCKETS, now, quiet)
            if delta is None:
                continue
            try:
                row = self.intake.append([delta])
            except BaseException:
                state.undo()
                raise
            self._settle(row, [(vault, state, delta)])

    def _wait(self, vault: VaultId, row: int, delta: Delta) -> None:
        """It is in the journal, and not yet in the vault's file."""
        self._pending.setdefault(vault, []).append((row, delta))
        self._learned.update(delta.learned)

    def _stored_digests(self, vault: VaultId, device: bytes, day: int) -> Iterator[bytes]:
        """Of a device's readings of a day, in the file and in what is not moved to it yet."""
        yield from self._file(vault).resent(device, day)
        for _, delta in self._pending.get(vault, ()):
            for other, other_day, blob in delta.resent:
                if (other, other_day) == (device, day):
                    yield from split(blob)

    def _digests(self, vault: VaultId, device: bytes, client: bytes) -> Digests:
        """What a client id had acknowledged, in the file and in what is not moved to it yet."""
        known = self._file(vault).recent(device, client)
        for _, delta in self._pending.get(vault, ()):
            for other, other_client, _, blob in delta.recent:
                if (other, other_client) == (device, client):
                    known.update(read_recent(blob))
        return known

    def _file(self, vault: VaultId) -> PersonFile:
        """A person's file, opened if need be; the least recently used is closed instead."""
        file = self._files.get(vault)
        if file is None:
            path = self.data.vault_db(vault)
            if not path.exists():
                raise NotAVault("there is no such vault here")
            file = PersonFile(self.files, path)
            if file.id != vault or any(
                now < before for now, before in zip(file.standing(), self._left.pop(vault, ()), strict=False)
            ):
                file.close()
                self._forget(vault)
                raise Unavailable("a vault's file was replaced by another")
            self._files[vault] = file
            while len(self._files) > OPEN_FILES:
                self._close_file(next(iter(self._files)))
        self._files.move_to_end(vault)
        return file

    def _close_file(self, vault: VaultId) -> None:
        if file := self._files.pop(vault, None):
            with suppress(Unavailable):
                self._left[vault] = file.standing()
            with suppress(sqlite3.Error):
                file.close()

    def _forget(self, vault: VaultId) -> None:
        """Nothing that is known of a vault can be relied on: its file is asked again on next use."""
        self._states.pop(vault, None)
        self.days.forget(vault)
        self._left.pop(vault, None)
        if file := self._files.pop(vault, None):
            with suppress(sqlite3.Error):
                file.close()

    def _replay(self) -> None:
        """Move what a former process acknowledged, once; then look for older copies of files."""
        with unavailable("the vaults' directory cannot be read"):
            for unfinished in self.data.vaults.glob("*.new*"):
                unfinished.unlink()
        self._migrate()
        for row, deltas in self.intake.pending():
            for delta in deltas:
                self._wait(VaultId(delta.vault), row, delta)
        with suppress(VaultError):  # a full disk: what is in the journal is safe there
            self.move_all()
        for vault in self.live.vaults() if self.live.existed else self.data.vault_ids():
            with suppress(StoreError):  # erased, or damaged: found out again on its first use
                self.state(vault)

    def _migrate(self) -> None:
        """Bring every file to this version's schema: readers meet them before the writer does.

        One that is damaged, or that a full disk keeps as it is, is found out again on its first use.
        """
        for vault in self.data.vault_ids():
            with suppress(VaultError, sqlite3.Error, OSError):
                path = self.data.vault_db(vault)
                if not is_current(path):
                    PersonFile(self.files, path).close()
