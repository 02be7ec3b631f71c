"""What a node asks of a registry batch before it signs a checkpoint over it."""

from __future__ import annotations

import json

import pytest

from hub.directory import Pin
from hub.errors import ConflictError, MalformedError, NotHomeError
from hub.feeds import publish
from hub.model import new_case_id, new_salt, render_time
from hub.officers import body_of, propose, registry_entry, sign
from hub.peer import Mirror
from hub.publishing import make_batch
from hub.registry import Registry
from hub.store.memory import MemoryStore
from hub.sync import pull
from hub.tlog.checkpoint import open_checkpoint
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.note import NoteSigner
from schemas.base import render_line
from tests.hub.officerkit import ALLIANCE, EMPTY, NOW, close, home, key, officer


def line(entry):
    """The line of an entry of the kit."""
    return json.dumps(entry, separators=(",", ":")).encode()


class Site:
    """A node: a store, its log keys, and what it says to a batch."""

    def __init__(self, pin, name):
        self.name, self.url = name, f"https://{name}.alliance.example"
        self.store, self.registry = MemoryStore(), Registry(pin)
        self.log, self.log2 = Signer.generate(), Signer.generate()
        self.witness = Signer.generate()

    @property
    def keys(self):
        return {s.public: s for s in (self.log, self.log2)}

    def head(self, feed="registry"):
        with self.store.read() as tx:
            if feed == "registry":
                return self.registry.current(tx).head
            return tx.heads.get(feed)

    def post(self, body, feed="registry", keys=None):
        lines = body[:-1].split(b"\n")
        current = self.registry.current
        return publish(
            self.store, current, feed, lines, signer=keys or self.keys, now=NOW
        )

    def entries(self):
        """A node entry, its log keys and its witness key."""
        owner = f"node/{self.name}"
        return [
            registry_entry("node", NOW, name=self.name, url=self.url),
            line(key(owner, "log", ["log"], self.log)),
            line(key(owner, "log-2", ["log"], self.log2)),
            line(key(owner, "witness", ["witness"], self.witness)),
        ]

    def pull(self, other):
        return pull(self.store, self.registry, Mirror(other.store, other.url), NOW)


class World:
    """Two officers, node1, node2, and the member maison."""

    def __init__(self):
        self.officers = [officer("anna"), officer("berta")]
        vkeys = tuple(o.vkey.render() for o in self.officers)
        self.pin = Pin(ALLIANCE, 2, vkeys)
        self.node1, self.node2 = Site(self.pin, "node1"), Site(self.pin, "node2")
        self.first = registry_entry(
            "alliance", NOW, alliance=ALLIANCE, threshold=2, officers=list(vkeys)
        )
        self.k1, self.k2 = Signer.generate(), Signer.generate()

    def body(self, head, *lines, officers=None):
        proposal = propose(ALLIANCE, head, lines)
        sign(proposal, officers or self.officers)
        return body_of(proposal)

    def founding(self, site=None, log=None):
        site = site or self.node1
        cut = home("registry", site.name, log or site.log)
        return self.body(site.head(), self.first, *site.entries(), line(cut))

    def found(self):
        """Start on node1 and admit maison."""
        self.node1.post(self.founding())
        self.registry(
            registry_entry("member", NOW, name="maison"),
            line(key("member/maison", "k1", ["publish", "request"], self.k1)),
            line(home("maison", "node1", self.node1.log)),
            *self.node2.entries(),
        )
        return self

    def registry(self, *lines):
        return self.node1.post(self.body(self.node1.head(), *lines))

    def publish(self, label="k1", signer=None):
        entry = {
            "kind": "action",
            "salt": new_salt(),
            "at": render_time(NOW),
            "case": new_case_id(),
            "action": "account-closed",
            "channel": "online",
        }
        named = NoteSigner(f"{ALLIANCE}/member/maison/{label}", signer or self.k1)
        origin = f"{ALLIANCE}/maison"
        body = make_batch(origin, [render_line(entry)], self.node1.head(), named)[1]
        return self.node1.post(body, "maison")

    def moved(self, feed, log, node="node1", head=None):
        head = head or self.node1.head(feed)
        size, root = (head.size, to_base64(head.root)) if head else (0, EMPTY)
        return line(home(feed, node, log, size, root))


@pytest.fixture
def world():
    return World().found()


def test_an_empty_node_accepts_the_batch_that_names_it():
    """So an alliance starts: m signatures, and a home entry for it and its head."""
    world = World()
    receipt = world.node1.post(world.founding())
    public = world.node1.log.public
    checkpoint = open_checkpoint(receipt.checkpoint, f"{ALLIANCE}/registry", public)
    assert checkpoint.size == receipt.size == 7


def test_an_empty_node_refuses_a_batch_that_names_another():
    world = World()
    with pytest.raises(NotHomeError) as caught:
        world.node1.post(world.founding(world.node2))
    assert caught.value.home == world.node2.url
    assert world.node1.head().size == 0


def test_an_empty_node_refuses_a_log_key_that_is_not_its_own():
    """Else its checkpoints would be signed by nobody."""
    world, stranger = World(), Signer.generate()
    other = key("node/node1", "log-3", ["log"], stranger)
    body = world.body(
        world.node1.head(),
        world.first,
        *world.node1.entries(),
        line(other),
        line(home("registry", "node1", stranger)),
    )
    with pytest.raises(NotHomeError, match="not here"):
        world.node1.post(body)


