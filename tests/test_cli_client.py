"""``client``: a lost computer is shut out by another one."""

from __future__ import annotations

from tests.cli_world import Desk, desk, open_desk

__all__ = ["desk", "open_desk"]


def test_a_lost_computer_is_shut_out_by_another(open_desk: Desk) -> None:
    (first,) = open_desk.json("client", "list")
    assert first["status"] == "this computer"
    lost = open_desk.directory / "lost"
    vault, server = open_desk.json("status")["vault"], open_desk.host.url
    entered = open_desk.run(
        "login", "--server", server, "--vault", vault, "--passphrase-file", open_desk.passphrase, home=lost
    )
    assert entered.status == 0, entered.err
    (other,) = [row for row in open_desk.json("client", "list") if row["status"] == "active"]
    assert open_desk.json("client", "end", other["client"][:4], "--yes")["status"] == "ended"
    refused = open_desk.run("device", "list", "--passphrase-file", open_desk.passphrase, home=lost)
    assert refused.status == 3
    assert open_desk.run("device", "list").status == 0


def test_ending_a_computer_asks_first(open_desk: Desk) -> None:
    (own,) = open_desk.json("client", "list")
    assert open_desk.run("client", "end", own["client"]).status == 2
    assert open_desk.run("client", "end", "zzzz", "--yes").status == 5
