"""Tokens: RFC 9497 VOPRF(ristretto255, SHA-512), with the key in shares.

The client blinds its inputs, each token node multiplies them by its share of the key
and proves with one DLEQ proof for the batch that it did, and the client checks every
proof and finalises. The node sees uniformly random points only. All points and scalars
are 32-byte canonical encodings, kept end to end in one buffer.

Share ``x`` of a key is the value at ``x`` of a polynomial of degree t - 1 whose value
at 0 is the key; any t evaluations give the evaluation under the key by Lagrange
interpolation in the exponent. A whole key is the share ``x = 1`` with t = 1.

The input of the token of an identifier is ``ach1``, the type and the canonical form,
each as 16-bit big-endian length and bytes (:func:`token_input`).
"""

from __future__ import annotations

import ctypes
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keys._sodium import lib
from keys.errors import ElementError, EvaluationError, TokenError

__all__ = [
    "ORDER",
    "Blinding",
    "Evaluation",
    "blind",
    "check",
    "derive_key",
    "evaluate",
    "finalise",
    "public_of",
    "random_scalar",
    "token_input",
]

Rng = Callable[[int], bytes]

ORDER = 2**252 + 27742317777372353535851937790883648493
MAX_BATCH = 4096
_CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"
_GROUP_DST = b"HashToGroup-" + _CONTEXT
_SCALAR_DST = b"HashToScalar-" + _CONTEXT
_IDENTITY = bytes(32)
_ADDRESS = ctypes.addressof


def _expand(message: bytes, dst: bytes) -> bytes:
    """RFC 9380 expand_message_xmd with SHA-512, 64 bytes out."""
    prime = dst + bytes([len(dst)])
    b0 = hashlib.sha512(bytes(128) + message + b"\x00\x40\x00" + prime).digest()
    return hashlib.sha512(b0 + b"\x01" + prime).digest()


def _hash_to_scalar(message: bytes, dst: bytes = _SCALAR_DST) -> int:
    return int.from_bytes(_expand(message, dst), "little") % ORDER


def _scalar(value: int) -> bytes:
    return value.to_bytes(32, "little")


