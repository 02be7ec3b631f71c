"""Public keys for sealing: the vectors of RFC 7748, and what must not be enrolled."""

from __future__ import annotations

import pytest

from keys.errors import EncodingError, WeakKeyError
from keys.x25519 import check_sealing, new_sealing, sealing_public

FIELD = 2**255 - 19
# RFC 7748, 6.1: private and public keys.
PAIRS = [
    (
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    ),
    (
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    ),
]
# The u coordinates of the points of order 1, 2, 4 and 8, of the curve and its twist.
LOW_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    FIELD - 1,
]


@pytest.mark.parametrize(("secret", "public"), PAIRS)
def test_the_vectors_of_the_rfc(secret, public):
    assert sealing_public(bytes.fromhex(secret)).hex() == public
    check_sealing(bytes.fromhex(public))


@pytest.mark.parametrize("u", LOW_ORDER)
def test_points_of_low_order_are_refused(u):
    """What is sealed to one of them, everybody opens."""
    with pytest.raises(WeakKeyError, match="low order"):
        check_sealing(u.to_bytes(32, "little"))


@pytest.mark.parametrize("u", [FIELD, FIELD + 1, FIELD + 9, 2**255 + 9, 2**256 - 1])
def test_another_form_of_the_same_key_is_refused(u):
    """A public key is registered once, so it has one form."""
    with pytest.raises(WeakKeyError, match="canonically"):
        check_sealing(u.to_bytes(32, "little"))


def test_a_key_has_32_bytes():
    for size in (0, 31, 33):
        with pytest.raises(EncodingError):
            check_sealing(bytes(size))
        with pytest.raises(EncodingError):
            sealing_public(bytes(size))
    assert len(new_sealing()) == 32
    assert new_sealing() != new_sealing()
