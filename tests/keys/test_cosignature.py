"""Timestamped cosignatures against the published ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.cosignature import check_cosignature, cosign
from keys.ed25519 import Signer
from keys.errors import NoteError, SignatureError
from keys.note import (
    COSIGNATURE_V1,
    ED25519,
    Signature,
    VerifierKey,
    parse_note,
    parse_signature,
    parse_vkey,
)

ORIGIN = "rome2026h1.example.org\n300\n"
PUBLISHED = [
    pytest.param(
        "witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN",
        ORIGIN + "lCkHUpkmVBEms2r2T1K6Og69+wUuuN3MIEW1/ezu2v0=\n",
        "— witness.example.org uKLPIAAAAABpVGeAhm2bOvKc3LaB9PFN1ruG19Y5yqslmcAAbhftnn1Z"
        "znmo0LXFZq4LGvqKqLX8jWlwLKasxEGTLIqAVusneCBmBw==",
        id="witness",
    ),
    pytest.param(
        "mirror.example.org+3fb148ef+BAAjjch9GyYz0sJsJx7ALhbdAtz2ov0unbzSl1vMp94O",
        ORIGIN + "gw31yQrqZZCcEOPrzX+bpy3nJ6QgngTKn8G1m0i62uU=\n",
        "— mirror.example.org P7FI7wAAAABpVGeAjA1S4pJm6MbcXjX7UUImu4azZtrfcVW2uyr/LXIYl"
        "wEJzXC0N0EiZkbqfLdXt/4gVEEuGmxJjAfXKMCISpsJAg==",
        id="mirror",
    ),
]
SIGNER = Signer.from_seed(bytes(32))
KEY = VerifierKey("n.example", COSIGNATURE_V1, SIGNER.public)
TEXT = "o.example\n1\nroot\n"


@pytest.mark.parametrize(("vkey", "text", "line"), PUBLISHED)
def test_published_cosignatures_verify(vkey, text, line):
    """They tell their time, and fit no other text."""
    key = parse_vkey(vkey)
    signature = parse_note(f"{text}\n{line}\n".encode()).signatures[0]
    assert check_cosignature(text, signature, key) == 1767139200
    assert signature.render() == line + "\n"
    for other in (text.replace("300", "301"), text + "extension\n", "\n" + text):
        with pytest.raises(SignatureError):
            check_cosignature(other, signature, key)


@pytest.mark.parametrize("time", [0, 1, 1767139200, 2**63 - 1])
def test_a_cosignature_tells_its_time(time):
    """The whole range of the format, and the line goes round."""
    line = cosign(TEXT, time=time, name=KEY.name, signer=SIGNER)
    assert parse_signature(line.render().removesuffix("\n")) == line
    assert check_cosignature(TEXT, line, KEY) == time


def test_the_message_is_what_the_specification_says():
    """Header line, time line, and the whole checkpoint text."""
    body = cosign(TEXT, time=12, name=KEY.name, signer=SIGNER).body
    assert body[:8] == (12).to_bytes(8, "big")
    assert body[8:] == SIGNER.sign(b"cosignature/v1\ntime 12\n" + TEXT.encode())


def test_the_time_is_signed():
    """Nobody but the cosigner can move it."""
    line = cosign(TEXT, time=12, name=KEY.name, signer=SIGNER)
    moved = Signature(line.name, line.key_id, (13).to_bytes(8, "big") + line.body[8:])
    with pytest.raises(SignatureError):
        check_cosignature(TEXT, moved, KEY)


def test_a_time_beyond_the_format_is_refused():
    """Even when its signature is good."""
    time = 2**63
    message = b"cosignature/v1\ntime %d\n" % time + TEXT.encode()
    body = time.to_bytes(8, "big") + SIGNER.sign(message)
    with pytest.raises(SignatureError, match="time"):
        check_cosignature(TEXT, Signature(KEY.name, KEY.key_id, body), KEY)


@pytest.mark.parametrize("time", [-1, 2**63])
def test_we_never_cosign_at_an_impossible_time(time):
    """A clock that says so is broken."""
    with pytest.raises(AssertionError):
        cosign(TEXT, time=time, name=KEY.name, signer=SIGNER)


def test_only_the_key_that_cosigned_is_named():
    """Another name, another key or another type is another cosigner."""
    line = cosign(TEXT, time=12, name=KEY.name, signer=SIGNER)
    stranger = VerifierKey(KEY.name, COSIGNATURE_V1, Signer.generate().public)
    others = (
        stranger,
        VerifierKey("m.example", COSIGNATURE_V1, SIGNER.public),
        VerifierKey(KEY.name, ED25519, SIGNER.public),
    )
    for other in others:
        with pytest.raises(SignatureError):
            check_cosignature(TEXT, line, other)
    # This line claims the stranger's key, whose signature it is not.
    claim = Signature(stranger.name, stranger.key_id, line.body)
    with pytest.raises(SignatureError):
        check_cosignature(TEXT, claim, stranger)


def test_a_cosignature_does_not_commit_to_a_name():
    """The format lets one key speak under two names, so a public key is enrolled once."""
    line = cosign(TEXT, time=12, name=KEY.name, signer=SIGNER)
    renamed = VerifierKey("m.example", COSIGNATURE_V1, SIGNER.public)
    moved = Signature(renamed.name, renamed.key_id, line.body)
    assert check_cosignature(TEXT, moved, renamed) == 12


def test_a_note_signature_is_no_cosignature():
    """The type byte keeps the two kinds of statement apart."""
    plain = VerifierKey(KEY.name, ED25519, SIGNER.public)
    signed = Signature(KEY.name, plain.key_id, SIGNER.sign(TEXT.encode()))
    with pytest.raises(SignatureError):
        check_cosignature(TEXT, signed, plain)
    with pytest.raises(SignatureError):
        check_cosignature(TEXT, Signature(KEY.name, KEY.key_id, signed.body), KEY)
    # Nor is a good cosignature one by the key of the other type, whose ID it claims.
    body = cosign(TEXT, time=12, name=KEY.name, signer=SIGNER).body
    with pytest.raises(SignatureError, match="not a cosignature"):
        check_cosignature(TEXT, Signature(KEY.name, plain.key_id, body), plain)


@pytest.mark.parametrize("size", [1, 8, 64, 71, 73])
def test_the_body_has_72_bytes(size):
    """Eight of time, 64 of signature."""
    with pytest.raises(SignatureError, match="not a cosignature"):
        check_cosignature(TEXT, Signature(KEY.name, KEY.key_id, bytes(size)), KEY)


def test_a_weak_key_cosigns_nothing():
    """Under the neutral element an all-zero S would fit every checkpoint."""
    weak = VerifierKey(KEY.name, COSIGNATURE_V1, b"\1" + bytes(31))
    body = bytes(8) + b"\1" + bytes(63)
    with pytest.raises(SignatureError):
        check_cosignature(TEXT, Signature(KEY.name, weak.key_id, body), weak)


def test_only_the_text_of_a_note_is_cosigned():
    """A text that no note can carry could never be checked."""
    for text in ("no newline", "control\x01\n"):
        with pytest.raises(NoteError):
            cosign(text, time=1, name=KEY.name, signer=SIGNER)
        line = Signature(KEY.name, KEY.key_id, bytes(72))
        with pytest.raises(SignatureError):
            check_cosignature(text, line, KEY)
    with pytest.raises(NoteError):
        cosign(TEXT, time=1, name="two words", signer=SIGNER)


@given(st.binary(min_size=1, max_size=80))
def test_hostile_bodies_only_raise_signature_errors(body):
    """Whatever a peer sends in place of a cosignature."""
    with pytest.raises(SignatureError):
        check_cosignature(TEXT, Signature(KEY.name, KEY.key_id, body), KEY)
