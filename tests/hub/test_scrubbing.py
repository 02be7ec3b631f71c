"""Damaged pages are found by hashing everything, and fetched again from a peer."""

from __future__ import annotations

import gzip

import pytest

from hub.audit import audit
from hub.scrubbing import scrub
from hub.store.engine import sqlite3
from hub.store.sqlite import SqliteStore
from tests.simulator import World, mangled

COUNT = 700


@pytest.fixture
def world(tmp_path):
    """Three nodes with files; maison published three slots of entries."""

    def store(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return SqliteStore(tmp_path / name / "hub.db", create=True)

    made = World(tmp_path, store=store)
    made.members["maison"].publish(COUNT)
    made.settle()
    return made


def damage(world, name, change):
    """Change the file of a node behind its back."""
    node = world.nodes[name]
    node.store.close()
    path = node.folder / "hub.db"
    connection = sqlite3.connect(path)
    (feed,) = connection.execute(
        "SELECT id FROM feeds WHERE name = 'maison'"
    ).fetchone()
    change(connection, feed)
    connection.commit()
    connection.close()
    node.store = SqliteStore(path)
    node.boot()
    return node


def altered_line(db, feed):
    row, lines = db.execute(
        "SELECT rowid, lines FROM pages WHERE feed = ? AND first = 256", (feed,)
    ).fetchone()
    text = gzip.decompress(lines).replace(b'"confidence":50', b'"confidence":99', 1)
    db.execute("UPDATE pages SET lines = ? WHERE rowid = ?", (gzip.compress(text), row))


def unreadable_page(db, feed):
    db.execute(
        "UPDATE pages SET lines = zeroblob(40) WHERE feed = ? AND first = 512", (feed,)
    )


def altered_digest(db, feed):
    row, digests = db.execute(
        "SELECT rowid, digests FROM pages WHERE feed = ? AND first = 0", (feed,)
    ).fetchone()
    bad = digests[:40] + bytes([digests[40] ^ 1]) + digests[41:]
    db.execute("UPDATE pages SET digests = ? WHERE rowid = ?", (bad, row))


def missing_page(db, feed):
    db.execute("DELETE FROM pages WHERE feed = ? AND first = 256", (feed,))


def missing_last_page(db, feed):
    db.execute("DELETE FROM pages WHERE feed = ? AND first >= 512", (feed,))


def exchanged_entry(db, feed):
    """A line and its digest together, so that they fit each other."""
    from hub.tlog.batch import digests_of

    row, digests, lines = db.execute(
        "SELECT rowid, digests, lines FROM pages WHERE feed = ? AND first = 256",
        (feed,),
    ).fetchone()
    parts = gzip.decompress(lines).split(b"\n")
    parts[3] = parts[3].replace(b'"confidence":50', b'"confidence":99')
    digests = digests[:96] + digests_of([parts[3]])[0] + digests[128:]
    db.execute(
        "UPDATE pages SET digests = ?, lines = ? WHERE rowid = ?",
        (digests, gzip.compress(b"\n".join(parts)), row),
    )


def wrong_tree_hash(db, feed):
    db.execute(
        "UPDATE hashes SET hash = zeroblob(32) WHERE feed = ? AND n = 1", (feed,)
    )


def missing_tree_hash(db, feed):
    db.execute("DELETE FROM hashes WHERE feed = ? AND n = 0", (feed,))


FAULTS = [
    altered_line,
    unreadable_page,
    altered_digest,
    missing_page,
    missing_last_page,
    exchanged_entry,
    wrong_tree_hash,
    missing_tree_hash,
]


def test_what_is_whole_is_left_alone(world):
    node = world.nodes["node2"]
    found = scrub(node.store, node.hub.registry, [])
    assert (found.damages, found.problems) == ([], [])
    assert found.entries == sum(node.size(f) for f in ("registry", "maison"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damage_is_found_and_mended_from_a_peer(world, fault):
    """Afterwards the file is as it was: an audit finds nothing, and it serves again."""
    node = damage(world, "node2", fault)
    alone = scrub(node.store, node.hub.registry, [])
    assert {d.feed for d in alone.damages} == {"maison"}
    found = scrub(node.store, node.hub.registry, [node.client("node3")])
    assert (found.left, found.problems) == ([], [])
    assert scrub(node.store, node.hub.registry, []).damages == []
    assert audit(node.store, world.pin, world.clock.now()).findings == []
    market = world.members["market"]
    assert not market.pull("node2").problems


def test_a_peer_that_lies_mends_nothing_and_the_next_one_does(world):
    node = damage(world, "node2", altered_line)

    world.lies["node3", "*"] = mangled(lambda raw: raw.replace(b"50", b"60"))
    peers = [node.client("node3"), node.client("node1")]
    found = scrub(node.store, node.hub.registry, peers[:1])
    assert found.left
    assert "node3.example" in found.problems[0]
    assert scrub(node.store, node.hub.registry, peers).left == []


def test_a_line_that_was_erased_stays_erased(world):
    """Mending a page brings back nothing that an order removed."""
    from hub.feeds import delete_due
    from hub.model import new_salt, render_time
    from hub.publishing.batches import make_batch
    from schemas.base import render_line

    maison = world.members["maison"]
    entry = {
        "kind": "erasure",
        "salt": new_salt(),
        "at": render_time(world.clock.now()),
        "indices": [300],
        "ground": "other",
    }
    with world.nodes["node1"].store.read() as tx:
        head = world.nodes["node1"].hub.registry.current(tx).head
    origin = "alliance.example/maison"
    _, body = make_batch(origin, [render_line(entry)], head, maison.key)
    maison.client("node1").publish("maison", body)
    world.settle()
    node = world.nodes["node2"]
    assert delete_due(node.store, world.clock.now() + 73 * 3600) == 1
    node = damage(world, "node2", altered_line)
    found = scrub(node.store, node.hub.registry, [node.client("node3")])
    assert found.left == []
    with node.store.read() as tx:
        assert next(tx.objects.lines("maison", 300, 301)).raw is None
