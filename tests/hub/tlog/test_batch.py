"""The text that a member signs, and the header line that carries it."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import MalformedError
from hub.tlog.batch import (
    MAX_ENTRIES,
    MAX_LINE,
    BatchNote,
    digests_of,
    is_header,
    parse_batch_note,
    parse_header,
    render_batch_note,
    render_header,
)
from hub.tlog.checkpoint import Head
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.note import NoteSigner, sign_note

ROOT, OTHER, ID = bytes(32), bytes([255] * 32), bytes(16)
NOTE = BatchNote("alliance.example/maison", 3, ROOT, ID, Head(5, OTHER))
TEXT = (
    "alliance.example/batch/v1\n"
    "alliance.example/maison\n"
    "3\n"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
    "AAAAAAAAAAAAAAAAAAAAAA==\n"
    "5 //////////////////////////////////////////8=\n"
)
LINE = (
    b'{"kind":"batch","note":"alliance.example/batch/v1\\nalliance.example/maison\\n3'
    b"\\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\\nAAAAAAAAAAAAAAAAAAAAAA==\\n"
    b'5 //////////////////////////////////////////8=\\n"}'
)


def test_the_text_of_a_batch_note():
    assert render_batch_note(NOTE) == TEXT
    assert parse_batch_note(TEXT) == NOTE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("alliance.example/batch/v1", "other.example/batch/v1"),
        ("alliance.example/batch/v1", "alliance.example/batch/v2"),
        ("alliance.example", "a.example/b\nalliance.example"),
        ("alliance.example", ""),
        ("/maison", "/"),
        ("alliance.example/maison", "maison"),
        ("\n3\n", "\n0\n"),
        ("\n3\n", "\n03\n"),
        ("\n3\n", f"\n{MAX_ENTRIES + 1}\n"),
        ("\n3\n", "\n3 \n"),
        (to_base64(ROOT), to_base64(bytes(31))),
        (to_base64(ID), to_base64(bytes(15))),
        (to_base64(ID), to_base64(bytes(17))),
        (to_base64(OTHER), to_base64(bytes(33))),
        ("\n5 ", "\n5  "),
        ("\n5 ", "\n5\t"),
        ("\n5 ", "\n"),
        ("\n5 ", "\n+5 "),
        ("8=\n", "8=\n\n"),
        ("8=\n", "8="),
        ("8=\n", "8=\nmore\n"),
        ("\n", "\r\n"),
    ],
)
def test_other_texts_are_refused(old, new):
    assert old in TEXT
    with pytest.raises(MalformedError):
        parse_batch_note(TEXT.replace(old, new))


def test_a_note_without_alliance_and_feed_names_nobody():
    for origin in ("maison", "/maison", "alliance.example/"):
        text = render_batch_note(BatchNote(origin, 3, ROOT, ID, Head(5, OTHER)))
        with pytest.raises(MalformedError):
            parse_batch_note(text)


@pytest.mark.parametrize("count", [1, MAX_ENTRIES])
def test_a_batch_has_1_to_10000_entries(count):
    text = TEXT.replace("\n3\n", f"\n{count}\n")
    assert parse_batch_note(text).count == count


pieces = st.sampled_from([*TEXT.splitlines(), "", "0", "5 5", "alliance.example/x"])


@given(st.text(max_size=100) | st.lists(pieces, max_size=9).map("\n".join))
def test_whatever_is_read_as_a_note_renders_to_the_same_text(text):
    try:
        found = parse_batch_note(text)
    except MalformedError:
        return
    assert render_batch_note(found) == text


@given(
    st.integers(1, MAX_ENTRIES),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**63 - 1),
)
def test_every_note_is_read_back(count, root, batch_id, size):
    note = BatchNote("a.example/f", count, root, batch_id, Head(size, root))
    assert parse_batch_note(render_batch_note(note)) == note


# -- the header line -------------------------------------------------------------


def test_a_header_line_is_its_note_and_nothing_else():
    assert render_header(TEXT.encode()) == LINE
    assert parse_header(LINE) == TEXT.encode()
    assert is_header(LINE)
    assert not is_header(b'{"kind":"report"}')
    assert not is_header(b'{"note":"x","kind":"batch"}')


def test_a_signed_note_survives_its_header():
    signer = NoteSigner("alliance.example/member/maison/k1", Signer.generate())
    raw = sign_note(TEXT, signer)
    assert parse_header(render_header(raw)) == raw
    # The line stays UTF-8 and readable: the em dash of a signature is not escaped.
    assert "— alliance.example/member/maison/k1 ".encode() in render_header(raw)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b'{"kind":"batch","note":""}',
        b'{"kind":"batch","note":"',
        b'{"kind":"batch","note":"x',
        b'{"kind":"batch","note":"x"',
        b'{"kind":"batch","note":"x"]',
        b'{"kind":"batch","note":"x"} ',
        b' {"kind":"batch","note":"x"}',
        b'{"kind":"batch","note":"x"}}',
        b'{"kind":"batch","note":"x"}\n',
        b'{"kind": "batch","note":"x"}',
        b'{"kind":"batch", "note":"x"}',
        b'{"note":"x","kind":"batch"}',
        b'{"kind":"batch","note":1}',
        b'{"kind":"batch","note":null}',
        b'{"kind":"batch","note":"x","salt":"y"}',
        b'{"kind":"batch","note":"x","note":"x"}',
        b'{"kind":"batch","kind":"batch","note":"x"}',
        b'{"kind":"batch","note":"\\u0078"}',
        b'{"kind":"batch","note":"\\/"}',
        b'{"kind":"batch","note":"\\ud800"}',
        b'{"kind":"batch","note":"\xed\xa0\x80"}',
        b'{"kind":"batch","note":"\xff"}',
        b'{"kind":"batch","note":"a\nb"}',
        b'\xef\xbb\xbf{"kind":"batch","note":"x"}',
        b'{"kind":"batch","note":"' + b"x" * MAX_LINE + b'"}',
        '{"kind":"batch","note":"x"}'.encode("utf-16"),
    ],
)
def test_other_lines_are_refused(line):
    with pytest.raises(MalformedError) as caught:
        parse_header(line)
    assert caught.value.code == "bad-header"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_in_a_header_is_refused_like_the_rest(opening):
    """A header comes from somebody unknown; depth must not exhaust the stack."""
    deep = b'{"kind":"batch","note":"x","deep":' + opening * MAX_LINE
    with pytest.raises(MalformedError):
        parse_header(deep[:MAX_LINE])


def test_a_header_has_at_most_16_kib():
    """The limit is that of every line."""
    frame = len(render_header(b""))
    assert parse_header(render_header(b"x" * (MAX_LINE - frame)))
    with pytest.raises(MalformedError):
        parse_header(render_header(b"x" * (MAX_LINE - frame + 1)))


@given(st.text(min_size=1, max_size=200))
def test_every_text_is_read_back_from_its_header(text):
    line = render_header(text.encode())
    assert parse_header(line) == text.encode()
    assert json.loads(line) == {"kind": "batch", "note": text}


start = st.just(b'{"kind":"batch","note":"')


@given(st.binary(max_size=60) | st.builds(bytes.__add__, start, st.binary(max_size=40)))
def test_whatever_is_read_as_a_header_renders_to_the_same_bytes(line):
    try:
        note = parse_header(line)
    except MalformedError:
        return
    assert render_header(note) == line


def test_an_item_is_the_digest_of_its_line():
    lines = [LINE, b"", b"{}"]
    assert digests_of(lines) == [hashlib.sha256(line).digest() for line in lines]
