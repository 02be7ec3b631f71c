"""An order to erase is of the line that stood there, not of what stands there later."""

from __future__ import annotations

import pytest

from hub.audit import audit
from hub.feeds import delete_due
from hub.officers import registry_entry
from hub.registry import Registry
from hub.store.memory import MemoryStore
from hub.sync import pull
from hub.tlog.checkpoint import Head
from hub.tlog.merkle import Frontier
from tests.simulator import START, World


@pytest.fixture
def world(tmp_path):
    """The officers had market/4 erased, then let the feed go on from its third entry."""
    world = World(tmp_path)
    market = world.members["market"]
    for _ in range(2):
        market.publish(2)
    fields = {"feed": "market", "indices": [4], "ground": "court-order"}
    world.officers(registry_entry("erasure", START, **fields))
    world.settle()
    with world.nodes["node2"].store.read() as tx:
        assert set(tx.erasures.hidden("market", 0, 6)) == {4}
        reader = tx.objects.hash_reader("market", 3)
        common = Head(3, Frontier.of_hashes(3, reader).root())
    world.officers(world.home_line("market", "node3", common))
    world.settle(4)
    assert all(node.size("market") == 3 for node in world.nodes.values())
    market.publish(3, at="node3")
    world.settle(3)
    return world


def test_a_line_after_the_cut_is_not_hidden_by_an_order_before_it(world):
    """Neither where the feed was cut, nor where it is mirrored only now."""
    stores = [node.store for node in world.nodes.values()]
    fresh, registry = MemoryStore(), Registry(world.pin)
    client = world.members["maison"].client("node1")
    assert not pull(fresh, registry, client, world.clock.now()).problems
    for store in (*stores, fresh):
        delete_due(store, world.clock.now() + 10**7)
        with store.read() as tx:
            assert tx.erasures.hidden("market", 0, 7) == {}
            assert next(tx.objects.lines("market", 4, 5)).raw
        report = audit(store, world.pin, world.clock.now())
        assert (report.findings, report.erased, report.open) == ([], [], [])


def test_an_order_after_the_cut_counts(world):
    fields = {"feed": "market", "indices": [4], "ground": "court-order"}
    world.officers(registry_entry("erasure", START, **fields))
    world.settle(3)
    fresh, registry = MemoryStore(), Registry(world.pin)
    client = world.members["maison"].client("node1")
    assert not pull(fresh, registry, client, world.clock.now()).problems
    with fresh.read() as tx:
        assert set(tx.erasures.hidden("market", 0, 7)) == {4}
    assert not audit(fresh, world.pin, world.clock.now()).findings
