"""Proof of possession of an enrolled key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.ed25519 import Signer
from keys.enrol import check_possession, enrolment_text, prove_possession
from keys.errors import EncodingError, KeysError, SignatureError, WeakKeyError
from keys.x25519 import new_sealing, sealing_public

SIGNER = Signer.from_seed(bytes(32))
CLAIM = ("alliance.example", "member/maison", ("publish", "request"))


def test_the_text_is_what_the_docstring_says():
    """Four lines; the key of the all-zero seed."""
    assert enrolment_text(*CLAIM, SIGNER.public) == (
        "alliance.example/enrol/v1\nmember/maison\npublish,request\n"
        "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=\n"
    )


def test_possession_is_proved_for_one_claim():
    """Another alliance, owner, role, order of roles or key is not proved."""
    proof = prove_possession(*CLAIM, SIGNER)
    check_possession(*CLAIM, SIGNER.public, proof)
    others = [
        ("b.example", *CLAIM[1:]),
        (CLAIM[0], "member/market", CLAIM[2]),
        (*CLAIM[:2], ("publish",)),
        (*CLAIM[:2], ("request", "publish")),
    ]
    for other in others:
        with pytest.raises(SignatureError):
            check_possession(*other, SIGNER.public, proof)
    with pytest.raises(SignatureError):
        check_possession(*CLAIM, Signer.generate().public, proof)


def test_weak_keys_are_not_enrolled():
    """Under the neutral element the proof itself would verify."""
    for public in (b"\1" + bytes(31), b"\xed" + b"\xff" * 30 + b"\x7f"):
        with pytest.raises(WeakKeyError):
            check_possession(*CLAIM, public, b"\1" + bytes(63))
    with pytest.raises(EncodingError):
        check_possession(*CLAIM, bytes(31), bytes(64))


@pytest.mark.parametrize(
    "claim",
    [
        ("", "member/m", ["publish"]),
        ("a.example", "", ["publish"]),
        ("a.example", "member/m", []),
        ("a.example", "member/m", [""]),
        ("a.example", "member/m", ["publish,request"]),
        ("a.example", "member/m\npublish", ["request"]),
        ("a.example", "member/m", ["publish\nrequest"]),
        ("a.example\n", "member/m", ["publish"]),
        ("a.example", "member m", ["publish"]),
        ("a.example", "member/ä", ["publish"]),
        ("a.example", "member/\ud800", ["publish"]),
    ],
)
def test_a_claim_that_could_be_read_in_two_ways_is_refused(claim):
    """Neither proved nor checked."""
    with pytest.raises(EncodingError):
        prove_possession(*claim, SIGNER)
    with pytest.raises(EncodingError):
        check_possession(*claim, SIGNER.public, bytes(64))


FIELDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
ROLES = st.lists(FIELDS.filter(lambda role: "," not in role), min_size=1, max_size=4)
CLAIMS = st.tuples(FIELDS, FIELDS, ROLES)


@given(CLAIMS, CLAIMS)
def test_different_claims_have_different_texts(one, two):
    """The text determines alliance, owner and roles."""
    head, owner, roles, _key, end = enrolment_text(*one, SIGNER.public).split("\n")
    assert (head.removesuffix("/enrol/v1"), owner, roles.split(","), end) == (*one, "")
    texts = [enrolment_text(*claim, SIGNER.public) for claim in (one, two)]
    assert (texts[0] == texts[1]) == (one == two)


@given(st.text(), st.text(), st.lists(st.text(), max_size=3), st.binary(max_size=70))
def test_hostile_claims_only_raise_our_errors(alliance, owner, roles, proof):
    """Whatever a request file holds."""
    with pytest.raises(KeysError):
        check_possession(alliance, owner, roles, SIGNER.public, proof)


def test_a_request_key_vouches_for_a_key_that_cannot_sign():
    """Of another voucher or another sealing key the proof says nothing."""
    claim = ("alliance.example", "node/node1", ("seal",))
    public = sealing_public(new_sealing())
    proof = prove_possession(*claim, SIGNER, public=public)
    check_possession(*claim, public, proof, voucher=SIGNER.public)
    other, stranger = sealing_public(new_sealing()), Signer.generate().public
    with pytest.raises(SignatureError):
        check_possession(*claim, other, proof, voucher=SIGNER.public)
    with pytest.raises(SignatureError):
        check_possession(*claim, public, proof, voucher=stranger)
    with pytest.raises(WeakKeyError):
        check_possession(*claim, bytes(32), proof, voucher=SIGNER.public)
