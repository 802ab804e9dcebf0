"""What goes wrong below becomes the command line's words and statuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.errors import ExitCode
from cli.translate import KINDS, translated
from gateway.client import errors as client
from gateway.client.brand import BrandError
from gateway.errors import GatewayError, ListenError, TlsError
from gateway.rpcclient import NodeError
from policies.errors import PolicyError, RulesError
from vault.errors import KeyPolicyError, SealError, VaultError
from vault.store.errors import InUse, Unavailable

STATUSES = [
    (client.UnreachableError("nobody answers"), ExitCode.UNREACHABLE),
    (client.AnswerError("not our format"), ExitCode.UNREACHABLE),
    (client.AddressError("http over a network"), ExitCode.USAGE),
    (client.NotAuthorisedError("who are you"), ExitCode.NOT_AUTHORISED),
    (client.NotFoundError("no such device"), ExitCode.NOT_FOUND),
    (client.DeclinedError("never marketing"), ExitCode.REFUSED),
    (client.FrozenError("the clock is in doubt"), ExitCode.REFUSED),
    (client.ConflictError("answered already"), ExitCode.CONFLICT),
    (client.ThrottledError("too often", retry_after=9), ExitCode.FAILED),
    (client.UnavailableError("not now"), ExitCode.UNREACHABLE),
    (client.InvalidError("what?"), ExitCode.FAILED),
    (client.TooLargeError("too much"), ExitCode.FAILED),
    (client.RolledBackError("an older vault"), ExitCode.FAILED),
    (client.ForkedError("another history"), ExitCode.FAILED),
    (client.ImpostorError("other keys"), ExitCode.FAILED),
    (client.WrongSecretError("opens nothing"), ExitCode.WRONG_PASSPHRASE),
    (client.WeakPassphraseError("add a word"), ExitCode.USAGE),
    (client.PhraseError("word 3 is not in the list"), ExitCode.USAGE),
    (client.TermsError("not asked for"), ExitCode.USAGE),
    (BrandError(401, "invalid_client", "unknown"), ExitCode.FAILED),
    (ListenError("the address is taken"), ExitCode.FAILED),
    (TlsError("the key does not fit"), ExitCode.FAILED),
    (NodeError("the node does not answer"), ExitCode.UNREACHABLE),
    (InUse("another process has it"), ExitCode.CONFLICT),
    (Unavailable("the disk is full"), ExitCode.FAILED),
    (SealError("does not open"), ExitCode.FAILED),
    (KeyPolicyError("out of bounds"), ExitCode.FAILED),
    (RulesError("not in canonical form"), ExitCode.USAGE),
]


@pytest.mark.parametrize(
    ("error", "status"), STATUSES, ids=[f"{type(error).__name__} is {int(code)}" for error, code in STATUSES]
)
def test_each_failure_has_its_status_and_keeps_its_words(error: Exception, status: ExitCode) -> None:
    ours = translated(error)
    assert ours is not None
    assert ours.exit == status
    assert ours.what == str(error)


def family(root: type[Exception]) -> Iterator[type[Exception]]:
    """A class and everything that derives from it."""
    yield root
    for kind in root.__subclasses__():
        yield from family(kind)


def test_every_error_of_the_layers_below_has_words() -> None:
    shown = {type(error) for error, _ in STATUSES}
    for root in (client.ClientError, GatewayError, VaultError, PolicyError):
        assert any(issubclass(kind, root) for kind in shown)
        for kind in family(root):
            assert any(issubclass(kind, theirs) for theirs, _ in KINDS), kind


def test_a_fault_has_none() -> None:
    assert translated(KeyError("secret")) is None


def test_a_server_that_rolled_back_is_not_to_be_used() -> None:
    ours = translated(client.RolledBackError("an older vault"))
    assert ours is not None
    assert "do not use this server" in ours.hint


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (client.NotFoundError("none", "see: hypertouch device list"), "see: hypertouch device list"),
        (client.ThrottledError("too often", retry_after=9), "try again in 9 seconds"),
        (client.ThrottledError("too often", "slow down", 9), "slow down; try again in 9 seconds"),
        (client.PhraseError("word 3"), ""),
        (client.UnreachableError("nobody"), "is it running? start it with: hypertouch up"),
    ],
)
def test_the_hosts_advice_comes_before_ours(error: Exception, hint: str) -> None:
    ours = translated(error)
    assert ours is not None
    assert ours.hint == hint
