"""Which reports count: the definition, and both indexes held to it."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.directory import Directory, Key
from hub.feeds import append, delete_due
from hub.indexing import catch_up
from hub.indicators import Ended, Fate, Outlook, Reported, derive, follow, why_ended
from hub.model import EntryName, parse_time, render_time
from hub.parties import Closure
from hub.screening import outlook_of
from hub.store.engine import sqlite3
from hub.store.memory import MemoryStore
from hub.store.sqlite import SqliteStore
from hub.tlog.batch import BatchNote, digests_of
from hub.tlog.checkpoint import EMPTY
from hub.verifier import OpenBatch
from keys.ed25519 import Signer
from keys.encoding import from_base64, to_base64
from schemas.base import render_line
from schemas.fast import read_line

MEMBERS = ("maison", "market")
NOW = 1_800_000_000
SALT = to_base64(bytes(16))
LOG = Signer.from_seed(bytes(32))
# They begin alike, as the index looks at beginnings first.
CASES = ("a" * 16, "a" * 8 + "b" * 8)
TOKENS = tuple(to_base64(bytes([7] * 6 + [n] * 26)) for n in range(2))


def report(token=0, case=0, valid=1000):
    return {
        "kind": "report",
        "type": "domain",
        "token": TOKENS[token],
        "key": "open-1",
        "case": CASES[case],
        "basis": "test-purchase",
        "confidence": 50,
        "valid_until": render_time(NOW + valid),
        "goods": [18, 25],
        "first_seen": "2026-01-02",
    }


def by_case(case=0):
    return {"kind": "withdrawal", "case": CASES[case], "reason": "other"}


def by_entry(member, index):
    return {"kind": "withdrawal", "entry": f"{member}/{index}", "reason": "other"}


def dispute(member, index):
    reference = {"feed": member, "entry": index, "digest": to_base64(bytes(32))}
    return {"kind": "dispute", "report": reference, "reason": "other"}


def listed(feeds, outlook=None, erased=frozenset()):
    """Return (token, entry) of what is active, of entries numbered from 1."""
    numbered = {f: list(enumerate(entries, 1)) for f, entries in feeds.items()}
    found = derive(numbered, outlook or Outlook(NOW), erased)
    return {(t, str(r.entry)) for t, rows in found.items() for r in rows}


def test_a_renewal_renews_and_does_not_add():
    assert listed({"maison": [report(), report()]}) == {(TOKENS[0], "maison/2")}


def test_a_withdrawal_of_a_case_ends_what_came_before_only():
    feed = [report(), report(1), by_case(), report()]
    assert listed({"maison": feed}) == {(TOKENS[0], "maison/4")}


def test_a_withdrawal_of_one_report_ends_earlier_ones_of_its_case_and_token():
    feed = [report(), report(1), report(), by_entry("maison", 3)]
    assert listed({"maison": feed}) == {(TOKENS[1], "maison/2")}


def test_a_withdrawal_ends_nothing_of_another_feed():
    feeds = {"maison": [report()], "market": [report(), by_entry("maison", 1)]}
    assert len(listed(feeds)) == 2


def test_an_erased_renewal_leaves_the_report_before_it():
    erased = frozenset({EntryName("maison", 2)})
    found = listed({"maison": [report(), report()]}, erased=erased)
    assert found == {(TOKENS[0], "maison/1")}


def test_a_withdrawal_of_an_erased_report_ends_nothing_else():
    """Whoever mirrors the feed only now cannot know what the report was about."""
    feed = [report(), report(), by_entry("maison", 2)]
    erased = frozenset({EntryName("maison", 2)})
    assert listed({"maison": feed}) == set()
    assert listed({"maison": feed}, erased=erased) == {(TOKENS[0], "maison/1")}


def test_an_erased_dispute_disputes_nothing():
    feeds = {"maison": [(1, report())], "market": [(1, dispute("maison", 1))]}
    erased = frozenset({EntryName("market", 1)})
    assert derive(feeds, Outlook(NOW))[TOKENS[0]][0].disputed
    assert not derive(feeds, Outlook(NOW), erased)[TOKENS[0]][0].disputed


@pytest.mark.parametrize(
    "outlook",
    [
        Outlook(NOW + 1000),
        Outlook(NOW, {EntryName("maison", 1): NOW + 1}),
        Outlook(NOW, gone=frozenset({"maison"})),
    ],
)
def test_expired_suspended_and_gone_reports_are_inactive(outlook):
    assert listed({"maison": [report()]}, outlook) == set()


# -- why a listing ended ---------------------------------------------------------------

FIRST, SECOND = EntryName("maison", 1), EntryName("maison", 3)
LATER = NOW + 1000


@pytest.mark.parametrize(
    ("fates", "outlook", "expected"),
    [
        ([Fate(FIRST, erased=True)], {}, Ended(FIRST, "erased")),
        ([Fate(FIRST, LATER, void=True)], {}, Ended(FIRST, "key-closed")),
        (
            [Fate(FIRST, LATER, "false-positive")],
            {},
            Ended(FIRST, "withdrawn", "false-positive"),
        ),
        ([Fate(FIRST, NOW)], {}, Ended(FIRST, "expired")),
        (
            [Fate(FIRST, LATER)],
            {"suspended": {FIRST: LATER}},
            Ended(FIRST, "suspended"),
        ),
        (
            [Fate(FIRST, LATER)],
            {"gone": frozenset({"maison"})},
            Ended(FIRST, "member-left"),
        ),
        # A renewal that ended says so under its own name.
        ([Fate(FIRST, LATER), Fate(SECOND, NOW)], {}, Ended(SECOND, "expired")),
        (
            [Fate(FIRST, NOW), Fate(SECOND, LATER, "resolved")],
            {},
            Ended(FIRST, "expired"),
        ),
        # What was withdrawn and then erased is not spoken of any more.
        ([Fate(FIRST, LATER, "resolved", erased=True)], {}, Ended(FIRST, "erased")),
    ],
)
def test_why_a_listing_ended(fates, outlook, expected):
    assert why_ended(FIRST, fates, Outlook(NOW, **outlook)) == expected


def test_what_is_still_listed_has_not_ended():
    with pytest.raises(AssertionError):
        why_ended(FIRST, [Fate(FIRST, LATER)], Outlook(NOW))


# -- any history: both indexes, whenever they were brought up to date ------------------

member = st.sampled_from(["maison", "maison", "market"])
# Entries stand at odd indices, each behind the header of its batch.
index = st.integers(0, 3).map(lambda n: 2 * n + 1)
small = st.sampled_from([0, 0, 1])
valid = st.sampled_from([1000, 10, -1])
said = st.one_of(
    st.builds(report, small, small, valid),
    st.builds(by_entry, member, index),
    st.builds(by_case, small),
    st.builds(dispute, member, index),
)
done = st.one_of(
    st.tuples(st.just("erase"), member, index),
    st.tuples(st.just("void"), st.integers(0, 2), st.none()),
    st.tuples(st.just("delete"), st.none(), st.none()),
    st.tuples(st.just("close"), member, index),
    st.tuples(st.just("suspend"), member, index),
    st.tuples(st.just("leave"), member, st.none()),
    st.tuples(st.just("index"), st.sampled_from([1, 3, 1000]), st.none()),
)
publish = st.tuples(st.just("publish"), member, said)
ACTS = st.integers(0, 2).flatmap(lambda n: done if n == 2 else publish)


@dataclass
class World:
    """What happened, said to two stores and kept as the definition needs it."""

    stores: list
    feeds: dict = field(default_factory=lambda: {m: {} for m in MEMBERS})
    sizes: dict = field(default_factory=lambda: dict.fromkeys(MEMBERS, 0))
    orders: list = field(default_factory=list)
    voided: set = field(default_factory=set)
    lost: set = field(default_factory=set)
    directory: Directory = field(
        default_factory=lambda: Directory(
            "alliance.example",
            1,
            (),
            keys=tuple(
                Key(f"member/{m}", "k1", ("publish",), m.encode().ljust(32), 0)
                for m in MEMBERS
            ),
        )
    )

    @property
    def outlook(self):
        return outlook_of(self.directory, NOW)

    def publish(self, feed, entry):
        first = self.sizes[feed]
        entry = {"salt": SALT, "at": render_time(NOW), **entry}
        lines = [b'{"kind":"batch","note":"%d"}' % first, render_line(entry)]
        note = BatchNote("", 1, bytes(32), bytes([first, *bytes(15)]), EMPTY)
        key = feed.encode().ljust(32)
        batch = OpenBatch(feed, first, note, key, "", void=False)
        for store in self.stores:
            with store.write() as tx:
                digests = digests_of(lines)
                append(tx, "alliance.example", batch, lines, digests, signer=LOG)
        self.sizes[feed] += 2
        self.feeds[feed][first + 1] = read_line(lines[1])[0]

    def erase(self, feed, at):
        if self.feeds[feed].get(at, {}).get("kind") not in ("report", "dispute"):
            return
        by = f"registry/{len(self.orders)}"
        self.orders.append(EntryName(feed, at))
        for store in self.stores:
            with store.write() as tx:
                tx.erasures.order(feed, [at], by, NOW)

    def void(self, number, _):
        if number >= len(self.orders):
            return
        self.voided.add(number)
        for store in self.stores:
            with store.write() as tx:
                tx.erasures.void(f"registry/{number}")

    def standing(self):
        return {n for i, n in enumerate(self.orders) if i not in self.voided}

    def delete(self, *_):
        self.lost |= self.standing()
        for store in self.stores:
            delete_due(store, NOW + 10**7)

    def close(self, feed, at):
        keys = tuple(
            replace(k, closures=(Closure("publish", index=at),))
            if k.owner == f"member/{feed}"
            else k
            for k in self.directory.keys
        )
        self.directory = replace(self.directory, keys=keys)

    def suspend(self, feed, at):
        more = {**self.directory.suspended, EntryName(feed, at): NOW + 5}
        self.directory = replace(self.directory, suspended=more)

    def leave(self, feed, _):
        left = {**self.directory.left, feed: "suspended"}
        self.directory = replace(self.directory, left=left)

    def index(self, run=1000, _=None):
        for store in self.stores:
            catch_up(store, lambda _tx: self.directory, run=run)

    def counted(self):
        """Return what the feeds say when erased, lost and void lines never were."""
        gone = self.standing() | self.lost
        closed = {k.owner: k.closed_at for k in self.directory.keys}
        return {
            feed: [
                (at, entry)
                for at, entry in entries.items()
                if EntryName(feed, at) not in gone
                and not self.is_void(closed[f"member/{feed}"], at)
            ]
            for feed, entries in self.feeds.items()
        }

    @staticmethod
    def is_void(closed_at, at):
        return closed_at is not None and at - 1 >= closed_at


@settings(max_examples=settings().max_examples * 4)
@given(
    acts=st.lists(ACTS, min_size=12, max_size=30), later=st.sampled_from([0, 7, 500])
)
def test_both_indexes_say_what_the_definition_says(acts, later):
    """After any history, whichever part of it was indexed when."""
    with tempfile.TemporaryDirectory() as folder:
        sqlite = SqliteStore(Path(folder) / "hub.db", create=True)
        world = World([MemoryStore(), sqlite])
        for act, one, two in acts:
            getattr(world, act)(one, two)
        world.index()
        outlook = replace(world.outlook, now=NOW + later)
        expected = {
            from_base64(token): rows
            for token, rows in derive(world.counted(), outlook).items()
        }
        tokens = [from_base64(token) for token in TOKENS]
        for store in world.stores:
            with store.read() as tx:
                assert tx.index.all_active(outlook) == expected
                assert tx.index.lookup(tokens, outlook) == expected
                for feed, entries in world.counted().items():
                    for token in TOKENS:
                        found = tx.index.reports_of(feed, from_base64(token))
                        assert found == reported(feed, entries, token)
        sqlite.close()
        assert viewed(Path(folder) / "hub.db", outlook.now) == shown(expected)


def viewed(path, now):
    """Return what a person reads in the views at a time."""
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("strftime", 1, lambda _format: str(now))
        active = connection.execute(
            """SELECT entry, member, type, token, basis, confidence, goods,
            first_seen, last_seen, valid_until, disputed FROM active_reports"""
        ).fetchall()
        listings = connection.execute(
            "SELECT token, members, listed_by, disputed FROM listings"
        ).fetchall()
    return sorted(active), sorted(
        (token, count, sorted(members.split(",")), disputed)
        for token, count, members, disputed in listings
    )


def shown(expected):
    """Return what the views should say when the look-up says this."""
    active = [
        (
            str(r.entry),
            r.member,
            r.type,
            token.hex(),
            r.basis,
            r.confidence,
            ",".join(map(str, r.goods)),
            r.first_seen,
            r.last_seen,
            render_time(r.valid_until),
            int(r.disputed),
        )
        for token, rows in expected.items()
        for r in rows
    ]
    listings = [
        (
            token.hex(),
            len(rows),
            sorted(r.member for r in rows),
            int(any(r.disputed for r in rows)),
        )
        for token, rows in expected.items()
    ]
    return sorted(active), sorted(listings)


def reported(feed, entries, token):
    """Return what the definition says of a member's reports on a token."""
    return [
        Reported(row.name, parse_time(row.entry["valid_until"]), row.ended)
        for row in follow(feed, entries)
        if (row.entry["kind"], row.entry.get("token")) == ("report", token)
    ]


