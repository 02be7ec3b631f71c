"""A peer that lies in every answer spoils nothing but its own.

Nothing false is stored, other feeds and peers go on, nobody honest is convicted, the
problem has a name, and the next honest sync heals.
"""

from __future__ import annotations

import copy
import json

import httpx2
import pytest

from hub.audit import audit
from hub.errors import HubError, MalformedError, UnavailableError
from hub.federation import VISIT_BYTES
from hub.peer import Bounded
from hub.peering import PATIENCE, PAUSE, peerings, visit
from tests.simulator import World, mangled, rewrite

HALF = "\ud800"
LIES = (None, 7, "", "x", HALF, [7], [HALF], {"a": 1})


@pytest.fixture
def world(tmp_path):
    """Node 3 lacks two batches of maison and one of market; node 1 is about to lie."""
    world = World(tmp_path)
    world.members["maison"].publish(2)
    world.settle()
    world.cut = {frozenset(("node3", n)) for n in ("node1", "node2")}
    for _ in range(2):
        world.members["maison"].publish(3)
    world.members["market"].publish(2)
    world.nodes["node1"].sync("node2")
    world.cut = set()
    return world


def check_unharmed(world):
    """Whatever was heard: what is stored is true, and nobody is convicted."""
    node = world.nodes["node3"]
    report = audit(node.store, world.pin, world.clock.now())
    assert report.findings == []
    assert not world.evidence("node3")


def check_healed(world):
    """One honest peer, and everything is there."""
    world.lies.clear()
    world.nodes["node3"].sync("node2")
    check_unharmed(world)
    sizes = [world.nodes["node3"].size(f) for f in ("maison", "market")]
    assert sizes == [world.nodes["node1"].size(f) for f in ("maison", "market")]


def lied_to(world, lie):
    """Sync node 3 with the liar; return the problems that it names."""
    world.lies["node1", "node3"] = lie
    try:
        return world.nodes["node3"].sync("node1").problems
    except HubError as error:
        return {"peer": error}


def change_feed(feed, field, value):
    """Return a lie about one field of one feed's head."""

    def change(body):
        for item in body["feeds"]:
            if item["feed"] == feed:
                item[field] = value

    return rewrite("/v1/feeds", change)


def each(world, cases):
    """Yield the cases, each on node 3's disk as it was; at the end it is healed."""
    state = world.nodes["node3"].save()
    for case in cases:
        world.lies.clear()
        world.nodes["node3"].restore(copy.copy(state))
        yield case
        check_unharmed(world)
    check_healed(world)


@pytest.mark.parametrize("field", ["feed", "checkpoint", "cosignatures"])
def test_lies_in_the_list_of_heads(world, field):
    """An empty list of cosignatures is none; a list of strange names is a list."""
    for value in each(world, LIES):
        problems = lied_to(world, change_feed("maison", field, value))
        none = field == "cosignatures" and value in ("", {"a": 1})
        named = field == "feed" and value == "x"
        assert problems or none or named, value


@pytest.mark.parametrize("field", ["feeds", "evidence"])
def test_lies_about_the_whole_list(world, field):
    """A peer that names nothing names no problem."""
    for value in each(world, LIES):
        lie = rewrite("/v1/feeds", lambda b, v=value: b.update({field: v}))
        assert lied_to(world, lie) or value == "" or field == "evidence", value


@pytest.mark.parametrize("item", [None, 7, "x", {}, {"file": 7}, {"file": HALF}])
def test_lies_in_the_list_of_evidence(world, item):
    """The feeds that came before it are stored."""

    def lie(request, status, raw):
        if request.url.path == "/v1/evidence":
            return status, json.dumps({"evidence": [item]}).encode()
        named = rewrite("/v1/feeds", lambda b: b.update(evidence=["fork/market/00"]))
        return named(request, status, raw)

    problems = lied_to(world, lie)
    assert list(problems) == ["evidence"]
    assert world.nodes["node3"].size("maison") == world.nodes["node1"].size("maison")
    check_unharmed(world)


def paths(*ends):
    """Return whether a request is for one of some kinds of answer."""
    return lambda request: any(end in request.url.path for end in ends)


def instead(wanted, status, raw, fields=None):
    """Return a lie: this, in the place of some answers."""

    def lie(request, real, body):
        if wanted(request):
            return status, raw, fields or {}
        return real, body

    return lie


