"""X25519 keys (RFC 7748), to which something can be sealed; they sign nothing.

Trusts the ``cryptography`` library for the arithmetic. A public key of low order gives
everybody the same secret, so :func:`check_sealing` refuses those.
"""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

from keys.errors import EncodingError, WeakKeyError

__all__ = ["check_sealing", "new_sealing", "sealing_public"]

_FIELD = 2**255 - 19


def new_sealing() -> bytes:
    """Return a new random private key, 32 bytes."""
    return secrets.token_bytes(32)


def sealing_public(secret: bytes) -> bytes:
    """Return the public half of a private key.

    Raises:
        EncodingError: Not 32 bytes.
    """
    if len(secret) != 32:
        raise EncodingError("an X25519 key has 32 bytes")
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def check_sealing(public: bytes) -> None:
    """Refuse a public key that must not be enrolled.

    Raises:
        EncodingError: Not 32 bytes.
        WeakKeyError: A low-order or non-canonical point.
    """
    if len(public) != 32:
        raise EncodingError("an X25519 public key has 32 bytes")
    # SPEC: RFC 7748, 5: implementations accept non-canonical values; one key has one
    # form here, since a public key is registered once.
    if int.from_bytes(public, "little") >= _FIELD:
        raise WeakKeyError(
            "the public key is not canonically encoded", "Make a new key."
        )
    try:
        # SPEC: RFC 7748, 6.1: the all-zero secret is what a point of low order gives.
        X25519PrivateKey.from_private_bytes(bytes(31) + b"\x40").exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError:
        raise WeakKeyError(
            "the public key has a low order", "Make a new key."
        ) from None
