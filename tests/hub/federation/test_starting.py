"""A node that starts compares what it holds with its marks and with its peers."""

from __future__ import annotations

import pytest

from hub.errors import HubError, UnavailableError
from hub.marks import Marks
from tests.simulator import World


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