LINES = paths("/feeds/maison/entries")
TREE = paths("/feeds/maison/entries", "/tile/", "/proof/", "/checkpoints")
ABOUT_LINES = {
    "none": lambda _: b"",
    "an empty line": lambda _: b"\n",
    "cut short": lambda raw: raw[:-5],
    "one less": lambda raw: raw[:-1].rpartition(b"\n")[0] + b"\n",
    "one more": lambda raw: raw + b"{}\n",
    "a million more": lambda raw: raw + b"\n" * 1_000_000,
    "the first one missing": lambda raw: raw.partition(b"\n")[2],
    "two exchanged": lambda raw: b"\n".join(
        [*reversed(raw[:-1].split(b"\n")[:2]), *raw[:-1].split(b"\n")[2:], b""]
    ),
    "one byte": lambda raw: raw.replace(b'"confidence":50', b'"confidence":51', 1),
    "not UTF-8": lambda raw: raw.replace(b"report", b"\xff\xfe\xfd\xfc\xfb\xfa", 1),
    "an invented tombstone": lambda raw: b"\n".join(
        [raw[:-1].split(b"\n")[0], b'{"kind":"tombstone"}', b""]
    ),
    "zeros": lambda raw: bytes(len(raw)),
}


@pytest.mark.parametrize("wanted", [LINES, TREE], ids=["lines", "lines and tree"])
def test_lies_in_lines_tiles_and_proofs(world, wanted):
    """The other feed of the same peer goes on."""
    for name, change in each(world, ABOUT_LINES.items()):
        assert list(lied_to(world, mangled(change, wanted))) == ["maison"], name
        size = world.nodes["node3"].size("market")
        assert size == world.nodes["node1"].size("market"), name


ANSWERS = {
    "an empty body": (200, b""),
    "JSON": (200, b"{}"),
    "a page": (200, b"<html>hello</html>", {"content-type": "text/html"}),
    "a picture": (200, bytes(range(256)), {"content-type": "image/png"}),
    "no gzip": (200, b"feeds", {"content-encoding": "gzip"}),
    "deep JSON": (200, b"[" * 100_000),
    "nothing new": (304, b""),
    "elsewhere": (302, b"", {"location": "http://node2.example/v1/feeds"}),
    "no": (403, b"no"),
    "gone": (404, b'{"type":7}'),
    "conflict": (409, b"\xff"),
    "not home": (421, b'{"type":"urn:alliance-hub:not-home","home":7}'),
    "broken": (500, b"x" * 100_000),
    "slow down": (429, b"", {"retry-after": "99999"}),
    "I am a teapot": (418, b"[]"),
}


@pytest.mark.parametrize("path", ["/v1/feeds", "/entries"])
def test_other_statuses_and_content(world, path):
    """Whatever comes back is one problem with a name.

    That it has nothing new can be said by whoever was asked before.
    """
    for name, answer in each(world, ANSWERS.items()):
        wanted = lambda r: r.url.path.endswith(path)  # noqa: E731 - It is short.
        problems = lied_to(world, instead(wanted, *answer))
        assert problems or (name, path) == ("nothing new", "/v1/feeds"), name


def test_a_peer_that_goes_silent_in_the_middle(world):
    """After the registry and one feed it is gone: what came stands."""

    def lie(request, status, raw):
        if "/feeds/market/" in request.url.path:
            raise httpx2.ReadError("gone", request=request)
        return status, raw

    assert list(lied_to(world, lie)) == ["market"]
    assert world.nodes["node3"].size("maison") == world.nodes["node1"].size("maison")
    check_healed(world)


def test_a_peer_that_replays_its_old_answers(world):
    """It is behind, and nothing goes back."""
    node3, said = world.nodes["node3"], {}

    def record(request, status, raw):
        said[request.url.raw_path] = status, raw
        return status, raw

    lied_to(world, record)
    world.members["maison"].publish(1)
    world.settle()
    before = node3.size("maison")
    problems = lied_to(world, lambda r, s, raw: said.get(r.url.raw_path, (s, raw)))
    assert set(problems) <= {"maison"}
    assert node3.size("maison") == before
    check_unharmed(world)


def test_a_feed_that_is_withheld_comes_from_elsewhere(world):
    """Nobody can tell that from a peer that lags, so it is no problem; it is lag."""

    def withhold(body):
        body["feeds"] = [f for f in body["feeds"] if f["feed"] != "maison"]

    assert lied_to(world, rewrite("/v1/feeds", withhold)) == {}
    assert world.nodes["node3"].size("market") == world.nodes["node1"].size("market")
    check_healed(world)


def test_who_has_nothing_new_for_a_stranger_lies(world):
    """Without a tag of an earlier answer, 304 withholds everything."""
    world.nodes["node3"].store.write()
    client = world.nodes["node3"].client("node1")
    world.lies["node1", "node3"] = instead(paths("/v1/feeds"), 304, b"")
    with pytest.raises(MalformedError):
        client.heads()


# -- the answers of add-checkpoint -----------------------------------------------------


def submit(status, raw, kind="text/plain"):
    wanted = paths("/witness/add-checkpoint")
    return instead(wanted, status, raw, {"content-type": kind})


