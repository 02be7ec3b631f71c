"""The rules by which the registry's lines become the directory."""

from __future__ import annotations

import json

import pytest

from hub.directory import Directory
from hub.errors import ConflictError, MalformedError
from hub.model import parse_time, render_time
from hub.officers import registry_entry
from keys.cosignature import check_cosignature, cosign
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.note import NoteSigner
from tests.hub.officerkit import (
    ALLIANCE,
    EMPTY,
    NOW,
    Officers,
    close,
    entry,
    home,
    key,
    officer,
    sealing,
)


@pytest.fixture
def keys():
    names = ("log", "log2", "witness", "request", "k1", "k2")
    return {name: Signer.generate() for name in names}


@pytest.fixture
def founded(keys):
    """node1 with its keys is the home of the registry and of maison."""
    vkeys = [officer(n).vkey.render() for n in ("anna", "berta")]
    state = Directory(ALLIANCE, 2, tuple(vkeys), size=9)
    return apply(
        state,
        entry("node", name="node1", url="https://node1.alliance.example"),
        key("node/node1", "log", ["log"], keys["log"]),
        key("node/node1", "log-2", ["log"], keys["log2"]),
        key("node/node1", "witness", ["witness"], keys["witness"]),
        key("node/node1", "request", ["request"], keys["request"]),
        home("registry", "node1", keys["log"]),
        entry("member", name="maison"),
        key("member/maison", "k1", ["publish", "request"], keys["k1"]),
        home("maison", "node1", keys["log"]),
    )


def apply(state, *entries):
    for one in entries:
        state = state.apply(one)
    return state


def refused(state, *entries, match):
    with pytest.raises(MalformedError, match=match) as caught:
        apply(state, *entries)
    assert caught.value.code == "registry-rule"


def test_a_key_closed_in_one_role_keeps_the_other(founded):
    """A member's request key may end while what it publishes still counts."""
    state = apply(founded, close("member/maison", "k1", role="request", index=0))
    [k1] = [k for k in state.keys if k.label == "k1"]
    assert (k1.is_open("publish"), k1.is_open("request")) == (True, False)
    assert k1.closed_at is None
    assert state.requester(f"{ALLIANCE}/member/maison/k1") is None
    state = apply(state, close("member/maison", "k1", index=7))
    [k1] = [k for k in state.keys if k.label == "k1"]
    assert k1.closed_at == 7


def test_a_key_has_no_role_that_it_was_not_given(founded):
    wrong = close("member/maison", "k1", role="log", index=0)
    refused(founded, wrong, match="no open key called k1 with the role log")


def test_a_closed_key_can_be_closed_earlier_and_never_later(founded):
    """A theft that is found out later voids more, and nothing brings a line back."""
    state = apply(founded, close("member/maison", "k1", index=9))
    earlier = apply(state, close("member/maison", "k1", index=4))
    assert [k.closed_at for k in earlier.keys if k.label == "k1"] == [4]
    for index in (9, 12):
        again = close("member/maison", "k1", index=index)
        refused(state, again, match="no open key")


def test_a_witness_is_closed_at_a_time(founded, keys):
    """Cosignatures from before the closure count, later ones do not."""
    at = render_time(NOW)
    state = apply(founded, close("node/node1", "witness", when=at))
    assert state.witness("node1") is None
    before, after = state.cosigners(NOW - 1), state.cosigners(NOW)
    assert (list(before.values()), after) == (["node1"], {})
    [vkey] = before
    text = f"{ALLIANCE}/maison\n0\n{EMPTY}\n"
    name = f"{ALLIANCE}/node/node1"
    line = cosign(text, time=NOW - 1, name=name, signer=keys["witness"])
    assert check_cosignature(text, line, vkey) == NOW - 1


def test_a_witness_closed_without_a_time_is_closed_when_it_was_said(founded):
    state = apply(founded, close("node/node1", "witness"))
    assert state.cosigners(NOW - 1)
    assert not state.cosigners(NOW)
    earlier = close("node/node1", "witness", when=render_time(NOW - 50))
    assert not apply(state, earlier).cosigners(NOW - 50)


def test_a_node_has_one_open_key_of_a_role_that_its_name_signs_for(founded, keys):
    new = key("node/node1", "witness-2", ["witness"], keys["k2"])
    refused(founded, new, match="has an open witness key")
    state = apply(founded, close("node/node1", "witness"), new)
    assert state.witness("node1").public == keys["k2"].public


def test_the_request_key_vouches_for_the_seal_key(founded, keys):
    state = apply(founded, sealing("node/node1", keys["request"]))
    assert [k.owner for k in state.with_role("seal")] == ["node/node1"]
    refused(founded, sealing("node/node1", keys["log"]), match="does not verify")
    closed = apply(founded, close("node/node1", "request"))
    alone = sealing("node/node1", keys["request"])
    refused(closed, alone, match="no open request key")


def test_a_home_has_a_log_key_that_is_open_and_new_to_the_feed(founded, keys):
    """Heads above a cut under an earlier key are void, so no key comes back."""
    root = to_base64(bytes(32))
    again = home("maison", "node1", keys["log"], 5, root)
    refused(founded, again, match="had that log key before")
    foreign = home("maison", "node1", Signer.generate(), 5, root)
    refused(founded, foreign, match="open log key")
    fresh = home("maison", "node1", keys["log2"], 5, root)
    state = apply(founded, fresh)
    assert state.log_public("maison", 5) == keys["log"].public
    assert state.log_public("maison", 6) == keys["log2"].public
    closed = apply(founded, close("node/node1", "log-2"))
    refused(closed, fresh, match="open log key")