def _lv(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def token_input(kind: str, canonical: str) -> bytes:
    """Return the VOPRF input of an identifier of type ``kind``."""
    return b"".join(_lv(p.encode()) for p in ("ach1", kind, canonical))


def random_scalar(rng: Rng = secrets.token_bytes) -> bytes:
    """Return a random non-zero scalar, 32 bytes."""
    return _scalar(int.from_bytes(rng(64), "little") % (ORDER - 1) + 1)


def derive_key(seed: bytes, info: bytes) -> bytes:
    """DeriveKeyPair of RFC 9497 section 3.2.1; returns the 32-byte secret.

    Raises:
        TokenError: No counter gives a key, which never happens in practice.
    """
    for counter in range(256):
        message = seed + _lv(info) + bytes([counter])
        secret = _hash_to_scalar(message, b"DeriveKeyPair" + _CONTEXT)
        if secret:
            return _scalar(secret)
    raise TokenError("no key can be derived from this seed")  # pragma: no cover


def _multiply_each(scalar: bytes, points: bytes) -> bytes:
    """Return scalar times each point.

    SPEC: RFC 9497 section 2.1: DeserializeElement refuses the identity and what is not
    canonical; libsodium's multiplication answers -1 for both.
    """
    out = ctypes.create_string_buffer(len(points))
    source, target = ctypes.create_string_buffer(points, len(points)), _ADDRESS(out)
    origin, multiply = _ADDRESS(source), lib.crypto_scalarmult_ristretto255
    for offset in range(0, len(points), 32):
        if multiply(target + offset, scalar, origin + offset):
            raise ElementError(f"element {offset // 32} is not a valid group element")
    return out.raw


def _multiply(scalar: bytes, point: bytes) -> bytes:
    return _multiply_each(scalar, point)


def _multiply_base(scalar: bytes) -> bytes:
    out = ctypes.create_string_buffer(32)
    if lib.crypto_scalarmult_ristretto255_base(out, scalar):
        raise ElementError("the scalar is zero")
    return out.raw


def _add(left: bytes, right: bytes) -> bytes:
    out = ctypes.create_string_buffer(32)
    if lib.crypto_core_ristretto255_add(out, left, right):
        raise ElementError("not a valid group element")
    return out.raw


def _combine(scalars: Sequence[bytes], points: bytes) -> bytes:
    """Return the sum of scalars times points."""
    total = ctypes.create_string_buffer(32)
    term = ctypes.create_string_buffer(32)
    source = ctypes.create_string_buffer(points, len(points))
    origin, add = _ADDRESS(source), lib.crypto_core_ristretto255_add
    multiply = lib.crypto_scalarmult_ristretto255
    for index, scalar in enumerate(scalars):
        if multiply(term, scalar, origin + 32 * index):
            raise ElementError(f"element {index} is not a valid group element")
        if add(total, total, term):
            raise AssertionError("libsodium refused its own point")
    return total.raw


def public_of(secret: bytes) -> bytes:
    """Return the public key of a secret scalar.

    Raises:
        ElementError: The scalar is zero.
    """
    return _multiply_base(secret)


def _hash_to_group(data: bytes) -> bytes:
    out = ctypes.create_string_buffer(32)
    lib.crypto_core_ristretto255_from_hash(out, _expand(data, _GROUP_DST))
    return out.raw


@dataclass(frozen=True, slots=True)
class Blinding:
    """Inputs, their secret blinds and the points to send."""

    inputs: tuple[bytes, ...]
    blinds: bytes
    elements: bytes


def blind(inputs: Sequence[bytes], rng: Rng = secrets.token_bytes) -> Blinding:
    """Blind inputs (RFC 9497 section 3.3.2).

    Raises:
        ElementError: An input maps to the identity, which never happens in practice.
    """
    blinds = [random_scalar(rng) for _ in inputs]
    return blind_with(inputs, blinds)


def blind_with(inputs: Sequence[bytes], blinds: Sequence[bytes]) -> Blinding:
    """Blind inputs with given scalars; for vectors and disclosures."""
    points = [
        _multiply(r, _hash_to_group(x)) for r, x in zip(blinds, inputs, strict=True)
    ]
    return Blinding(tuple(inputs), b"".join(blinds), b"".join(points))


def _weights(public: bytes, blinded: bytes, evaluated: bytes) -> list[bytes]:
    """The d_i of ComputeComposites (RFC 9497 section 2.2.1)."""
    seed = hashlib.sha512(_lv(public) + _lv(b"Seed-" + _CONTEXT)).digest()
    head, length = _lv(seed), b"\x00\x20"
    return [
        _scalar(
            _hash_to_scalar(
                head
                + (offset // 32).to_bytes(2, "big")
                + length
                + blinded[offset : offset + 32]
                + length
                + evaluated[offset : offset + 32]
                + b"Composite"
            )
        )
        for offset in range(0, len(blinded), 32)
    ]


def _challenge(*points: bytes) -> int:
    return _hash_to_scalar(b"".join(map(_lv, points)) + b"Challenge")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A proof of 64 bytes and the evaluated points, in the order of the request."""

    proof: bytes
    elements: bytes


def _check_length(elements: bytes) -> None:
    if not elements or len(elements) % 32:
        raise ElementError("a batch is one or more elements of 32 bytes")
    if len(elements) > 32 * MAX_BATCH:
        raise ElementError(f"a batch has at most {MAX_BATCH} elements")


def evaluate(
    secret: bytes, public: bytes, elements: bytes, rng: Rng = secrets.token_bytes
) -> Evaluation:
    """Multiply each element by the secret and prove it (RFC 9497 section 3.3.2).

    Args:
        secret: The share of the key, 32 bytes.
        public: Its public share, 32 bytes.
        elements: n times 32 bytes, n at most 4096.
        rng: Source of randomness.

    Raises:
        ElementError: An element is not canonical or is the identity.
    """
    _check_length(elements)
    evaluated = _multiply_each(secret, elements)
    # A repeated nonce would reveal the share, so randomness that fails is hedged with
    # the secret and the transcript.
    hedge = rng(32) + secret + hashlib.sha512(elements + evaluated).digest()
    return _prove(secret, public, elements, evaluated, _hash_to_scalar(hedge))


def _prove(
    secret: bytes, public: bytes, elements: bytes, evaluated: bytes, nonce: int
) -> Evaluation:
    m = _combine(_weights(public, elements, evaluated), elements)
    z = _multiply(secret, m)
    t = _scalar(nonce)
    c = _challenge(public, m, z, _multiply_base(t), _multiply(t, m))
    s = (nonce - c * int.from_bytes(secret, "little")) % ORDER
    return Evaluation(_scalar(c) + _scalar(s), evaluated)


def check(public: bytes, blinded: bytes, evaluated: bytes, proof: bytes) -> None:
    """Verify that ``evaluated`` is ``blinded`` under the key of ``public``.

    Raises:
        ElementError: Something is not canonical, or the lengths differ.
        EvaluationError: The proof does not verify.
    """
    _check_length(blinded)
    if len(evaluated) != len(blinded) or len(proof) != 64:
        raise ElementError("the answer has another length than the request")
    c, s = (int.from_bytes(p, "little") for p in (proof[:32], proof[32:]))
    if not (0 < c < ORDER and 0 < s < ORDER):
        raise ElementError("the proof is not canonical")
    weights = _weights(public, blinded, evaluated)
    m, z = _combine(weights, blinded), _combine(weights, evaluated)
    t2 = _add(_multiply_base(proof[32:]), _multiply(proof[:32], public))
    t3 = _add(_multiply(proof[32:], m), _multiply(proof[:32], z))
    if _challenge(public, m, z, t2, t3) != c:
        raise EvaluationError("the proof of the evaluation does not verify")


def _invert_all(blinds: bytes) -> list[int]:
    """Invert every scalar with one inversion (Montgomery's trick)."""
    values = [
        int.from_bytes(blinds[i : i + 32], "little") for i in range(0, len(blinds), 32)
    ]
    products = [1]
    for value in values:
        products.append(products[-1] * value % ORDER)
    inverse = pow(products[-1], -1, ORDER)
    result = [0] * len(values)
    for i in range(len(values) - 1, -1, -1):
        result[i] = inverse * products[i] % ORDER
        inverse = inverse * values[i] % ORDER
    return result


def lagrange(xs: Sequence[int]) -> list[int]:
    """Return the coefficients that interpolate at 0 from distinct points ``xs``.

    Raises:
        TokenError: A point is repeated or is not positive.
    """
    if len(set(xs)) != len(xs) or min(xs) < 1:
        raise TokenError("shares have distinct positive numbers")
    result = []
    for i in xs:
        top = bottom = 1
        for j in xs:
            if j != i:
                top, bottom = top * j % ORDER, bottom * (j - i) % ORDER
        result.append(top * pow(bottom, -1, ORDER) % ORDER)
    return result


def finalise(
    blinding: Blinding, evaluations: Sequence[tuple[int, bytes]]
) -> list[bytes]:
    """Unblind, interpolate and hash (RFC 9497 section 3.3.2, Finalize).

    Args:
        blinding: What was sent.
        evaluations: For each of t nodes its share's number and its evaluated points,
            already verified by :func:`check`.

    Returns:
        One output of 64 bytes for each input; a token is its first 32 bytes.

    Raises:
        ElementError: A point is not canonical.
        TokenError: Share numbers are repeated.
    """
    inverses = _invert_all(blinding.blinds)
    weights = lagrange([x for x, _ in evaluations])
    outputs = []
    for i, data in enumerate(blinding.inputs):
        scalars = [_scalar(inverses[i] * w % ORDER) for w in weights]
        points = b"".join(e[32 * i : 32 * i + 32] for _, e in evaluations)
        n = _combine(scalars, points)
        message = _lv(data) + _lv(n) + b"Finalize"
        outputs.append(hashlib.sha512(message).digest())
    return outputs
