"""Nodes audited over HTTP: mirrored from nothing, compared, bounded."""

from __future__ import annotations

import gzip
import json
from html.parser import HTMLParser

import pytest

from hub.audit.page import render_page
from hub.auditing import audit_nodes
from hub.conviction import judge
from hub.errors import UnavailableError
from hub.findings import Finding
from hub.model import new_salt, render_time, render_tombstone
from hub.officers import registry_entry
from hub.publishing import make_batch
from hub.tlog.batch import digests_of
from schemas.base import render_line
from tests.simulator import ALLIANCE, World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "world")
    made.members["maison"].publish(3)
    made.members["market"].publish(2)
    made.settle()
    return made


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "mirrors"
    folder.mkdir()
    return folder


def ask(world, place, *nodes, **options):
    peers = [world.members["maison"].client(name) for name in nodes or world.nodes]
    return audit_nodes(world.pin, peers, place, world.clock.now(), **options)


def test_nodes_that_agree(world, place):
    """Every feed once, from whoever has most of it; nobody lags."""
    report = ask(world, place)
    assert report.findings == []
    sizes = {f["feed"]: f["size"] for f in report.feeds}
    assert (sizes["maison"], sizes["market"]) == (4, 3)
    assert next(iter(sizes)) == "registry"
    assert [n["url"] for n in report.nodes] == [
        f"http://node{n}.example" for n in (1, 2, 3)
    ]
    assert not any(any(n["behind"].values()) or n["problem"] for n in report.nodes)
    body = report.to_json()
    assert list(body)[:4] == ["ok", "as_of", "feeds", "findings"]
    assert set(body["feeds"][0]) >= {"feed", "size", "batches", "cosignatures"}


def test_a_node_that_lags_is_named_and_is_no_finding(world, place):
    world.split({"node1"}, {"node3"})
    world.nodes["node2"].up = False
    world.cut.add(frozenset(("node1", "node3")))
    home = world.nodes["node1"]
    world.nodes["node2"].up = True
    world.members["maison"].publish(2)
    assert home.size("maison") == 7
    world.cut.clear()
    report = ask(world, place)
    assert report.findings == []
    behind = {n["url"][7:12]: n["behind"]["maison"] for n in report.nodes}
    assert behind == {"node1": 0, "node2": 0, "node3": 3}


def test_two_histories_are_a_finding_with_evidence(world, place):
    """The home signed both; whoever has the registry can see it."""
    member, twin = world.members["maison"], world.twin("node1")
    world.cut = {
        frozenset((a, b)) for a in ("node2", "node3") for b in ("node1", "node2")
    }
    member.publish(1)
    member.publish(1)
    # Its second face signs another batch at the same place, for node3 alone.
    with twin.store.read() as tx:
        head = twin.hub.registry.current(tx).head
        assert tx.heads.get("maison").size == 4
    real, world.nodes["node1"] = world.nodes["node1"], twin
    try:
        member.client("node1").publish("maison", member.batch(1, head))
        world.cut.clear()
        world.nodes["node3"].sync("node1")
    finally:
        world.nodes["node1"] = real
    for node in world.nodes.values():
        node.up = True
    world.clock.advance(1)
    report = ask(world, place)
    kinds = {f.kind for f in report.findings}
    assert kinds == {"fork"}
    raws = list(report.evidence.values())
    assert raws
    rows = [judge(raw, real.directory, 0) for raw in raws]
    assert {(row.kind, row.feed) for row in rows} == {("fork", "maison")}


def test_what_one_node_changes_names_that_node(world, place):
    def change(request, status, raw):
        if request.url.path == "/v1/feeds/market/entries":
            lines = gzip.decompress(raw).replace(b'"confidence":50', b'"confidence":9')
            return status, gzip.compress(lines)
        return status, raw

    world.lies["node3", "maison"] = change
    report = ask(world, place)
    [finding] = report.findings
    assert (finding.kind, finding.feed) == ("wrong-root", "market")
    assert finding.detail.startswith("http://node3.example: ")


