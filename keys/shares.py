"""Shamir shares of a token key and Feldman's commitments to them.

The polynomial's coefficients are a_0 (the key) to a_(t-1), all but the key random;
share x is its value at x, counted from 1. Commitment j is a_j times the base point, so
that everybody can compute the public half of every share, and each node checks its own.
Any t values, or any t multiples of one point by them, give the value at 0 by Lagrange's
coefficients; fewer say nothing about it. A whole key is the share x = 1 of t = n = 1.

The dealer knows the key while it deals and is trusted to forget it. Nobody needs to
trust it to have dealt consistently: :func:`check_share` shows that.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from keys.errors import ElementError, TokenError
from keys.ristretto import (
    ORDER,
    Rng,
    add_scalars,
    check_scalar,
    combine,
    multiply_scalars,
    public_of,
    random_scalar,
    render_scalar,
)

__all__ = ["check_share", "deal", "interpolate_public", "lagrange", "share_public"]


def deal(
    secret: bytes, threshold: int, count: int, rng: Rng = secrets.token_bytes
) -> tuple[list[tuple[int, bytes]], list[bytes]]:
    """Split a key into ``count`` shares of which ``threshold`` are needed.

    Returns:
        The shares (number from 1, scalar) and the commitments.

    Raises:
        TokenError: Not 1 <= threshold <= count.
        ElementError: The key is not a canonical scalar, or zero.
    """
    if not 1 <= threshold <= count:
        raise TokenError("the threshold lies between 1 and the number of shares")
    check_scalar(secret)
    parts = [secret, *(random_scalar(rng) for _ in range(threshold - 1))]
    shares = [(x, _value_at(x, parts)) for x in range(1, count + 1)]
    return shares, [public_of(part) for part in parts]


def _value_at(x: int, coefficients: Sequence[bytes]) -> bytes:
    """Evaluate by Horner's rule, in constant time: the coefficients are secret."""
    point, value = render_scalar(x), coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = add_scalars(multiply_scalars(value, point), coefficient)
    return value


def _check_numbers(xs: Sequence[int]) -> None:
    if not xs or len(set(xs)) != len(xs) or not 0 < min(xs) <= max(xs) < ORDER:
        raise TokenError("shares have distinct positive numbers")


def lagrange(xs: Sequence[int]) -> list[bytes]:
    """Return the coefficients that interpolate at 0 from distinct points ``xs``.

    Raises:
        TokenError: There is no point, or one is repeated or not positive.
    """
    _check_numbers(xs)
    result = []
    for i in xs:
        top = bottom = 1
        for j in xs:
            if j != i:
                top, bottom = top * j % ORDER, bottom * (j - i) % ORDER
        result.append(render_scalar(top * pow(bottom, -1, ORDER) % ORDER))
    return result


def _join(points: Sequence[bytes]) -> bytes:
    # Together they may have the right length although none has it alone.
    if any(len(point) != 32 for point in points):
        raise ElementError("an element has 32 bytes")
    return b"".join(points)


def share_public(x: int, commitments: Sequence[bytes]) -> bytes:
    """Return the public half of share ``x``.

    Raises:
        TokenError: The number of the share is not positive.
        ElementError: A commitment is not a valid element, or the share would be zero.
    """
    _check_numbers([x])
    powers = [render_scalar(pow(x, j, ORDER)) for j in range(len(commitments))]
    return combine(powers, _join(commitments))


def check_share(x: int, share: bytes, commitments: Sequence[bytes]) -> None:
    """Check that a share belongs to the commitments.

    Raises:
        TokenError: It does not.
        ElementError: The share or a commitment is not valid.
    """
    if public_of(share) != share_public(x, commitments):
        raise TokenError(
            f"share {x} does not belong to the commitments",
            advice="Refuse it and ask the dealer for a new dealing.",
        )


def interpolate_public(publics: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the public key from the public halves of t shares.

    Raises:
        TokenError: There is none, or share numbers are repeated.
        ElementError: A public half is not a valid element.
    """
    weights = lagrange([x for x, _ in publics])
    return combine(weights, _join([public for _, public in publics]))
