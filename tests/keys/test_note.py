"""Signed notes: published notes, the signed-note rules, hostile input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.ed25519 import Signer
from keys.encoding import from_base64
from keys.errors import KeysError, NoteError, SignatureError
from keys.note import (
    COSIGNATURE_V1,
    ED25519,
    MAX_BYTES,
    MAX_SIGNATURES,
    Note,
    NoteSigner,
    Signature,
    VerifierKey,
    add_signatures,
    check_key_name,
    encode_text,
    open_note,
    parse_note,
    parse_signature,
    parse_skey,
    parse_vkey,
    render_note,
    sign_note,
)

LOG = json.loads(
    (Path(__file__).parents[1] / "vectors" / "tlog-tiles-log.json").read_text()
)
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_SKEY = (
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
)
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
PROVERB = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
NEUMANN_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKv"
    "qfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01o"
    "OTGwnWLox33WWd1RvMc+QQ=\n"
)
PUBLISHED = [
    pytest.param(
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "This is an example message.\n",
        "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZ"
        "XsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
        id="signed-note.md",
    ),
    pytest.param(NEUMANN, PROVERB, NEUMANN_LINE, id="PeterNeumann"),
    pytest.param(ENOCH, PROVERB, ENOCH_LINE, id="EnochRoot"),
    pytest.param(
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "go.sum database tree\n35225469\n"
        "vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n",
        "— sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONe"
        "bHLAyaKbbTM75QTtPydhKCExixSfwQ=\n",
        id="sum.golang.org",
    ),
]
A = NoteSigner("a.example", Signer.from_seed(bytes(32)))
B = NoteSigner("b.example", Signer.from_seed(b"\1" * 32))

# The strategies make what the format allows; the controls are left to hostile input.
CHARACTERS = st.characters(min_codepoint=32, exclude_categories=["Cs"])
TEXTS = st.text(st.one_of(CHARACTERS, st.just("\n"))).map(lambda t: t + "\n")
NAMES = st.text(CHARACTERS, min_size=1, max_size=20).filter(
    lambda name: "+" not in name and not any(c.isspace() for c in name)
)
SIGNATURES = st.builds(
    Signature,
    NAMES,
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=1, max_size=80),
)


@pytest.mark.parametrize(("vkey", "text", "line"), PUBLISHED)
def test_published_notes_open(vkey, text, line):
    """With their own key only, and not when a letter changes."""
    raw = f"{text}\n{line}".encode()
    key = parse_vkey(vkey)
    opened = open_note(raw, [key, A.vkey])
    assert (opened.text, opened.verified, opened.others) == (text, (key,), ())
    assert render_note(parse_note(raw)) == raw
    with pytest.raises(SignatureError, match="no known key"):
        open_note(raw, [A.vkey])
    with pytest.raises(SignatureError):
        open_note(raw.replace(b" ", b"_", 1), [key])


def test_signing_twice_is_deterministic():
    """Two seeds, one text: the note of x/mod's example, byte for byte."""
    enoch = NoteSigner("EnochRoot", Signer.from_seed(bytes(32)))
    raw = sign_note(PROVERB, parse_skey(NEUMANN_SKEY), enoch)
    assert raw.decode() == PROVERB + "\n" + NEUMANN_LINE + ENOCH_LINE
    both = [parse_vkey(NEUMANN), parse_vkey(ENOCH)]
    assert open_note(raw, both).verified == tuple(both)
    assert len(open_note(raw, both[:1]).others) == 1


def test_a_whole_log_is_signed_byte_for_byte():
    """The checkpoints of all 16 sizes and the newest, from the log's private key."""
    signer = parse_skey(LOG["signer"])
    assert signer.vkey.render() == LOG["vkey"]
    found = [f for path, f in LOG["files"].items() if path.startswith("checkpoint")]
    assert (len(found), len(set(found))) == (17, 16)
    for file in found:
        raw = from_base64(file)
        opened = open_note(raw, [signer.vkey])
        assert sign_note(opened.text, signer) == raw


@pytest.mark.parametrize(
    "line",
    [
        "",
        "—",
        "— ",
        "— a.example",
        "— a.example ",
        "— a.example AAAAAAA",
        "— a.example AAAAAAA= ",
        "— a.example  AAAAAAA=",
        "—  a.example AAAAAAA=",
        "— a.example AAAAAAB=",
        "— a.example AAAAAA==",
        "— a.example AAAA AAA=",
        "— a+b AAAAAAA=",
        "- a.example AAAAAAA=",
        " — a.example AAAAAAA=",
        "—\u00a0a.example AAAAAAA=",
        "— a.example AAAAAAA=\r",
    ],
)
def test_bad_signature_lines_are_refused(line):
    """One line spoils the note."""
    with pytest.raises(NoteError):
        parse_signature(line)
    with pytest.raises(NoteError):
        parse_note(f"text\n\n— a.example AAAAAAA=\n{line}\n".encode())


@given(SIGNATURES)
def test_signature_lines_go_round(signature):
    """Parsing what was rendered gives the signature."""
    assert parse_signature(signature.render().removesuffix("\n")) == signature


