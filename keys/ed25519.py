"""Ed25519 signatures (RFC 8032) on raw 32-byte keys.

Trusts the ``cryptography`` library for the arithmetic. That library accepts public keys
of low order, under which one signature fits many messages, so that a member could deny
what it signed. :func:`check_public` refuses them, and :class:`Verifier` calls it.
"""

from __future__ import annotations

import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from keys.errors import EncodingError, SignatureError, WeakKeyError

__all__ = ["Signer", "Verifier", "check_public", "verifier_for"]

_FIELD = 2**255 - 19
_SIGN_BIT = 2**255
# These are the y coordinates of the points of order 1, 2, 4 and 8.
_LOW_ORDER_Y = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        int.from_bytes(
            bytes.fromhex(
                "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
            ),
            "little",
        ),
        int.from_bytes(
            bytes.fromhex(
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
            ),
            "little",
        ),
    }
)


def check_public(public: bytes) -> None:
    """Refuse a public key that must not be enrolled.

    Args:
        public: 32 bytes.

    Raises:
        EncodingError: Not 32 bytes.
        WeakKeyError: A low-order or non-canonical point.
    """
    if len(public) != 32:
        raise EncodingError("an Ed25519 public key has 32 bytes")
    y = int.from_bytes(public, "little") & (_SIGN_BIT - 1)
    if y >= _FIELD:
        raise WeakKeyError(
            "the public key is not canonically encoded", "Make a new key."
        )
    if y in _LOW_ORDER_Y:
        raise WeakKeyError("the public key has a low order", "Make a new key.")


class Signer:
    """A private key.

    Args:
        seed: 32 secret bytes.
    """

    def __init__(self, seed: bytes):
        if len(seed) != 32:
            raise EncodingError("an Ed25519 seed has 32 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._seed = seed
        self.public = self._key.public_key().public_bytes_raw()

    @classmethod
    def from_seed(cls, seed: bytes) -> Signer:
        """Return the signer of a 32-byte seed."""
        return cls(seed)

    @classmethod
    def generate(cls) -> Signer:
        """Return a new random signer."""
        return cls(secrets.token_bytes(32))

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes."""
        return self._seed

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of ``message``."""
        return self._key.sign(message)


class Verifier:
    """A public key that was checked once and verifies many times.

    Args:
        public: 32 bytes.

    Raises:
        EncodingError: Not 32 bytes.
        WeakKeyError: A low-order or non-canonical point.
    """

    def __init__(self, public: bytes):
        check_public(public)
        self.public = public
        self._key = Ed25519PublicKey.from_public_bytes(public)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a 64-byte signature.

        Raises:
            SignatureError: It does not verify.
        """
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise SignatureError("the signature does not verify") from None


@lru_cache(maxsize=1024)
def verifier_for(public: bytes) -> Verifier:
    """Return a cached :class:`Verifier`.

    Raises:
        EncodingError: Not 32 bytes.
        WeakKeyError: A low-order or non-canonical point.
    """
    return Verifier(public)
