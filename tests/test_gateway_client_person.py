"""Making, opening and rewrapping a vault: the host helps, and learns nothing that opens anything."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from gateway import wire
from gateway.client import person
from gateway.client.errors import AnswerError, ImpostorError, WrongSecretError
from gateway.client.http import Http
from tests.client_world import PASSPHRASE, RECOVERY, Person, someone
from tests.owner_host import Clock, OwnerHost, serve
from vault.ids import VaultId
from vault.person import KdfParams, normalise

__all__ = ["someone"]
NEW = normalise("walnut bridge thunder copper meadow signal")


def test_the_passphrase_and_the_recovery_phrase_open_the_same_root(someone: Person) -> None:
    http = Http(someone.host.url)
    by_passphrase = person.open_by_passphrase(http, someone.vault, normalise(PASSPHRASE))
    by_recovery = person.open_by_recovery(http, someone.vault, RECOVERY)
    assert by_passphrase.root == by_recovery.root == someone.opened.root


@pytest.mark.parametrize("known", [True, False], ids=["a vault of this host", "no vault at all"])
def test_a_wrong_phrase_and_an_unknown_vault_look_alike(someone: Person, known: bool) -> None:
    vault = someone.vault if known else VaultId.new(os.urandom)
    http = Http(someone.host.url)
    with pytest.raises(WrongSecretError, match="the passphrase does not open this vault"):
        person.open_by_passphrase(http, vault, NEW)
    with pytest.raises(WrongSecretError, match="the recovery phrase does not open this vault"):
        person.open_by_recovery(http, vault, bytes(32))


def test_a_second_computer_enrols_and_speaks(someone: Person) -> None:
    http = Http(someone.host.url)
    opened = person.open_by_passphrase(http, someone.vault, normalise(PASSPHRASE))
    identity = person.enrol(http, opened, "second", os.urandom)
    with someone.session(person.first_pins(opened), identity) as session:
        names = [row.name for row in session.ask(wire.GetClients(), wire.Clients).clients]
    assert names == ["test", "second"]


def test_after_a_change_only_the_new_passphrase_opens_and_the_recovery_phrase_still_does(
    someone: Person,
) -> None:
    http = Http(someone.host.url)
    with someone.session() as session:
        person.change_passphrase(session, someone.opened, NEW)
    assert person.open_by_passphrase(http, someone.vault, NEW).root == someone.opened.root
    assert person.open_by_recovery(http, someone.vault, RECOVERY).root == someone.opened.root
    with pytest.raises(WrongSecretError):
        person.open_by_passphrase(http, someone.vault, normalise(PASSPHRASE))


class Liar(OwnerHost):
    """Answers with whatever a test put in its mouth."""

    lies: dict[str, wire.AnyReply]

    def answer(self, path: str, body: bytes) -> wire.AnyReply:
        return getattr(self, "lies", {}).get(path) or super().answer(path, body)


def test_a_host_cannot_weaken_the_derivation_nor_show_other_keys(tmp_path: Path) -> None:
    with serve(Liar(tmp_path / "data", Clock())) as host:
        someone, http = Person(host), Http(host.url)
        assert isinstance(host, Liar)
        for params in (KdfParams(1, 8, 1), KdfParams(memory_kib=1 << 30), KdfParams(passes=1000)):
            host.lies = {"/owner/salts": wire.KdfReply(bytes(16), params)}
            with pytest.raises(AnswerError):
                person.open_by_passphrase(http, someone.vault, normalise(PASSPHRASE))
        host.lies = {"/owner/salts": wire.KdfReply(b"", KdfParams())}
        with pytest.raises(AnswerError):
            person.open_by_passphrase(http, someone.vault, normalise(PASSPHRASE))
        true = wire.LoginReply(someone.opened.wrapped, someone.owner.hpke.public, someone.owner.verify_key)
        for lie in ({"hpke_public": bytes(1216)}, {"verify_key": bytes(32)}):
            host.lies = {"/owner/login": msgspec.structs.replace(true, **lie)}
            with pytest.raises(ImpostorError):
                person.open_by_recovery(http, someone.vault, RECOVERY)
        host.lies = {"/owner/login": true}  # the control
        assert person.open_by_recovery(http, someone.vault, RECOVERY).root == someone.opened.root
        host.lies = {"/owner/login": wire.Done()}
        with pytest.raises(AnswerError):
            person.open_by_recovery(http, someone.vault, RECOVERY)


def test_nothing_that_opens_the_vault_reaches_the_host(someone: Person) -> None:
    files = b"".join(path.read_bytes() for path in someone.host.data.path.rglob("*") if path.is_file())
    for secret in (someone.opened.root, RECOVERY, PASSPHRASE.encode(), PASSPHRASE.split()[0].encode()):
        assert secret not in files
    assert someone.owner.verify_key in files  # the control
