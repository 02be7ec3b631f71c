"""A feed moves to another home, planned or not, and is cut where it was forked."""

from __future__ import annotations

import httpx2
import pytest

from hub.audit import audit
from hub.errors import HubError, UnavailableError
from hub.sealing import seal, unseal
from hub.tlog.checkpoint import Head
from tests.hub.federation.test_conviction import fork
from tests.simulator import World, suppressed


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def head(world, node, feed="maison", size=None):
    with world.nodes[node].store.read() as tx:
        stored = tx.heads.get(feed)
        if size is None:
            return Head(stored.size, stored.root)
        from hub.tlog.merkle import Frontier

        reader = tx.objects.hash_reader(feed, size)
        return Head(size, Frontier.of_hashes(size, reader).root())


def sealed(world, node, feed="maison"):
    one = world.nodes[node]
    return seal(one.store, one.hub.registry.directory, node, feed)


def clean(world):
    """Every node holds the same of every feed, and an audit finds nothing."""
    world.settle(3)
    sizes = {
        tuple(sorted((f, node.size(f)) for f in ("registry", *world.members)))
        for node in world.nodes.values()
    }
    assert len(sizes) == 1
    for node in world.nodes.values():
        assert audit(node.store, world.pin, world.clock.now()).findings == []


def test_a_planned_move_loses_nothing(world):
    """Sealed at the old home first; then the new one signs, and clients follow."""
    maison = world.members["maison"]
    assert world.home_of("maison") == "node1"
    maison.publish(3)
    end = sealed(world, "node1")
    with pytest.raises(UnavailableError) as refused:
        maison.publish(1)
    assert refused.value.code == "sealed"
    world.officers(world.home_line("maison", "node2", end))
    world.settle()
    with pytest.raises(HubError) as moved:
        maison.publish(1, at="node1")
    assert (moved.value.code, moved.value.home) == ("not-home", "http://node2.example")
    receipt = maison.publish(2, at="node2")
    assert receipt["first"] == 4
    clean(world)
    market = world.members["market"]
    assert not market.pull("node3").problems
    assert audit(market.store, world.pin, world.clock.now()).findings == []


def test_a_move_that_was_given_up_is_unsealed(world):
    maison = world.members["maison"]
    maison.publish(3)
    sealed(world, "node1")
    unseal(world.nodes["node1"].store, "maison")
    assert maison.publish(1)["first"] == 4


def test_a_new_home_that_lacks_the_end_signs_nothing(world):
    """It must hold the feed up to the named head first."""
    maison = world.members["maison"]
    maison.publish(3)
    world.split({"node2"}, {"node1", "node3", "maison"})
    maison.publish(1)
    end = sealed(world, "node1")
    world.officers(world.home_line("maison", "node2", end))
    world.split({"node1"}, {"node2", "node3", "maison"})
    # node2 learns of its new duty from node3 and misses entries 4 and 5.
    world.nodes["node3"].up = True
    with suppressed():
        world.nodes["node2"].sync("node3")
    node2 = world.nodes["node2"]
    if node2.size("maison") < end.size:
        with pytest.raises(UnavailableError):
            maison.publish(1, at="node2")
    world.split()
    world.settle()
    assert maison.publish(1, at="node2")["first"] == end.size
    clean(world)


def test_a_feed_outlives_its_home(world):
    """The home is gone for ever: the officers name another, at the head that is known."""
    market = world.members["market"]
    home = world.home_of("market")
    assert home == "node2"
    market.publish(3)
    world.settle()
    world.nodes[home].up = False
    world.officers(world.home_line("market", "node3", head(world, "node3", "market")))
    world.nodes["node3"].sync("node1")
    receipt = market.publish(1, at="node3")
    assert receipt["first"] == 4
    assert len(receipt["cosignatures"]) == 1


