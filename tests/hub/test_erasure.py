"""Erasure: what may be erased, whose orders stand, and what a tombstone means."""

from __future__ import annotations

import json

import pytest

from hub import sync
from hub.access import new_bearer
from hub.audit import audit
from hub.errors import UnavailableError
from hub.feeds import delete_due
from hub.indexing import catch_up
from hub.model import new_case_id, new_salt, render_time
from hub.officers import registry_entry
from hub.registry import Registry
from hub.screening import outlook_of
from hub.store.memory import MemoryStore
from hub.sync import Mirror, pull
from schemas.base import render_line
from tests.hub.test_faults import NOW, Node, report_line

HOURS = 3600


@pytest.fixture
def node(harmed):
    return Node(harmed)


def line(kind, **fields):
    entry = {"kind": kind, "salt": new_salt(), "at": render_time(NOW), **fields}
    return render_line(entry)


def erasure(*indices):
    return line("erasure", indices=list(indices), ground="other")


def withdrawal():
    return line("withdrawal", case=new_case_id(), reason="other")


def officers_erasure(*indices, feed="maison"):
    fields = {"feed": feed, "indices": list(indices), "ground": "court-order"}
    return registry_entry("erasure", NOW, **fields)


def publish(node, *lines):
    answer = node.post(node.batch(*lines))
    assert answer.status_code == 200, answer.json
    return answer.json["first"] + 1


def close_key(node, index):
    fields = {"owner": "member/maison", "label": "k1", "index": index}
    node.registry(registry_entry("key-closed", NOW, **fields, reason="stolen"))


class Served:
    """The node as a reader sees it over HTTP; a test may step between the requests."""

    url = "http://node.example"

    def __init__(self, node, between=None, after=0):
        self.node, self.between, self.after = node, between, after
        secret, row = new_bearer(new_case_id(), "member/market", days=1, now=NOW)
        with node.hub.store.write() as tx:
            tx.node.add_bearer(row)
        self.headers = {"Authorization": f"Bearer {secret}"}

    def ask(self, path):
        answer = self.node.web.get(path, headers=self.headers)
        if answer.status_code != 200:
            raise UnavailableError(f"{path}: {answer.status_code}")
        return answer.data

    def heads(self, etag=""):
        found = json.loads(self.ask("/v1/feeds"))
        if self.between:
            step, self.between = self.between, None
            step()
        return found, etag

    def lines(self, feed, start, stop):
        path = f"/v1/feeds/{feed}/entries?from={start}&to={stop}"
        return self.ask(path)[:-1].split(b"\n")

    def get_json(self, path):
        return json.loads(self.ask(path))

    def get_bytes(self, path):
        return self.ask(path)


class Reader:
    """A mirror of its own."""

    def __init__(self, node):
        self.store, self.registry = MemoryStore(), Registry(node.hub.registry.pin)

    def pull(self, peer, now=NOW):
        return pull(self.store, self.registry, peer, now)

    def raw(self, index):
        with self.store.read() as tx:
            return next(tx.objects.lines("maison", index, index + 1)).raw

    def hidden(self):
        with self.store.read() as tx:
            return tx.erasures.hidden("maison", 0, tx.objects.size("maison"))

    def audit(self):
        return audit(self.store, self.registry.pin, NOW)

    def active(self):
        with self.store.read() as tx:
            directory = self.registry.directory(tx)
        catch_up(self.store, self.registry.directory)
        with self.store.read() as tx:
            rows = tx.index.all_active(outlook_of(directory, NOW)).values()
        return {str(r.entry) for many in rows for r in many}


def audited(node):
    return audit(node.hub.store, node.hub.registry.pin, NOW)


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


# -- tombstones ------------------------------------------------------------------------


def small_segments(monkeypatch):
    monkeypatch.setattr(sync, "SEGMENT", 2)


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
