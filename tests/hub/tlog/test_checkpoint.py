"""Checkpoints, and a whole published log reproduced byte for byte."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import HubError, MalformedError
from hub.tlog.checkpoint import (
    EMPTY,
    Checkpoint,
    Head,
    open_checkpoint,
    parse_checkpoint,
    peek_checkpoint,
    render_checkpoint,
    sign_checkpoint,
)
from hub.tlog.merkle import EMPTY_ROOT, Frontier, ListReader, leaf_hashes, root_of
from hub.tlog.tiles import TileId, TileReader, parse_tile_path, render_bundle
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.errors import KeysError, NoteError, SignatureError
from keys.note import NoteSigner, Signature, add_signatures, parse_vkey, sign_note

LOG = json.loads(
    (Path(__file__).parents[2] / "vectors" / "tlog-tiles-log.json").read_text()
)
FILES = {path: b64decode(raw) for path, raw in LOG["files"].items()}
ORIGIN = "example.com/log/testdata"
WORDS = "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten"
ITEMS = [word.encode() for word in WORDS.split()]
LEAVES = leaf_hashes(ITEMS)
SIGNER = Signer.from_seed(b64decode(LOG["signer"].split("+", 4)[4])[1:])
ROOT = to_base64(bytes(32))
HEAD = f"o.example/f\n7\n{ROOT}\n"


def published(size):
    head = Checkpoint(ORIGIN, size, root_of(LEAVES[:size]))
    return sign_checkpoint(head, SIGNER)


# -- a whole published log -------------------------------------------------------


@pytest.mark.parametrize("size", range(16))
def test_the_checkpoints_of_the_published_log(size):
    """16 checkpoints, signed again from the entries and the key alone."""
    assert published(size) == FILES[f"checkpoint.{size}"]
    opened = open_checkpoint(FILES[f"checkpoint.{size}"], ORIGIN, SIGNER.public)
    assert opened.head == Head(size, Frontier().extend(LEAVES[:size]).root())


def test_the_newest_checkpoint_of_the_published_log():
    assert published(15) == FILES["checkpoint"]
    assert parse_vkey(LOG["vkey"]) == NoteSigner(ORIGIN, SIGNER).vkey


@pytest.mark.parametrize("path", [p for p in FILES if p.startswith("tile/")])
def test_the_tiles_and_bundles_of_the_published_log(path):
    tile = parse_tile_path(path)
    if tile.level is None:
        assert render_bundle(ITEMS[: tile.width]) == FILES[path]
    else:
        assert b"".join(ListReader(LEAVES).read(0, 0, tile.width)) == FILES[path]


def test_every_file_of_the_published_log_is_covered():
    """15 widths of a tile and of a bundle, 17 checkpoints, 4 files of its state."""
    kinds = [path.split("/")[0].split(".")[0] for path in FILES]
    assert {k: kinds.count(k) for k in kinds} == {"": 4, "checkpoint": 17, "tile": 30}


@pytest.mark.parametrize("size", range(16))
def test_the_published_log_is_read_through_its_tiles(size):
    def fetch(tile: TileId) -> bytes:
        assert tile.level == 0
        return FILES[f"tile/0/000.p/{tile.width}"]

    head = peek_checkpoint(FILES[f"checkpoint.{size}"])
    reader = TileReader(head.size, head.root, fetch)
    assert reader.read(0, 0, size) == LEAVES[:size]


# -- the text --------------------------------------------------------------------


def test_a_checkpoint_is_origin_size_and_root():
    head = Checkpoint("o.example/f", 7, bytes(32))
    assert render_checkpoint(head) == HEAD
    assert parse_checkpoint(HEAD) == head
    assert head.head == Head(7, bytes(32))


def test_extension_lines_are_read_and_kept():
    """We write none, but a signature covers them, so that they must survive."""
    found = parse_checkpoint(HEAD + "one\ntwo two\n")
    assert found.extensions == ("one", "two two")
    assert render_checkpoint(found) == HEAD + "one\ntwo two\n"


def test_the_empty_tree_has_one_root():
    assert Head(0, EMPTY_ROOT) == EMPTY
    text = f"o.example/f\n0\n{to_base64(EMPTY_ROOT)}\n"
    assert parse_checkpoint(text).head == EMPTY
    with pytest.raises(MalformedError):
        parse_checkpoint(f"o.example/f\n0\n{ROOT}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        HEAD[:-1],
        HEAD + "\n",
        HEAD + "\nx\n",
        HEAD + "x",
        "\n" + HEAD,
        f"\n7\n{ROOT}\n",
        "o.example/f\n7\n",
        f"o.example/f\n07\n{ROOT}\n",
        f"o.example/f\n+7\n{ROOT}\n",
        f"o.example/f\n-7\n{ROOT}\n",
        f"o.example/f\n7_0\n{ROOT}\n",
        f"o.example/f\n 7\n{ROOT}\n",
        f"o.example/f\n\u0667\n{ROOT}\n",
        f"o.example/f\n{2**63}\n{ROOT}\n",
        f"o.example/f\n7\n{to_base64(bytes(31))}\n",
        f"o.example/f\n7\n{ROOT[:-2]}B=\n",
        f"o.example/f\n7\n{ROOT[:-1]}\n",
        f"o.example/f\n7\n{ROOT} \n",
        f"o.example/f\r\n7\r\n{ROOT}\r\n",
        f"o.example/f\u20287\u2028{ROOT}\n",
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(MalformedError):
        parse_checkpoint(text)


def test_the_largest_size_is_read():
    text = f"o.example/f\n{2**63 - 1}\n{ROOT}\n"
    assert parse_checkpoint(text).size == 2**63 - 1


@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(["o.example/f", "7", "0", "007", ROOT, "", " ", "\r", "é"]),
        max_size=6,
    ).map("\n".join)
)
def test_whatever_is_read_as_a_checkpoint_renders_to_the_same_text(text):
    try:
        found = parse_checkpoint(text)
    except MalformedError:
        return
    assert render_checkpoint(found) == text


# -- the signature ---------------------------------------------------------------


def test_only_the_log_key_of_this_origin_opens_a_checkpoint():
    raw = published(5)
    with pytest.raises(SignatureError):
        open_checkpoint(raw, ORIGIN, Signer.from_seed(bytes(32)).public)
    with pytest.raises(SignatureError):
        open_checkpoint(raw, "example.com/other", SIGNER.public)
    with pytest.raises(SignatureError):
        open_checkpoint(raw.replace(b"\n5\n", b"\n6\n"), ORIGIN, SIGNER.public)
    with pytest.raises(NoteError):
        open_checkpoint(b"not a note", ORIGIN, SIGNER.public)


def test_a_checkpoint_of_another_origin_under_this_name_is_refused():
    """A key name is not the origin: both must be the feed's."""
    text = render_checkpoint(Checkpoint("other.example/f", 7, bytes(32)))
    raw = sign_note(text, NoteSigner(ORIGIN, SIGNER))
    with pytest.raises(MalformedError):
        open_checkpoint(raw, ORIGIN, SIGNER.public)


def test_a_signed_note_that_is_no_checkpoint_is_refused():
    raw = sign_note("anything\n", NoteSigner(ORIGIN, SIGNER))
    for read in (peek_checkpoint, lambda r: open_checkpoint(r, ORIGIN, SIGNER.public)):
        with pytest.raises(MalformedError):
            read(raw)


def test_lines_of_strangers_change_nothing():
    raw = add_signatures(published(5), Signature("w.example", b"1234", bytes(72)))
    assert open_checkpoint(raw, ORIGIN, SIGNER.public) == peek_checkpoint(published(5))


@given(st.integers(0, len(published(9)) - 1), st.integers(1, 255))
def test_no_byte_of_a_signed_checkpoint_can_be_changed(place, change):
    raw = bytearray(published(9))
    raw[place] ^= change
    with pytest.raises((HubError, KeysError)):
        open_checkpoint(bytes(raw), ORIGIN, SIGNER.public)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_an_orderly_way(raw):
    with pytest.raises((HubError, KeysError)):
        open_checkpoint(raw, ORIGIN, SIGNER.public)
