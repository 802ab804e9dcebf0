"""``brand add|list|remove``: who may be handed a touchpoint on this server; for whoever runs it."""

from __future__ import annotations

from urllib.parse import urlsplit

import rich_click as click

from cli import options
from cli.ask import confirm, require_terminal, say
from cli.errors import UsageError
from cli.node import call
from cli.render import ago, emit, escape, table
from cli.session import now_ms, pick, suggest
from cli.times import rfc3339
from gateway import wire
from policies.strict import unshowable
from vault.ids import BrandId
from vault.store.records import BrandRow

NAME_MAX = 100  # characters
SITE_MAX = 200
HINT = "see: hypertouch brand list"


@click.group("brand")
def brand() -> None:
    """Register the brands that may ask on this server."""


@brand.command("add")
@click.argument("name")
@click.option("--site", required=True, metavar="URL", help="The brand's own site, shown beside its name.")
@options.as_json
def add(name: str, site: str, as_json: bool) -> None:
    """Register a brand; its client secret is shown once."""
    check_name(name)
    check_site(site)
    made = call(wire.AddBrand(name, site), wire.BrandAdded)
    text = BrandId(made.brand).text
    answer = {"brand": text, "name": name, "client_id": text, "client_secret": made.secret}
    lines = [
        f"Give this to {escape(name)}; the secret is shown once:",
        f"  client_id      {text}",
        f"  client_secret  {made.secret}",
    ]
    emit(answer, as_json, "\n".join(lines))
    if not as_json:
        say("It can ask nobody yet: each person decides whom to hand a touchpoint.")
    suggest(as_json, (f"touchpoint new {text[:4].upper()}", "let it ask you"))


@brand.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """List the brands of this server."""
    rows = call(wire.ListBrands(), wire.Brands).brands
    now = now_ms()
    answer = [
        {
            "brand": BrandId(row.brand).text,
            "name": row.name,
            "site": row.site,
            "created": rfc3339(row.created),
            "status": "live" if row.ended is None else "removed",
        }
        for row in rows
    ]
    text = table(
        ["NAME", "SITE", "ID", "ADDED", "STATUS"],
        [
            (row.name, row.site, shown["brand"], ago(row.created, now), shown["status"])
            for row, shown in zip(rows, answer, strict=True)
        ],
        width=110,
    )
    emit(answer, as_json, text if rows else "no brands yet")
    if not rows:
        suggest(as_json, ("brand add NAME --site URL", "register one"))


@brand.command("remove")
@click.argument("name")
@options.yes
@options.as_json
def remove(name: str, yes: bool, as_json: bool) -> None:
    """End a brand's client: it can ask and read nothing more on this server."""
    if not yes:
        require_terminal("--yes")
    row = find([row for row in call(wire.ListBrands(), wire.Brands).brands if row.ended is None], name)
    confirm(f"End {escape(row.name)} on this server?", yes=yes)
    call(wire.EndBrand(row.brand), wire.Done)
    answer = {"brand": BrandId(row.brand).text, "name": row.name, "status": "removed"}
    emit(answer, as_json, f"{escape(row.name)} can ask nothing more here")


def find(rows: list[BrandRow], text: str) -> BrandRow:
    """The brand of this name or id; raises NotFoundError, UsageError."""
    named = [row for row in rows if row.name.casefold() == text.casefold()]
    if len(named) == 1:
        return named[0]
    if named:
        raise UsageError("several brands have this name", "give the id of one: hypertouch brand list")
    return pick(rows, text, lambda row: BrandId(row.brand), "brand", HINT)


def check_name(name: str) -> None:
    """Return if a brand can have this name; raises UsageError."""
    if not 0 < len(name) <= NAME_MAX or name != name.strip() or unshowable(name):
        raise UsageError(f"a brand's name has 1 to {NAME_MAX} plain characters", "choose another")


def check_site(site: str) -> None:
    """Return if this is the address of a site; raises UsageError."""
    try:
        parts = urlsplit(site)
        host = parts.hostname or ""
    except ValueError:
        host, parts = "", urlsplit("")
    good = parts.scheme == "https" and host and not parts.username and len(site) <= SITE_MAX
    if not good or unshowable(site) or not site.isascii():
        raise UsageError("the site is not like https://acme.example", "give --site URL")
