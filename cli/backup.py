"""``backup create|restore``: copies of a vault's file, as sealed as it is, made where the server runs."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cli import options, state
from cli.ask import confirm, require_terminal, say
from cli.errors import ConflictError, NoVaultError, UsageError
from cli.node import call
from cli.render import emit, size
from cli.session import suggest
from gateway import wire
from vault.errors import FormatError
from vault.ids import VaultId
from vault.store.paths import DataDir


@click.group("backup")
def backup() -> None:
    """Copy your vault, sealed as it is, and restore such a copy."""


@backup.command("create")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--vault", "vault_id", metavar="ID", help="Another vault of this server than your own.")
@options.home
@options.as_json
def create(file: Path, vault_id: str | None, home: Path, as_json: bool) -> None:
    """Copy a vault into a new file while everything goes on."""
    vault = _vault(vault_id, home)
    path = file.absolute()
    if path.exists():
        raise ConflictError(f"{path} exists already", "nothing is overwritten; name another file")
    call(wire.Backup(vault, str(path)), wire.Done)
    octets = path.stat().st_size
    emit({"vault": vault.text, "file": str(path), "bytes": octets}, as_json, f"{path}, {size(octets)}")
    if not as_json:
        say("It is encrypted as the vault is. Restoring it ends all grants.")


@backup.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.yes
@options.as_json
def restore(file: Path, yes: bool, as_json: bool) -> None:
    """Put a copy in its vault's place; the server must not run."""
    from vault.store.backup import inspect
    from vault.store.backup import restore as put_back

    if not yes:
        require_terminal("--yes")
    data = DataDir.default()
    vault = inspect(file)
    confirm(
        f"Put this copy of {vault.text} in place? What came after it is lost, and all its grants end.",
        yes=yes,
    )
    put_back(data, file)
    emit(
        {"vault": vault.text, "data": str(data.path)},
        as_json,
        f"{vault.text} is as it was; all its grants end",
    )
    suggest(
        as_json,
        ("up", "start the server again"),
        ("ledger verify --accept", "make each of your computers believe it again"),
    )


def _vault(text: str | None, home: Path) -> VaultId:
    try:
        return VaultId.parse(text.lower() if text else state.load(home).vault)
    except FormatError as error:
        raise UsageError(str(error), "give --vault ID") from None
    except NoVaultError:
        raise UsageError("which vault?", "give --vault ID") from None
