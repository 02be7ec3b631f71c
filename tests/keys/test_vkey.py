"""Verifier keys, private keys and key names: published keys, one spelling, hostile input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.errors import NoteError
from keys.note import (
    COSIGNATURE_V1,
    ED25519,
    NoteSigner,
    Signature,
    VerifierKey,
    check_key_name,
    key_id,
    parse_skey,
    parse_vkey,
    render_skey,
)

NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_SKEY = (
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
)
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
A = NoteSigner("a.example", Signer.from_seed(bytes(32)))

CHARACTERS = st.characters(min_codepoint=32, exclude_categories=["Cs"])
NAMES = st.text(CHARACTERS, min_size=1, max_size=20).filter(
    lambda name: "+" not in name and not any(c.isspace() for c in name)
)
VKEYS = st.builds(
    VerifierKey,
    NAMES,
    st.sampled_from([ED25519, COSIGNATURE_V1]),
    st.binary(min_size=32, max_size=32),
)


@pytest.mark.parametrize(
    "vkey",
    [
        NEUMANN,
        ENOCH,
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN",
        "mirror.example.org+3fb148ef+BAAjjch9GyYz0sJsJx7ALhbdAtz2ov0unbzSl1vMp94O",
    ],
)
def test_published_vkeys_go_round(vkey):
    """Both types, and each key ID is computed, not believed."""
    key = parse_vkey(vkey)
    assert key.render() == vkey
    for kind in {ED25519, COSIGNATURE_V1} - {key.kind}:
        assert key_id(key.name, kind, key.public) != key.key_id


def test_the_key_id_of_a_published_witness_dialogue():
    """The log key and origin of litewitness give the ID in its notes."""
    origin = (
        "sigsum.org/v1/tree/"
        "4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
    )
    public = "ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f"
    assert key_id(origin, ED25519, bytes.fromhex(public)).hex() == "5202289b"


def _vkey(name, kind, public, *, hint=None):
    hint = key_id(name, kind, public).hex() if hint is None else hint
    return f"{name}+{hint}+{to_base64(bytes([kind]) + public)}"


@pytest.mark.parametrize(
    "vkey",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        NEUMANN.replace("c74f20a3", "c74f20a4"),
        NEUMANN.replace("c74f20a3", "C74F20A3"),
        NEUMANN.replace("PeterNeumann", "PeterNeumanm"),
        NEUMANN + "\n",
        NEUMANN + "+",
        "PeterNeumann+c74f20a3",
        "no plus",
        "",
        "++",
        _vkey("", ED25519, bytes(32)),
        _vkey("a b", ED25519, bytes(32)),
        _vkey("a\u2028b", ED25519, bytes(32)),
        _vkey("a\1b", ED25519, bytes(32)),
        _vkey("short", ED25519, bytes(31)),
        _vkey("long", ED25519, bytes(33)),
        _vkey("other-type", 0x02, bytes(32)),
        _vkey("x", ED25519, bytes(32), hint="00"),
        # ML-DSA-44 is a type that we do not know, with its own key ID or another's.
        _vkey("test", 0x06, bytes(1312)),
        _vkey("test", 0x06, bytes(1312), hint="5893dc2c"),
        "\ud800+00000000+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_bad_vkeys_are_refused(vkey):
    """Wrong key IDs, unknown types, other sizes, other names, other spellings."""
    with pytest.raises(NoteError):
        parse_vkey(vkey)


@given(VKEYS)
def test_vkeys_go_round(key):
    """Parsing what was rendered gives the key."""
    assert parse_vkey(key.render()) == key


@given(st.text(), VKEYS, st.integers(0, 200), st.text(max_size=2))
def test_a_vkey_has_one_spelling(noise, key, place, patch):
    """Any text is refused, or is exactly what its key renders as."""
    good = key.render()
    for text in (noise, good[:place] + patch + good[place + 1 :]):
        try:
            assert parse_vkey(text).render() == text
        except NoteError:
            continue


@pytest.mark.parametrize("kind", [-1, 0, 2, 3, 5, 6, 256])
def test_a_vkey_has_a_known_type(kind):
    """Whoever builds one by hand included."""
    with pytest.raises(NoteError):
        VerifierKey("a.example", kind, bytes(32))


def test_private_keys_go_round_and_stay_secret():
    """The form of Go's tools; an error does not quote what it refuses."""
    signer = parse_skey(NEUMANN_SKEY)
    assert signer.vkey.render() == NEUMANN
    assert render_skey(signer) == NEUMANN_SKEY
    secret = NEUMANN_SKEY.rpartition("+")[2]
    for bad in (
        NEUMANN_SKEY.replace("c74f20a3", "c74f20a4"),
        NEUMANN_SKEY.replace("PRIVATE", "PUBLIC"),
        NEUMANN_SKEY.replace("KEY", "KEYS"),
        NEUMANN_SKEY.replace("+AY", "+BY"),
        NEUMANN_SKEY.replace("Peter", "Peter "),
        NEUMANN_SKEY + "AAAA",
        NEUMANN_SKEY + "\n",
        NEUMANN,
        "",
    ):
        with pytest.raises(NoteError) as caught:
            parse_skey(bad)
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None


@given(NAMES, st.binary(min_size=32, max_size=32))
def test_any_private_key_goes_round(name, seed):
    """Parsing what was rendered gives name and seed."""
    back = parse_skey(render_skey(NoteSigner(name, Signer.from_seed(seed))))
    assert (back.name, back.signer.seed) == (name, seed)


@given(st.text())
def test_hostile_private_keys_only_raise_note_errors(text):
    """Whatever stands in the file."""
    for value in (text, f"PRIVATE+KEY+{text}", NEUMANN_SKEY + text + "x"):
        with pytest.raises(NoteError):
            parse_skey(value)


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\tb", "a\u00a0b", "a\u2028", "\0", "\x1b[0m", "\ud800"]
)
def test_a_key_name_fits_a_signature_line(name):
    """Also where a signer, a key or a signature is made by hand."""
    with pytest.raises(NoteError):
        check_key_name(name)
    with pytest.raises(NoteError):
        NoteSigner(name, A.signer)
    with pytest.raises(NoteError):
        VerifierKey(name, ED25519, bytes(32))
    with pytest.raises(NoteError):
        Signature(name, bytes(4), b"x")
