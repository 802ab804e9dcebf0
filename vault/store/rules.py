"""Standing rules: the owner's own words for when a request may be answered without asking."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.errors import VaultError
from vault.ids import VaultId
from vault.ledger import Entry
from vault.statement import Signed, StandingRules, verify
from vault.store.records import No
from vault.store.writer import Writer

SKEW_MS: Final = 3_600_000  # how far a statement's clock may be off


def set_rules(writer: Writer, vault: VaultId, signed: Signed) -> No | None:
    """Take a new version of the rules; requests that arrive after it are answered by it."""
    file, now = writer.file(vault), writer.clock()
    try:
        statement = verify(file.vault.verify_key, vault, signed)
    except VaultError:
        return No("not_authorised", "the rules are not signed by this vault's owner")
    if not isinstance(statement, StandingRules):
        return No("invalid", "these are no rules")
    (newest,) = file.row("SELECT coalesce(max(version), 0) FROM rules")
    if statement.version != newest + 1:
        return No("conflict", "the rules were changed meanwhile", "look at them again")
    if abs(statement.made - now) > SKEW_MS:
        return No("invalid", "the rules are dated more than an hour off", "set this computer's clock")
    values = statement.version, msgspec.msgpack.encode(signed), now
    writer.transact(
        vault,
        Entry(now, "rules", note=f"version {statement.version}"),
        lambda c: c.execute("INSERT INTO rules VALUES (?, ?, ?)", values),
    )
    return None
