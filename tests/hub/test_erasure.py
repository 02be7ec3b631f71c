"""Erasure: what may be erased, and whose orders stand."""

from __future__ import annotations

import json

import pytest

from hub.audit import audit
from hub.feeds import delete_due
from hub.model import new_case_id
from hub.officers import registry_entry
from hub.sync import Mirror
from tests.hub.erasurekit import (
    HOURS,
    Reader,
    Served,
    audited,
    close_key,
    erasure,
    line,
    officers_erasure,
    publish,
    withdrawal,
)
from tests.hub.test_faults import NOW, Node, report_line


@pytest.fixture
def node(harmed):
    return Node(harmed)


# -- what may be erased ----------------------------------------------------------------


def test_a_member_erases_its_reports_disputes_and_actions_alone(node):
    """Headers, withdrawals, erasures and what does not stand before it stay."""
    first = publish(
        node,
        report_line(),
        line("action", case=new_case_id(), action="raid", channel="offline"),
        withdrawal(),
        erasure(1),
    )
    assert first == 6
    for bad in (0, 5, 8, 9, 11, 10**6):
        answer = node.post(node.batch(erasure(1, bad)))
        assert answer.status_code == 422, bad
        assert f"indices: {bad} " in answer.json["detail"]
    # An entry of the same batch is not an earlier one.
    assert node.post(node.batch(report_line(), erasure(11))).status_code == 422
    publish(node, erasure(6, 7))
    with node.hub.store.read() as tx:
        assert set(tx.erasures.hidden("maison", 0, 12)) == {1, 6, 7}


def test_officers_erase_the_same_lines_of_any_feed(node):
    """Theirs are checked as a member's are; other feeds and the registry itself stay."""
    publish(node, withdrawal())
    for bad in (officers_erasure(0), officers_erasure(6), officers_erasure(99)):
        answer = node.web.post(
            "/v1/feeds/registry/batches",
            data=node.proposed(bad),
            content_type="application/x-ndjson",
        )
        assert (answer.status_code, answer.json["type"][-12:]) == (422, "invalid-line")
    empty = node.proposed(officers_erasure(0, feed="market"))
    assert node.post(empty, "registry").status_code == 422
    node.registry(officers_erasure(1, 2))
    with node.hub.store.read() as tx:
        assert set(tx.erasures.hidden("maison", 0, 7)) == {1, 2}


def test_the_kind_is_read_wherever_it_stands(node):
    """JSON does not order its keys; a report is erased that names its kind last."""
    entry = json.loads(report_line())
    entry["kind"] = entry.pop("kind")
    publish(node, json.dumps(entry, separators=(",", ":")).encode())
    order = json.loads(erasure(6))
    order["kind"] = order.pop("kind")
    publish(node, json.dumps(order).replace("erasure", "eras\\u0075re").encode())
    reader = Reader(node)
    assert not reader.pull(Served(node)).problems
    assert set(reader.hidden()) == {6}


def test_an_order_over_other_lines_is_ignored_and_named(node):
    """A hostile home took it: mirrors keep the withdrawal, and say so; so does an audit."""
    mine, honest = Reader(node), Mirror(node.hub.store, "peer")
    publish(node, withdrawal(), report_line())
    node.plant(node.batch(erasure(0, 6, 7, 99)))
    found = mine.pull(honest)
    assert not found.problems
    assert [f.kind for f in found.findings] == ["bad-erasure"]
    assert "0, 6, 99" in found.findings[0].detail
    assert set(mine.hidden()) == {7}
    report = mine.audit()
    assert {f.kind for f in report.findings} == {"bad-erasure"}
    assert {f.entry for f in report.findings} == {"maison/9"}
    assert [f.detail.split()[0] for f in report.findings] == [
        "maison/0",
        "maison/6",
        "maison/99",
    ]
    assert report.erased == [{"entry": "maison/7", "by": "maison/9"}]


def test_an_order_that_came_before_its_lines_is_ignored_for_those_that_stay(node):
    """The registry is pulled first, and names lines that are not here yet."""
    publish(node, withdrawal(), report_line())
    node.plant(node.proposed(officers_erasure(5, 6, 7)), "registry")
    reader = Reader(node)
    found = reader.pull(Mirror(node.hub.store, "peer"))
    assert not found.problems
    assert [(f.kind, f.entry[:9]) for f in found.findings] == [
        ("bad-erasure", "registry/")
    ]
    assert set(reader.hidden()) == {7}
    assert {f.kind for f in reader.audit().findings} == {"bad-erasure"}


