"""A person's vault, clients, devices and touchpoints: what the owner changes apart from grants.

Each function is one transaction with its ledger entry; "no" comes back as a value.
"""

from __future__ import annotations

import hmac
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from vault.errors import VaultError
from vault.ids import BrandId, ClientId, DeviceId, TouchpointId, VaultId
from vault.ledger import GENESIS, Entry
from vault.person import WrappedRoot
from vault.statement import Enrolment, Signed, verify
from vault.store.errors import NotAVault, Unavailable, unavailable
from vault.store.files import migrate
from vault.store.intake import Delta
from vault.store.person import PersonFile, apply
from vault.store.records import SETTINGS_MAX, No
from vault.store.state import VaultState
from vault.store.writer import Writer
from vault.suite import check_public

TAKEN: Final = No("conflict", "this id is taken")
_TOO_LONG: Final = No("invalid", "a device's settings are too long")
_NEW_CLIENT: Final = "INSERT INTO client VALUES (?, ?, ?, ?, ?, NULL)"


class NewVault(msgspec.Struct, frozen=True):
    """What a client draws for a new vault; the enrolment is signed with ``verify_key``."""

    vault: VaultId
    hpke_public: bytes
    verify_key: bytes
    wrapped: WrappedRoot
    login_verifier: bytes
    recovery_verifier: bytes
    enrolment: Signed


def create_vault(writer: Writer, new: NewVault) -> No | None:
    """Make a person's file, beside the others, and put it in place when it is whole."""
    path = writer.data.vault_db(new.vault)
    if path.exists():
        return No("conflict", "there is a vault with this id already")
    enrolment = _enrolment(new.verify_key, new.vault, new.enrolment)
    if isinstance(enrolment, No):
        return enrolment
    try:
        check_public(new.hpke_public)
    except VaultError:  # found now, and not in a commit that others share
        return No("invalid", "nothing can be sealed to the owner's public key")
    made = path.with_suffix(".new")
    _make(writer, made, new, enrolment)
    writer.live.set_generation(new.vault, 1)
    with unavailable("a vault could not be put in place"):
        made.rename(path)
        try:
            writer.files.fsync_directory(path.parent)
        except OSError:  # nobody was told that it is there: let it be made again
            path.unlink()
            raise
    return None


def _make(writer: Writer, path: Path, new: NewVault, enrolment: Enrolment) -> None:
    """A vault's file with its first client and the first entries of its ledger; raises Unavailable."""
    now = writer.clock()
    with unavailable("a vault's file could not be made"):
        for leftover in path.parent.glob(path.stem + ".*"):  # a log of another file would be read as ours
            leftover.unlink()
        with closing(writer.files.connect(path)) as connection:
            migrate(connection, "person")
            connection.execute(
                "INSERT INTO vault VALUES (?, ?, ?, ?, ?, ?, 1, ?, 0, 1, 0, ?, ?)",
                (
                    new.vault,
                    new.hpke_public,
                    new.verify_key,
                    msgspec.msgpack.encode(new.wrapped),
                    new.login_verifier,
                    new.recovery_verifier,
                    writer.intake.id,
                    GENESIS,
                    now,
                ),
            )
    with closing(PersonFile(writer.files, path)) as file:
        state, delta = VaultState(file, (), writer.entropy, file.recent, writer.days), Delta(new.vault)
        state.append(Entry(now, "created"), delta)
        state.append(Entry(now, "enrolled", note=enrolment.name), delta)
        row = _client_row(enrolment, new.enrolment, now)
        file.transact(lambda c: apply(c, delta), lambda c: c.execute(_NEW_CLIENT, row))
        if not file.checkpoint():  # only the file itself is renamed, not its log
            raise Unavailable("a vault's file could not be made")


def enrol(writer: Writer, vault: VaultId, signed: Signed) -> No | None:
    """Let a client speak for the owner, whose signature it brings."""
    file = _file(writer, vault)
    if file is None:
        return No("not_authorised", "this vault does not know this owner")
    enrolment = _enrolment(file.vault.verify_key, vault, signed)
    if isinstance(enrolment, No):
        return enrolment
    client, now = ClientId.parse(enrolment.client), writer.clock()
    if file.row("SELECT 1 FROM client WHERE id = ?", (client,)):
        return No("conflict", "this client was enrolled before")
    row = _client_row(enrolment, signed, now)
    writer.transact(vault, Entry(now, "enrolled", note=enrolment.name), lambda c: c.execute(_NEW_CLIENT, row))
    return None


