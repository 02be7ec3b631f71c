"""Answers are bounded in bytes, whatever the entries weigh, and a pull goes on behind."""

from __future__ import annotations

import gzip

import pytest

from hub import peer as peers
from hub.api import feeds
from hub.errors import MalformedError
from hub.registry import Registry
from hub.store.memory import MemoryStore
from hub.sync import Mirror, pull
from tests.hub.test_faults import NOW, Node, report_line


@pytest.fixture
def node(harmed, monkeypatch):
    """A node with batches of about 120 KB each, whose answers hold little more."""
    monkeypatch.setattr(feeds, "MAX_ANSWER", 320_000)
    monkeypatch.setattr(peers, "MAX_ANSWER", 320_000)
    node = Node(harmed)
    for _ in range(4):
        lines = [report_line(note="a" * 200) for _ in range(200)]
        assert node.post(node.batch(*lines)).status_code == 200
    return node


def sizes(store):
    with store.read() as tx:
        return {feed: head.size for feed, head in tx.heads.all().items()}


class Asking(Mirror):
    """A peer that answers as the node does over HTTP."""

    def __init__(self, node, packed):
        super().__init__(node.hub.store, "http://node.example")
        self.node, self.packed, self.longest = node, packed, 0
        signed = {"Authorization": f"Bearer {self.token()}"}
        self.headers = signed | ({"Accept-Encoding": "gzip"} if packed else {})

    def token(self):
        from hub.access import new_bearer

        secret, row = new_bearer("script", "member/market", days=1, now=NOW)
        with self.store.write() as tx:
            tx.node.add_bearer(row)
        return secret

    def lines(self, feed, start, stop):
        path = f"/v1/feeds/{feed}/entries?from={start}&to={stop}"
        answer = self.node.web.get(path, headers=self.headers)
        body = gzip.decompress(answer.data) if self.packed else answer.data
        self.longest = max(self.longest, len(body))
        return body[:-1].split(b"\n")


@pytest.mark.parametrize("packed", [True, False])
def test_a_pull_over_http_goes_on_behind_a_short_answer(node, packed):
    """Each segment ends at the furthest batch that came whole."""
    store, peer = MemoryStore(), Asking(node, packed)
    found = pull(store, Registry(node.hub.registry.pin), peer, NOW)
    assert found.problems == {}
    assert sizes(store) == sizes(node.hub.store)
    assert 100_000 < peer.longest <= 320_000


def test_a_pull_from_a_file_goes_on_too(node):
    store = MemoryStore()
    peer = Mirror(node.hub.store, "file")
    assert not pull(store, Registry(node.hub.registry.pin), peer, NOW).problems
    assert sizes(store) == sizes(node.hub.store)
    with store.read() as tx:
        # Whoever pulls from here finds places to stop at, too.
        assert len(tx.heads.checkpoints("maison", 0)) > 1


def test_a_peer_that_sends_less_than_a_batch_is_named(node):
    """Else it could keep a puller busy for ever."""

    class Stingy(Mirror):
        def lines(self, feed, start, stop):
            lines = super().lines(feed, start, stop)
            return lines if feed == "registry" else lines[:3]

    peer = Stingy(node.hub.store, "http://node.example")
    found = pull(MemoryStore(), Registry(node.hub.registry.pin), peer, NOW)
    assert isinstance(found.problems["maison"], MalformedError)
    assert "fewer lines than a batch" in str(found.problems["maison"])


def test_a_peer_that_sends_too_much_is_named(node):
    class Generous(Mirror):
        def lines(self, feed, start, stop):
            lines = super().lines(feed, start, stop)
            return lines if feed == "registry" else lines * 50

    peer = Generous(node.hub.store, "http://node.example")
    found = pull(MemoryStore(), Registry(node.hub.registry.pin), peer, NOW)
    assert "more lines than asked" in str(found.problems["maison"])