# -- void orders -----------------------------------------------------------------------


def test_closing_a_stolen_key_brings_back_what_its_thief_erased(node):
    """At the home, and at a mirror that held the line; other orders stand."""
    reader, peer = Reader(node), Mirror(node.hub.store, "peer")
    publish(node, erasure(1))
    publish(node, erasure(2))
    reader.pull(peer)
    assert reader.active() == {"maison/3", "maison/4"}
    close_key(node, 7)
    with node.hub.store.read() as tx:
        assert set(tx.erasures.hidden("maison", 0, 9)) == {1}
    assert reader.pull(peer).lost == {}
    assert set(reader.hidden()) == {1}
    assert reader.active() == {"maison/2", "maison/3", "maison/4"}
    for store in (node.hub.store, reader.store):
        assert delete_due(store, NOW + 100 * HOURS) == 1
        assert not audit(store, node.hub.registry.pin, NOW).findings


def test_a_line_that_came_hidden_is_fetched_when_its_order_is_void(node):
    """The mirror never had it; the home shows it again."""
    reader = Reader(node)
    publish(node, erasure(2))
    reader.pull(Served(node))
    assert reader.active() == {"maison/1", "maison/3", "maison/4"}
    close_key(node, 5)
    found = reader.pull(Served(node))
    assert (found.problems, found.lost) == ({}, {})
    assert reader.active() == {"maison/1", "maison/2", "maison/3", "maison/4"}
    assert reader.hidden() == {}
    report = reader.audit()
    assert (report.findings, report.lost) == ([], [])
    assert report.void == ["maison/5-6"]


def test_a_wrong_line_is_not_put_in_the_place_of_a_lost_one(node):
    """And an honest peer is asked when the registry has grown."""

    class Lying(Served):
        def lines(self, feed, start, stop):
            lines = super().lines(feed, start, stop)
            return [report_line()] if (start, stop) == (2, 3) else lines

    reader = Reader(node)
    publish(node, erasure(2))
    reader.pull(Served(node))
    close_key(node, 5)
    lost = {"maison/2": "maison/6"}
    assert reader.pull(Lying(node)).lost == lost
    assert reader.raw(2) is None
    assert not reader.audit().findings
    reader.pull(Served(node))
    assert reader.raw(2) is None
    node.registry(registry_entry("member", NOW, name="late"))
    reader.pull(Served(node))
    assert reader.raw(2)


def test_a_line_that_was_deleted_before_the_key_was_closed_is_a_loss(node):
    """Nobody misbehaved: neither the home's audit nor a new mirror's has a finding."""
    publish(node, erasure(2))
    assert delete_due(node.hub.store, NOW + 73 * HOURS) == 1
    close_key(node, 5)
    reader = Reader(node)
    found = reader.pull(Served(node))
    assert (found.problems, found.lost) == ({}, {"maison/2": "maison/6"})
    for report in (audited(node), reader.audit()):
        assert not report.findings
        assert report.lost == [{"entry": "maison/2", "by": "maison/6"}]
    # What is lost stays lost, and is said once.
    assert reader.pull(Served(node)).lost == {}


def test_a_line_under_a_second_order_that_stands_is_no_loss(node):
    publish(node, erasure(2))
    node.registry(officers_erasure(2))
    assert delete_due(node.hub.store, NOW + 73 * HOURS)
    close_key(node, 5)
    reader = Reader(node)
    found = reader.pull(Served(node))
    assert (found.problems, found.lost) == ({}, {})
    assert audited(node).lost == []


def test_an_order_under_a_closed_key_never_stands(node):
    """A home that took it all the same hides nothing at its mirrors."""
    close_key(node, 5)
    node.plant(node.batch(erasure(1)), key=node.member.signer.public)
    reader = Reader(node)
    found = reader.pull(Mirror(node.hub.store, "peer"))
    assert (found.problems, found.findings) == ({}, [])
    assert reader.hidden() == {}
    assert reader.raw(1)
    with reader.store.read() as tx:
        assert [o.voided for o in tx.erasures.orders("maison", 0, 9)] == [True]
    assert not reader.audit().findings
