"""What is asked before there is an enrolled client."""

from __future__ import annotations

from gateway.wire.base import Call
from vault.person import WrappedRoot
from vault.statement import Signed


class Salts(Call, frozen=True):
    """-> KdfReply.  A vault that does not exist gets a decoy that never changes."""

    vault: bytes


class Login(Call, frozen=True):
    """-> LoginReply.  ``by`` is "passphrase" or "recovery"; throttled per vault and source."""

    vault: bytes
    login_key: bytes
    by: str
    source: str = ""  # filled in by the door


class CreateVault(Call, frozen=True):
    """-> Done.  ``enrolment`` makes the first client; ``invite`` may be empty on loopback."""

    vault: bytes
    hpke_public: bytes
    verify_key: bytes
    wrapped: WrappedRoot
    login_verifier: bytes
    recovery_verifier: bytes
    enrolment: Signed
    invite: str = ""
    local: bool = False  # filled in by the door: the call came over loopback


class Enrol(Call, frozen=True):
    """-> Done.  The owner's own signature stands for the envelope."""

    vault: bytes
    enrolment: Signed
