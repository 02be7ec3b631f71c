"""Hostile input from outside is an error of ours, never a traceback, and stalls nobody."""

from __future__ import annotations

import json

import pytest

from hub.access import Caller
from hub.errors import HubError, MalformedError, QuotaError, RefusedError
from hub.model import EntryName, render_time
from hub.officers import registry_entry
from hub.proving import make_proof, verify_proof
from hub.registry import Registry
from hub.store.memory import MemoryStore
from hub.sync import Mirror, pull
from hub.tokens import evaluate
from keys import voprf
from keys.encoding import to_base64
from tests.hub.test_faults import NOW, Node

DEEP = "[" * 100_000


@pytest.fixture
def node(harmed):
    return Node(harmed)


def whole_proof(node):
    with node.hub.store.read() as tx:
        return make_proof(tx, EntryName("maison", 1))


def test_an_untouched_proof_verifies(node):
    raw = json.dumps(whole_proof(node)).encode()
    assert verify_proof(raw, node.hub.registry.pin)["entry"] == "maison/1"


def test_a_deep_proof_file_is_malformed(node):
    with pytest.raises(MalformedError):
        verify_proof(DEEP.encode(), node.hub.registry.pin)


def test_a_disclosure_by_an_unknown_share_is_malformed(node):
    body = whole_proof(node)
    disclosed = {"type": "domain", "value": "a.example", "key": "open-1", "x": 9}
    blinding = voprf.blind([b"x"])
    disclosed |= {"blind": to_base64(blinding.blinds), "proof": to_base64(bytes(64))}
    disclosed["evaluated"] = to_base64(blinding.elements)
    body["disclosure"] = disclosed
    with pytest.raises(MalformedError):
        verify_proof(json.dumps(body).encode(), node.hub.registry.pin)


@pytest.mark.parametrize(
    "field", ["entry", "line", "header", "entry_proof", "registry"]
)
@pytest.mark.parametrize("value", [None, 7, [], {}, "", "x/1"])
def test_any_field_of_a_proof_may_be_nonsense(node, field, value):
    body = {**whole_proof(node), field: value}
    with pytest.raises(HubError):
        verify_proof(json.dumps(body).encode(), node.hub.registry.pin)


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
