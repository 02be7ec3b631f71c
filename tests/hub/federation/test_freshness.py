"""How old the quorum of a head may be: shown, and required where somebody asks."""

from __future__ import annotations

import functools
import json

import pytest

import hub.wiring
from hub.client import Client, Identity
from hub.officers import registry_entry
from hub.store.sqlite import SqliteStore
from hub.sync import pull
from hub.witness import FRESH, aged_quorums, quorum_age
from tests.faultkit import run
from tests.simulator import Wire, World

HOUR = 3600


@pytest.mark.parametrize(
    ("newest", "needed", "age"),
    [
        ({}, 1, None),
        ({"a": 900}, 1, 100),
        ({"a": 900}, 2, None),
        ({"a": 900, "b": 600}, 1, 100),
        ({"a": 900, "b": 600}, 2, 400),
        ({"a": 900, "b": 600, "c": 100}, 3, 900),
        # A clock may be a little ahead; a line from tomorrow says nothing.
        ({"a": 1200}, 1, 0),
        ({"a": 1301}, 1, None),
        ({"a": 99_999, "b": 600}, 1, 400),
    ],
)
def test_the_age_is_that_of_the_qth_newest(newest, needed, age):
    assert quorum_age(newest, needed, 1000) == age


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, quorum=2)
    world.members["maison"].publish(1)
    world.settle()
    return world


def aged(world, store, registry):
    with store.read() as tx:
        found = aged_quorums(tx, registry.directory(tx), world.clock.now())
    return {one.feed: (one.age or 0) // HOUR for one in found}


def test_a_head_ages_until_it_is_cosigned_again(world):
    """With the policy's hours, from the mirror alone; the home's own line is none."""
    market = world.members["market"]

    def old():
        return aged(world, market.store, market.registry)

    market.pull("node1")
    assert old() == {}
    with market.store.read() as tx:
        rows = tx.heads.cosignatures("maison", 2)
        begun = min(r.time for r in rows if r.node != "node1")
    world.clock.time = begun + 24 * HOUR
    assert "maison" not in old()
    world.clock.advance(10)
    assert old() == {"maison": 24, "registry": 24}
    # One of two that must have done so is not enough.
    world.nodes["node3"].up = False
    world.nodes["node2"].sync("node1")
    world.nodes["node1"].sync("node2")
    market.pull("node1")
    assert old() == {"maison": 24, "registry": 24}
    world.nodes["node3"].up = True
    world.clock.advance(FRESH)
    world.settle()
    market.pull("node1")
    assert old() == {}
    world.officers(registry_entry("policy", world.clock.now(), quorum=2, fresh_hours=1))
    world.settle()
    market.pull("node1")
    world.clock.advance(HOUR + 10)
    assert set(old()) == {"maison", "registry"}


def test_without_a_quorum_nothing_ages(tmp_path):
    world = World(tmp_path, quorum=0)
    world.members["maison"].publish(1)
    market = world.members["market"]
    market.pull("node1")
    world.clock.advance(999 * HOUR)
    assert aged(world, market.store, market.registry) == {}


@pytest.fixture
def folder(world, tmp_path, monkeypatch):
    """The folder of market, whose commands reach the nodes of the world."""
    place = tmp_path / "market"
    place.mkdir()
    (place / "pin.json").write_text(world.pin.render())
    (place / "config.toml").write_text(
        '[self]\nrole = "member"\nname = "market"\n'
        '[client]\nhubs = ["http://node1.example"]\n'
    )
    market = world.members["market"]
    store = SqliteStore(place / "hub.db", create=True)
    pull(store, market.registry, market.client("node1"), world.clock.now())
    store.close()
    identity = Identity(market.key.name, market.signer)
    reached = functools.partial(Client, transport=Wire(world, "market"))
    monkeypatch.setattr(hub.wiring, "Client", reached)
    monkeypatch.setattr(hub.wiring, "SystemClock", lambda: world.clock)
    monkeypatch.setattr(hub.wiring.Hub, "identity", lambda _hub: identity)
    (place / "sellers.csv").write_text("seller,domain\n")
    return place


COMMANDS = {
    "pull": ("pull",),
    "screen": ("screen", "{}/sellers.csv", "--ref", "seller"),
    "proof": ("proof", "maison/1"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_commands_say_it_and_refuse_if_asked(world, folder, words):
    """Status 5 with ``--require-fresh``, a sentence without; nothing when fresh."""
    words = [word.format(folder) for word in words]
    for more in ([], ["--require-fresh"]):
        done = run(folder, *words, *more)
        assert (done.status, "other nodes" in done.err) == (0, False), done.err
    world.clock.advance(25 * HOUR)
    said = run(folder, *words)
    assert said.status == 0
    assert "maison at 2 was last cosigned by 2 other nodes 25 h ago" in said.err
    refused = run(folder, *words, "--require-fresh")
    assert refused.status == 5
    assert "Pull again" in refused.err
    world.settle()
    assert run(folder, "pull", "--require-fresh").status == 0
    assert run(folder, *words, "--require-fresh").status == 0


def test_a_proof_says_by_when_according_to_whom(world, folder):
    """It carries the cosignatures; they verify without network, whatever their age."""
    world.clock.advance(99 * HOUR)
    assert run(folder, "proof", "maison/1", "--out", folder / "p").status == 0
    [found] = run(folder, "verify", folder / "p").out
    assert [w["node"] for w in found["witnesses"]] == ["node2", "node3"]
    body = json.loads((folder / "p").read_text())
    lines = body["entry_proof"].count("/node/node")
    assert lines >= 2
