"""A node that starts compares what it holds with its marks and with its peers."""

from __future__ import annotations

import httpx2
import pytest

from hub.errors import HubError, UnavailableError
from hub.marks import Marks
from tests.simulator import World, rewrite


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.members["maison"].publish(1)
    world.settle()
    return world


def test_a_start_repairs_the_marks_that_a_crash_withheld(world, monkeypatch):
    """The batch was stored and pulled, and its home crashed before the mark."""
    node, maison = world.nodes["node1"], world.members["maison"]
    old = node.save()
    world.clock.advance(5)
    with monkeypatch.context() as crash:
        crash.setattr(Marks, "note_log", lambda *_: 1 // 0)
        with pytest.raises(HubError):
            maison.publish(2)
    marks, size = Marks(node.folder / "private"), node.size("maison")
    assert marks.log_sizes()["maison"] < size
    node.boot()
    assert marks.log_sizes()["maison"] == size
    world.split({"node1", "maison"}, {"node2", "node3"})
    node.restore(old)
    world.clock.advance(61)
    with pytest.raises(UnavailableError):
        maison.publish(3)
    assert node.size("maison") < size


def test_a_start_repairs_the_mark_of_a_cosignature(world):
    node = world.nodes["node2"]
    marks = Marks(node.folder / "private")
    with node.store.read() as tx:
        last = tx.federation.witnessed("maison")
    (node.folder / "private" / "witness.heads").unlink()
    assert marks.witnessed("maison") == (0, 0)
    node.boot()
    assert marks.witnessed("maison") == (last.size, last.time)
    # What another node is home of is not in the marks of this node's log.
    assert "maison" not in marks.log_sizes()


def without_entries(request, status, raw):
    if "/feeds/maison/" in request.url.path:
        raise httpx2.ReadError("gone", request=request)
    return status, raw


def test_a_visit_that_broke_off_opens_no_gate(world):
    """Both peers show a larger head of ours, and none of its lines come."""
    node, maison = world.nodes["node1"], world.members["maison"]
    old = node.save()
    world.clock.advance(5)
    maison.publish(2)
    world.settle()
    signed = node.size("maison")
    node.restore(old, marks=False)
    for peer in ("node2", "node3"):
        world.lies[peer, "node1"] = without_entries
        assert "maison" in node.sync(peer).problems
    assert not node.federation.gate.is_open()
    # What our key signed is in the marks again, so that time opens nothing either.
    assert Marks(node.folder / "private").log_sizes()["maison"] == signed
    world.clock.advance(61)
    with pytest.raises(UnavailableError):
        maison.publish(3)
    assert node.size("maison") < signed
    world.lies.clear()
    world.settle()
    assert maison.publish(3)["size"] == signed + 4
    world.settle()
    assert not any(world.evidence(name) for name in world.nodes)


def test_a_head_that_we_did_not_sign_raises_no_mark(world):
    """A peer that lies about our size is not compared, and stops nothing for good."""
    node, marks = world.nodes["node1"], Marks(world.nodes["node1"].folder / "private")
    before = marks.log_sizes()

    def larger(body):
        for head in body["feeds"]:
            lines = head["checkpoint"].split("\n")
            lines[1] = str(int(lines[1]) + 7)
            head["checkpoint"] = "\n".join(lines)

    node.boot()
    world.lies["node2", "node1"] = rewrite("/v1/feeds", larger)
    with node.store.write() as tx:
        tx.node.set_sync("http://node2.example", {"etag": ""})
    assert node.sync("node2").problems
    assert marks.log_sizes() == before
    assert not node.federation.gate.is_level({"maison": b"nonsense"})
    world.clock.advance(61)
    assert node.federation.gate.is_open()
