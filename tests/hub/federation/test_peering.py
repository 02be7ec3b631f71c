"""What is known of peers: back-off, lag, alarms, figures."""

from __future__ import annotations

import pytest

from hub.errors import HubError, UnavailableError
from hub.peering import MOST_PAUSE, PAUSE, alarms, check_known, peerings, visit
from tests.simulator import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def of(world, node, peer):
    return next(p for p in peerings(world.nodes[node].federation) if p.name == peer)


def test_a_peer_that_fails_is_left_alone_longer_each_time(world):
    """The pause doubles up to an hour; an answer ends it; force breaks it."""
    world.nodes["node3"].up = False
    node1 = world.nodes["node1"].federation
    pauses = []
    for _ in range(12):
        with pytest.raises(UnavailableError):
            visit(node1, "node3")
        state = of(world, "node1", "node3")
        pauses.append(state.next_try - world.clock.now())
        assert visit(node1, "node3") is None
        world.clock.time = state.next_try
    assert pauses[:3] == [PAUSE, 2 * PAUSE, 4 * PAUSE]
    assert pauses[-1] == MOST_PAUSE
    world.nodes["node3"].up = True
    assert visit(node1, "node3") is not None
    state = of(world, "node1", "node3")
    assert (state.failures, state.error, state.next_try) == (0, "", 0)


def test_force_does_not_wait(world):
    world.nodes["node3"].up = False
    node1 = world.nodes["node1"].federation
    for _ in range(2):
        with pytest.raises(UnavailableError):
            visit(node1, "node3", force=True)
    world.nodes["node3"].up = True
    assert visit(node1, "node3", force=True)


def test_lag_and_silence_are_seen(world):
    world.split({"node3"}, {"node1", "node2", "maison", "market"})
    node1 = world.nodes["node1"].federation
    world.members["maison"].publish(4)
    world.clock.advance(4000)
    with pytest.raises(UnavailableError):
        visit(node1, "node3")
    assert any(a.startswith("node3 is silent") for a in alarms(node1))
    world.split()
    world.nodes["node3"].sync("node2")
    visit(node1, "node3", force=True)
    state = of(world, "node1", "node3")
    assert (state.lag, state.cosigned) == (0, state.heads)
    assert list(alarms(node1)) == []


def test_a_head_without_its_quorum_is_an_alarm(world):
    """And it is shown to nobody but nodes and its own member."""
    world.split({"node1", "maison", "market"}, {"node2", "node3"})
    receipt = world.members["maison"].publish(2)
    assert receipt["cosignatures"] == []
    node1 = world.nodes["node1"].federation
    assert any(a.startswith("maison has no quorum") for a in alarms(node1))
    shown = world.members["market"].client("node1").heads()[0]["feeds"]
    assert "maison" not in {f["feed"] for f in shown}
    own = world.members["maison"].client("node1").heads()[0]["feeds"]
    assert "maison" in {f["feed"] for f in own}


def test_figures_and_peers_over_http(world):
    world.settle()
    client = world.members["market"].client("node1")
    text = client.get_bytes("/metrics").decode()
    assert 'hub_feed_entries{feed="registry"}' in text
    assert 'hub_peer_failures{peer="node2"} 0.0' in text
    body = client.get_json("/v1/peers")
    assert [p["node"] for p in body["peers"]] == ["node2", "node3"]
    assert body["alarms"] == []


def test_who_is_no_peer_is_refused(world):
    with pytest.raises(HubError, match="node9"):
        check_known(world.nodes["node1"].federation, "node9")
