"""``touchpoint new|list|revoke``: the addresses at which a brand may ask this person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from cli import options
from cli.ask import confirm, require_terminal, say
from cli.errors import NotFoundError, UsageError
from cli.passphrase import PassphraseSource
from cli.render import ago, emit, escape, table
from cli.session import now_ms, pick, suggest, unlocked, with_vault
from cli.times import rfc3339
from gateway import wire
from gateway.client.session import Session
from vault.ids import BrandId, TouchpointId
from vault.store.records import BrandRow, TouchpointRow

BRAND_HINT = "see: hypertouch brand list, on the computer the server runs on"


@click.group("touchpoint")
def touchpoint() -> None:
    """Make and end addresses where brands may ask."""


@touchpoint.command("new")
@click.argument("brand")
@with_vault
def new(brand: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Make an address for one brand: it may ask there, nothing more."""
    with unlocked(home, passphrase) as session:
        row = find_brand(session, brand)
        made = TouchpointId.new(session.entropy)
        session.tell(wire.NewTouchpoint(made, row.brand), wire.Done)
    answer = {"touchpoint": made.text, "brand": row.name, "brand_id": BrandId(row.brand).text}
    emit(answer, as_json, made.text)
    if not as_json:
        say(f"Give it to {escape(row.name)}. It lets {escape(row.name)} ask, nothing more.")
    suggest(as_json, ("inbox --wait 10m", "wait for them to ask"))


@touchpoint.command("list")
@with_vault
def list_(passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """List the addresses you handed out."""
    with unlocked(home, passphrase) as session:
        rows = session.ask(wire.GetTouchpoints(), wire.Touchpoints).touchpoints
        names = {row.brand: row.name for row in session.ask(wire.GetBrands(), wire.Brands).brands}
    now = now_ms()
    answer = [_row(row, names) for row in rows]
    text = table(
        ["TOUCHPOINT", "BRAND", "MADE", "STATUS"],
        [
            (shown["touchpoint"], shown["brand"], ago(row.created, now), shown["status"])
            for row, shown in zip(rows, answer, strict=True)
        ],
    )
    emit(answer, as_json, text if answer else "nobody can ask you anything")
    if not answer:
        suggest(as_json, ("touchpoint new BRAND", "let one brand ask"))


@touchpoint.command("revoke")
@click.argument("ID")
@options.yes
@with_vault
def revoke(id: str, yes: bool, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """End an address: nobody can ask there any more; grants stay until you end them."""
    if not yes:
        require_terminal("--yes")
    with unlocked(home, passphrase) as session:
        rows = session.ask(wire.GetTouchpoints(), wire.Touchpoints).touchpoints
        row = pick(rows, id, _id_of, "touchpoint", "see: hypertouch touchpoint list")
        confirm("End this address?", yes=yes)
        session.tell(wire.RevokeTouchpoint(row.touchpoint), wire.Done)
    emit({"touchpoint": _id_of(row).text, "status": "revoked"}, as_json, "nobody can ask there any more")
    suggest(as_json, ("grant list", "see what may still be read"))


def find_brand(session: Session, text: str) -> BrandRow:
    """The brand of this name or id; raises NotFoundError, UsageError."""
    rows = [row for row in session.ask(wire.GetBrands(), wire.Brands).brands if row.ended is None]
    named = [row for row in rows if row.name.casefold() == text.casefold()]
    if len(named) > 1:
        ids = ", ".join(BrandId(row.brand).text for row in named)
        raise UsageError("several brands have this name", f"give the id of one: {ids}")
    if named:
        return named[0]
    try:
        return pick(rows, text, lambda row: BrandId(row.brand), "brand", BRAND_HINT)
    except NotFoundError:
        raise NotFoundError("there is no such brand on this server", BRAND_HINT) from None


def _id_of(row: TouchpointRow) -> TouchpointId:
    return TouchpointId(row.touchpoint)


def _row(row: TouchpointRow, names: dict[bytes, str]) -> dict[str, Any]:
    return {
        "touchpoint": TouchpointId(row.touchpoint).text,
        "brand": names.get(row.brand, BrandId(row.brand).text),
        "brand_id": BrandId(row.brand).text,
        "created": rfc3339(row.created),
        "status": "live" if row.ended is None else "revoked",
    }
