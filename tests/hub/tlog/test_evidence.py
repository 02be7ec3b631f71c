"""Evidence convicts whoever misbehaved, before anybody, and nobody else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import HubError, MalformedError, ProofError
from hub.tlog.batch import BatchNote, digests_of, render_batch_note, render_header
from hub.tlog.checkpoint import EMPTY, Checkpoint, sign_checkpoint
from hub.tlog.evidence import (
    MAX_BYTES,
    ForkEvidence,
    RepeatedBatch,
    WitnessRollback,
    check_fork,
    check_repeat,
    check_rollback,
    parse_evidence,
    prove_fork,
    render_evidence,
)
from hub.tlog.merkle import ListReader
from hub.tlog.proof import TlogProof
from keys.cosignature import cosign
from keys.ed25519 import Signer
from keys.errors import NoteError
from keys.note import (
    COSIGNATURE_V1,
    NoteSigner,
    Signature,
    VerifierKey,
    add_signatures,
    parse_note,
    sign_note,
)
from tests.hub.tlog.naive import Naive, items

ORIGIN = "alliance.example/maison"
LOG = Signer.from_seed(b"log" + bytes(29))
NEXT = Signer.from_seed(b"next" + bytes(28))
NODE = "alliance.example/node/node2"
WITNESS = Signer.from_seed(b"witness" + bytes(25))
VKEY = VerifierKey(NODE, COSIGNATURE_V1, WITNESS.public)
HONEST = Naive(items(40))
FORGED = Naive(items(40, 3))


def keys(_size):
    return LOG.public


def cut(size):
    """The officers let the feed go on from 6 under another key."""
    return LOG.public if size <= 6 else NEXT.public


def note(of, size, signer=LOG, origin=ORIGIN):
    return sign_checkpoint(Checkpoint(origin, size, of.root(size)), signer)


def cosigned(of, size, *times, name=NODE, signer=WITNESS):
    raw = note(of, size)
    text = parse_note(raw).text
    lines = (cosign(text, time=t, name=name, signer=signer) for t in times)
    return add_signatures(raw, *lines)


def refuse(check, *words):
    with pytest.raises(MalformedError) as caught:
        check(*words)
    return caught.value


# -- forks -----------------------------------------------------------------------


def test_two_roots_of_one_size_need_nothing_else():
    evidence = prove_fork(note(HONEST, 9), note(FORGED, 9))
    assert evidence.hashes == ()
    first, second = check_fork(evidence, ORIGIN, keys)
    assert (first.head.size, second.head.size) == (9, 9)
    assert first.root != second.root


def test_every_fork_at_two_sizes_is_proved_by_the_larger_tree():
    """Whichever of both is larger, and whichever is named first."""
    for n in range(4, 40):
        for m in range(n + 1, 41, 5):
            for small, large in ((HONEST, FORGED), (FORGED, HONEST)):
                reader = ListReader(large.leaves[:m])
                pair = note(small, n), note(large, m)
                for first, second in (pair, pair[::-1]):
                    check_fork(prove_fork(first, second, reader), ORIGIN, keys)


def test_the_honest_are_never_convicted():
    """Below the first forged item both histories are one, and so are their proofs."""
    for n in range(1, 4):
        for m in range(n + 1, 41, 3):
            for of in (HONEST, FORGED):
                evidence = prove_fork(
                    note(HONEST, n), note(of, m), ListReader(of.leaves[:m])
                )
                error = refuse(check_fork, evidence, ORIGIN, keys)
                assert error.code == "no-evidence"
    same = prove_fork(note(HONEST, 5), note(HONEST, 5))
    assert refuse(check_fork, same, ORIGIN, keys).code == "no-evidence"
    empty = sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY.root), LOG)
    grown = ForkEvidence(empty, note(HONEST, 5))
    assert refuse(check_fork, grown, ORIGIN, keys).code == "no-evidence"


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.lists(
        st.sampled_from(HONEST.leaves + FORGED.leaves + HONEST.both_roots(13, 29)),
        max_size=7,
    ),
)
def test_no_hashes_turn_two_honest_heads_into_a_fork(n, m, hashes):
    evidence = ForkEvidence(note(HONEST, n), note(HONEST, m), tuple(hashes))
    refuse(check_fork, evidence, ORIGIN, keys)


def test_hashes_of_another_tree_or_none_prove_nothing():
    pair = note(HONEST, 9), note(FORGED, 21)
    for hashes in (
        (),
        HONEST.both_roots(9, 21),
        FORGED.both_roots(9, 20),
        FORGED.both_roots(9, 21)[:-1],
        [bytes(31)],
    ):
        evidence = ForkEvidence(*pair, tuple(hashes))
        assert refuse(check_fork, evidence, ORIGIN, keys).code == "no-evidence"


def test_only_the_log_convicts_itself():
    """Whoever lacks the log's key cannot make evidence against it."""
    true, lie = note(HONEST, 9), note(FORGED, 9)
    stranger = note(FORGED, 9, signer=NEXT)
    other = note(FORGED, 9, origin="alliance.example/market")
    unsigned = sign_note(parse_note(lie).text, NoteSigner("else.example", LOG))
    for bad in (stranger, other, unsigned, b"", b"not a note"):
        for pair in ((true, bad), (bad, true)):
            error = refuse(check_fork, ForkEvidence(*pair), ORIGIN, keys)
            assert isinstance(error, ProofError)
    check_fork(ForkEvidence(true, lie), ORIGIN, keys)