def end_client(writer: Writer, vault: VaultId, client: bytes) -> No | None:
    """A lost laptop may not speak any more."""
    now = writer.clock()
    return _change(
        writer,
        vault,
        Entry(now, "enrolled", note="ended"),
        ("UPDATE client SET ended = ? WHERE id = ? AND ended IS NULL", (now, client)),
        "there is no such client",
    )


def client_key(writer: Writer, vault: VaultId, client: bytes) -> bytes | None:
    """The key that a client's envelopes are verified with; None: unknown or ended."""
    file = _file(writer, vault)
    row = file and file.row("SELECT verify_key FROM client WHERE id = ? AND ended IS NULL", (client,))
    return row[0] if row else None


def check_login(
    writer: Writer, vault: VaultId, verifier: bytes, by: str
) -> tuple[WrappedRoot, bytes, bytes] | None:
    """(wrapped root, HPKE key, verify key) for whoever shows the right login key."""
    file = _file(writer, vault)
    if file is None:
        return None
    by_passphrase, by_recovery, wrapped = file.row(
        "SELECT login_verifier, recovery_verifier, wrapped FROM vault"
    )
    kept = by_recovery if by == "recovery" else by_passphrase
    if not hmac.compare_digest(kept, verifier):
        return None
    return _root(wrapped), file.vault.hpke_public, file.vault.verify_key


def wrapped_root(writer: Writer, vault: VaultId) -> WrappedRoot | None:
    """The wrapped root, for its salt and parameters."""
    file = _file(writer, vault)
    row = file and file.row("SELECT wrapped FROM vault")
    return _root(row[0]) if row else None


def rewrap(
    writer: Writer, vault: VaultId, wrapped: WrappedRoot, login_verifier: bytes, recovery_verifier: bytes
) -> None:
    """A new passphrase, or a new recovery phrase: old or new after a crash, never both.

    An empty verifier stays as it is: whoever changes the passphrase need not know the recovery phrase.
    """
    values = (msgspec.msgpack.encode(wrapped), login_verifier, recovery_verifier)
    writer.transact(
        vault,
        Entry(writer.clock(), "rewrapped"),
        lambda c: c.execute(
            "UPDATE vault SET wrapped = ?, login_verifier = coalesce(nullif(?, x''), login_verifier),"
            " recovery_verifier = coalesce(nullif(?, x''), recovery_verifier)",
            values,
        ),
    )
    writer.checkpoint(vault)  # the old wrapping is gone from the log, too


def add_device(
    writer: Writer,
    vault: VaultId,
    device: DeviceId,
    name: bytes,
    verifier: bytes,
    wrapped_notes: bytes = b"",
    settings: bytes = b"",
) -> No | None:
    """A new credential; name and settings are sealed, and the notes key is wrapped under its password."""
    if len(settings) > SETTINGS_MAX or len(wrapped_notes) > SETTINGS_MAX:
        return _TOO_LONG
    if not _place(writer, device, vault, "SELECT 1 FROM device WHERE id = ?"):
        return TAKEN
    now = writer.clock()
    writer.transact(
        vault,
        Entry(now, "device", note="added"),
        lambda c: c.execute(
            "INSERT INTO device (id, name, verifier, created, wrapped_notes, settings)"
            " VALUES (?, ?, ?, ?, nullif(?, x''), nullif(?, x''))",
            (device, name, verifier, now, wrapped_notes, settings),
        ),
    )
    return None


def rotate_device(
    writer: Writer, vault: VaultId, device: DeviceId, verifier: bytes, wrapped_notes: bytes = b""
) -> No | None:
    """Another password; digests under the old one's key are of no use any more."""
    if len(wrapped_notes) > SETTINGS_MAX:
        return _TOO_LONG
    return _change(
        writer,
        vault,
        Entry(writer.clock(), "device", note="rotated"),
        (
            "UPDATE device SET verifier = ?, wrapped_notes = nullif(?, x'') WHERE id = ? AND ended IS NULL",
            (verifier, wrapped_notes, device),
        ),
        "there is no such device",
        ("DELETE FROM recent WHERE device = ?", (device,)),
    )


