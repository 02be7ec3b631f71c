"""Ed25519 keys: the 914 published edge cases, and which keys are refused.

The low-order points are computed here a second time, by naive curve arithmetic.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.ed25519 import Signer, Verifier, check_public, verifier_for
from keys.errors import EncodingError, KeysError, SignatureError, WeakKeyError

VECTORS = Path(__file__).parents[1] / "vectors" / "ed25519-edge-cases.json"
CASES = json.loads(VECTORS.read_text())["vectors"]

# These are the encodings that formats.md lists; the second of each pair has the sign.
LOW_ORDER = [
    "00" * 32,
    "00" * 31 + "80",
    "01" + "00" * 31,
    "01" + "00" * 30 + "80",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    *(low + "ff" * 30 + end for low in ("ec", "ed", "ee") for end in ("7f", "ff")),
]

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def _add(a, b):
    """Add two points of the curve -x² + y² = 1 + d x² y²."""
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def _square_root(value):
    root = pow(value, (P + 3) // 8, P)
    if root * root % P != value:
        root = root * pow(2, (P - 1) // 4, P) % P
    return root if root * root % P == value else None


def _point(y):
    """Return a point with this y, or None when there is none on the curve."""
    x = _square_root((y * y - 1) * pow(D * y * y + 1, -1, P) % P)
    return None if x is None else (x, y % P)


def _times_eight(point):
    for _ in range(3):
        point = _add(point, point)
    return point


def _flags(case):
    return set(case["flags"] or ())


def test_the_list_of_low_order_encodings_is_complete():
    """It holds every encoding whose point times eight is the neutral element.

    The points of low order are the multiples of one point of order 8. Only values
    below 2^255 can be encoded, so y has a second spelling exactly when y < 19.
    """
    generator = next(
        p for y in range(2, 200) if (p := _point(y)) and _order_eight(_torsion(p))
    )
    points = [(0, 1)]
    for _ in range(7):
        points.append(_add(points[-1], _torsion(generator)))
    assert len(set(points)) == 8
    heights = {y for _, y in points}
    spelled = heights | {y + P for y in heights if y + P < 2**255}
    both = {y | sign for y in spelled for sign in (0, 2**255)}
    assert {y.to_bytes(32, "little").hex() for y in both} == set(LOW_ORDER)


def _torsion(point):
    """Multiply by the prime order of the base point, which leaves the small part."""
    scalar = 2**252 + 27742317777372353535851937790883648493
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _order_eight(point):
    double = _add(point, point)
    return _add(double, double) != (0, 1) and _times_eight(point) == (0, 1)


@pytest.mark.parametrize("encoding", LOW_ORDER)
def test_low_order_keys_are_refused(encoding):
    """All 14 encodings, at enrolment and at every use."""
    public = bytes.fromhex(encoding)
    for use in (check_public, Verifier, verifier_for):
        with pytest.raises(WeakKeyError) as caught:
            use(public)
        assert caught.value.advice


@pytest.mark.parametrize("sign", [0, 2**255])
@pytest.mark.parametrize("y", range(P, 2**255))
def test_keys_that_are_not_canonical_are_refused(y, sign):
    """Each of the 19 values that wrap around the field, with either sign."""
    with pytest.raises(WeakKeyError):
        check_public((y | sign).to_bytes(32, "little"))


@pytest.mark.parametrize("y", [2, 3, P - 3, P - 2])
def test_the_neighbours_of_refused_keys_are_not_refused(y):
    """What is refused is exactly what must be."""
    check_public(y.to_bytes(32, "little"))
    check_public((y | 2**255).to_bytes(32, "little"))


def test_the_edge_cases_are_all_there():
    """The file has 914 cases and uses each low-order encoding."""
    assert [case["number"] for case in CASES] == list(range(914))
    weak = {case["key"] for case in CASES if "low_order_A" in _flags(case)}
    assert weak == set(LOW_ORDER)


def test_no_edge_case_with_a_weak_key_passes():
    """Key by key: a low-order or non-canonical key is refused before any signature."""
    weak = [c for c in CASES if _flags(c) & {"low_order_A", "non_canonical_A"}]
    for case in weak:
        with pytest.raises(WeakKeyError):
            _verify(case)
    strong = [c for c in CASES if c not in weak]
    for case in strong:
        check_public(bytes.fromhex(case["key"]))


def test_each_edge_case_has_exactly_one_verdict():
    """A signature passes when key and R are canonical and nothing is left over.

    That is the rule of RFC 8032 without cofactor: R is compared as bytes, and a
    residue of low order counts.
    """
    bad = {"low_order_A", "non_canonical_A", "non_canonical_R", "low_order_residue"}
    wrong = []
    for case in CASES:
        try:
            _verify(case)
        except KeysError:
            passed = False
        else:
            passed = True
        if passed != (not _flags(case) & bad):
            wrong.append(case["number"])
    assert wrong == []


def _verify(case):
    public, signature = bytes.fromhex(case["key"]), bytes.fromhex(case["sig"])
    Verifier(public).verify(signature, case["msg"].encode())


def test_a_signature_whose_scalar_wraps_is_refused():
    """S + L proves the same equation; accepting it would make signatures malleable."""
    order = 2**252 + 27742317777372353535851937790883648493
    signer = Signer.from_seed(bytes(32))
    good = signer.sign(b"message")
    wrapped = int.from_bytes(good[32:], "little") + order
    with pytest.raises(SignatureError):
        verifier_for(signer.public).verify(
            good[:32] + wrapped.to_bytes(32, "little"), b"message"
        )


@pytest.mark.parametrize("size", [0, 1, 63, 65, 128])
def test_a_signature_has_64_bytes(size):
    """Another length is an error of ours, not of the library."""
    public = Signer.from_seed(bytes(32)).public
    with pytest.raises(SignatureError):
        verifier_for(public).verify(bytes(size), b"message")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_and_seeds_have_32_bytes(size):
    """Another length is refused by name."""
    for use in (check_public, Verifier, verifier_for, Signer, Signer.from_seed):
        with pytest.raises(EncodingError):
            use(bytes(size))


def test_the_first_vector_of_rfc_8032():
    """Section 7.1, test 1: secret key, public key, empty message, signature."""
    signer = Signer.from_seed(
        bytes.fromhex(
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
        )
    )
    assert signer.public.hex() == (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    assert signer.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_what_was_signed_verifies(seed, message):
    """And nothing else does: not another message, not another key."""
    signer = Signer.from_seed(seed)
    assert signer.seed == seed
    signature = signer.sign(message)
    verifier_for(signer.public).verify(signature, message)
    with pytest.raises(SignatureError):
        verifier_for(signer.public).verify(signature, message + b"\0")
    with pytest.raises(SignatureError):
        verifier_for(Signer.generate().public).verify(signature, message)


@given(st.binary(max_size=40), st.binary(max_size=70))
def test_hostile_keys_only_raise_our_errors(public, signature):
    """A point that is not on the curve is no way around either."""
    with pytest.raises(KeysError):
        Verifier(public).verify(signature, b"message")


def test_a_signer_does_not_show_its_seed():
    """Neither in a log nor in a traceback."""
    seed = bytes(range(32))
    shown = repr(Signer.from_seed(seed))
    assert seed.hex() not in shown
    assert repr(seed) not in shown
