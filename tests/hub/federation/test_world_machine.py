"""Whatever happens in which order: nothing acknowledged is lost, nobody honest is blamed.

Three nodes, of which node3 is hostile: it may sign two histories of its member's feed.
Publishing, syncs, partitions, restarts, restores of old disks and time pass in random
order. At the end the links are healed and every node syncs with every other.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from hub.errors import HubError
from hub.store.base import Store
from hub.tlog.merkle import Frontier
from tests.simulator import World, suppressed

HONEST = ("node1", "node2")
NODES = (*HONEST, "node3")
MEMBERS = ("maison", "market", "parcel")
nodes, honest = st.sampled_from(NODES), st.sampled_from(HONEST)


def root_at(store: Store, feed: str, size: int) -> bytes | None:
    """Return the root of the first ``size`` entries, None when fewer are there."""
    with store.read() as tx:
        if tx.objects.size(feed) < size:
            return None
        reader = tx.objects.hash_reader(feed, size)
        return Frontier.of_hashes(size, reader).root()


class Federated(RuleBasedStateMachine):
    """The world and what must hold in it."""

    @initialize()
    def found(self):
        self.folder = Path(tempfile.mkdtemp(prefix="world-"))
        self.world = World(self.folder, members=MEMBERS, quorum=1)
        self.receipts: list[tuple[str, int, bytes]] = []
        self.disks: dict[str, object] = {}
        self.forked = False

    def teardown(self):
        if hasattr(self, "world"):
            self.settled()
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- what happens ----------------------------------------------------------------

    @rule(member=st.sampled_from(MEMBERS), count=st.integers(1, 3))
    def publish(self, member, count):
        home = self.world.home_of(member)
        try:
            receipt = self.world.members[member].publish(count, at=home)
        except HubError:
            return
        if len(receipt["cosignatures"]) >= receipt["quorum"] and home in HONEST:
            root = root_at(self.world.nodes[home].store, member, receipt["size"])
            assert root is not None
            self.receipts.append((member, receipt["size"], root))

    @rule(one=nodes, other=nodes)
    def sync(self, one, other):
        if one != other and self.world.nodes[one].up:
            with suppressed():
                self.world.nodes[one].sync(other)

    @rule(alone=nodes)
    def cut_off(self, alone):
        rest = {*NODES, *MEMBERS, "officer"} - {alone}
        self.world.split({alone}, rest)

    @rule()
    def heal(self):
        self.world.split()

    @rule(name=nodes)
    def stop(self, name):
        self.world.nodes[name].up = False

    @rule(name=nodes)
    def start(self, name):
        if not self.world.nodes[name].up:
            self.world.nodes[name].up = True
            self.world.nodes[name].boot()

    @rule(name=nodes)
    def copy_the_disk(self, name):
        self.disks[name] = self.world.nodes[name].save()

    @precondition(lambda self: self.disks)
    @rule(data=st.data())
    def restore_an_old_disk(self, data):
        name = data.draw(st.sampled_from(sorted(self.disks)))
        self.world.nodes[name].restore(self.disks[name])

    @rule(member=st.sampled_from(MEMBERS[:2]), waits=st.booleans())
    def lose_the_tail(self, member, waits):
        """A home is restored from a copy that lacks its last batch, and goes on."""
        home = self.world.home_of(member)
        disk = self.world.nodes[home].save()
        self.publish(member, 1)
        self.world.nodes[home].restore(disk)
        if waits:
            self.world.clock.advance(90)
        self.publish(member, 2)

    @rule(seconds=st.sampled_from([1, 30, 90, 4000]))
    def wait(self, seconds):
        self.world.clock.advance(seconds)

    @rule(one=honest)
    def cosign(self, one):
        node = self.world.nodes[one]
        if node.federation.gate.is_open():
            with suppressed():
                node.federation.cosign_due(node.federation_done())

    @precondition(lambda self: not self.forked)
    @rule()
    def fork(self):
        """node3 shows one history of parcel's feed to node1 and another to node2."""
        self.forked = True
        world, home = self.world, "node3"
        twin, first = world.twin(home), world.nodes[home]
        cut = world.cut
        for node, side in ((first, "node1"), (twin, "node2")):
            world.nodes[home] = node
            others = {*HONEST} - {side}
            world.split(others, {home, side, *MEMBERS})
            node.up = True
            node.federation.gate._open = True
            with suppressed():
                world.members["parcel"].publish(1, at=home)
            with suppressed():
                world.nodes[side].sync(home)
        world.cut = cut

    # -- what must hold ----------------------------------------------------------------

    @invariant()
    def the_honest_are_never_convicted(self):
        if not hasattr(self, "world"):
            return
        for name in NODES:
            for fact in self.world.evidence(name):
                keys = (
                    self.world.nodes["node3"].log,
                    self.world.nodes["node3"].witness,
                )
                assert any(fact.endswith(k.public.hex()) for k in keys), fact

    def settled(self):
        """Heal everything and let all sync; then compare."""
        world = self.world
        world.split()
        for node in world.nodes.values():
            if not node.up:
                node.up = True
                node.boot()
        world.clock.advance(100)
        world.settle(3)
        self.the_honest_are_never_convicted()
        for member, size, root in self.receipts:
            for name in HONEST:
                assert root_at(world.nodes[name].store, member, size) == root, (
                    f"{name} lost {member} at {size}"
                )
        sizes = [world.nodes[n].size("parcel") for n in HONEST]
        roots = [root_at(world.nodes[n].store, "parcel", min(sizes)) for n in HONEST]
        if roots[0] != roots[1]:
            fact = f"fork/parcel/{world.nodes['node3'].log.public.hex()}"
            assert all(fact in world.evidence(n) for n in HONEST)


Federated.TestCase.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None
)
TestFederated = Federated.TestCase