@given(st.text(), st.text())
def test_a_signature_line_has_one_spelling(noise, name):
    """Any text is refused, or is exactly what its signature renders as."""
    for line in (noise, f"— {noise}", f"— {name} AAAAAAA="):
        try:
            assert parse_signature(line).render() == line + "\n"
        except NoteError:
            continue


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        b"text\n\n\n",
        b"text\n\xe2\x80\x94 a.example AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a.example AAAAAAA=",
        b"text\n\n\xe2\x80\x94 a.example AAAAAAA=\n\n",
        b"text\n\n\xe2\x80\x94 a.example AAAAAAA=\ntext\n",
        b"text\r\n\r\n\xe2\x80\x94 a.example AAAAAAA=\r\n",
        b"x\xffy\n\n\xe2\x80\x94 a.example AAAAAAA=\n",
        b"x\xed\xa0\x80y\n\n\xe2\x80\x94 a.example AAAAAAA=\n",
        *(
            b"x%cy\n\n\xe2\x80\x94 a.example AAAAAAA=\n" % c
            for c in range(32)
            if c != 10
        ),
    ],
)
def test_what_is_not_a_note_is_refused(raw):
    """No signatures, no empty line, no newline, not UTF-8, or a control character."""
    with pytest.raises(NoteError):
        parse_note(raw)


def test_the_text_ends_at_the_last_empty_line():
    """A text may hold empty lines, and even what looks like a signature."""
    inner = "one\n\n\ntwo\n\n— b.example AAAAAAA=\n"
    opened = open_note(sign_note(inner, A), [A.vkey])
    assert opened.text == inner
    assert opened.others == ()
    assert open_note(sign_note("\n", A), [A.vkey]).text == "\n"


def test_unicode_line_ends_do_not_end_lines():
    """Only 0x0A does: another reader must see the same lines."""
    text = "a\u2028b\u2029c\u0085d\n"
    assert open_note(sign_note(text, A), [A.vkey]).text == text


def test_a_note_has_at_most_a_megabyte():
    """The limit is inclusive, and counts everything."""
    size = len(sign_note("\n", A))
    fits = sign_note("x" * (MAX_BYTES - size) + "\n", A)
    assert len(fits) == MAX_BYTES == 1_000_000
    assert open_note(fits, [A.vkey])
    with pytest.raises(NoteError, match="megabyte"):
        parse_note(b"x" + fits)
    with pytest.raises(NoteError):
        sign_note("x" * (MAX_BYTES - size + 1) + "\n", A)


def test_a_note_has_at_most_100_signatures():
    """100 are read, though 16 would do; 101 are refused and never written."""
    lines = tuple(Signature("n.example", bytes(4), bytes([i])) for i in range(101))
    full = Note("text\n", lines[:MAX_SIGNATURES])
    raw = render_note(full)
    assert parse_note(raw) == full
    assert MAX_SIGNATURES == 100
    with pytest.raises(NoteError, match="100"):
        parse_note(raw + lines[100].render().encode())
    with pytest.raises(NoteError, match="100"):
        add_signatures(raw, lines[100])
    with pytest.raises(NoteError):
        render_note(Note("text\n", lines))


@pytest.mark.parametrize(
    "text",
    ["", "no newline", "control\x01\n", "carriage\r\n", "surrogate\ud800\n", "tab\t\n"],
)
def test_only_the_text_of_a_note_is_signed(text):
    """What no note can carry is refused before a key touches it."""
    with pytest.raises(NoteError):
        encode_text(text)
    with pytest.raises(NoteError):
        A.sign(text)
    with pytest.raises(NoteError):
        sign_note(text, A)
    with pytest.raises(NoteError):
        render_note(Note(text, (A.sign("text\n"),)))


def test_a_note_without_signatures_is_not_written():
    """Without signatures, the end of the text could be taken for them."""
    tricky = "one\n\n— b.example AAAAAAA=\n"
    for text in ("text\n", tricky, tricky.removesuffix("\n")):
        with pytest.raises(NoteError):
            sign_note(text)
    assert parse_note(sign_note(tricky, A)).text == tricky


def test_a_bad_signature_by_a_known_key_rejects_the_note():
    """Even when another known key's signature is good, and in either order."""
    bad = Signature(B.name, B.vkey.key_id, A.sign("text\n").body)
    for lines in ((A.sign("text\n"), bad), (bad, A.sign("text\n"))):
        raw = render_note(Note("text\n", lines))
        with pytest.raises(SignatureError, match=r"b\.example"):
            open_note(raw, [A.vkey, B.vkey])
        # To whoever does not know that key, the line says nothing.
        assert open_note(raw, [A.vkey]).others == (bad,)


def test_name_and_key_id_must_both_match():
    """A line that matches in one of the two is an unknown key's, good or bad."""
    good = A.sign("text\n")
    for stranger in (
        Signature(A.name, B.vkey.key_id, good.body),
        Signature("c.example", A.vkey.key_id, good.body),
    ):
        alone = render_note(Note("text\n", (stranger,)))
        with pytest.raises(SignatureError, match="no known key"):
            open_note(alone, [A.vkey])
        opened = open_note(add_signatures(alone, good), [A.vkey])
        assert (opened.verified, opened.others) == ((A.vkey,), (stranger,))


