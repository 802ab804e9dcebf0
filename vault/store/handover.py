"""A device leaves its owner's hands, or rests: pause, resume, and release with a signed statement.

A release is one transaction: the credential ends, the statement is kept, and every grant that names this
device alone ends with it.  Grants that name other devices too go on: the brand was given those as well, and
of this one nothing new comes.  Cutting live connections is left to whoever calls.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Final

import msgspec

from policies.grant import Active, GrantState, Paused, Preparing, Refusal, Revoke, advance
from policies.strict import unshowable
from vault.errors import VaultError
from vault.ids import BrandId, DeviceId, GrantId, VaultId
from vault.ledger import Entry
from vault.statement import Release, Signed, verify
from vault.store.records import No
from vault.store.writer import Writer

DATE_WINDOW_MS: Final = 3_600_000  # a statement is dated when it is made
WORDS_MAX: Final = 200  # characters of who it goes to, and of the device's name
_UNKNOWN: Final = No("not_found", "there is no such device")


def pause_device(writer: Writer, vault: VaultId, device: DeviceId, *, paused: bool) -> No | None:
    """Take nothing of a device until it is resumed; it keeps its credential."""
    row = writer.file(vault).row("SELECT paused FROM device WHERE id = ? AND ended IS NULL", (device,))
    if row is None:
        return _UNKNOWN
    if (row[0] is not None) is paused:
        return No("conflict", f"the device is {'paused already' if paused else 'not paused'}")
    now = writer.clock()
    values = (now if paused else None, device)
    writer.transact(
        vault,
        Entry(now, "device", note="paused" if paused else "resumed"),
        lambda c: c.execute("UPDATE device SET paused = ? WHERE id = ?", values),
    )
    return None


def release_device(writer: Writer, vault: VaultId, device: DeviceId, signed: Signed) -> No | None:
    """End a device's credential and the grants that name it alone, and keep the owner's statement of it."""
    file, now = writer.file(vault), writer.clock()
    try:
        statement = verify(file.vault.verify_key, vault, signed)
    except VaultError:
        return No("not_authorised", "the release is not signed by this vault's owner")
    if not isinstance(statement, Release) or statement.device != device.text:
        return No("invalid", "the statement is not the release of this device")
    if abs(now - statement.released) > DATE_WINDOW_MS:
        return No("invalid", "the statement is dated another day", "check this computer's clock")
    if any(len(words) > WORDS_MAX or unshowable(words) for words in (statement.to, statement.name)):
        return No("invalid", "the words of the statement cannot be shown")
    row = file.row("SELECT ended FROM device WHERE id = ?", (device,))
    if row is None:
        return _UNKNOWN
    if row[0] is not None:
        return No("conflict", "the device was removed or released already")
    ended = {
        grant: after
        for grant, state in file.states()
        if tied(state, device) and not isinstance(after := advance(state, Revoke(writer.now())), Refusal)
    }
    brands = {grant: file.row("SELECT brand FROM grant_ WHERE id = ?", (grant,))[0] for grant in ended}
    writer.transact(
        vault,
        Entry(now, "device", note="released"),
        partial(_release, device=device, signed=signed, now=now, ended=ended),
        more=[
            Entry(now, "ended", grant=grant.text, brand=BrandId(brands[grant]).text, note="revoked")
            for grant in ended
        ],
        ends=list(ended),
    )
    for grant in ended:
        writer.state(vault).open.dismiss(grant)
    return None


def tied(state: GrantState, device: DeviceId) -> bool:
    """Whether a grant is in force, or about to be, and names this device and no other."""
    return _devices(state) == {device.text}


def shared(state: GrantState, device: DeviceId) -> bool:
    """Whether a grant is in force, or about to be, and names other devices beside this one."""
    named = _devices(state)
    return device.text in named and len(named) > 1


def _devices(state: GrantState) -> set[str]:
    if not isinstance(state, Preparing | Active | Paused):
        return set()
    return {selector.device for selector in state.terms.selectors}


def _release(
    connection: sqlite3.Connection,
    *,
    device: DeviceId,
    signed: Signed,
    now: int,
    ended: dict[GrantId, GrantState],
) -> None:
    connection.execute(
        "UPDATE device SET ended = ?, paused = NULL, wrapped_notes = NULL, released = ? WHERE id = ?",
        (now, msgspec.msgpack.encode(signed), device),
    )
    connection.execute("DELETE FROM recent WHERE device = ?", (device,))
    connection.execute("DELETE FROM resent WHERE device = ?", (device,))
    for grant, after in ended.items():
        connection.execute(
            "UPDATE grant_ SET state = ?, wrapped_seed = x'' WHERE id = ?",
            (msgspec.msgpack.encode(after), grant),
        )
        connection.execute("DELETE FROM grant_box WHERE grant_ = ?", (grant,))