def test_an_empty_node_refuses_a_batch_without_a_home():
    world = World()
    body = world.body(world.node1.head(), world.first, *world.node1.entries())
    with pytest.raises(NotHomeError, match="names no home for registry"):
        world.node1.post(body)


def test_too_few_officers_found_nothing():
    world = World()
    world.officers = world.officers[:1]
    with pytest.raises(Exception, match="1 of 2"):
        world.node1.post(world.founding())
    assert world.node1.head().size == 0


def test_a_mirror_becomes_the_registrys_home_when_it_is_lost(world):
    """It holds the head that the home entry names, and goes on from there."""
    world.publish()
    world.node2.pull(world.node1)
    before = world.node2.head()
    cuts = [
        world.moved("registry", world.node2.log, "node2"),
        world.moved("maison", world.node2.log, "node2"),
    ]
    receipt = world.node2.post(world.body(before, *cuts))
    origin = f"{ALLIANCE}/registry"
    open_checkpoint(receipt.checkpoint, origin, world.node2.log.public)
    with world.node2.store.read() as tx:
        directory = world.node2.registry.directory(tx)
    assert directory.log_public("registry", before.size) == world.node1.log.public
    assert directory.home("registry").node == directory.home("maison").node == "node2"
    # A third mirror follows from one home to the other.
    reader = Site(world.pin, "reader")
    reader.pull(world.node1)
    assert not reader.pull(world.node2).problems
    assert reader.head() == world.node2.head()


def test_a_mirror_without_that_head_refuses(world):
    """A batch for a longer registry than it holds would leave a gap."""
    world.node2.pull(world.node1)
    world.registry(registry_entry("member", NOW, name="market"))
    cut = world.moved("registry", world.node2.log, "node2")
    with pytest.raises(ConflictError, match="signed on top of"):
        world.node2.post(world.body(world.node1.head(), cut))


def test_the_old_home_does_not_sign_its_own_removal(world):
    """The checkpoint over that batch is signed with the new home's key."""
    cut = world.moved("registry", world.node2.log, "node2")
    with pytest.raises(NotHomeError) as caught:
        world.registry(cut)
    assert caught.value.home == world.node2.url


def test_a_mirror_refuses_an_ordinary_batch_and_says_where_to(world):
    world.node2.pull(world.node1)
    plain = registry_entry("member", NOW, name="market")
    with pytest.raises(NotHomeError) as caught:
        world.node2.post(world.body(world.node2.head(), plain))
    assert caught.value.home == world.node1.url


def test_a_feed_moves_from_the_head_that_is_stored(world):
    """What was published since the proposal would be lost, so it is made again."""
    stale = world.moved("maison", world.node1.log2)
    world.publish()
    with pytest.raises(ConflictError) as caught:
        world.registry(stale)
    assert caught.value.code == "stale-home"
    world.registry(world.moved("maison", world.node1.log2))
    receipt = world.publish()
    open_checkpoint(receipt.checkpoint, f"{ALLIANCE}/maison", world.node1.log2.public)


def test_after_its_feed_moved_a_node_signs_no_more_of_it(world):
    """Its checkpoint above the cut would be void."""
    world.publish()
    world.registry(world.moved("maison", world.node2.log, "node2"))
    with pytest.raises(NotHomeError) as caught:
        world.publish()
    assert caught.value.home == world.node2.url


def test_a_log_key_is_replaced_in_one_batch(world):
    """The new key signs the checkpoint over the batch that names it."""
    world.publish()
    moves = [world.moved(f, world.node1.log2) for f in ("registry", "maison")]
    receipt = world.registry(*moves, line(close("node/node1", "log")))
    origin = f"{ALLIANCE}/registry"
    open_checkpoint(receipt.checkpoint, origin, world.node1.log2.public)
    world.publish()
    assert not Site(world.pin, "reader").pull(world.node1).problems


def test_a_change_of_keys_never_voids_what_was_published_meanwhile(world):
    """The index at which the old key closes is the end of the feed, or beyond."""
    index = world.publish().size
    world.publish()
    new = line(key("member/maison", "k2", ["publish", "request"], world.k2))
    old = line(close("member/maison", "k1", index=index))
    with pytest.raises(ConflictError) as caught:
        world.registry(new, old)
    assert caught.value.code == "stale-index"
    # Alone, the same closing is what officers do about a stolen key.
    world.registry(old)
    size = world.node1.head("maison").size
    world.registry(new)
    assert world.publish("k2", world.k2).first == size


def test_a_key_may_close_beyond_the_end(world):
    """Officers who take a day to sign leave room for what is published meanwhile."""
    size = world.publish().size
    new = line(key("member/maison", "k2", ["publish", "request"], world.k2))
    world.registry(new, line(close("member/maison", "k1", index=size + 2)))
    assert world.publish().first == size
    with pytest.raises(Exception, match="closed"):
        world.publish()
    assert world.publish("k2", world.k2).first == size + 2


def test_a_batch_after_which_no_quorum_is_possible_is_refused(world):
    """Two nodes can have a quorum of one, and not when the other cannot cosign."""
    world.registry(registry_entry("policy", NOW, quorum=1))
    with pytest.raises(MalformedError, match="only 0 nodes could cosign"):
        world.registry(line(close("node/node2", "witness")))
    with pytest.raises(MalformedError, match="exceeds the number of other nodes"):
        world.registry(registry_entry("policy", NOW, quorum=2))
