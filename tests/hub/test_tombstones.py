"""Tombstones: what one means, and which order it needs before a mirror takes it."""

from __future__ import annotations

import pytest

from hub import following
from hub.errors import UnavailableError
from hub.feeds import delete_due
from hub.sync import Mirror, pull
from tests.hub.erasurekit import (
    HOURS,
    Reader,
    Served,
    audited,
    close_key,
    erasure,
    officers_erasure,
    publish,
)
from tests.hub.test_faults import NOW, Node, report_line


@pytest.fixture
def node(harmed):
    return Node(harmed)


# -- tombstones ------------------------------------------------------------------------


def small_segments(monkeypatch):
    monkeypatch.setattr(following, "SEGMENT", 2)


@pytest.mark.parametrize("deleted", [False, True])
def test_an_order_in_a_later_piece_of_the_same_feed(node, monkeypatch, deleted):
    """A feed that is mirrored piece by piece meets the line long before its order."""
    small_segments(monkeypatch)
    publish(node, report_line(), report_line())
    publish(node, report_line())
    publish(node, erasure(2, 6))
    if deleted:
        delete_due(node.hub.store, NOW + 73 * HOURS)
    reader = Reader(node)
    found = reader.pull(Served(node))
    assert (found.problems, found.feeds[1]) == ({}, ("maison", 0, 12))
    assert set(reader.hidden()) == {2, 6}
    assert reader.raw(2) is None
    assert not reader.audit().findings


def test_an_order_in_a_later_piece_that_is_void(node, monkeypatch):
    """The loss is found when its batch arrives; the pull goes on."""
    small_segments(monkeypatch)
    publish(node, report_line())
    publish(node, erasure(2))
    delete_due(node.hub.store, NOW + 73 * HOURS)
    close_key(node, 7)
    reader = Reader(node)
    found = reader.pull(Served(node))
    assert (found.problems, found.lost) == ({}, {"maison/2": "maison/8"})
    assert not reader.audit().findings


def test_an_interrupted_pull_keeps_what_it_foresaw(node, monkeypatch):
    """Stopped between line and order, the mirror is whole and goes on later."""
    small_segments(monkeypatch)
    publish(node, report_line())
    publish(node, erasure(2))
    reader, served = Reader(node), Served(node)
    honest = Served.lines

    def cut(self, feed, start, stop):
        if feed == "maison" and start >= 5 and stop - start > 1:
            raise UnavailableError("the network is gone")
        return honest(self, feed, start, stop)

    monkeypatch.setattr(Served, "lines", cut)
    assert set(reader.pull(served).problems) == {"maison"}
    report = reader.audit()
    assert (report.findings, len(report.open)) == ([], 1)
    assert "maison/2 is withheld under maison/8" in report.open[0]
    monkeypatch.setattr(Served, "lines", honest)
    assert not reader.pull(served).problems
    assert not reader.audit().findings


def test_an_order_above_the_head_that_was_shown(node):
    """It was given between two requests: the proof of it, or pulling again, brings it."""
    served = Served(node, between=lambda: publish(node, erasure(2)))
    reader = Reader(node)
    assert not reader.pull(served).problems
    assert set(reader.hidden()) == {2}
    assert not reader.audit().findings
    assert not reader.pull(Served(node)).problems
    assert not reader.audit().findings


def test_an_officers_order_above_the_registry_that_was_shown(node):
    """The registry is pulled again, and with it the order."""
    served = Served(node, between=lambda: node.registry(officers_erasure(2)))
    reader = Reader(node)
    found = reader.pull(served)
    assert not found.problems
    assert [f for f, _, _ in found.feeds] == ["registry", "registry", "maison"]
    assert set(reader.hidden()) == {2}
    assert not reader.audit().findings


def test_an_order_that_never_comes_is_an_error_that_says_pull_again(node):
    """And the next pull is not told that there is nothing new."""

    class Stale(Served):
        def lines(self, feed, start, stop):
            lines = super().lines(feed, start, stop)
            if feed == "maison":
                lines[2] = tombstone(self.node, 2, "registry/999")
            return lines

    reader = Reader(node)
    found = reader.pull(Stale(node))
    assert found.problems["maison"].code == "order-above-head"
    assert found.problems["maison"].advice == "Pull again."
    assert not reader.pull(Served(node)).problems


