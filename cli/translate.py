"""Errors of the layers below, in the words and exit statuses of the command line; ``cli.main`` asks here.

What a host says is a stranger's text: ``cli.main`` escapes every line it prints.
"""

from __future__ import annotations

from cli import errors
from gateway.client import errors as client
from gateway.errors import BridgeConfigError, BrokerError, GatewayError
from gateway.rpcclient import NodeError
from policies.errors import PolicyError
from vault.errors import VaultError
from vault.store.errors import InUse

CliKind = type[errors.CliError]

# The first class that fits decides, so that a family's rest may follow its special cases.
KINDS: tuple[tuple[type[Exception], CliKind], ...] = (
    (client.UnreachableError, errors.UnreachableError),
    (client.AnswerError, errors.UnreachableError),
    (client.AddressError, errors.UsageError),
    (client.NotAuthorisedError, errors.NotAuthorisedError),
    (client.NotFoundError, errors.NotFoundError),
    (client.DeclinedError, errors.RefusedError),
    (client.FrozenError, errors.RefusedError),
    (client.ConflictError, errors.ConflictError),
    (client.UnavailableError, errors.UnreachableError),
    (client.WrongSecretError, errors.WrongPassphraseError),
    (client.WeakPassphraseError, errors.UsageError),
    (client.PhraseError, errors.UsageError),
    (client.TermsError, errors.UsageError),
    (client.ClientError, errors.CliError),
    (NodeError, errors.UnreachableError),
    (BridgeConfigError, errors.UsageError),
    (BrokerError, errors.UnreachableError),
    (GatewayError, errors.CliError),
    (InUse, errors.ConflictError),
    (VaultError, errors.CliError),
    (PolicyError, errors.UsageError),
)
DISTRUST = "do not use this server until you know why; was it restored from a backup? see: hypertouch doctor"


def translated(error: Exception) -> errors.CliError | None:
    """The same failure as a ``CliError``; None where it is no failure that a person could act on."""
    for theirs, ours in KINDS:
        if isinstance(error, theirs):
            return ours(_what(error), _hint(error, ours))
    return None


def _what(error: Exception) -> str:
    return str(error).strip().removesuffix(".") or type(error).__doc__ or type(error).__name__


def _hint(error: Exception, ours: CliKind) -> str | None:
    """The host's own advice, or ours; None stands for the usual one of the class."""
    match error:
        case client.DistrustError():
            return DISTRUST
        case BridgeConfigError(hint=hint):
            return hint
        case BrokerError():
            return "is it running? look at its address, user name and password: hypertouch bridge list"
        case client.RefusalError(hint=hint, retry_after=after) if hint or after:
            wait = f"try again in {after} seconds" if after else ""
            return "; ".join(part for part in (hint, wait) if part)
        case _ if ours is errors.UsageError:
            return ""  # the text is the advice
        case _:
            return None
