"""Entries: gap-free, streamed, compressed, erasable without touching a hash."""

from __future__ import annotations

import itertools
import zlib

import pytest

from hub.errors import ConflictError, MalformedError
from hub.store.base import Page, Store, Transaction
from hub.tlog.merkle import (
    Frontier,
    ListReader,
    check_inclusion,
    leaf_hashes,
    prove_inclusion,
)
from tests.hub.store.samples import append, digest, line

SIZES = (1, 2, 253, 1, 255, 256, 257, 1000, 3)


def grown(store: Store, sizes: tuple[int, ...] = SIZES) -> int:
    for size in sizes:
        with store.write() as tx:
            append(tx, "maison", size)
    return sum(sizes)


def text_of(pages: list[Page]) -> bytes:
    """Return what a client makes of the members sent one after the other."""
    raw, text = b"".join(page.gzip for page in pages), b""
    while raw:
        engine = zlib.decompressobj(31)
        text += engine.decompress(raw)
        raw = engine.unused_data
    return text


def expected_text(start: int, stop: int, missing: frozenset[int]) -> bytes:
    return b"".join(
        (b"" if index in missing else line(index)) + b"\n"
        for index in range(start, stop)
    )


def test_unknown_feed_is_empty(store: Store) -> None:
    """Nothing stored reads as nothing, not as an error."""
    with store.read() as tx:
        assert tx.objects.size("maison") == 0
        assert tx.objects.digests("maison", 0, 0) == []
        assert list(tx.objects.lines("maison", 0, 0)) == []
        assert list(tx.objects.pages("maison", 0, 0)) == []


def test_every_line_comes_back(store: Store) -> None:
    """However the appends were cut, all entries come back in order."""
    total = grown(store)
    with store.read() as tx:
        found = list(tx.objects.lines("maison", 0, total))
        assert [entry.index for entry in found] == list(range(total))
        assert [entry.raw for entry in found] == [line(i) for i in range(total)]
        assert [entry.digest for entry in found] == [
            digest(line(i)) for i in range(total)
        ]
        assert tx.objects.digests("maison", 0, total) == [e.digest for e in found]


EDGES = (0, 1, 2, 255, 256, 257, 511, 512, 513, 1024, 2025, 2028)


@pytest.mark.parametrize("missing", [frozenset[int](), frozenset({1, 255, 256, 600})])
def test_every_range(store: Store, missing: frozenset[int]) -> None:
    """Any range reads alike as lines, digests, blocks and gzip members."""
    total = grown(store)
    with store.write() as tx:
        assert tx.objects.erase("maison", sorted(missing)) == len(missing)
    with store.read() as tx:
        for start, stop in itertools.combinations_with_replacement(EDGES, 2):
            assert stop <= total
            check_one_range(tx, start, stop, missing)


def check_one_range(
    tx: Transaction, start: int, stop: int, missing: frozenset[int]
) -> None:
    raws = [None if i in missing else line(i) for i in range(start, stop)]
    digests = [digest(line(i)) for i in range(start, stop)]
    assert [entry.raw for entry in tx.objects.lines("maison", start, stop)] == raws
    assert tx.objects.digests("maison", start, stop) == digests
    blocks = list(tx.objects.blocks("maison", start, stop))
    assert [raw for block in blocks for raw in block.lines] == raws
    assert [found for block in blocks for found in block.digests] == digests
    pages = list(tx.objects.pages("maison", start, stop))
    assert text_of(pages) == expected_text(start, stop, missing)
    assert sum(page.count for page in pages) == stop - start
    for page in pages:
        held = range(page.first, page.first + page.count)
        assert page.whole == missing.isdisjoint(held)


def test_full_slots_are_one_page(store: Store) -> None:
    """A slot that small appends filled is one page of 256, like any other."""
    grown(store, (100, 100, 100, 212, 5))
    with store.read() as tx:
        runs = [(p.first, p.count) for p in tx.objects.pages("maison", 0, 512)]
    assert runs == [(0, 256), (256, 256)]


def test_out_of_range_is_told_at_the_call(store: Store) -> None:
    """No stream starts that cannot be finished."""
    grown(store, (5,))
    with store.read() as tx:
        for start, stop in ((0, 6), (-1, 2), (3, 2)):
            for read in (
                tx.objects.digests,
                tx.objects.lines,
                tx.objects.blocks,
                tx.objects.pages,
            ):
                with pytest.raises(MalformedError) as caught:
                    read("maison", start, stop)
                assert caught.value.code == "out-of-range"
        with pytest.raises(MalformedError):
            tx.objects.hash_reader("maison", 6)


def test_append_only_at_the_end(store: Store) -> None:
    """A gap, an overlap or a repetition is a conflict."""
    grown(store, (5,))
    for first in (0, 4, 6):
        with store.write() as tx, pytest.raises(ConflictError, match="5 entries"):
            tx.objects.append("maison", first, [b"x"], [bytes(32)], [])


def test_append_nothing(store: Store) -> None:
    """An empty append is allowed and changes nothing."""
    grown(store, (256,))
    with store.write() as tx:
        tx.objects.append("maison", 256, [], [], [])
        assert tx.objects.size("maison") == 256


