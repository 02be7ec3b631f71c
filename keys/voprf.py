"""Tokens: RFC 9497 VOPRF(ristretto255, SHA-512), with the key in shares.

The client blinds its inputs (:func:`blind`), each token node multiplies them by its
share of the key and proves with one DLEQ proof for the batch that it did
(:func:`evaluate`), and the client checks every proof (:func:`check`) and finalises
(:func:`finalise`). The node sees uniformly random points only, and a node that uses
another key than the one behind its public share is found out. Points and scalars are
canonical encodings of 32 bytes, kept end to end in one buffer.

::

    request    n * 32 bytes          blinded elements, 1 <= n <= 4096
    answer     proof 64 ‖ n * 32     challenge 32 ‖ response 32 ‖ evaluated elements
    output     64 bytes an input     a token is its first 32 bytes

A proof holds for the whole batch in its order: a part of an answer proves nothing.

Any t evaluations by distinct shares (:mod:`keys.shares`) give the evaluation under the
key by interpolation in the exponent. A whole key is the share ``x = 1`` with t = 1, and
takes the same path.

The input of the token of an identifier is ``ach1``, the type and the canonical form,
each as 16-bit big-endian length and bytes:

>>> token_input("domain", "a.example").hex(" ", -2)
'0004 6163 6831 0006 646f 6d61 696e 0009 612e 6578 616d 706c 65'
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from keys.errors import ElementError, EvaluationError, TokenError
from keys.ristretto import (
    BASE,
    IDENTITY,
    ORDER,
    Rng,
    add_each,
    check_scalar,
    invert_each,
    map_to_points,
    multiply_pairs,
    multiply_scalars,
    public_of,
    random_scalar,
    reduce_scalar,
    render_scalar,
    scale_each,
    subtract_scalars,
)

# The benchmark measures these two under these names, as the ceiling of `evaluate`.
from keys.ristretto import combine as _combine
from keys.ristretto import multiply_each as _multiply_each
from keys.shares import lagrange

__all__ = [
    "MAX_BATCH",
    "ORDER",
    "Blinding",
    "Evaluation",
    "Spread",
    "blind",
    "blind_with",
    "check",
    "derive_key",
    "evaluate",
    "finalise",
    "public_of",
    "random_scalar",
    "token_input",
]

# Applies a function to parts of a batch, in order: ``map``, or the ``map`` of a pool.
Spread = Callable[[Callable[[slice], bytes], Iterable[slice]], Iterable[bytes]]

# SPEC: RFC 9497 section 2.2.1 numbers the elements with 16 bits, so 65535 at most. This
# is less, so that one request takes well below a second of one core.
MAX_BATCH = 4096
CHUNK = 256

# SPEC: RFC 9497 section 3.1: "OPRFV1-" ‖ I2OSP(mode, 1) ‖ "-" ‖ identifier.
_CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"
_GROUP_DST = b"HashToGroup-" + _CONTEXT
_SCALAR_DST = b"HashToScalar-" + _CONTEXT
# SPEC: RFC 9497 section 3.2.1: this one has no hyphen.
_DERIVE_DST = b"DeriveKeyPair" + _CONTEXT


def _expander(dst: bytes) -> Callable[[bytes], bytes]:
    """RFC 9380 section 5.3.1, expand_message_xmd with SHA-512 to 64 bytes."""
    prime = dst + bytes([len(dst)])
    last, suffix = b"\x00\x40\x00" + prime, b"\x01" + prime
    start = hashlib.sha512(bytes(128))

    def expand(message: bytes) -> bytes:
        first = start.copy()
        first.update(message + last)
        return hashlib.sha512(first.digest() + suffix).digest()

    return expand


_expand_to_group = _expander(_GROUP_DST)
_expand_to_scalar = _expander(_SCALAR_DST)
_expand_to_key = _expander(_DERIVE_DST)


def _hash_to_scalar(message: bytes) -> bytes:
    # This is only for what everybody may know: Python's arithmetic is quicker here than
    # a call, but the time that it takes depends on the numbers.
    return render_scalar(int.from_bytes(_expand_to_scalar(message), "little") % ORDER)


def _lv(data: bytes) -> bytes:
    if len(data) > 0xFFFF:
        raise TokenError("an input has at most 65535 bytes")
    return len(data).to_bytes(2, "big") + data


def token_input(kind: str, canonical: str) -> bytes:
    """Return the VOPRF input of an identifier of type ``kind``.

    Raises:
        TokenError: It is longer than 65535 bytes or is not Unicode text.
    """
    try:
        parts = [part.encode() for part in ("ach1", kind, canonical)]
    except UnicodeEncodeError:
        raise TokenError("an identifier is Unicode text") from None
    return b"".join(map(_lv, parts))


def derive_key(seed: bytes, info: bytes) -> bytes:
    """Return the secret scalar of a seed: DeriveKeyPair, RFC 9497 section 3.2.1.

    Raises:
        TokenError: The seed has not 32 bytes or the info more than 65535.
    """
    if len(seed) != 32:
        raise TokenError("a seed has 32 bytes")
    message = seed + _lv(info)
    for counter in range(256):
        secret = reduce_scalar(_expand_to_key(message + bytes([counter])))
        if secret != bytes(32):
            return secret
    raise TokenError("no key can be derived from this seed")


@dataclass(frozen=True, slots=True)
class Blinding:
    """Inputs, their secret blinds and the points to send."""

    inputs: tuple[bytes, ...]
    blinds: bytes
    elements: bytes


def blind(inputs: Sequence[bytes], rng: Rng = secrets.token_bytes) -> Blinding:
    """Blind 1 to 4096 inputs (RFC 9497 section 3.3.2).

    Raises:
        TokenError: Too few or too many, or one is longer than 65535 bytes.
    """
    return blind_with(inputs, [random_scalar(rng) for _ in inputs])


def blind_with(inputs: Sequence[bytes], blinds: Sequence[bytes]) -> Blinding:
    """Blind inputs with given scalars; for vectors and disclosures.

    Raises:
        TokenError: Too few or too many, or one is longer than 65535 bytes.
        ElementError: A blind is not a canonical scalar, or is zero.
    """
    _check_batch(32 * len(inputs))
    if len(blinds) != len(inputs):
        raise ElementError("expected one blind for each input")
    for scalar in blinds:
        check_scalar(scalar)
    # The length is checked here, so that no input is refused after it was evaluated.
    if max(map(len, inputs)) > 0xFFFF:
        raise TokenError("an input has at most 65535 bytes")
    joined = b"".join(blinds)
    points = map_to_points(b"".join(map(_expand_to_group, inputs)))
    return Blinding(tuple(inputs), joined, multiply_pairs(joined, points))


def _check_batch(length: int) -> None:
    if not length or length % 32:
        raise ElementError("a batch is one or more elements of 32 bytes")
    if length > 32 * MAX_BATCH:
        raise ElementError(f"a batch has at most {MAX_BATCH} elements")


def _weights(public: bytes, blinded: bytes, evaluated: bytes) -> list[bytes]:
    """The d_i of ComputeComposites (RFC 9497 section 2.2.1)."""
    seed = hashlib.sha512(_lv(public) + _lv(b"Seed-" + _CONTEXT)).digest()
    head, length = _lv(seed), b"\x00\x20"
    return [
        _hash_to_scalar(
            head
            + (at // 32).to_bytes(2, "big")
            + length
            + blinded[at : at + 32]
            + length
            + evaluated[at : at + 32]
            + b"Composite"
        )
        for at in range(0, len(blinded), 32)
    ]


def _challenge(*points: bytes) -> bytes:
    return _hash_to_scalar(b"".join(map(_lv, points)) + b"Challenge")


def _spans(length: int) -> list[slice]:
    size = 32 * CHUNK
    return [slice(at, min(at + size, length)) for at in range(0, length, size)]


def _sum(weights: Sequence[bytes], points: bytes, spread: Spread) -> bytes:
    """Return the sum of weights times points, from the sums of the parts."""

    def part(span: slice) -> bytes:
        first, last = span.start // 32, span.stop // 32
        return _combine(weights[first:last], points[span])

    return reduce(add_each, spread(part, _spans(len(points))))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A proof of 64 bytes and the evaluated points, in the order of the request."""

    proof: bytes
    elements: bytes