def test_heads_above_a_cut_are_void_and_convict_nobody():
    void, after = note(HONEST, 9), note(FORGED, 9, signer=NEXT)
    refuse(check_fork, ForkEvidence(void, after), ORIGIN, cut)
    # Each key still answers for its own sizes, and for the way from one to the other.
    before = note(HONEST, 6)
    evidence = prove_fork(before, after, ListReader(FORGED.leaves[:9]))
    check_fork(evidence, ORIGIN, cut)
    same_size = ForkEvidence(before, note(FORGED, 6))
    check_fork(same_size, ORIGIN, cut)
    refuse(check_fork, same_size, ORIGIN, lambda _size: None)


def test_making_fork_evidence_needs_the_larger_tree():
    with pytest.raises(AssertionError):
        prove_fork(note(HONEST, 5), note(FORGED, 9))
    with pytest.raises(MalformedError):
        prove_fork(sign_note("x\n", NoteSigner(ORIGIN, LOG)), note(FORGED, 9))
    with pytest.raises(NoteError):
        prove_fork(b"", note(FORGED, 9))
    empty = sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY.root), LOG)
    with pytest.raises(ProofError):
        prove_fork(empty, note(HONEST, 9), ListReader(HONEST.leaves[:9]))


# -- repeated batches ------------------------------------------------------------


def header(batch_id=b"0123456789abcdef", origin=ORIGIN, count=1):
    text = render_batch_note(BatchNote(origin, count, bytes(32), batch_id, EMPTY))
    signer = NoteSigner("alliance.example/member/maison/k1", NEXT)
    return render_header(sign_note(text, signer))


def repeat(lines, first, second, signer=LOG):
    """The evidence that two of these lines, all of one feed, are one batch."""
    tree = Naive(digests_of(lines))
    raw = note(tree, len(lines), signer)
    proofs = [
        TlogProof(i, tuple(tree.inclusion(i, len(lines))), raw) for i in (first, second)
    ]
    return RepeatedBatch((lines[first], lines[second]), tuple(proofs))


LINES = [header(), b"{}", header(b"x" * 16), b"{}", header(), b"{}"]


def test_a_batch_id_twice_in_one_tree_convicts():
    evidence = repeat(LINES, 0, 4)
    assert check_repeat(evidence, ORIGIN, keys) == b"0123456789abcdef"
    # The same id with another content is a repeat no less.
    other = [*LINES[:4], header(count=2), b"{}"]
    assert check_repeat(repeat(other, 0, 4), ORIGIN, keys)


