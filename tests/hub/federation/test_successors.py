"""Officers who sign two successors of one registry head convict themselves."""

from __future__ import annotations

import json

import pytest

from hub.audit import audit
from hub.conviction import judge, note_successor
from hub.directory import Pin
from hub.errors import HubError, MalformedError, ProofError
from hub.model import REGISTRY
from hub.officers import body_of, propose, registry_entry, sign
from hub.peering import alarms
from hub.tlog.checkpoint import Head
from hub.tlog.evidence import TwoSuccessors, parse_evidence, render_evidence
from hub.verifying import verify_evidence
from keys.ed25519 import Signer
from keys.note import NoteSigner
from tests.simulator import ALLIANCE, World, suppressed


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def head_of(node):
    with node.store.read() as tx:
        return node.hub.registry.current(tx).head


def policy(world, **more):
    return registry_entry("policy", world.clock.now(), quorum=1, **more)


def batch(officers, head, *lines):
    """Return the lines of a registry batch on top of a head."""
    proposal = propose(ALLIANCE, head, lines)
    sign(proposal, list(officers))
    return body_of(proposal)[:-1].split(b"\n")


def offer(world, lines, node="node1"):
    """Offer a batch to a node, which refuses it."""
    with pytest.raises(HubError):
        world.members["maison"].client(node).publish(
            REGISTRY, b"\n".join(lines) + b"\n"
        )


def test_a_second_successor_that_is_offered_is_evidence(world):
    """Refused, kept, an alarm, spread to all, found by the audit, checked offline."""
    node1 = world.nodes["node1"]
    head = head_of(node1)
    second = batch([world.officer], head, policy(world, fresh_hours=7))
    world.officers(policy(world, fresh_hours=5))
    offer(world, second)
    name = f"two-successors/{head.size}/anna"
    assert world.evidence("node1") == {name}
    assert any(name in alarm for alarm in alarms(node1.federation))
    world.settle()
    assert all(world.evidence(n) == {name} for n in world.nodes)
    market = world.members["market"]
    assert market.pull("node3").evidence == [name]
    report = audit(market.store, world.pin, world.clock.now())
    assert [f.kind for f in report.findings] == ["two-successors"]
    [raw] = report.evidence.values()
    found = verify_evidence(raw, node1.directory)
    assert found["says"].startswith("anna signed two different batches")
    # The registry itself goes on: its home did nothing wrong.
    world.officers(policy(world, fresh_hours=6))
    world.settle()
    assert world.nodes["node3"].directory.policy.fresh_hours == 6


def test_a_peer_that_shows_another_successor_is_evidence(world):
    """The home of the registry signed both as well: that is a fork besides."""
    head, twin = head_of(world.nodes["node1"]), world.twin("node1")
    world.split({"node2"}, {"node1", "node3", "officer"})
    world.officers(policy(world, fresh_hours=5))
    honest, world.nodes["node1"] = world.nodes["node1"], twin
    world.split({"node3"}, {"node1", "node2", "officer"})
    for hours in (7, 8):
        world.officers(policy(world, fresh_hours=hours))
    world.nodes["node2"].sync("node1")
    world.nodes["node1"] = honest
    world.split()
    with suppressed():
        world.nodes["node2"].sync("node3")
    with suppressed():
        world.nodes["node3"].sync("node2")
    name = f"two-successors/{head.size}/anna"
    for node in ("node2", "node3"):
        assert name in world.evidence(node)
        kinds = {known.partition("/")[0] for known in world.evidence(node)}
        assert kinds == {"two-successors", "fork"}


def test_the_same_batch_again_convicts_nobody(world):
    """Nor does one that was signed once more, by the same officer."""
    head, line = head_of(world.nodes["node1"]), policy(world, fresh_hours=5)
    proposal = propose(ALLIANCE, head, [line])
    sign(proposal, [world.officer])
    body = body_of(proposal)
    client = world.members["maison"].client("node1")
    first = client.publish(REGISTRY, body)
    assert client.publish(REGISTRY, body)["size"] == first["size"]
    node1 = world.nodes["node1"]
    lines = body[:-1].split(b"\n")
    note_successor(node1.store, node1.directory, lines, world.clock.now())
    world.settle()
    assert not any(map(world.evidence, world.nodes))


def signed_by(world, signers, head, hours):
    return batch(signers, head, policy(world, fresh_hours=hours))


