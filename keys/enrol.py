"""Proof that whoever enrols a public key holds the private one.

The holder signs::

    <alliance>/enrol/v1
    <owner, for example member/maison>
    <roles, separated by commas>
    <base64 public key>
"""

from __future__ import annotations

from collections.abc import Sequence

from keys.ed25519 import Signer, verifier_for
from keys.encoding import to_base64

__all__ = ["check_possession", "prove_possession"]


def _text(alliance: str, owner: str, roles: Sequence[str], public: bytes) -> bytes:
    key = to_base64(public)
    return f"{alliance}/enrol/v1\n{owner}\n{','.join(roles)}\n{key}\n".encode()


def prove_possession(
    alliance: str, owner: str, roles: Sequence[str], signer: Signer
) -> bytes:
    """Return the 64-byte proof for the signer's public key."""
    return signer.sign(_text(alliance, owner, roles, signer.public))


def check_possession(
    alliance: str, owner: str, roles: Sequence[str], public: bytes, proof: bytes
) -> None:
    """Check a public key and the proof that its owner holds the private half.

    Raises:
        WeakKeyError: The key has a low order or is not canonical.
        SignatureError: The proof does not verify.
        EncodingError: The key does not have 32 bytes.
    """
    verifier_for(public).verify(proof, _text(alliance, owner, roles, public))