def evaluate(
    secret: bytes,
    public: bytes,
    elements: bytes,
    rng: Rng = secrets.token_bytes,
    spread: Spread = map,
) -> Evaluation:
    """Multiply each element by the secret and prove it (RFC 9497 section 3.3.2).

    Args:
        secret: The share of the key, 32 bytes.
        public: Its public share, 32 bytes; with another, the proof will not verify.
        elements: n times 32 bytes, n at most 4096.
        rng: Source of randomness.
        spread: Applies a function to parts of 256 elements. The ``map`` of a small
            thread pool uses several cores, because libsodium runs without the
            interpreter's lock.

    Raises:
        ElementError: An element is not canonical or is the identity.
    """
    _check_batch(len(elements))

    def part(span: slice) -> bytes:
        return _multiply_each(secret, elements[span], span.start // 32)

    evaluated = b"".join(spread(part, _spans(len(elements))))
    # Two proofs with one nonce reveal the share. So the nonce also depends on the share
    # and on all that the challenge depends on, in case the randomness repeats.
    transcript = hashlib.sha512(public + elements + evaluated).digest()
    nonce = reduce_scalar(_expand_to_scalar(rng(32) + secret + transcript))
    proof = _prove(secret, public, elements, evaluated, nonce, spread)
    return Evaluation(proof, evaluated)


def _prove(
    secret: bytes,
    public: bytes,
    elements: bytes,
    evaluated: bytes,
    nonce: bytes,
    spread: Spread = map,
) -> bytes:
    """GenerateProof of RFC 9497 section 2.2.1, with the prover's fast composites."""
    m = _sum(_weights(public, elements, evaluated), elements, spread)
    z = _multiply_each(secret, m)
    t2, t3 = public_of(nonce), _multiply_each(nonce, m)
    c = _challenge(public, m, z, t2, t3)
    return c + subtract_scalars(nonce, multiply_scalars(c, secret))


def check(
    public: bytes,
    blinded: bytes,
    evaluated: bytes,
    proof: bytes,
    spread: Spread = map,
) -> None:
    """Verify that ``evaluated`` is ``blinded`` under the key of ``public``.

    Args:
        public: The public share of the node that answered, 32 bytes.
        blinded: What was sent.
        evaluated: What the node answered.
        proof: Its proof, 64 bytes.
        spread: See :func:`evaluate`.

    Raises:
        ElementError: Something is not canonical, or the lengths differ.
        EvaluationError: The proof does not verify.
    """
    _check_batch(len(blinded))
    if len(evaluated) != len(blinded) or len(proof) != 64:
        raise ElementError("the answer has another length than the request")
    c, s = proof[:32], proof[32:]
    check_scalar(c)
    check_scalar(s)
    weights = _weights(public, blinded, evaluated)
    m, z = _sum(weights, blinded, spread), _sum(weights, evaluated, spread)
    # SPEC: RFC 9497 section 2.2.2: t2 = s G + c pk, t3 = s M + c Z.
    t2, t3 = _combine([s, c], BASE + public), _combine([s, c], m + z)
    if _challenge(public, m, z, t2, t3) != c:
        raise EvaluationError("the proof of the evaluation does not verify")


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
        ElementError: A point is not canonical, or lengths differ.
        TokenError: There is no evaluation, or share numbers are repeated.
    """
    weights = lagrange([x for x, _ in evaluations])
    inverses = invert_each(blinding.blinds)
    # Unblinding costs nothing more: its scalar and Lagrange's are multiplied first.
    total = reduce(
        add_each,
        (
            multiply_pairs(scale_each(weight, inverses), evaluated)
            for weight, (_, evaluated) in zip(weights, evaluations, strict=True)
        ),
    )
    outputs = []
    for index, data in enumerate(blinding.inputs):
        element = total[32 * index : 32 * index + 32]
        if element == IDENTITY:
            raise ElementError("the evaluations of an input cancel each other")
        message = _lv(data) + _lv(element) + b"Finalize"
        outputs.append(hashlib.sha512(message).digest())
    return outputs
