"""Hostile input from outside is an error of ours, never a traceback, and stalls nobody."""

from __future__ import annotations

import pytest

from hub.access import Caller
from hub.errors import MalformedError, QuotaError, RefusedError
from hub.model import render_time
from hub.officers import registry_entry
from hub.registry import Registry
from hub.store.memory import MemoryStore
from hub.sync import Mirror, pull
from hub.tokens import evaluate
from keys import voprf
from tests.hub.test_faults import NOW, Node

DEEP = "[" * 100_000


@pytest.fixture
def node(harmed):
    return Node(harmed)


class Lying(Mirror):
    """A peer whose answers a test decides."""

    answer = None

    def heads(self, etag=""):
        honest, tag = super().heads(etag)
        return (honest if self.answer is None else self.answer), tag


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"feeds": 7},
        {"feeds": [7]},
        {"feeds": [{}]},
        {"feeds": [{"feed": "maison"}]},
        {"feeds": [{"feed": 7, "checkpoint": "x"}]},
        {"feeds": [{"feed": "../etc", "checkpoint": "x"}]},
        {"feeds": [{"feed": "maison", "checkpoint": 7}]},
    ],
)
def test_a_nonsense_list_of_heads_is_malformed(node, answer):
    peer = Lying(node.hub.store, "liar")
    peer.answer = answer
    with pytest.raises(MalformedError):
        pull(MemoryStore(), Registry(node.hub.registry.pin), peer, NOW)


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"tombstone"',
        b'{"kind":"tombstone"}',
        b'{"kind":"tombstone","digest":7,"by":"x"}',
        b'{"kind":"tombstone","digest":"!","by":"x"}',
        b'{"kind":"tombstone","by":' + DEEP.encode(),
    ],
)
def test_a_nonsense_tombstone_spoils_its_feed_alone(node, line):
    """The registry and other feeds go on, and the fault is named."""

    class OneBadFeed(Mirror):
        def lines(self, feed, start, stop):
            lines = super().lines(feed, start, stop)
            return lines if feed == "registry" else [*lines[:-1], line]

    store, registry = MemoryStore(), Registry(node.hub.registry.pin)
    found = pull(store, registry, OneBadFeed(node.hub.store, "liar"), NOW)
    assert list(found.problems) == ["maison"]
    assert [feed for feed, _, _ in found.feeds] == ["registry"]
    with store.read() as tx:
        assert tx.heads.get("maison") is None
    honest = pull(store, registry, Mirror(node.hub.store, "honest"), NOW)
    assert (honest.problems, honest.feeds) == ({}, [("maison", 0, 5)])


def test_a_grant_ends_on_its_day(node):
    """It raises the quota until then, and not a second longer."""
    until = NOW + 1000
    node.registry(
        registry_entry("policy", NOW, quorum=0, quotas={"scarce": 1, "open": 1}),
        registry_entry(
            "grant",
            NOW,
            member="maison",
            class_="open",
            count=10,
            until=render_time(until),
        ),
    )
    directory, caller = node.hub.directory(), Caller("member/maison", writes=True)
    key, secret = directory.token_keys["open-1"], node.hub.token_secret("open-1")

    def ask(now, count):
        elements = voprf.blind([b"%d" % n for n in range(count)]).elements
        return evaluate(node.hub.store, directory, caller, key, secret, elements, now)

    assert len(ask(NOW, 5)) == 64 + 5 * 32
    with pytest.raises((QuotaError, RefusedError)):
        ask(until, 5)


def test_a_share_that_is_not_the_nodes_is_refused(node):
    directory, caller = node.hub.directory(), Caller("member/maison", writes=True)
    key, other = directory.token_keys["open-1"], voprf.random_scalar()
    elements = voprf.blind([b"x"]).elements
    with pytest.raises(RefusedError):
        evaluate(node.hub.store, directory, caller, key, other, elements, NOW)
