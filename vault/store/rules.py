"""Standing rules: the owner's own words for when a request may be answered without asking."""

from __future__ import annotations

from typing import Final

import msgspec

from policies.errors import PolicyError
from policies.grant import Active, Denied
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import parse_details
from policies.rules import check_rules, rules_hash
from policies.terms import ask_hash, terms_hash
from vault.errors import FormatError, VaultError
from vault.ids import BrandId, DeviceId, VaultId
from vault.ledger import Entry, What
from vault.statement import Signed
from vault.store.person import PersonFile
from vault.store.records import No, RuleAnswer
from vault.store.ruling import SKEW_MS, read_rules, rule_on
from vault.store.writer import Writer

REASON_MAX: Final = 500  # characters of why a rule said no, as the person is told


class Answer(msgspec.Struct, frozen=True):
    """What becomes of a request that rules answer; ``rule`` is kept beside a yes."""

    state: Active | Denied
    what: What
    note: str
    rule: bytes | None = None


def set_rules(writer: Writer, vault: VaultId, signed: Signed) -> No | None:
    """Take a new version of the rules; requests that arrive after it are answered by it."""
    file, now = writer.file(vault), writer.clock()
    try:
        statement, rules = read_rules(file.vault.verify_key, vault, signed)
        check_rules(rules, catalogue(), purposes())
    except FormatError:
        return No("invalid", "these are no rules of this version")
    except PolicyError:
        return No("invalid", "a rule names something that is not known here")
    except VaultError:
        return No("not_authorised", "the rules are not signed by this vault's owner")
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


def answer(file: PersonFile, brand: BrandId, details: bytes, now: int) -> Answer | None:
    """What the newest rules say to a request; None: nothing, and the person is asked.

    Rules that nobody signed say nothing.
    """
    row = file.row("SELECT signed FROM rules ORDER BY version DESC LIMIT 1")
    if row is None:
        return None
    try:
        signed = msgspec.msgpack.decode(row[0], type=Signed)
        statement, rules = read_rules(file.vault.verify_key, file.id, signed)
    except (VaultError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    devices = [DeviceId(one).text for (one,) in file.rows("SELECT id FROM device WHERE ended IS NULL")]
    ruled = rule_on(rules, brand, details, devices, now)
    if ruled is None:
        return None
    note = f"by your rules, version {statement.version}"
    if ruled.terms is None:
        return Answer(Denied(now, ruled.reason[:REASON_MAX]), "denied", note)
    asked = ask_hash(parse_details(details, catalogue(), purposes(), now // 1000))
    made = RuleAnswer(statement.version, rules_hash(rules), asked, terms_hash(asked, ruled.terms), now)
    return Answer(Active(ruled.terms, now, now), "approved", note, msgspec.msgpack.encode(made))