def test_a_node_that_is_down_is_named_and_the_others_audited(world, place):
    world.nodes["node2"].up = False
    report = ask(world, place)
    assert report.findings == []
    problems = [bool(n["problem"]) for n in report.nodes]
    assert problems == [False, True, False]
    for node in world.nodes.values():
        node.up = False
    other = place / "again"
    other.mkdir()
    with pytest.raises(UnavailableError, match="no node could be audited"):
        ask(world, other)


def test_a_mirror_that_grows_too_large_is_given_up(world, place):
    """A node cannot fill the auditor's disk."""
    report = ask(world, place, "node1", most=1)
    assert {f.kind for f in report.findings} == {"too-large"}


def test_it_says_how_far_it_is(world, place):
    said = []
    ask(world, place, "node1", progress=lambda *step: said.append(step))
    assert ("maison", 4, 4) in said


def test_as_of_over_http(world, place):
    report = ask(world, place, as_of=world.clock.now())
    assert report.counts["by_member"] == {"maison": 1, "market": 1}


# -- the page --------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.said = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.said.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.said).split())


def test_the_page_stands_on_its_own(world, place):
    """No script, nothing from elsewhere; pin, heads and limits are in it."""
    report = ask(world, place, as_of=world.clock.now())
    page = Reader(render_page(report, world.pin, world.clock.now()))
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {"src", "href", "onclick", "onload", "style"} & names
    assert world.pin.officers[0] in page.text
    assert all(feed["root"] in page.text for feed in report.feeds)
    assert "no finding" in page.text
    assert "What this audit cannot say" in page.text
    assert "node2, first 20" in page.text
    assert "has all of it" in page.text


def test_hostile_text_is_shown_and_not_obeyed(world, place):
    """A member's title, an error message, an entry: all of it is escaped."""
    report = ask(world, place, "node1")
    bad = "<script>alert(1)</script>&\"'"
    report.findings.append(Finding("invalid-line", "maison", "maison/1", bad))
    report.void.append(bad)
    report.open.append(bad)
    report.evidence[bad] = b""
    page = render_page(report, world.pin, 0)
    assert "<script" not in page
    assert Reader(page).text.count("<script>alert(1)</script>") == 4
    assert "The home should have refused it" in Reader(page).text


def test_the_json_is_json(world, place):
    report = ask(world, place)
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


@pytest.mark.parametrize("by", ["member", "officers"])
def test_a_node_that_shows_what_was_erased_is_a_finding(world, place, by):
    """Its own heads hold the order; the other nodes show tombstones."""
    maison, home = world.members["maison"], world.nodes["node1"]
    indices = {"indices": [2], "ground": "other"}
    if by == "member":
        with home.store.read() as tx:
            head = home.hub.registry.current(tx).head
        at = render_time(world.clock.now())
        entry = {"kind": "erasure", "salt": new_salt(), "at": at, **indices}
        line = render_line(entry)
        body = make_batch(f"{ALLIANCE}/maison", [line], head, maison.key)[1]
        maison.client("node1").publish("maison", body)
        order = "maison/5"
    else:
        entry = registry_entry("erasure", world.clock.now(), feed="maison", **indices)
        order = f"registry/{world.officers(entry)['size'] - 1}"
    world.settle()
    assert ask(world, place).findings == []
    for path in place.iterdir():
        path.unlink()
    # A node that forgot the order serves the line again.
    with world.nodes["node3"].store.write() as tx:
        tx.erasures.void(order)
    [found] = ask(world, place).findings
    assert (found.kind, found.entry) == ("erased-line-shown", "maison/2")
    assert f"http://node3.example shows it, and {order} ordered it" in found.detail


def test_a_node_that_withholds_a_line_is_a_finding(world, place):
    """A tombstone that no order covers; the others show the line."""

    def lie(request, status, raw):
        if request.url.path != "/v1/feeds/maison/entries" or status != 200:
            return status, raw
        lines = gzip.decompress(raw)[:-1].split(b"\n")
        lines[2] = render_tombstone(2, digests_of([lines[2]])[0], "maison/3")
        body = b"\n".join([*lines, b""])
        return status, body, {"content-encoding": "identity"}

    world.lies["node3", "*"] = lie
    [found] = ask(world, place).findings
    assert (found.kind, found.feed) == ("tombstone-without-erasure", "maison")
    assert "http://node3.example" in found.detail
