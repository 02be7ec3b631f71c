"""What a pull stores is what leads to the home's checkpoint, and nothing else."""

from __future__ import annotations

import json

import pytest

from hub.registry import Registry
from hub.store.memory import MemoryStore
from hub.sync import Mirror, pull
from schemas.base import render_line
from tests.hub.test_faults import NOW, Node, report_line


@pytest.fixture
def node(harmed):
    return Node(harmed)


def pulled(node, peer=None, store=None):
    store = store or MemoryStore()
    registry = Registry(node.hub.registry.pin)
    return store, pull(store, registry, peer or Mirror(node.hub.store, "node1"), NOW)


def test_lines_that_do_not_lead_to_the_checkpoint_are_not_stored(node):
    """A peer that leaves a whole batch out and another one in: both are signed."""
    one, other = node.batch(report_line()), node.batch(report_line())
    assert node.post(one).status_code == 200

    class Swaps(Mirror):
        def lines(self, feed, start, stop):
            lines = super().lines(feed, start, stop)
            return lines[:-2] + other[:-1].split(b"\n") if feed == "maison" else lines

    store, found = pulled(node, Swaps(node.hub.store, "liar"))
    assert found.problems["maison"].code == "wrong-root"
    with store.read() as tx:
        assert tx.objects.size("maison") == 0
        assert tx.batches.list("maison") == []
        assert tx.heads.get("maison") is None
    _, honest = pulled(node, store=store)
    assert honest.problems == {}


def test_many_batches_are_stored_as_their_home_stores_them(node):
    """In one piece here, one by one there: the same lines, tiles and batches."""
    for count in (1, 300, 2, 255, 1, 700):
        body = node.batch(*(report_line() for _ in range(count)))
        assert node.post(body).status_code == 200
    store, found = pulled(node)
    assert found.problems == {}
    with store.read() as ours, node.hub.store.read() as theirs:
        head = theirs.heads.get("maison")
        assert ours.heads.get("maison") == head
        assert list(ours.objects.lines("maison", 0, head.size)) == list(
            theirs.objects.lines("maison", 0, head.size)
        )
        assert ours.batches.list("maison") == theirs.batches.list("maison")
        readers = [tx.objects.hash_reader("maison", head.size) for tx in (ours, theirs)]
        for level in range(head.size.bit_length()):
            count = head.size >> level
            first, second = (reader.read(level, 0, count) for reader in readers)
            assert first == second


@pytest.mark.parametrize("how", ["usual", "kind last", "escaped"])
def test_an_erasure_is_followed_however_it_is_written(node, how):
    """A mirror that overlooked it would take the tombstone for a theft."""
    entry = json.loads(report_line())
    entry = {name: entry[name] for name in ("salt", "at")}
    body = {"kind": "erasure", **entry, "indices": [2], "ground": "other"}
    if how == "kind last":
        body = {**{k: v for k, v in body.items() if k != "kind"}, "kind": "erasure"}
    line = render_line(body)
    if how == "escaped":
        line = line.replace(b"erasure", b"er\\u0061sure")
    assert node.post(node.batch(line)).status_code == 200
    store, found = pulled(node)
    assert found.problems == {}
    with store.read() as tx:
        assert set(tx.erasures.hidden("maison", 0, 6)) == {2}