def test_one_batch_or_two_ids_are_no_repeat():
    for first, second in ((0, 0), (0, 2)):
        error = refuse(check_repeat, repeat(LINES, first, second), ORIGIN, keys)
        assert error.code == "no-evidence"


def test_a_batch_republished_after_a_cut_is_no_repeat():
    """It stands at another index of another tree; each tree holds it once."""
    before, after = repeat(LINES[:2], 0, 0), repeat([b"{}", *LINES[:2]], 1, 1)
    evidence = RepeatedBatch((LINES[0], LINES[0]), (before.proofs[0], after.proofs[0]))
    assert refuse(check_repeat, evidence, ORIGIN, keys).code == "no-evidence"


def test_a_repeat_counts_only_in_a_tree_that_the_log_signed():
    evidence = repeat(LINES, 0, 4)
    refuse(check_repeat, repeat(LINES, 0, 4, signer=NEXT), ORIGIN, keys)
    refuse(check_repeat, evidence, "alliance.example/market", keys)
    first, second = evidence.proofs
    for bad in (
        replace(second, index=5),
        replace(second, index=2),
        replace(second, hashes=first.hashes),
        replace(second, hashes=()),
    ):
        refuse(check_repeat, replace(evidence, proofs=(first, bad)), ORIGIN, keys)


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        render_header(b"x"),
        render_header(sign_note("x\n", NoteSigner("k", NEXT))),
        header(origin="alliance.example/market"),
    ],
    ids=["entry", "no note", "no batch note", "other feed"],
)
def test_a_line_that_is_no_header_of_the_feed_is_no_batch(line):
    refuse(check_repeat, repeat([line, b"{}", line], 0, 2), ORIGIN, keys)


# -- witnesses -------------------------------------------------------------------


def went_back(larger, smaller, witness=NODE):
    return WitnessRollback(witness, larger, smaller)


def test_a_smaller_tree_at_a_later_time_convicts_the_node():
    """Whether or not both trees are one history: it had seen more already."""
    for of in (HONEST, FORGED):
        evidence = went_back(cosigned(HONEST, 9, 100), cosigned(of, 7, 101))
        larger, smaller = check_rollback(evidence, ORIGIN, keys, VKEY)
        assert (larger.size, smaller.size) == (9, 7)


def test_the_earliest_and_the_newest_line_are_compared():
    """A note keeps the earliest and the newest cosignature of a node."""
    evidence = went_back(cosigned(HONEST, 9, 100, 500), cosigned(HONEST, 7, 50, 200))
    check_rollback(evidence, ORIGIN, keys, VKEY)
    honest = went_back(cosigned(HONEST, 9, 300, 500), cosigned(HONEST, 7, 50, 200))
    refuse(check_rollback, honest, ORIGIN, keys, VKEY)


@pytest.mark.parametrize(
    ("larger", "smaller"),
    [((9, 100), (7, 99)), ((9, 100), (7, 100)), ((9, 100), (9, 101)), ((7, 1), (9, 2))],
    ids=["in order", "one second", "one size", "growing"],
)
def test_a_node_that_only_went_on_is_not_convicted(larger, smaller):
    """Within one second the order is unknown, so that equal times prove nothing."""
    evidence = went_back(cosigned(HONEST, *larger), cosigned(HONEST, *smaller))
    assert refuse(check_rollback, evidence, ORIGIN, keys, VKEY).code == "no-evidence"


def test_only_the_node_convicts_itself():
    larger, smaller = cosigned(HONEST, 9, 100), cosigned(HONEST, 7, 101)
    forged = cosigned(HONEST, 7, 101, signer=NEXT)
    other = cosigned(HONEST, 7, 101, name="alliance.example/node/node3")
    line = cosign("another text\n", time=101, name=NODE, signer=WITNESS)
    replayed = add_signatures(note(HONEST, 7), line)
    # One bad line under the node's name spoils a note, as in every signed note.
    spoilt = add_signatures(smaller, Signature(NODE, VKEY.key_id, bytes(72)))
    for bad in (forged, other, replayed, note(HONEST, 7), spoilt):
        for pair in ((larger, bad), (bad, smaller)):
            refuse(check_rollback, went_back(*pair), ORIGIN, keys, VKEY)
    named = went_back(larger, smaller, witness="alliance.example/node/node3")
    refuse(check_rollback, named, ORIGIN, keys, VKEY)
    check_rollback(went_back(larger, smaller), ORIGIN, keys, VKEY)


