"""Any sequence of calls has the same answers in memory and in SQLite."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hub.errors import HubError
from hub.store.base import DAY, BatchRow, Limit, Store, StoredHead, Transaction
from hub.store.memory import MemoryStore
from hub.store.sqlite import SqliteStore
from tests.hub.store.samples import append, line

FEEDS = st.sampled_from(["maison", "other", "registry"])
NAMES = st.sampled_from(["a", "b"])
PLACES = st.integers(0, 700)
TIMES = st.integers(0, 5 * DAY)


class SpoiledError(Exception):
    """Raised by the test to see a transaction rolled back."""


def _spoil(wanted: bool) -> None:
    if wanted:
        raise SpoiledError


def answer(store: Store, call: Callable[[Transaction], object], spoil: bool) -> object:
    """Return what a call in a transaction of its own answered or refused."""
    try:
        with store.write() as tx:
            found = call(tx)
            _spoil(spoil)
    except (HubError, AssertionError, SpoiledError) as error:
        return type(error), str(error), getattr(error, "retry_after", None)
    return found


class Twins(RuleBasedStateMachine):
    """Two stores that are told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.sqlite = SqliteStore(Path(self.folder.name) / "hub.db", create=True)
        self.memory = MemoryStore()

    def teardown(self) -> None:
        self.sqlite.check()
        self.sqlite.close()
        self.folder.cleanup()

    def both(self, call: Callable[[Transaction], object], spoil: bool = False) -> None:
        assert answer(self.sqlite, call, spoil) == answer(self.memory, call, spoil)

    @rule(
        feed=FEEDS, count=st.sampled_from([0, 1, 2, 200, 256, 300]), spoil=st.booleans()
    )
    def grow(self, feed: str, count: int, spoil: bool) -> None:
        self.both(lambda tx: append(tx, feed, count), spoil)

    @rule(feed=FEEDS, indices=st.lists(PLACES, max_size=4), spoil=st.booleans())
    def erase(self, feed: str, indices: list[int], spoil: bool) -> None:
        self.both(lambda tx: tx.objects.erase(feed, indices), spoil)

    @rule(feed=FEEDS, indices=st.lists(PLACES, max_size=4), spoil=st.booleans())
    def refill(self, feed: str, indices: list[int], spoil: bool) -> None:
        lines = {index: line(index) for index in indices}
        self.both(lambda tx: tx.objects.refill(feed, lines), spoil)
        self.both(lambda tx: tx.erasures.mark_refilled(feed, indices))

    @rule(feed=FEEDS, old=st.none() | st.integers(0, 3), size=st.integers(0, 3))
    def swap(self, feed: str, old: int | None, size: int) -> None:
        head = StoredHead(size, b"r" * 32, b"note %d" % size)
        self.both(lambda tx: tx.heads.replace(feed, old, head))

    @rule(feed=FEEDS, size=st.integers(0, 2), node=NAMES, time=TIMES)
    def cosign(self, feed: str, size: int, node: str, time: int) -> None:
        line = b"%d" % time
        self.both(lambda tx: tx.heads.add_cosignature(feed, size, node, time, line))

    @rule(feed=FEEDS, key=NAMES, first=PLACES, count=st.integers(1, 9))
    def add_batch(self, feed: str, key: str, first: int, count: int) -> None:
        batch = BatchRow(key.encode() * 16, first, count, b"")
        self.both(lambda tx: tx.batches.add(feed, batch))

    @rule(feed=FEEDS, indices=st.lists(PLACES, max_size=3), by=NAMES, time=TIMES)
    def order(self, feed: str, indices: list[int], by: str, time: int) -> None:
        self.both(lambda tx: tx.erasures.order(feed, indices, by, time))

    @rule(by=NAMES)
    def void(self, by: str) -> None:
        self.both(lambda tx: tx.erasures.void(by))

    @rule(feed=FEEDS, indices=st.lists(PLACES, max_size=3), by=NAMES)
    def ignore(self, feed: str, indices: list[int], by: str) -> None:
        self.both(lambda tx: tx.erasures.ignore(feed, indices, by))

    @rule(feed=FEEDS, indices=st.lists(PLACES, max_size=3))
    def mark_deleted(self, feed: str, indices: list[int]) -> None:
        self.both(lambda tx: tx.erasures.mark_deleted(feed, indices))

    @rule(member=NAMES, count=st.integers(0, 60), now=TIMES, body=NAMES)
    def charge(self, member: str, count: int, now: int, body: str) -> None:
        limits = [Limit(100), Limit(50, 600)]
        self.both(
            lambda tx: tx.node.charge(
                member, "open", count, limits=limits, now=now, body_digest=body.encode()
            )
        )

    @rule(key=NAMES, nonce=NAMES, expires=TIMES, now=TIMES, spoil=st.booleans())
    def spend(self, key: str, nonce: str, expires: int, now: int, spoil: bool) -> None:
        self.both(lambda tx: tx.node.use_nonce(key, nonce, expires, now), spoil)

    @rule(name=NAMES, owner=NAMES, until=TIMES, now=TIMES)
    def lease(self, name: str, owner: str, until: int, now: int) -> None:
        self.both(lambda tx: tx.node.lease(name, owner, until, now))

    @rule(feed=FEEDS, edges=st.tuples(PLACES, PLACES), now=TIMES)
    def look(self, feed: str, edges: tuple[int, int], now: int) -> None:
        start, stop = sorted(edges)
        self.both(lambda tx: list(tx.objects.lines(feed, start, stop)))
        self.both(lambda tx: tx.objects.digests(feed, start, stop))
        self.both(lambda tx: tx.batches.at(feed, start))
        self.both(lambda tx: tx.batches.list(feed, start, 2))
        self.both(lambda tx: tx.erasures.hidden(feed, start, stop))
        self.both(lambda tx: tx.erasures.orders(feed, start, stop))
        self.both(lambda tx: tx.erasures.due(now))
        self.both(lambda tx: tx.heads.cosignatures(feed, 1))
        self.both(lambda tx: tx.node.usage("a", now))

    @invariant()
    def same_heads(self) -> None:
        with self.sqlite.read() as one, self.memory.read() as two:
            assert one.heads.all() == two.heads.all()
            for feed in ("maison", "other", "registry"):
                assert one.objects.size(feed) == two.objects.size(feed)
                assert one.heads.checkpoints(feed, 0) == two.heads.checkpoints(feed, 0)


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