def set_device(writer: Writer, vault: VaultId, device: DeviceId, settings: bytes) -> No | None:
    """What the owner sets for a device, sealed under its notes key; nothing: the defaults again."""
    if len(settings) > SETTINGS_MAX:
        return _TOO_LONG
    return _change(
        writer,
        vault,
        Entry(writer.clock(), "device", note="changed"),
        (
            "UPDATE device SET settings = nullif(?, x'') WHERE id = ? AND ended IS NULL",
            (settings, device),
        ),
        "there is no such device",
    )


def remove_device(writer: Writer, vault: VaultId, device: DeviceId) -> No | None:
    """The credential ends; what it sent stays."""
    now = writer.clock()
    return _change(
        writer,
        vault,
        Entry(now, "device", note="removed"),
        (
            "UPDATE device SET ended = ?, wrapped_notes = NULL WHERE id = ? AND ended IS NULL",
            (now, device),
        ),
        "there is no such device",
        ("DELETE FROM recent WHERE device = ?", (device,)),
        ("DELETE FROM resent WHERE device = ?", (device,)),
    )


def new_touchpoint(writer: Writer, vault: VaultId, touchpoint: TouchpointId, brand: BrandId) -> No | None:
    """An address that lets one brand ask, nothing more."""
    known = writer.registry.brand(brand)
    if known is None or known.row.ended is not None:
        return No("not_found", "there is no such brand on this node", "`hypertouch brand list` shows them")
    if not _place(writer, touchpoint, vault, "SELECT 1 FROM touchpoint WHERE id = ?"):
        return TAKEN
    now = writer.clock()
    writer.transact(
        vault,
        Entry(now, "touchpoint", brand=brand.text, note="made"),
        lambda c: c.execute("INSERT INTO touchpoint VALUES (?, ?, ?, NULL)", (touchpoint, brand, now)),
    )
    return None


def revoke_touchpoint(writer: Writer, vault: VaultId, touchpoint: TouchpointId) -> No | None:
    """Nobody can ask at this address any more; grants made through it stay."""
    now = writer.clock()
    return _change(
        writer,
        vault,
        Entry(now, "touchpoint", note="revoked"),
        ("UPDATE touchpoint SET ended = ? WHERE id = ? AND ended IS NULL", (now, touchpoint)),
        "there is no such touchpoint",
    )


class _Nothing(Exception):
    """Rolls a transaction back in which nothing changed."""


def _change(
    writer: Writer,
    vault: VaultId,
    entry: Entry,
    statement: tuple[str, tuple[object, ...]],
    otherwise: str,
    *more: tuple[str, tuple[object, ...]],
) -> No | None:
    def step(connection: sqlite3.Connection) -> None:
        if connection.execute(*statement).rowcount != 1:
            raise _Nothing
        for other in more:
            connection.execute(*other)

    try:
        writer.transact(vault, entry, step)
    except _Nothing:
        return No("not_found", otherwise)
    return None


def _enrolment(verify_key: bytes, vault: VaultId, signed: Signed) -> Enrolment | No:
    try:
        statement = verify(verify_key, vault, signed)
        if isinstance(statement, Enrolment) and len(statement.verify_key) == 32:
            ClientId.parse(statement.client)
            return statement
    except VaultError:
        pass
    return No("not_authorised", "the enrolment is not signed by this vault's owner")


def _file(writer: Writer, vault: VaultId) -> PersonFile | None:
    try:
        return writer.file(vault)
    except NotAVault:
        return None


def _place(writer: Writer, made: bytes, vault: VaultId, known: str) -> bool:
    """Take an id for this vault; one that an attempt which failed left in the registry is free."""
    return writer.file(vault).row(known, (made,)) is None and writer.registry.place(made, vault)


def _client_row(enrolment: Enrolment, signed: Signed, now: int) -> tuple[object, ...]:
    client = ClientId.parse(enrolment.client)
    return client, enrolment.verify_key, enrolment.name, msgspec.msgpack.encode(signed), now


def _root(wrapped: bytes) -> WrappedRoot:
    with unavailable("a vault's file is damaged"):
        return msgspec.msgpack.decode(wrapped, type=WrappedRoot)