def test_an_erasure_takes_back_what_was_said_about_the_line(tmp_path):
    """Also when the index knew the withdrawal before; deleting changes nothing more."""
    sqlite = SqliteStore(tmp_path / "hub.db", create=True)
    world = World([MemoryStore(), sqlite])
    for entry in (report(), report(), by_entry("maison", 3)):
        world.publish("maison", entry)

    def active():
        world.index()
        found = []
        for store in world.stores:
            with store.read() as tx:
                rows = tx.index.all_active(world.outlook).values()
                found.append([str(r.entry) for many in rows for r in many])
        return found

    assert active() == [[], []]
    world.erase("maison", 3)
    assert active() == [["maison/1"], ["maison/1"]]
    world.delete()
    assert active() == [["maison/1"], ["maison/1"]]
    sqlite.close()


def test_the_views_for_people_say_the_same(tmp_path):
    """An erased renewal and a withdrawn one leave what is active without them."""
    store = SqliteStore(tmp_path / "hub.db", create=True)
    world = World([store])
    for entry in (report(valid=10**9), report(valid=10**9), report(1, 1, 10**9)):
        world.publish("maison", entry)
    world.publish("market", report(1, 0, 10**9))
    world.publish("market", by_entry("market", 1))
    world.erase("maison", 3)
    world.index()
    store.close()
    connection = sqlite3.connect(tmp_path / "hub.db")
    rows = connection.execute("SELECT entry FROM active_reports ORDER BY 1").fetchall()
    assert rows == [("maison/1",), ("maison/5",)]
    connection.close()


def test_a_deleted_line_leaves_no_token_in_the_index(tmp_path):
    """The bytes are gone from the file, its journal and what was derived."""
    store = SqliteStore(tmp_path / "hub.db", create=True)
    world = World([store])
    token = bytes(range(100, 132))
    world.publish("maison", {**report(), "token": to_base64(token)})
    world.index()
    world.erase("maison", 1)
    assert token in (tmp_path / "hub.db").read_bytes() + _journal(tmp_path)
    world.delete()
    assert token not in (tmp_path / "hub.db").read_bytes() + _journal(tmp_path)
    store.close()


def _journal(folder):
    path = folder / "hub.db-wal"
    return path.read_bytes() if path.exists() else b""
