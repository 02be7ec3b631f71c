"""Proof files: one form, and they prove one item of one tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import MalformedError, ProofError
from hub.tlog.checkpoint import Checkpoint, sign_checkpoint
from hub.tlog.proof import TlogProof, check_proof, parse_proof, render_proof
from keys.ed25519 import Signer
from keys.encoding import to_base64
from tests.hub.tlog.naive import Naive, items

TREE = Naive(items(11))
HEAD = Checkpoint("alliance.example/maison", 11, TREE.root(11))
NOTE = sign_checkpoint(HEAD, Signer.from_seed(bytes(32)))
PROOF = TlogProof(4, tuple(TREE.inclusion(4, 11)), NOTE)
RAW = render_proof(PROOF)
HASHES = "".join(f"{to_base64(h)}\n" for h in PROOF.hashes)


def test_a_proof_file_is_title_index_hashes_and_the_checkpoint_verbatim():
    """The form of C2SP tlog-proof."""
    want = f"c2sp.org/tlog-proof@v1\nindex 4\n{HASHES}\n".encode() + NOTE
    assert want == RAW
    assert parse_proof(RAW) == PROOF


def test_extra_data_stands_before_the_index():
    proof = TlogProof(4, PROOF.hashes, NOTE, b"extra")
    raw = render_proof(proof)
    assert raw.startswith(b"c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 4\n")
    assert parse_proof(raw) == proof
    nothing = TlogProof(4, PROOF.hashes, NOTE, b"")
    assert parse_proof(render_proof(nothing)) == nothing


def test_a_tree_of_one_needs_no_hashes():
    proof = TlogProof(0, (), NOTE)
    assert parse_proof(render_proof(proof)) == proof


@pytest.mark.parametrize("index", range(11))
def test_a_proof_proves_its_item_at_its_place(index):
    proof = TlogProof(index, tuple(TREE.inclusion(index, 11)), NOTE)
    for place, item in enumerate(TREE.items):
        if place == index:
            check_proof(proof, item, HEAD.head)
        else:
            with pytest.raises(ProofError):
                check_proof(proof, item, HEAD.head)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"@v1", b"@v2"),
        (b"c2sp.org/tlog-proof@v1\n", b""),
        (b"index 4\n", b""),
        (b"index 4", b"index 04"),
        (b"index 4", b"index +4"),
        (b"index 4", b"index  4"),
        (b"index 4", b"index -1"),
        (b"index 4", b"index 9223372036854775808"),
        (b"index 4", b"Index 4"),
        (b"index 4\n", b"index 4\nindex 4\n"),
        (b"index 4\n", b"index 4\nextra AA==\n"),
        (b"index 4\n", b"extra AA==\nextra AA==\nindex 4\n"),
        (b"index 4\n", b"extra AB==\nindex 4\n"),
        (b"index 4\n", b"extra\nindex 4\n"),
        (b"index 4\n", b"index 4\n\xff\n"),
        (HASHES[:44].encode(), HASHES[:43].encode()),
        (HASHES[:44].encode(), HASHES[:44].encode() + b" "),
        (HASHES[:44].encode(), to_base64(bytes(31)).encode()),
        (b"\n", b"\r\n"),
        (b"\n\n" + NOTE, b"\n\n"),
        (b"\n\n" + NOTE, b"\n"),
        (b"\n\n" + NOTE, b""),
    ],
)
def test_other_files_are_refused(old, new):
    assert old in RAW
    with pytest.raises(MalformedError):
        parse_proof(RAW.replace(old, new))


def test_a_proof_has_at_most_63_hashes():
    """No tree has more levels; a longer list is only work for whoever reads it."""
    longest = TlogProof(4, (bytes(32),) * 63, NOTE)
    assert parse_proof(render_proof(longest)) == longest
    with pytest.raises(MalformedError):
        parse_proof(render_proof(TlogProof(4, (bytes(32),) * 64, NOTE)))


pieces = st.sampled_from(
    [b"c2sp.org/tlog-proof@v1", b"index 4", b"extra AA==", b"extra ", b"", b"index 0"]
    + [to_base64(h).encode() for h in PROOF.hashes]
)


@given(st.binary(max_size=100) | st.lists(pieces, max_size=9).map(b"\n".join))
def test_whatever_is_read_as_a_proof_renders_to_the_same_bytes(raw):
    try:
        found = parse_proof(raw)
    except MalformedError:
        return
    assert render_proof(found) == raw


@given(st.integers(0, len(RAW) - len(NOTE) - 3), st.integers(1, 255))
def test_no_byte_of_a_proof_can_be_changed(place, change):
    raw = bytearray(RAW)
    raw[place] ^= change
    with pytest.raises(MalformedError):
        check_proof(parse_proof(bytes(raw)), TREE.items[4], HEAD.head)
