"""Shamir shares of a token key and Feldman's commitments to them.

The polynomial's coefficients are a_0 (the key) to a_(t-1); share x is its value at x,
and commitment j is a_j times the base point, so that everybody can compute the public
half of every share, and each node checks its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from keys.errors import TokenError
from keys.voprf import ORDER, Rng, _combine, _scalar, lagrange, public_of, random_scalar

__all__ = ["check_share", "deal", "interpolate_public", "share_public"]


def deal(
    secret: bytes, threshold: int, count: int, rng: Rng = secrets.token_bytes
) -> tuple[list[tuple[int, bytes]], list[bytes]]:
    """Split a key into ``count`` shares of which ``threshold`` are needed.

    Returns:
        The shares (number from 1, scalar) and the commitments.

    Raises:
        TokenError: Not 1 <= threshold <= count.
    """
    if not 1 <= threshold <= count:
        raise TokenError("the threshold lies between 1 and the number of shares")
    parts = [secret, *(random_scalar(rng) for _ in range(threshold - 1))]
    poly = [int.from_bytes(p, "little") for p in parts]
    shares = []
    for x in range(1, count + 1):
        value = sum(a * pow(x, j, ORDER) for j, a in enumerate(poly)) % ORDER
        shares.append((x, _scalar(value)))
    return shares, [public_of(p) for p in parts]


def share_public(x: int, commitments: Sequence[bytes]) -> bytes:
    """Return the public half of share ``x``.

    Raises:
        ElementError: A commitment is not a valid element.
    """
    powers = [_scalar(pow(x, j, ORDER)) for j in range(len(commitments))]
    return _combine(powers, b"".join(commitments))


def check_share(x: int, share: bytes, commitments: Sequence[bytes]) -> None:
    """Check that a share belongs to the commitments.

    Raises:
        TokenError: It does not.
    """
    if public_of(share) != share_public(x, commitments):
        raise TokenError(f"share {x} does not belong to the commitments")


def interpolate_public(publics: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the public key from the public halves of t shares.

    Raises:
        TokenError: Share numbers are repeated.
        ElementError: A public half is not a valid element.
    """
    weights = [_scalar(w) for w in lagrange([x for x, _ in publics])]
    return _combine(weights, b"".join(p for _, p in publics))