def test_void_heads_do_not_convict_a_node():
    """After the officers cut the feed to 6, the node rightly cosigns 7 after 9."""
    evidence = went_back(cosigned(HONEST, 9, 100), cosigned(HONEST, 7, 101))
    refuse(check_rollback, evidence, ORIGIN, cut, VKEY)
    refuse(check_rollback, evidence, "alliance.example/market", keys, VKEY)


# -- the file --------------------------------------------------------------------


FORK = ForkEvidence(note(HONEST, 9), note(FORGED, 21), tuple(FORGED.both_roots(9, 21)))
ALL = [
    FORK,
    ForkEvidence(note(HONEST, 9), note(FORGED, 9)),
    repeat(LINES, 0, 4),
    went_back(cosigned(HONEST, 9, 100), cosigned(HONEST, 7, 101)),
]
IDS = ["fork", "fork at one size", "repeat", "rollback"]


@pytest.mark.parametrize("evidence", ALL, ids=IDS)
def test_evidence_is_one_line_that_is_read_back(evidence):
    raw = render_evidence(evidence)
    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    assert parse_evidence(raw) == evidence
    assert raw.startswith(b'{"format":"alliance-hub-evidence/v1","kind":"')


def test_the_file_holds_the_notes_verbatim():
    body = json.loads(render_evidence(FORK))
    assert list(body) == ["format", "kind", "notes", "hashes"]
    assert [n.encode() for n in body["notes"]] == [FORK.first, FORK.second]


@pytest.mark.parametrize("evidence", ALL, ids=IDS)
def test_other_files_are_refused(evidence):
    raw = render_evidence(evidence)
    body = json.loads(raw)
    lists = [k for k, v in body.items() if isinstance(v, list)]
    variants = [
        {**body, "format": "alliance-hub-evidence/v2"},
        {**body, "kind": "other"},
        {**body, "more": 1},
        dict(reversed(body.items())),
        *({k: v for k, v in body.items() if k != key} for key in body),
        *({**body, key: value} for key in body for value in (1, None, {}, [1, 2])),
        # Without its hashes a fork is evidence still, though it may prove nothing.
        *({**body, key: []} for key in body if key != "hashes"),
        *({**body, key: body[key] + ["x"]} for key in lists),
    ]
    for variant in variants:
        text = json.dumps(variant, ensure_ascii=False, separators=(",", ":"))
        error = refuse(parse_evidence, text.encode() + b"\n")
        assert error.code == "bad-evidence"
    for bad in (raw[:-1], raw + b"\n", b" " + raw, raw.replace(b":", b": ", 1)):
        refuse(parse_evidence, bad)
    refuse(parse_evidence, json.dumps(body).encode() + b"\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"[]\n",
        b"1\n",
        b"null\n",
        b'"fork"\n',
        b"{}\n",
        b"[" * 100_000,
        b'{"kind":' * 100_000,
        b"\xff\xfe",
        b'{"kind":"fork","notes":["\\ud800",""],"hashes":[]}\n',
        b'{"kind":"fork","notes":["only one"],"hashes":[]}\n',
        b'{"kind":"fork","notes":["",""],"hashes":["AA=="]}\n',
        b" " * (MAX_BYTES + 1),
    ],
    ids=range(14),
)
def test_a_strangers_bytes_are_refused_in_an_orderly_way(raw):
    refuse(parse_evidence, raw)


@given(st.sampled_from(ALL), st.data())
def test_whatever_is_read_as_evidence_renders_to_the_same_bytes(evidence, data):
    raw = bytearray(render_evidence(evidence))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + 1] = data.draw(st.binary(max_size=2))
    try:
        found = parse_evidence(bytes(raw))
    except HubError:
        return
    assert render_evidence(found) == bytes(raw)