def own_line(world, feed, node):
    """Return the newest line by which a node cosigned its head of a feed."""
    store = world.nodes["node1"].store
    with store.read() as tx:
        rows = tx.heads.cosignatures(feed, tx.heads.get(feed).size)
    return next(row.line for row in reversed(rows) if row.node == node)


COSIGNED = {
    "garbage": lambda _: (200, b"hello\n"),
    "nothing": lambda _: (200, b""),
    "not UTF-8": lambda _: (200, b"\xff\n" * 9),
    "ten megabytes": lambda _: (200, b"a" * 10_000_000),
    "a line of another head": lambda w: (200, own_line(w, "maison", "node2")),
    "somebody else's line": lambda w: (200, own_line(w, "maison", "node3")),
    "409 without a size": lambda _: (409, b""),
    "409 with a size above ours": lambda _: (409, b"999\n"),
    "409 with a size beyond numbers": lambda _: (409, b"9" * 5000),
    "409 with no number": lambda _: (409, "٣\n".encode()),
    "409 with another number each time": lambda _: (409, b"1\n"),
    "422": lambda _: (422, b""),
    "403": lambda _: (403, b"no"),
    "404": lambda _: (404, b"no"),
    "429": lambda _: (429, b""),
    "500": lambda _: (500, b"x" * 1_000_000),
    "302": lambda _: (302, b""),
}


@pytest.mark.parametrize("answer", COSIGNED.values(), ids=COSIGNED)
def test_lies_of_a_witness(world, answer, caplog):
    """The batch is stored, the other witness counts, and the log names the liar."""
    world.settle()
    world.lies["node2", "node1"] = submit(*answer(world))
    receipt = world.members["maison"].publish(1)
    size = receipt["size"]
    with world.nodes["node1"].store.read() as tx:
        by = {row.node for row in tx.heads.cosignatures("maison", size)}
    assert by == {"node3"}
    assert any(r.getMessage().startswith("node2 does not") for r in caplog.records)
    world.lies.clear()
    receipt = world.members["maison"].publish(1)
    assert len(receipt["cosignatures"]) == 2
    assert not any(map(world.evidence, world.nodes))


def test_a_line_of_somebody_else_does_not_count_for_the_peer(world, caplog):
    """It is kept, since it is true; but this peer vouched for nothing."""
    world.settle()
    lines = []

    def relay(request, status, raw):
        if "add-checkpoint" in request.url.path:
            # What node 3 says to the same request.
            body = request.content
            other = world.nodes["node1"].client("node3")
            answer = other.probe("POST", request.url.path, body)
            lines.append(answer.body)
            return answer.status, answer.body
        return status, raw

    world.lies["node2", "node1"] = relay
    receipt = world.members["maison"].publish(1)
    assert lines
    with world.nodes["node1"].store.read() as tx:
        rows = tx.heads.cosignatures("maison", receipt["size"])
        assert "maison" not in tx.node.get_sync("witness node2") or (
            tx.node.get_sync("witness node2")["maison"] != str(receipt["size"])
        )
    assert {row.node for row in rows} == {"node3"}
    assert "no line of its own" in caplog.text


# -- the whole of a visit --------------------------------------------------------------


def test_a_visit_is_bounded_over_all_its_answers(world):
    """Each answer may be in time and all of them too late: then it is over."""

    def slow(request, status, raw):
        world.clock.advance(PATIENCE)
        return status, raw

    world.lies["node1", "node3"] = slow
    done = visit(world.nodes["node3"].federation, "node1")
    assert {p.code for p in done.problems.values()} == {"visit-over"}
    check_unharmed(world)
    check_healed(world)


def test_a_visit_is_bounded_in_bytes(world):
    node3 = world.nodes["node3"]
    client = Bounded(node3.client("node1"), world.clock, world.clock.now(), 100)
    assert client.lines("maison", 0, 3)
    with pytest.raises(UnavailableError, match="too much"):
        client.lines("maison", 0, 3)
    assert VISIT_BYTES > 1 << 30


def test_who_answers_with_its_heads_and_then_with_nonsense_is_left_alone(world):
    """It backs off like one that is silent; honest answers end it."""
    federation = world.nodes["node3"].federation
    world.lies["node1", "node3"] = instead(paths("/entries"), 500, b"")
    pauses = []
    for _ in range(3):
        done = visit(federation, "node1")
        assert done.problems
        state = next(p for p in peerings(federation) if p.name == "node1")
        pauses.append(state.next_try - world.clock.now())
        world.clock.time = state.next_try
    assert pauses == [PAUSE, 2 * PAUSE, 4 * PAUSE]
    world.lies.clear()
    visit(federation, "node1")
    state = next(p for p in peerings(federation) if p.name == "node1")
    assert (state.failures, state.error) == (0, "")
