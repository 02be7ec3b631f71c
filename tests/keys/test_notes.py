"""Notes, vkeys, cosignatures and Ed25519 keys against published vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.cosignature import check_cosignature, cosign
from keys.ed25519 import Signer, Verifier, check_public
from keys.encoding import from_base64, from_hex, parse_decimal, to_base64
from keys.enrol import check_possession, prove_possession
from keys.errors import (
    EncodingError,
    KeysError,
    NoteError,
    SignatureError,
    WeakKeyError,
)
from keys.note import (
    NoteSigner,
    open_note,
    parse_note,
    parse_vkey,
    render_note,
    sign_note,
)

VECTORS = Path(__file__).parents[1] / "vectors"
EXAMPLE = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6"
    "TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)


def test_the_example_note_of_the_specification_opens():
    opened = open_note(EXAMPLE_NOTE, [parse_vkey(EXAMPLE)])
    assert opened.text == "This is an example message.\n"


def test_signing_is_deterministic_and_matches_go():
    """The seed of x/mod's example gives its signature byte for byte."""
    seed = from_base64("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
    signer = NoteSigner("PeterNeumann", Signer.from_seed(seed))
    assert signer.vkey.render() == NEUMANN
    zero = NoteSigner("EnochRoot", Signer.from_seed(bytes(32)))
    assert zero.vkey.render().startswith("EnochRoot+af0cfe78+")
    note = sign_note(TEXT, signer, zero).decode()
    assert "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg" in note
    assert "rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ov" in note


@pytest.mark.parametrize(
    "vkey",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        NEUMANN.replace("c74f20a3", "c74f20a4"),
        "no plus",
        "a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_bad_vkeys_are_refused(vkey):
    with pytest.raises(NoteError):
        parse_vkey(vkey)


def test_a_bad_signature_by_a_known_key_rejects_the_note():
    """Even when another known key's signature is good."""
    good = NoteSigner("good.example", Signer.generate())
    bad = NoteSigner("bad.example", Signer.generate())
    raw = sign_note("text\n", good, bad)
    both = [good.vkey, bad.vkey]
    assert len(open_note(raw, both).verified) == 2
    lines = raw.split(b"\n")
    other = sign_note("other\n", bad).split(b"\n")[-2]
    forged = b"\n".join([*lines[:-2], other, b""])
    with pytest.raises(SignatureError):
        open_note(forged, both)
    assert open_note(forged, [good.vkey]).others
    with pytest.raises(SignatureError):
        open_note(raw, [NoteSigner("good.example", Signer.generate()).vkey])


def test_cosignatures_of_the_specification():
    text = "rome2026h1.example.org\n300\nlCkHUpkmVBEms2r2T1K6Og69+wUuuN3MIEW1/ezu2v0=\n"
    line = (
        "— witness.example.org uKLPIAAAAABpVGeAhm2bOvKc3LaB9PFN1ruG19Y5yqslmcAAbhftnn1Z"
        "znmo0LXFZq4LGvqKqLX8jWlwLKasxEGTLIqAVusneCBmBw==\n"
    )
    vkey = parse_vkey(
        "witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN"
    )
    signature = parse_note(f"{text}\n{line}".encode()).signatures[0]
    assert check_cosignature(text, signature, vkey) == 1767139200
    with pytest.raises(SignatureError):
        check_cosignature(text.replace("300", "301"), signature, vkey)


def test_our_cosignature_is_checked_and_its_time_is_signed():
    signer = Signer.generate()
    line = cosign("o\n1\nr\n", time=12, name="n.example", signer=signer)
    vkey = parse_vkey(_cosigner("n.example", signer))
    assert check_cosignature("o\n1\nr\n", line, vkey) == 12


def _cosigner(name, signer):
    from keys.note import COSIGNATURE_V1, VerifierKey

    return VerifierKey(name, COSIGNATURE_V1, signer.public).render()


def test_low_order_and_non_canonical_keys_are_refused():
    """Of the 914 edge cases none with a low-order key verifies here."""
    cases = json.loads((VECTORS / "ed25519-edge-cases.json").read_text())["vectors"]
    assert len(cases) == 914
    refused = 0
    for case in cases:
        public = bytes.fromhex(case["key"])
        if "low_order_A" in (case["flags"] or ()) or "non_canonical_A" in (
            case["flags"] or ()
        ):
            with pytest.raises(WeakKeyError):
                check_public(public)
            with pytest.raises(WeakKeyError):
                Verifier(public)
            refused += 1
    assert refused > 100


def test_possession_is_proved_for_owner_and_roles():
    signer = Signer.generate()
    proof = prove_possession("a.example", "member/m", ["publish"], signer)
    check_possession("a.example", "member/m", ["publish"], signer.public, proof)
    for changed in (("b.example", "member/m"), ("a.example", "member/n")):
        with pytest.raises(SignatureError):
            check_possession(*changed, ["publish"], signer.public, proof)


@pytest.mark.parametrize("text", ["1_0", " 7", "+1", "01", "", "٣", "7\n", "9" * 19])
def test_decimals_are_canonical(text):
    with pytest.raises(EncodingError):
        parse_decimal(text)


@pytest.mark.parametrize("text", ["AB==", "AA", "A A=", "AA==\n", "_-=="])
def test_base64_is_canonical(text):
    with pytest.raises(EncodingError):
        from_base64(text)


def test_hex_is_lower_case():
    with pytest.raises(EncodingError):
        from_hex("AA")
    assert from_hex("aa", 1) == b"\xaa"


@given(st.binary(max_size=200))
def test_base64_goes_round(data):
    assert from_base64(to_base64(data), len(data)) == data


@given(st.binary(max_size=300))
def test_random_bytes_only_raise_our_errors(data):
    for parse in (parse_note, lambda d: parse_vkey(d.decode("latin1"))):
        try:
            parse(data)
        except KeysError:
            continue


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"])))
def test_notes_go_round(text):
    signer = NoteSigner("a.example", Signer.from_seed(bytes(32)))
    raw = sign_note(text + "\n", signer)
    assert render_note(parse_note(raw)) == raw
    assert open_note(raw, [signer.vkey]).text == text + "\n"
