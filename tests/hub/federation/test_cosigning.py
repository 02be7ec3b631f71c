"""Nodes mirror each other, cosign what they hold, and show heads with their quorum."""

from __future__ import annotations

import pytest

from hub.audit import audit
from hub.officers import registry_entry
from tests.simulator import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_batch_gets_its_quorum_at_once(world):
    """The home asks its peers, who fetch and store before they answer."""
    receipt = world.members["maison"].publish(3)
    assert receipt["size"] == 4
    assert len(receipt["cosignatures"]) == 2
    assert all(node.size("maison") == 4 for node in world.nodes.values())


def test_a_member_pulls_from_any_node(world):
    world.members["maison"].publish(3)
    world.settle()
    for node in world.nodes:
        market = world.members["market"]
        found = market.pull(node)
        assert not found.problems
    with market.store.read() as tx:
        assert tx.heads.get("maison").size == 4
        assert len({r.node for r in tx.heads.cosignatures("maison", 4)}) == 3
    assert audit(market.store, world.pin, world.clock.now()).findings == []


def test_a_larger_quorum_hides_nothing_that_was_shown(tmp_path):
    """What everybody saw stays; only what comes after waits for the quorum."""
    world = World(tmp_path, quorum=0)
    maison, market = world.members["maison"], world.members["market"]
    maison.publish(3)
    world.settle()
    world.split({"node1", "maison", "market"}, {"node2", "node3"})
    maison.publish(1)
    assert not market.pull("node1").problems
    world.officers(registry_entry("policy", world.clock.now(), quorum=2))
    maison.publish(1)
    found = market.pull("node1")
    assert (found.problems, found.feeds) == ({}, [])
    with market.store.read() as tx:
        assert tx.heads.get("maison").size == 6
    world.split()
    world.settle()
    assert not market.pull("node1").problems
    with market.store.read() as tx:
        assert tx.heads.get("maison").size == 8
