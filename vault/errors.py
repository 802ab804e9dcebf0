"""Errors of the vault.

VaultError
├── FormatError        bytes that are not in our format: whoever made them is at fault
├── SealError          a box or chunk that does not open: wrong key, or altered
├── SignatureError     a statement whose signature or chain does not hold
└── KeyPolicyError     key-derivation parameters outside the bounds this client accepts
"""

from __future__ import annotations


class VaultError(Exception):
    """Anything this package raises."""


class FormatError(VaultError, ValueError):
    """Bytes or text that are not in our format."""


class SealError(VaultError):
    """A box or a chunk does not open with this key: another recipient's, or altered."""


class SignatureError(VaultError):
    """A signature, or a chain of hashes, does not hold."""


class KeyPolicyError(VaultError):
    """Key-derivation parameters weaker than the floor or dearer than the ceiling."""
