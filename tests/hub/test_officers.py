"""Proposals: read strictly, tried before they are signed, made anew, remembered."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import ConflictError, HubError, MalformedError, RefusedError
from hub.officers import (
    again,
    examine,
    is_complete,
    parse_proposal,
    propose,
    registry_entry,
    render_proposal,
    sign,
)
from hub.signings import Signings
from hub.tlog.batch import parse_batch_note
from hub.tlog.checkpoint import EMPTY, Head
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.note import NoteSigner
from tests.hub.officerkit import ALLIANCE, NOW, Officers, close, home, key, officer


@pytest.fixture
def world():
    """Two officers and a registry that has its first line."""
    made = Officers()
    made.replay.batch(*made.batch(made.first))
    return made


def member(name="maison"):
    return registry_entry("member", NOW, name=name)


def line(entry):
    return json.dumps(entry, separators=(",", ":")).encode()


def proposal(world, *lines, head=None, signers=()):
    made = propose(ALLIANCE, head or world.replay.head, lines or [member()])
    sign(made, signers)
    return made


def test_a_proposal_survives_its_file(world):
    made = proposal(world, signers=world.signers[:1])
    assert parse_proposal(render_proposal(made)) == made


GOOD = render_proposal(propose(ALLIANCE, EMPTY, [member()]))


@pytest.mark.parametrize(
    "change",
    [
        {"text": 7},
        {"text": "no note\n"},
        {"entries": "x"},
        {"entries": [7]},
        {"entries": ['{"kind":\n"member"}']},
        {"signatures": {}},
        {"signatures": ["no signature"]},
        {"more": 1},
    ],
)
def test_what_is_no_proposal_is_refused(change):
    with pytest.raises(MalformedError, match="not a proposal"):
        parse_proposal(json.dumps({**json.loads(GOOD), **change}))


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_a_proposal_or_malformed(text):
    with pytest.raises(MalformedError):
        parse_proposal(text)


def test_a_deep_file_is_no_proposal():
    with pytest.raises(MalformedError):
        parse_proposal("[" * 100_000)


def test_signatures_are_counted_by_officers(world):
    anna, berta = world.signers
    made = proposal(world, signers=[anna, anna])
    found = examine(made, world.replay)
    assert found.signed_by == (f"{ALLIANCE}/officer/anna",)
    assert (found.fresh, found.complete, found.problem) == (True, False, None)
    assert "maison" in found.require().members
    sign(made, [berta])
    assert examine(made, world.replay).complete
    assert is_complete(made, world.replay.directory)


def test_examining_changes_nothing(world):
    before = world.replay.directory, world.replay.head
    examine(proposal(world), world.replay)
    assert (world.replay.directory, world.replay.head) == before


def test_a_signature_of_a_stranger_is_refused(world):
    made = proposal(world, signers=[world.signers[0], officer("dora")])
    with pytest.raises(RefusedError, match="is no officer now"):
        examine(made, world.replay)
    alone = proposal(world, signers=[officer("dora")])
    with pytest.raises(RefusedError, match="no officer's"):
        examine(alone, world.replay)
    assert not is_complete(alone, world.replay.directory)


def test_a_wrong_signature_of_an_officer_is_refused(world):
    made = proposal(world, signers=world.signers[:1])
    other = proposal(world, member("market"))
    with pytest.raises(RefusedError, match="does not verify"):
        examine({**other, "signatures": made["signatures"]}, world.replay)


def test_entries_that_the_note_does_not_cover_are_refused(world):
    """Else an officer would sign something other than what it was shown."""
    made = proposal(world)
    made["entries"] = [member("market").decode()]
    with pytest.raises(MalformedError, match="not those that the note"):
        examine(made, world.replay)


def test_another_alliance_is_refused(world):
    made = propose("other.example", world.replay.head, [member()])
    with pytest.raises(MalformedError, match=r"not for alliance\.example"):
        examine(made, world.replay)


def test_an_invalid_entry_is_refused(world):
    """Also one of a kind that this version does not know: nobody can read it."""
    for entry in (b'{"kind":"member"}', b'{"kind":"new-kind"}', b"[]"):
        with pytest.raises(MalformedError):
            examine(proposal(world, entry), world.replay)


def test_a_stale_proposal_has_no_verdict(world):
    stale = proposal(world, head=EMPTY)
    found = examine(stale, world.replay)
    assert (found.fresh, found.after, found.problem) == (False, None, None)
    with pytest.raises(ConflictError, match="another head by now"):
        found.require()


def test_what_the_registry_would_refuse_is_said_before_it_is_signed(world):
    twice = proposal(world, member(), member())
    with pytest.raises(MalformedError, match="the name maison is taken"):
        examine(twice, world.replay).require()
    policy = registry_entry("policy", NOW, quorum=1)
    with pytest.raises(MalformedError, match="quorum"):
        examine(proposal(world, policy), world.replay).require()


# -- made anew ---------------------------------------------------------------------


def founded(world):
    """A registry with node1 and maison, and its keys."""
    log, log2, k1, k2 = (Signer.generate() for _ in range(4))
    cut = world.replay.head
    first = home("registry", "node1", log)
    first |= {"size": cut.size, "root": to_base64(cut.root)}
    lines = [
        registry_entry("node", NOW, name="node1", url="https://n.example"),
        line(key("node/node1", "log", ["log"], log)),
        line(key("node/node1", "log-2", ["log"], log2)),
        member(),
        line(key("member/maison", "k1", ["publish", "request"], k1)),
        line(home("maison", "node1", log)),
    ]
    world.replay.batch(*world.batch(*lines))
    return log2, k2


def test_again_takes_the_present_heads_and_ends(world):
    """A home moves from where its feed is now, and a key closes where it ends now."""
    log2, k2 = founded(world)
    entries = [
        home("maison", "node1", log2, 3, to_base64(bytes(32))),
        key("member/maison", "k2", ["publish"], k2),
        close("member/maison", "k1", index=3),
        json.loads(member("market")),
    ]
    head = Head(9, bytes(range(32)))
    directory = world.replay.directory
    lines = again(entries, directory, NOW + 5, lambda _feed: head)
    made = [json.loads(one) for one in lines]
    assert (made[0]["size"], made[0]["root"]) == (9, to_base64(head.root))
    assert made[1]["proof"] == entries[1]["proof"]
    assert made[2]["index"] == 9
    assert made[3]["name"] == "market"
    for old, new in zip(entries, made, strict=True):
        assert old["salt"] != new["salt"]
        assert new["at"] > old["at"]


def test_again_leaves_a_theft_where_the_officers_put_it(world):
    """A key that is closed alone was stolen: its index is meant as it is."""
    founded(world)
    entries = [close("member/maison", "k1", index=3)]
    head = Head(9, bytes(32))
    [made] = again(entries, world.replay.directory, NOW, lambda _feed: head)
    assert json.loads(made)["index"] == 3


def test_again_leaves_room_where_there_was_some(world):
    founded(world)
    entries = [
        key("member/maison", "k2", ["publish"], Signer.generate()),
        close("member/maison", "k1", index=1000),
    ]
    head = Head(9, bytes(32))
    lines = again(entries, world.replay.directory, NOW, lambda _feed: head)
    assert json.loads(lines[1])["index"] == 1000


# -- remembered --------------------------------------------------------------------


def note_of(made):
    return parse_batch_note(made["text"])


def test_signings_remember_other_successors_of_a_head(tmp_path, world):
    signings = Signings(tmp_path / "signed.jsonl")
    one, two = proposal(world), proposal(world, member("market"))
    later = proposal(world, head=EMPTY)
    assert signings.others(note_of(one)) == []
    signings.add(note_of(one), one["entries"], NOW)
    signings.add(note_of(later), later["entries"], NOW)
    signings.add(note_of(one), one["entries"], NOW)
    assert signings.others(note_of(one)) == []
    [other] = signings.others(note_of(two))
    assert other["entries"] == one["entries"]
    signings.drop(note_of(one))
    assert signings.others(note_of(two)) == []


def test_a_line_that_a_crash_cut_short_is_no_signature(tmp_path, world):
    """It was written before anything was signed."""
    path = tmp_path / "signed.jsonl"
    signings = Signings(path)
    one, two = proposal(world), proposal(world, member("market"))
    signings.add(note_of(one), one["entries"], NOW)
    path.write_text(path.read_text() + '{"at":"2026')
    assert len(signings.others(note_of(two))) == 1
    signings.add(note_of(two), two["entries"], NOW)
    assert len(signings.others(note_of(one))) == 1
    assert all(json.loads(row) for row in path.read_text().splitlines())


def test_every_error_is_ours(world):
    """Whatever an officer is sent."""
    made = proposal(world)
    for text in ("", "x\n", made["text"].replace(ALLIANCE, "")):
        with pytest.raises(HubError):
            examine({**made, "text": text}, world.replay)


def test_a_named_signer_is_who_it_is(world):
    """The officer's name in a note is the registry's, not the folder's."""
    anna = world.signers[0]
    other = NoteSigner(f"{ALLIANCE}/officer/zoe", anna.signer)
    made = proposal(world, signers=[other])
    with pytest.raises(RefusedError):
        examine(made, world.replay)