def test_a_stranger_and_a_later_head_convict_nobody(world):
    """A proposal that too few officers signed is waste paper."""
    head = head_of(world.nodes["node1"])
    stranger = NoteSigner(world.officer.name, Signer.generate())
    forged = signed_by(world, [stranger], head, 7)
    other = signed_by(world, [world.officer], Head(head.size, bytes(32)), 8)
    world.officers(policy(world, fresh_hours=5))
    later = signed_by(world, [world.officer], head_of(world.nodes["node1"]), 9)
    node1 = world.nodes["node1"]
    for lines in (forged, other, later, later[:1], [b"x"], [b"x", b"y"]):
        note_successor(node1.store, node1.directory, lines, world.clock.now())
    assert not world.evidence("node1")


class Board:
    """Three officers of whom two must sign, and what judges them: the pin alone."""

    def __init__(self):
        names = ("anna", "bert", "cleo", "dora")
        self.of = {
            n: NoteSigner(f"{ALLIANCE}/officer/{n}", Signer.generate()) for n in names
        }
        vkeys = tuple(s.vkey.render() for s in self.of.values())
        self.pin = Pin(ALLIANCE, 2, vkeys)
        self.head = Head(3, b"h" * 32)

    def batch(self, signers, hours, *lines, head=None):
        line = registry_entry("policy", 1, quorum=0, fresh_hours=hours)
        signers = [self.of[n] for n in signers]
        return tuple(batch(signers, head or self.head, line, *lines))

    def judge(self, one, two):
        from hub.directory import Directory

        raw = render_evidence(TwoSuccessors(one, two))
        assert render_evidence(parse_evidence(raw)) == raw
        return judge(raw, Directory.of_pin(self.pin), 0).name


def test_who_signed_both_is_convicted_and_nobody_else():
    board = Board()
    one = board.batch(("anna", "bert"), 1)
    two = board.batch(("bert", "cleo"), 2)
    assert board.judge(one, two) == board.judge(two, one) == "two-successors/3/bert"
    both = board.batch(("anna", "bert", "cleo"), 3)
    assert board.judge(one, both) == "two-successors/3/anna,bert"


def unproved():
    board = Board()
    one, two = board.batch(("anna", "bert"), 1), board.batch(("anna", "bert"), 2)
    few = board.batch(("anna",), 2)
    apart = board.batch(("cleo", "dora"), 2)
    elsewhere = board.batch(("anna", "bert"), 2, head=Head(3, b"i" * 32))
    place = {"size": 3, "root": "aGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGg="}
    home = {"feed": "registry", "node": "node2", "key": "A" * 43 + "=", **place}
    cut = board.batch(("anna", "bert"), 2, registry_entry("home", 1, **home))
    return {
        "the same": (board, one, one),
        "too few signed one": (board, one, few),
        "nobody signed both": (board, one, apart),
        "of two heads": (board, one, elsewhere),
        "one moves the registry": (board, one, cut),
        "an entry is missing": (board, one, two[:1]),
        "another entry": (board, one, (two[0], one[1])),
        "no batch": (board, one, ()),
        "no header": (board, one, two[1:]),
    }


@pytest.mark.parametrize("case", unproved().values(), ids=unproved())
def test_what_proves_nothing(case):
    board, one, two = case
    for pair in ((one, two), (two, one)):
        with pytest.raises((ProofError, MalformedError)):
            board.judge(*pair)


def test_officers_are_those_as_of_that_head(world):
    """One that was replaced since is convicted by what he signed then, not later."""
    node1, anna = world.nodes["node1"], world.officer
    head = head_of(node1)
    other = signed_by(world, [anna], head, 7)
    bert = NoteSigner(f"{ALLIANCE}/officer/bert", Signer.generate())
    officers = [bert.vkey.render()]
    words = {"alliance": ALLIANCE, "threshold": 1, "officers": officers}
    world.officers(registry_entry("alliance", world.clock.now(), **words))
    after = head_of(node1)
    too_late = signed_by(world, [anna], after, 7)
    world.officer = bert
    world.officers(policy(world, fresh_hours=5))
    note_successor(node1.store, node1.directory, too_late, 1)
    assert not world.evidence("node1")
    note_successor(node1.store, node1.directory, other, 1)
    assert world.evidence("node1") == {f"two-successors/{head.size}/anna"}
    with node1.store.read() as tx:
        [row] = tx.federation.evidence()
    assert len(json.loads(row.raw)["batches"]) == 2