@pytest.mark.parametrize("bad", [b"", b"a\nb", b"\n"])
def test_unstorable_line(store: Store, bad: bytes) -> None:
    """An empty line and one with a newline could not be told apart on the disk."""
    with store.write() as tx, pytest.raises(MalformedError) as caught:
        tx.objects.append("maison", 0, [b"ok", bad], [bytes(32)] * 2, [])
    assert caught.value.code == "bad-line"


def test_digests_are_whole(store: Store) -> None:
    """A digest of another size or number is our own mistake."""
    with store.write() as tx:
        with pytest.raises(AssertionError):
            tx.objects.append("maison", 0, [b"ok"], [b"short"], [])
        with pytest.raises(AssertionError):
            tx.objects.append("maison", 0, [b"ok"], [], [])


def test_entries_that_came_as_tombstones(store: Store) -> None:
    """A line that nobody has any more is stored as missing, its digest is not."""
    with store.write() as tx:
        append(tx, "maison", 300, missing=frozenset({0, 7, 299}))
    with store.read() as tx:
        gone = [e.index for e in tx.objects.lines("maison", 0, 300) if e.raw is None]
        assert gone == [0, 7, 299]
        assert tx.objects.digests("maison", 7, 8) == [digest(line(7))]


def test_erased_lines_survive_a_merge(store: Store) -> None:
    """Filling a slot does not bring an erased line back."""
    grown(store, (100,))
    with store.write() as tx:
        tx.objects.erase("maison", [3])
    grown(store, (200,))
    with store.read() as tx:
        assert next(tx.objects.lines("maison", 3, 4)).raw is None
        assert next(tx.objects.lines("maison", 4, 5)).raw == line(4)


def test_erase_counts_what_was_there(store: Store) -> None:
    """Erasing is safe to repeat; what does not exist cannot be erased."""
    grown(store, (600,))
    with store.write() as tx:
        assert tx.objects.erase("maison", [599, 3, 3, 300]) == 3
        assert tx.objects.erase("maison", [3, 4]) == 1
        assert tx.objects.erase("maison", []) == 0
        for wrong in ([600], [-1], [0, 600]):
            with pytest.raises(MalformedError):
                tx.objects.erase("maison", wrong)
        assert next(tx.objects.lines("maison", 0, 1)).raw == line(0)


def test_feeds_do_not_mix(store: Store) -> None:
    """Indices belong to a feed."""
    with store.write() as tx:
        append(tx, "maison", 300)
        append(tx, "other", 10)
        tx.objects.erase("other", [1])
        assert tx.objects.size("other") == 10
        assert all(entry.raw for entry in tx.objects.lines("maison", 0, 300))


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600, 2028])
def test_hash_reader_is_the_tree(store: Store, size: int) -> None:
    """Every complete subtree of any size reads as in a tree held in memory."""
    total = grown(store)
    leaves = leaf_hashes([digest(line(i)) for i in range(total)])
    tree = ListReader(leaves[:size])
    with store.read() as tx:
        reader = tx.objects.hash_reader("maison", size)
        for level in range(size.bit_length()):
            count = size >> level
            assert reader.read(level, 0, count) == tree.read(level, 0, count)
            assert reader.read(level, count - 1, 1) == tree.read(level, count - 1, 1)
        with pytest.raises(AssertionError):
            reader.read(0, size, 1)


def test_proofs_from_the_store(store: Store) -> None:
    """What the store holds proves its entries under the root of its frontier."""
    total = grown(store, (1, 700, 70_000))
    with store.read() as tx:
        reader = tx.objects.hash_reader("maison", total)
        root = Frontier.of_hashes(total, reader).root()
        for index in (0, 255, 256, 65_535, 65_536, total - 1):
            proof = prove_inclusion(index, total, reader)
            leaf = leaf_hashes([digest(line(index))])[0]
            check_inclusion(leaf, index, total, proof, root)


def test_a_missing_line_is_put_back(store: Store) -> None:
    """Only the one that was hashed, and only where none is; the others stay."""
    with store.write() as tx:
        append(tx, "maison", 600, missing=frozenset({3}))
        tx.objects.erase("maison", [300, 599])
        put = {3: line(3), 4: line(4), 599: line(599)}
        assert tx.objects.refill("maison", put) == 2
        assert tx.objects.refill("maison", put) == 0
        assert tx.objects.refill("maison", {}) == 0
        missing = [at for at, raw, _ in tx.objects.lines("maison", 0, 600) if not raw]
        assert missing == [300]
        for bad in ({300: line(301)}, {4: line(4, "x")}):
            with pytest.raises(MalformedError) as caught:
                tx.objects.refill("maison", bad)
            assert caught.value.code == "wrong-digest"
        with pytest.raises(MalformedError):
            tx.objects.refill("maison", {600: line(600)})
    with store.read() as tx:
        raws = [raw for _, raw, _ in tx.objects.lines("maison", 596, 600)]
        assert raws == [line(at) for at in range(596, 600)]
        assert tx.objects.digests("maison", 3, 4) == [digest(line(3))]
