"""Arithmetic in the group ristretto255 (RFC 9496), on contiguous buffers.

Points and scalars are canonical encodings of 32 bytes, scalars little-endian below
:data:`ORDER`; a batch of n is one ``bytes`` of 32 n. libsodium does all arithmetic on
secrets, in constant time; here are lengths, loops and errors.

SPEC: RFC 9497 section 2.1: DeserializeElement refuses what is not canonical and the
identity. libsodium's multiplication answers -1 for both, so multiplying is validating,
whereas its ``is_valid_point`` would let the identity pass. One thing it leaves to us:
version 1.0.18 ignores the highest bit, so that every point would have two encodings.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Callable, Sequence

from keys._sodium import lib
from keys.errors import ElementError, TokenError

__all__ = [
    "BASE",
    "ORDER",
    "Rng",
    "add_each",
    "add_scalars",
    "check_scalar",
    "combine",
    "invert_each",
    "map_to_points",
    "multiply_each",
    "multiply_pairs",
    "multiply_scalars",
    "public_of",
    "random_scalar",
    "reduce_scalar",
    "render_scalar",
    "scale_each",
    "subtract_scalars",
]

Rng = Callable[[int], bytes]

ORDER = 2**252 + 27742317777372353535851937790883648493
# The generator, for sums that contain a multiple of it.
BASE = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
IDENTITY = bytes(32)

_address = ctypes.addressof
_add = lib.crypto_core_ristretto255_add
_from_hash = lib.crypto_core_ristretto255_from_hash
_multiply = lib.crypto_scalarmult_ristretto255
_multiply_base = lib.crypto_scalarmult_ristretto255_base
_scalar_add = lib.crypto_core_ristretto255_scalar_add
_scalar_invert = lib.crypto_core_ristretto255_scalar_invert
_scalar_mul = lib.crypto_core_ristretto255_scalar_mul
_scalar_reduce = lib.crypto_core_ristretto255_scalar_reduce
_scalar_sub = lib.crypto_core_ristretto255_scalar_sub


def _buffer(data: bytes, unit: int = 32) -> ctypes.Array[ctypes.c_char]:
    """Copy whole items to where libsodium may read them, and it reads no further."""
    if not data or len(data) % unit:
        raise ElementError(f"expected one or more items of {unit} bytes")
    return ctypes.create_string_buffer(data, len(data))


def _points(data: bytes, number: int = 0) -> ctypes.Array[ctypes.c_char]:
    """Copy points; ``number`` is that of the first, for the message of the error."""
    buffer = _buffer(data)
    for place, top in enumerate(data[31::32], number):
        if top > 0x7F:
            raise ElementError(f"element {place} is not a valid group element")
    return buffer


def _same_length(left: bytes, right: bytes) -> None:
    if len(left) != len(right):
        raise ElementError("expected as many scalars as elements")


def render_scalar(value: int) -> bytes:
    """Return the encoding of a number below the order."""
    return value.to_bytes(32, "little")


def check_scalar(scalar: bytes) -> None:
    """Check that a scalar is canonical and not zero.

    Raises:
        ElementError: It is not.
    """
    if len(scalar) != 32 or not 0 < int.from_bytes(scalar, "little") < ORDER:
        raise ElementError("not a canonical scalar, or zero")


def reduce_scalar(wide: bytes) -> bytes:
    """Return a number of 64 bytes, little-endian, modulo the order."""
    source, out = _buffer(wide, 64), ctypes.create_string_buffer(32)
    _scalar_reduce(out, source)
    return out.raw


def random_scalar(rng: Rng = secrets.token_bytes) -> bytes:
    """Return a uniformly random scalar that is not zero.

    Raises:
        TokenError: The source of randomness is broken and gave zero.
    """
    scalar = reduce_scalar(rng(64))
    if scalar == bytes(32):
        raise TokenError("the source of randomness gave zero")
    return scalar


def _calculate(operation: Callable[..., None], left: bytes, right: bytes) -> bytes:
    # libsodium wants room of exactly one scalar behind each of the three addresses.
    if len(left) != 32 or len(right) != 32:
        raise ElementError("a scalar has 32 bytes")
    out = ctypes.create_string_buffer(32)
    operation(out, left, right)
    return out.raw


def add_scalars(left: bytes, right: bytes) -> bytes:
    """Return left + right modulo the order.

    Raises:
        ElementError: One has not 32 bytes.
    """
    return _calculate(_scalar_add, left, right)


def subtract_scalars(left: bytes, right: bytes) -> bytes:
    """Return left - right modulo the order.

    Raises:
        ElementError: One has not 32 bytes.
    """
    return _calculate(_scalar_sub, left, right)


def multiply_scalars(left: bytes, right: bytes) -> bytes:
    """Return left * right modulo the order.

    Raises:
        ElementError: One has not 32 bytes.
    """
    return _calculate(_scalar_mul, left, right)


def scale_each(scalar: bytes, scalars: bytes) -> bytes:
    """Return the product of a scalar and each scalar of a batch.

    Raises:
        ElementError: The scalar is not canonical, or is zero.
    """
    check_scalar(scalar)
    source, out = _buffer(scalars), ctypes.create_string_buffer(len(scalars))
    first, target = _address(source), _address(out)
    for at in range(0, len(scalars), 32):
        _scalar_mul(target + at, scalar, first + at)
    return out.raw


def invert_each(scalars: bytes) -> bytes:
    """Invert a batch of scalars with one inversion (Montgomery's trick).

    Raises:
        ElementError: One is zero.
    """
    source, out = _buffer(scalars), ctypes.create_string_buffer(len(scalars))
    first, target, end = _address(source), _address(out), len(scalars) - 32
    ctypes.memmove(out, source, 32)
    for at in range(32, end + 1, 32):
        _scalar_mul(target + at, target + at - 32, first + at)
    rest = ctypes.create_string_buffer(32)
    if _scalar_invert(rest, target + end):
        raise ElementError("a scalar is zero")
    # `out` holds the products of all scalars up to each place; from the end, each is
    # replaced by the inverse, and `rest` is the inverse of the product before it.
    for at in range(end, 0, -32):
        _scalar_mul(target + at, target + at - 32, rest)
        _scalar_mul(rest, rest, first + at)
    ctypes.memmove(out, rest, 32)
    return out.raw


def public_of(secret: bytes) -> bytes:
    """Return the public key of a secret scalar.

    Raises:
        ElementError: The scalar is not canonical, or zero.
    """
    check_scalar(secret)
    out = ctypes.create_string_buffer(32)
    if _multiply_base(out, secret):
        raise AssertionError("libsodium refused a canonical scalar")
    return out.raw


def map_to_points(hashes: bytes) -> bytes:
    """Map each 64 uniform bytes to a point (RFC 9496 section 4.3.4)."""
    count = len(hashes) // 64
    source, out = _buffer(hashes, 64), ctypes.create_string_buffer(32 * count)
    first, target = _address(source), _address(out)
    for index in range(count):
        _from_hash(target + 32 * index, first + 64 * index)
    return out.raw


def multiply_each(scalar: bytes, points: bytes, number: int = 0) -> bytes:
    """Return the scalar times each point.

    Args:
        scalar: 32 bytes.
        points: n times 32 bytes.
        number: The number of the first point, for the message of the error.

    Raises:
        ElementError: A point is not canonical or is the identity, or the scalar is not
            canonical or zero.
    """
    check_scalar(scalar)
    source = _points(points, number)
    out = ctypes.create_string_buffer(len(points))
    first, target = _address(source), _address(out)
    for at in range(0, len(points), 32):
        if _multiply(target + at, scalar, first + at):
            place = number + at // 32
            raise ElementError(f"element {place} is not a valid group element")
    return out.raw


def multiply_pairs(scalars: bytes, points: bytes) -> bytes:
    """Return each scalar times the point at its place.

    Raises:
        ElementError: A point is not canonical or is the identity, a scalar is zero, or
            there are not as many of each.
    """
    _same_length(scalars, points)
    factors, source = _buffer(scalars), _points(points)
    out = ctypes.create_string_buffer(len(points))
    factor, first, target = _address(factors), _address(source), _address(out)
    for at in range(0, len(points), 32):
        if _multiply(target + at, factor + at, first + at):
            raise ElementError("an element is not a valid group element")
    return out.raw


def add_each(left: bytes, right: bytes) -> bytes:
    """Return the sums of two batches, place by place; the identity may be among them.

    Raises:
        ElementError: A point is not canonical, or there are not as many on each side.
    """
    _same_length(left, right)
    one, other = _points(left), _points(right)
    first, second = _address(one), _address(other)
    for at in range(0, len(left), 32):
        if _add(first + at, first + at, second + at):
            raise ElementError("an element is not a valid group element")
    return one.raw


def combine(scalars: Sequence[bytes], points: bytes) -> bytes:
    """Return the sum of scalars times points.

    Raises:
        ElementError: A point is not canonical or is the identity, a scalar is zero,
            there are not as many of each, or the sum is the identity.
    """
    joined = b"".join(scalars)
    _same_length(joined, points)
    factors, source = _buffer(joined), _points(points)
    total, term = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    factor, first = _address(factors), _address(source)
    result, product = _address(total), _address(term)
    for at in range(0, len(points), 32):
        # The first product is the first total, which saves adding it to nothing.
        if _multiply(product if at else result, factor + at, first + at):
            raise ElementError("an element is not a valid group element")
        if at and _add(result, result, product):
            raise AssertionError("libsodium refused its own point")
    if total.raw == IDENTITY:
        raise ElementError("the sum of the elements is the identity")
    return total.raw