def test_a_log_key_is_closed_only_after_its_feeds_moved(founded, keys):
    """Else a feed would have a home that may not sign."""
    refused(founded, close("node/node1", "log"), match="another home")
    root = to_base64(bytes(32))
    moved = [home(f, "node1", keys["log2"], 5, root) for f in ("maison", "registry")]
    state = apply(founded, *moved, close("node/node1", "log"))
    assert state.home("maison").public == keys["log2"].public


def test_the_first_home_starts_from_nothing(founded, keys):
    state = apply(founded, entry("member", name="market"))
    wrong = home("market", "node1", keys["log"], 3, to_base64(bytes(32)))
    refused(state, wrong, match="from nothing")


def test_officers_keys_are_registered_once_and_never_come_back(founded):
    old, new = founded.officer_vkeys()[0], officer("carla")
    kept = founded.officers[1]
    fields = {"alliance": ALLIANCE, "threshold": 2}
    changed = entry("alliance", **fields, officers=[kept, new.vkey.render()])
    state = apply(founded, changed)
    assert state.former == {old.public}
    back = entry("alliance", **fields, officers=[kept, old.render()])
    refused(state, back, match="registered before")
    mine = key("member/maison", "k2", ["publish"], new.signer)
    refused(state, mine, match="registered already")


def test_a_members_key_becomes_no_officers_key(founded, keys):
    vkey = NoteSigner(f"{ALLIANCE}/officer/dora", keys["k1"]).vkey.render()
    officers = [*founded.officers, vkey]
    wrong = entry("alliance", alliance=ALLIANCE, threshold=2, officers=officers)
    refused(founded, wrong, match="registered before")


@pytest.mark.parametrize("name", ["other.example/officer/x", "alliance.example/node/x"])
def test_an_officer_signs_under_an_officers_name(founded, name):
    vkey = NoteSigner(name, Signer.generate()).vkey.render()
    officers = [*founded.officers, vkey]
    wrong = entry("alliance", alliance=ALLIANCE, threshold=2, officers=officers)
    refused(founded, wrong, match="not the name of an officer")


def test_two_nodes_do_not_share_a_url(founded):
    url = "https://node1.alliance.example"
    refused(founded, entry("node", name="node2", url=url), match="another node")
    moved = entry("node", name="node1", url="https://new.alliance.example")
    assert apply(founded, moved).nodes["node1"] == "https://new.alliance.example"


def test_grants_and_suspensions_name_what_is_there(founded):
    until = render_time(NOW + 10)
    grant = {"class_": "open", "count": 1, "until": until}
    refused(founded, entry("grant", member="market", **grant), match="not a member")
    wrong = entry("suspension", entries=["market/1"], ground="x", until=until)
    refused(founded, wrong, match="no feed called market")


def test_only_a_token_key_that_is_there_is_retired(founded):
    refused(founded, entry("token-key-retired", key="open-1"), match="to retire")


def test_the_quorum_counts_other_nodes_that_can_cosign(founded, keys):
    """A node without an open witness key counts for nobody, the home not for itself."""
    other = Signer.generate()
    state = apply(
        founded,
        entry("node", name="node2", url="https://node2.alliance.example"),
        key("node/node2", "witness", ["witness"], other),
        entry("policy", quorum=1),
    )
    state.check_quorum()
    closed = apply(state, close("node/node2", "witness"))
    with pytest.raises(MalformedError, match="only 0 nodes could"):
        closed.check_quorum()


def test_a_batch_for_another_head_is_stale_and_changes_nothing():
    world = Officers()
    before = world.replay.head
    world.replay.batch(*world.batch(world.first))
    after = world.replay.head
    line = registry_entry("member", NOW, name="maison")
    with pytest.raises(ConflictError) as caught:
        world.replay.batch(*world.batch(line, head=before))
    assert caught.value.code == "stale-proposal"
    assert "--again" in caught.value.advice
    assert world.replay.head == after


@pytest.mark.parametrize(("size", "root"), [(1, EMPTY), (0, to_base64(bytes(32)))])
def test_the_registrys_home_names_the_head_before_its_batch(size, root):
    """Its batch names that head too, so any other would contradict it."""
    world, log = Officers(), Signer.generate()
    fields = {"feed": "registry", "node": "node1", "key": to_base64(log.public)}
    lines = [
        world.first,
        registry_entry("node", NOW, name="node1", url="https://n.example"),
        registry_entry("home", NOW, **fields, size=size, root=root),
    ]
    with pytest.raises(MalformedError, match="head before its batch"):
        world.replay.batch(*world.batch(*lines))


def test_an_officer_who_was_replaced_signs_nothing_more():
    """The change itself is signed by the officers before it."""
    world = Officers()
    world.replay.batch(*world.batch(world.first))
    anna, berta = world.signers
    carla = officer("carla")
    officers = [berta.vkey.render(), carla.vkey.render()]
    fields = {"alliance": ALLIANCE, "threshold": 2, "officers": officers}
    world.replay.batch(*world.batch(registry_entry("alliance", NOW, **fields)))
    line = registry_entry("member", NOW, name="maison")
    with pytest.raises(Exception, match="1 of 2"):
        world.replay.batch(*world.batch(line))
    world.signers = [berta, carla]
    world.replay.batch(*world.batch(line))
    assert parse_time(json.loads(line)["at"]) == NOW
    assert "maison" in world.replay.directory.members
    assert anna.signer.public in world.replay.directory.former
