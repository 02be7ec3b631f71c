"""Who signs two things that cannot both be true is convicted; the honest never are."""

from __future__ import annotations

import pytest

from hub.conviction import judge
from hub.errors import ProofError, RefusedError
from hub.model import render_time
from hub.officers import registry_entry
from tests.simulator import World, rewrite, suppressed


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def fork(world, *, more=1):
    """Let maison's home sign two histories, and show each to one side of a split."""
    home = world.home_of("maison")
    twin = world.twin(home)
    maison = world.members["maison"]
    world.split({"node2"}, {"node1", "node3", "maison"})
    maison.publish(2)
    world.nodes["node1"], honest = twin, world.nodes["node1"]
    world.split({"node3"}, {"node1", "node2", "maison"})
    for _ in range(more):
        maison.publish(3)
    world.split()
    return honest, twin


@pytest.mark.parametrize("more", [1, 2])
def test_a_fork_is_convicted_by_whoever_sees_both(world, more):
    """Equal or different sizes: two honest nodes that compare find the proof."""
    fork(world, more=more)
    for one, other in (("node3", "node2"), ("node2", "node3")):
        with suppressed():
            world.nodes[one].sync(other)
    name = f"fork/maison/{world.nodes['node1'].log.public.hex()}"
    assert world.evidence("node2") == world.evidence("node3") == {name}


def test_a_forked_feed_freezes_and_the_others_go_on(world):
    fork(world)
    world.settle()
    with pytest.raises(RefusedError) as refused:
        world.members["maison"].publish(1, at="node1")
    assert refused.value.code == "frozen"
    size = world.nodes["node3"].size("maison")
    world.settle()
    assert world.nodes["node3"].size("maison") == size
    receipt = world.members["market"].publish(2)
    assert receipt["size"] == 3
    answer = world.members["market"].client("node3").heads()[0]
    frozen = {f["feed"]: f["frozen"] for f in answer["feeds"]}
    assert frozen["maison"]
    assert not frozen["market"]


def test_evidence_stands_alone(world):
    """A third party with the registry checks the file; another's keys are no proof."""
    fork(world)
    world.settle()
    with world.nodes["node3"].store.read() as tx:
        [row] = tx.federation.evidence()
    directory = world.nodes["node2"].directory
    assert judge(row.raw, directory, 0).name == row.name
    other = World(world.nodes["node1"].folder / "other")
    with pytest.raises(ProofError):
        judge(row.raw, other.nodes["node1"].directory, 0)


def test_a_witness_that_went_back_is_convicted(world):
    """A node that lost its state and marks cosigns a smaller head later."""
    maison = world.members["maison"]
    node3 = world.nodes["node3"]
    maison.publish(1)
    old = node3.save()
    world.clock.advance(10)
    maison.publish(1)
    world.clock.advance(10)
    node3.restore(old, marks=False)
    # It cosigns what its old disk holds, although it cosigned more before.
    world.clock.advance(4000)
    node3.federation.cosign_due(node3.federation_done())
    world.nodes["node2"].sync("node3")
    world.nodes["node2"].sync("node1")
    names = world.evidence("node2")
    assert names == {f"witness-rollback/node3/{node3.witness.public.hex()}"}


def test_a_closed_witness_key_stays_convicted(world):
    """Officers close the guilty key; the lines that it made before prove it still."""
    maison, node3 = world.members["maison"], world.nodes["node3"]
    maison.publish(1)
    old = node3.save()
    world.clock.advance(10)
    maison.publish(1)
    node3.restore(old, marks=False)
    world.clock.advance(4000)
    node3.federation.cosign_due(node3.federation_done())
    world.nodes["node2"].sync("node3")
    world.nodes["node2"].sync("node1")
    names = {f"witness-rollback/node3/{node3.witness.public.hex()}"}
    assert world.evidence("node2") == names
    assert world.evidence("node1") == set()
    guilty = {"owner": "node/node3", "label": "witness", "reason": "stolen"}
    now = world.clock.now()
    world.officers(registry_entry("key-closed", now + 60, **guilty))
    world.clock.advance(120)
    node1 = world.nodes["node1"]
    assert node1.directory.witness("node3") is None
    with world.nodes["node2"].store.read() as tx:
        [row] = tx.federation.evidence()
    assert {judge(row.raw, node1.directory, 0).name} == names
    # It spreads to who learns of it only now.
    node1.sync("node2")
    assert world.evidence("node1") == names
    # Were the key closed before it went back, then whoever stole it might have.
    early = registry_entry("key-closed", now, when=render_time(now - 1), **guilty)
    world.officers(early)
    with pytest.raises(ProofError):
        judge(row.raw, node1.directory, 0)


def test_a_witness_with_its_marks_never_goes_back(world):
    """The same old disk with the marks beside the key: it catches up first."""
    maison, node3 = world.members["maison"], world.nodes["node3"]
    maison.publish(1)
    old = node3.save()
    world.clock.advance(10)
    maison.publish(1)
    node3.restore(old)
    world.clock.advance(4000)
    done = node3.federation_done()
    node3.federation.cosign_due(done)
    assert "maison" in done.problems
    world.settle()
    assert node3.size("maison") == 4
    assert not any(world.evidence(n) for n in world.nodes)


def test_a_lagging_node_is_no_fork(world):
    """An older head that is a part of ours convicts nobody and is no problem."""
    maison = world.members["maison"]
    maison.publish(1)
    world.settle()
    world.split({"node3"}, {"node1", "node2", "maison"})
    maison.publish(1)
    world.split()
    world.members["market"].publish(1)
    done = world.nodes["node2"].sync("node3")
    assert done.problems == {}
    assert done.pulled.lagging == {"maison": (2, 4)}
    assert not any(world.evidence(n) for n in world.nodes)


def test_evidence_spreads_to_who_saw_nothing(world):
    """A node and a member that saw one history only get the proof from the others."""
    fork(world)
    with suppressed():
        world.nodes["node3"].sync("node2")
    assert world.evidence("node3")
    world.split({"node1"}, {"node2", "node3", "market"})
    world.nodes["node2"].sync("node3")
    assert world.evidence("node2") == world.evidence("node3")
    found = world.members["market"].pull("node2")
    assert found.evidence == list(world.evidence("node2"))


@pytest.mark.parametrize("lie", [7, [7], {"a": 1}, ["fork/maison/00"], [None], "x"])
def test_a_peer_that_lies_about_evidence_convicts_nobody(world, lie):
    world.lies["node3", "*"] = rewrite("/v1/feeds", lambda b: b.update(evidence=lie))
    world.members["maison"].publish(2)
    with suppressed():
        world.nodes["node2"].sync("node3")
    assert not world.evidence("node2")
    assert world.nodes["node2"].size("maison") == 3
