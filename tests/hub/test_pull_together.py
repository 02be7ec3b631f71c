"""Two pulls of one store at once: both end well, and nothing is missed or accused."""

from __future__ import annotations

import threading

import pytest

from hub import following
from hub.errors import UnavailableError
from hub.registry import Registry
from hub.store.memory import MemoryStore
from hub.store.sqlite import SqliteStore
from hub.sync import Mirror, pull
from tests.hub.test_faults import NOW, Node, report_line


@pytest.fixture
def node(harmed, monkeypatch):
    """A node whose feeds are pulled a batch at a time."""
    monkeypatch.setattr(following, "SEGMENT", 1)
    node = Node(harmed)
    for _ in range(3):
        assert node.post(node.batch(report_line())).status_code == 200
    return node


class Disturbed(Mirror):
    """A peer during whose answers another pull does something."""

    def __init__(self, node, store, at, act):
        super().__init__(node.hub.store, "http://node.example")
        self.into, self.at, self.act = store, at, act
        self.pin = node.hub.registry.pin

    def heads(self, etag=""):
        answer = super().heads(etag)
        self.disturb("heads")
        return answer

    def lines(self, feed, start, stop):
        answer = super().lines(feed, start, stop)
        self.disturb(feed)
        return answer

    def disturb(self, what):
        if what == self.at:
            self.at = None
            self.act(self)


def pull_all(peer):
    honest = Mirror(peer.store, peer.url)
    assert not pull(peer.into, Registry(peer.pin), honest, NOW).problems


class Interrupted(Mirror):
    """A peer that is gone after the first segment of a feed."""

    def lines(self, feed, start, stop):
        if (feed, start) == ("maison", 5):
            raise UnavailableError("gone")
        return super().lines(feed, start, stop)


def pull_some(peer):
    found = pull(
        peer.into, Registry(peer.pin), Interrupted(peer.store, peer.url + "/2"), NOW
    )
    assert found.feeds or found.problems


def sizes(store):
    with store.read() as tx:
        return {feed: head.size for feed, head in tx.heads.all().items()}


@pytest.mark.parametrize("act", [pull_all, pull_some])
@pytest.mark.parametrize("at", ["heads", "registry", "maison"])
def test_a_disturbed_pull_brings_everything(node, at, act):
    """What the other pull did not bring, this one does, before it notes the ETag."""
    store = MemoryStore()
    peer = Disturbed(node, store, at, act)
    found = pull(store, Registry(peer.pin), peer, NOW)
    assert found.problems == {}
    assert sizes(store) == sizes(node.hub.store)


def test_the_other_pull_saw_a_newer_head(node):
    """Heads that were fetched before are no sign of a home that went back."""
    store = MemoryStore()

    def later(peer):
        assert node.post(node.batch(report_line())).status_code == 200
        pull_all(peer)

    peer = Disturbed(node, store, "heads", later)
    found = pull(store, Registry(peer.pin), peer, NOW)
    assert (found.problems, found.lagging) == ({}, {})
    assert sizes(store) == sizes(node.hub.store)


def test_the_other_pull_saw_an_older_head(node, tmp_path, monkeypatch):
    """What it lacked is still missing, and is not taken for pulled."""
    monkeypatch.setattr(following, "SEGMENT", 30_000)
    node.hub.store.backup(tmp_path / "older.db")
    older = SqliteStore(tmp_path / "older.db")
    assert node.post(node.batch(report_line())).status_code == 200
    store = MemoryStore()

    def earlier(peer):
        honest = Mirror(older, "http://older.example")
        assert not pull(peer.into, Registry(peer.pin), honest, NOW).problems

    peer = Disturbed(node, store, "maison", earlier)
    found = pull(store, Registry(peer.pin), peer, NOW)
    assert (found.problems, found.lagging) == ({}, {})
    assert sizes(store) == sizes(node.hub.store)
    older.close()


def test_two_threads_pull_into_one_file(node, tmp_path):
    """Each segment is stored by one of them."""
    store = SqliteStore(tmp_path / "mirror.db", create=True)
    pin, problems = node.hub.registry.pin, []

    def work(name):
        peer = Mirror(node.hub.store, f"http://{name}.example")
        problems.append(pull(store, Registry(pin), peer, NOW).problems)

    threads = [threading.Thread(target=work, args=(n,)) for n in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [{}, {}]
    assert sizes(store) == sizes(node.hub.store)
    store.check()
    store.close()