def test_a_key_counts_once():
    """The signatures of m officers are by m keys; a second line by the same key adds nothing."""
    good = A.sign("text\n")
    raw = render_note(Note("text\n", (good, good)))
    assert open_note(raw, [A.vkey, A.vkey]).verified == (A.vkey,)
    spoiled = Signature(A.name, A.vkey.key_id, bytes(64))
    with pytest.raises(SignatureError):
        open_note(render_note(Note("text\n", (good, spoiled))), [A.vkey])


def test_two_known_keys_must_not_look_alike():
    """This pair shares its key ID: such keys take 2^16 attempts to find."""
    twins = [
        VerifierKey("twin.example", ED25519, n.to_bytes(32, "big"))
        for n in (22922, 28974)
    ]
    assert {k.key_id.hex() for k in twins} == {"8b8f24bc"}
    with pytest.raises(SignatureError, match="alike"):
        open_note(sign_note("text\n", A), [A.vkey, *twins])
    assert open_note(sign_note("text\n", A), [A.vkey, twins[0], twins[0]])


def test_a_cosigner_key_signs_no_notes():
    """Its signatures cover another message; a plain one under its name is refused."""
    key = VerifierKey(A.name, COSIGNATURE_V1, A.signer.public)
    line = Signature(key.name, key.key_id, A.sign("text\n").body)
    with pytest.raises(SignatureError, match="not a key that signs notes"):
        open_note(render_note(Note("text\n", (line,))), [key])


def test_a_weak_key_opens_no_note():
    """Under the neutral element, R = neutral and S = 0 would fit every text."""
    weak = VerifierKey("weak.example", ED25519, b"\1" + bytes(31))
    line = Signature(weak.name, weak.key_id, b"\1" + bytes(63))
    with pytest.raises(SignatureError, match="low order"):
        open_note(render_note(Note("text\n", (line,))), [weak])


def test_a_signature_of_another_length_is_bad():
    """Not an error of the library."""
    for size in (1, 63, 65, 72):
        line = Signature(A.name, A.vkey.key_id, bytes(size))
        with pytest.raises(SignatureError):
            open_note(render_note(Note("text\n", (line,))), [A.vkey])


def test_added_signatures_stand_once_behind_the_others():
    """What was there stays byte for byte, whatever is offered again."""
    raw = sign_note("text\n", A)
    more = B.sign("text\n")
    both = add_signatures(raw, more, A.sign("text\n"), more)
    assert both == raw + more.render().encode()
    assert add_signatures(both, more) == both
    assert add_signatures(raw) == raw
    with pytest.raises(NoteError):
        add_signatures(b"not a note", more)


@given(TEXTS, st.lists(SIGNATURES, min_size=1, max_size=5))
def test_notes_go_round(text, signatures):
    """Whatever is rendered is read back as it was."""
    note = Note(text, tuple(signatures))
    assert parse_note(render_note(note)) == note


@given(TEXTS)
def test_any_text_can_be_signed_and_opened(text):
    """And the same bytes do not open for another text."""
    raw = sign_note(text, A, B)
    opened = open_note(raw, [B.vkey, A.vkey])
    assert (opened.text, opened.verified) == (text, (A.vkey, B.vkey))
    with pytest.raises(SignatureError):
        open_note(b"x" + raw, [A.vkey])


FRAGMENTS = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [b"\n", b"\n\n", b" ", b"+", b"=", "— ".encode(), b"a.example", b"AAAAAAA="]
        ),
        st.sampled_from(sign_note("t\n", A, B).splitlines(keepends=True)),
    )
).map(b"".join)


@given(st.one_of(st.binary(max_size=300), FRAGMENTS))
def test_a_note_has_one_spelling(raw):
    """Hostile bytes raise NoteError, or are exactly what their note renders as."""
    try:
        note = parse_note(raw)
    except NoteError:
        return
    assert render_note(note) == raw


@given(
    st.integers(0, len(sign_note("text\n", A, B)) - 1),
    st.integers(0, 255),
    st.booleans(),
)
def test_no_changed_byte_goes_unnoticed(place, value, insert):
    """A note that opens after any change of one byte still has A's very signature."""
    raw = sign_note("text\n", A, B)
    changed = raw[:place] + bytes([value]) + raw[place + (not insert) :]
    try:
        opened = open_note(changed, [A.vkey])
    except KeysError:
        return
    # Only B's line, of which this reader knows nothing, may differ.
    assert opened.text == "text\n"
    assert changed.startswith(sign_note("text\n", A))


def test_no_unicode_space_is_in_a_key_name():
    """Every one of them, at the start, within and at the end; and no other sign."""
    for code in range(0x110000):
        sign = chr(code)
        if sign.isspace():
            for name in (sign + "a", "a" + sign + "b", "a" + sign):
                with pytest.raises(NoteError):
                    check_key_name(name)
        else:
            assert f"a{sign}b".split() == [f"a{sign}b"]