def tombstone(node, index, by):
    from hub.model import render_tombstone

    with node.hub.store.read() as tx:
        digest = tx.objects.digests("maison", index, index + 1)[0]
    return render_tombstone(index, digest, by)


@pytest.mark.parametrize("by", ["maison/1", "maison/6", "maison/8", "registry/3"])
def test_an_entry_that_is_no_order_for_the_line_excuses_nothing(node, by, monkeypatch):
    """Whether it stands before, in, or behind the piece, or in the registry."""
    small_segments(monkeypatch)
    publish(node, report_line())
    publish(node, erasure(1))

    class Lying(Served):
        def lines(self, feed, start, stop):
            lines = super().lines(feed, start, stop)
            if feed == "maison" and start <= 2 < stop:
                lines[2 - start] = tombstone(self.node, 2, by)
            return lines

    reader = Reader(node)
    found = reader.pull(Lying(node))
    assert found.problems["maison"].code == "tombstone-without-erasure"
    assert not reader.pull(Served(node)).problems
    assert not reader.audit().findings


def test_an_order_that_was_shown_and_does_not_come_is_named(node, monkeypatch):
    """The home proved it by a signed head, then wrote something else there."""
    small_segments(monkeypatch)
    publish(node, report_line())
    publish(node, report_line())
    order = erasure(2)

    class TwoFaced(Served):
        def lines(self, feed, start, stop):
            if (feed, start, stop) == ("maison", 8, 9):
                return [order]
            lines = super().lines(feed, start, stop)
            if feed == "maison" and start <= 2 < stop:
                lines[2 - start] = tombstone(self.node, 2, "maison/8")
            return lines

    monkeypatch.setattr("hub.tombstones.check_proof", lambda *_: None)
    reader = Reader(node)
    found = reader.pull(TwoFaced(node))
    assert found.problems["maison"].code == "tombstone-without-erasure"
    with reader.store.read() as tx:
        assert tx.heads.get("maison").size == 7


def test_a_registry_line_is_never_withheld(node):
    """Who could leave one out could hide that a key was closed."""
    close_key(node, 0)

    class Hiding(Mirror):
        def lines(self, feed, start, stop):
            lines = super().lines(feed, start, stop)
            if feed == "registry":
                from hub.model import render_tombstone
                from hub.tlog.batch import digests_of

                [digest] = digests_of(lines[-1:])
                lines[-1] = render_tombstone(stop - 1, digest, "registry/3")
            return lines

    reader = Reader(node)
    found = reader.pull(Hiding(node.hub.store, "peer"))
    assert found.problems["registry"].code == "tombstone-without-erasure"
    with node.hub.store.write() as tx:
        size = tx.objects.size("registry")
        tx.objects.erase("registry", [size - 1])
    assert "tombstone-without-erasure" in {f.kind for f in audited(node).findings}


# -- 72 hours --------------------------------------------------------------------------


def test_each_store_counts_72_hours_from_its_own_first_storing(node):
    """Pulling again never prolongs it, and a late mirror deletes later."""
    publish(node, erasure(2))
    reader = Reader(node)
    reader.pull(Mirror(node.hub.store, "peer"), NOW + 50 * HOURS)
    reader.pull(Mirror(node.hub.store, "peer"), NOW + 60 * HOURS)
    assert delete_due(node.hub.store, NOW + 73 * HOURS) == 1
    assert delete_due(reader.store, NOW + 121 * HOURS) == 0
    assert delete_due(reader.store, NOW + 122 * HOURS) == 1


def test_an_order_whose_lines_never_came_does_not_stop_the_deleting(node):
    """The registry is here and the member's feed is not."""
    publish(node, erasure(1))
    node.registry(officers_erasure(2))
    reader = Reader(node)
    peer = Mirror(node.hub.store, "peer")
    pull(reader.store, reader.registry, peer, NOW, only={"registry"})
    assert delete_due(reader.store, NOW + 73 * HOURS) == 0
    reader.pull(peer, NOW + 74 * HOURS)
    assert delete_due(reader.store, NOW + 75 * HOURS) == 1
    assert reader.raw(2) is None
    assert reader.raw(1)