@pytest.mark.parametrize("follow", ["node2", "node3"])
def test_the_officers_resolve_a_fork(world, follow):
    """A home entry says which history goes on; the other is set aside everywhere."""
    maison = world.members["maison"]
    maison.publish(1)
    world.settle()
    fork(world, more=2)
    world.settle()
    common = head(world, follow, size=2)
    chosen = head(world, follow)
    lost = "node2" if follow == "node3" else "node3"
    assert head(world, lost) != chosen
    world.officers(world.home_line("maison", "node3", chosen))
    world.settle(4)
    assert all(head(world, n) == chosen for n in world.nodes), (common, chosen)
    receipt = maison.publish(2, at="node3")
    assert receipt["first"] == chosen.size
    clean(world)
    with world.nodes[lost].store.read() as tx:
        assert tx.federation.aside("maison")
    # The evidence stays, and convicts the key that is no longer the home's.
    assert all(world.evidence(n) for n in world.nodes)


def test_a_forked_feed_needs_a_key_that_is_new_to_it(world):
    fork(world)
    world.settle()
    with pytest.raises(HubError, match="new one"):
        world.officers(world.home_line("maison", "node1", head(world, "node2")))


def test_a_losing_branch_convicts_no_new_home(world):
    """An old head below the cut, shown by whoever was away, is lag and no evidence."""
    maison = world.members["maison"]
    fork(world, more=2)
    lost = world.nodes["node3"].save()
    world.settle()
    # node2 holds the twin's history of two batches, which the officers choose.
    world.officers(world.home_line("maison", "node2", head(world, "node2")))
    world.settle(3)
    maison.publish(1, at="node2")
    before = {name: world.evidence(name) for name in world.nodes}
    with world.nodes["node1"].store.read() as tx:
        [row] = tx.federation.evidence("maison")
    world.nodes["node3"].restore(lost)
    for one, other in (("node2", "node3"), ("node3", "node2"), ("node1", "node3")):
        with suppressed():
            world.nodes[one].sync(other)
    assert {name: world.evidence(name) for name in ("node1", "node2")} == {
        name: before[name] for name in ("node1", "node2")
    }
    assert maison.publish(1, at="node2")["first"]
    assert row.name.endswith(world.nodes["node1"].log.public.hex())


def test_a_new_home_without_the_lines_does_not_sign(world):
    """It knows of its duty and lacks the end of the feed: it waits, and then goes on."""
    maison = world.members["maison"]
    maison.publish(3)
    world.settle()
    world.split({"node2"}, {"node1", "node3", "maison", "officer"})
    maison.publish(1)
    end = sealed(world, "node1")
    world.officers(world.home_line("maison", "node2", end))
    world.split()

    def no_lines(request, status, raw):
        broken = request.url.path == "/v1/feeds/maison/entries"
        return (500, b"") if broken else (status, raw)

    world.lies["node1", "*"] = world.lies["node3", "*"] = no_lines
    for peer in ("node1", "node3"):
        with suppressed():
            world.nodes["node2"].sync(peer)
    assert world.nodes["node2"].directory.home("maison").node == "node2"
    assert world.nodes["node2"].size("maison") < end.size
    with pytest.raises(UnavailableError):
        maison.publish(1, at="node2")
    world.lies.clear()
    world.settle()
    assert maison.publish(1, at="node2")["first"] == end.size
    clean(world)


def test_a_cosigner_that_shows_more_makes_no_liar_of_the_home(world):
    """Its answer to the home was lost: the home lags, and has not rolled back."""
    maison, market = world.members["maison"], world.members["market"]
    maison.publish(1)
    world.settle()

    def lost(request, status, raw):
        if request.url.path == "/v1/witness/add-checkpoint":
            raise httpx2.ReadError("gone", request=request)
        return status, raw

    world.lies["node2", "node1"] = world.lies["node3", "node1"] = lost
    assert maison.publish(1)["cosignatures"] == []
    assert ("maison", 0, 4) in market.pull("node2").feeds
    found = market.pull("node1")
    assert not found.problems
    assert found.lagging == {"maison": (2, 4)}
    world.lies.clear()
    world.settle()
    assert not market.pull("node1").lagging
    # What the home showed itself it must show for ever.
    node1 = world.nodes["node1"]
    old = node1.save()
    maison.publish(1)
    assert ("maison", 4, 6) in market.pull("node1").feeds
    node1.restore(old)
    for _ in range(2):
        found = market.pull("node1")
        assert found.problems["maison"].code == "rollback"
        assert "it was at 6 before" in found.problems["maison"].message
    world.settle()
    assert not market.pull("node1").problems
