"""Paths, bundles, and a reader that trusts no tile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import MalformedError, ProofError, RefusedError, UnavailableError
from hub.tlog.merkle import (
    EMPTY_ROOT,
    ListReader,
    check_inclusion,
    leaf_hashes,
    prove_inclusion,
    root_of,
)
from hub.tlog.tiles import (
    TileId,
    TileReader,
    parse_bundle,
    parse_tile_path,
    render_bundle,
    tile_path,
    width_at,
)

PATHS = [
    (TileId(0, 0), "tile/0/000"),
    (TileId(0, 5), "tile/0/005"),
    (TileId(0, 255), "tile/0/255"),
    (TileId(0, 999), "tile/0/999"),
    (TileId(0, 1000), "tile/0/x001/000"),
    (TileId(1, 0, 1), "tile/1/000.p/1"),
    (TileId(0, 273, 112), "tile/0/273.p/112"),
    (TileId(7, 1_234_067), "tile/7/x001/x234/067"),
    (TileId(15, 123_456_789, 41), "tile/15/x123/x456/789.p/41"),
    (TileId(63, 10**17, 255), "tile/63/x100/x000/x000/x000/x000/000.p/255"),
    (TileId(None, 0), "tile/entries/000"),
    (TileId(None, 1, 1), "tile/entries/001.p/1"),
    (TileId(None, 0, 255), "tile/entries/000.p/255"),
    (TileId(None, 1_234_067, 8), "tile/entries/x001/x234/067.p/8"),
]


class Server:
    """Serves the tiles of one tree; ``forged`` holds what it serves instead."""

    def __init__(self, size):
        self.size = size
        self.leaves = leaf_hashes([b"%d" % i for i in range(size)])
        self.root = root_of(self.leaves)
        self._reader = ListReader(self.leaves)
        self.forged = {}
        self.gone = set()
        self.asked = []

    def tiles(self):
        """Every tile of the tree, full ones and those of the right edge."""
        found, level, count = [], 0, self.size
        while count:
            full, width = divmod(count, 256)
            found += [TileId(level, n) for n in range(full)]
            found += [TileId(level, full, width)] * bool(width)
            level, count = level + 1, full
        return found

    def honest(self, tile):
        first = tile.index * 256
        return b"".join(self._reader.read(8 * tile.level, first, tile.width))

    def fetch(self, tile):
        self.asked.append(tile)
        if tile in self.gone:
            raise RefusedError("gone", code="not-found")
        return self.forged.get(tile) or self.honest(tile)

    def reader(self):
        return TileReader(self.size, self.root, self.fetch)


def read(reader, tile):
    return b"".join(reader.read(8 * tile.level, 256 * tile.index, tile.width))


# -- paths -----------------------------------------------------------------------


@pytest.mark.parametrize(("tile", "path"), PATHS)
def test_paths_of_the_specification(tile, path):
    assert tile_path(tile) == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/entry/000",
        "tile/ENTRIES/000",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/001/002",
        "tile/0/x01/002",
        "tile/0/X001/002",
        "tile/0/x001/x002",
        "tile/0/x001/x001/x001/x001/x001/x001/001",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/999",
        "tile/0/000.p/1/",
        "tile/0/000.P/1",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "/tile/0/000",
        "tile/0/000 ",
        "tile//000",
        "../tile/0/000",
    ],
)
def test_other_paths_are_refused(path):
    """One tile has one path, or caches and limits could be evaded."""
    with pytest.raises(MalformedError) as caught:
        parse_tile_path(path)
    assert caught.value.code == "bad-path"


tile_ids = st.builds(
    TileId,
    st.none() | st.integers(0, 63),
    st.integers(0, 10**18 - 1),
    st.integers(1, 256),
)


@given(tile_ids)
def test_every_tile_has_a_path_that_is_read_back(tile):
    assert parse_tile_path(tile_path(tile)) == tile


@given(
    st.from_regex(r"tile/(entries|\d{1,2})/(x?\d{2,4}/){0,6}x?\d{3}(\.p/\d{0,4})?")
    | st.text(alphabet="tile/0123x.p\n ", max_size=30)
    | st.text(max_size=30)
)
def test_whatever_is_read_as_a_path_is_its_only_form(path):
    try:
        tile = parse_tile_path(path)
    except MalformedError:
        return
    assert tile_path(tile) == path
    assert 1 <= tile.width <= 256


@pytest.mark.parametrize(
    ("size", "widths"),
    [
        (0, {(0, 0): 0, (1, 0): 0}),
        (1, {(0, 0): 1, (0, 1): 0, (1, 0): 0, (None, 0): 1}),
        (255, {(0, 0): 255, (1, 0): 0}),
        (256, {(0, 0): 256, (0, 1): 0, (1, 0): 1, (2, 0): 0}),
        (257, {(0, 1): 1, (1, 0): 1, (None, 1): 1}),
        (65_536, {(0, 255): 256, (1, 0): 256, (1, 1): 0, (2, 0): 1}),
        (
            70_000,
            {
                (0, 272): 256,
                (0, 273): 112,
                (0, 274): 0,
                (1, 0): 256,
                (1, 1): 17,
                (2, 0): 1,
                (3, 0): 0,
                (None, 273): 112,
            },
        ),
    ],
)
def test_widths_at_a_size(size, widths):
    """The examples of formats.md: 70,000 entries end in .p/112, .p/17 and .p/1."""
    for (level, index), width in widths.items():
        assert width_at(size, TileId(level, index)) == width


# -- bundles ---------------------------------------------------------------------


def test_a_bundle_is_items_with_their_lengths():
    raw = b"\x00\x03one\x00\x00\x00\x05three"
    assert render_bundle([b"one", b"", b"three"]) == raw
    assert parse_bundle(raw) == [b"one", b"", b"three"]
    assert parse_bundle(b"") == []
    longest = bytes(65_535)
    assert parse_bundle(render_bundle([longest])) == [longest]


@pytest.mark.parametrize("raw", [b"\x00", b"\x00\x01", b"\x00\x01a\x00", b"\xff\xffa"])
def test_a_bundle_that_is_cut_short_is_refused(raw):
    with pytest.raises(MalformedError):
        parse_bundle(raw)


def test_a_bundle_has_256_items():
    assert len(parse_bundle(bytes(2 * 256))) == 256
    with pytest.raises(MalformedError):
        parse_bundle(bytes(2 * 257))
    with pytest.raises(AssertionError):
        render_bundle([b""] * 257)
    with pytest.raises(AssertionError):
        render_bundle([bytes(65_536)])


@given(st.binary(max_size=200))
def test_whatever_is_read_as_a_bundle_renders_to_the_same_bytes(raw):
    try:
        items = parse_bundle(raw)
    except MalformedError:
        return
    assert render_bundle(items) == raw


# -- the reader ------------------------------------------------------------------


SIZES = [1, 2, 255, 256, 257, 511, 512, 768, 1000, 65_535, 65_536, 65_537, 70_000]


@pytest.mark.parametrize("size", SIZES)
def test_every_tile_reads_as_it_was_served(size):
    server = Server(size)
    reader = server.reader()
    for tile in server.tiles():
        assert read(reader, tile) == server.honest(tile)


@pytest.mark.parametrize("size", [768, 1000, 70_000])
def test_no_forged_tile_gets_through(size):
    """Each tile of the tree forged alone, as in CVE-2026-56865.

    Readers of others accepted such a tile at exactly these sizes, because a tile that
    was asked for twice was counted as checked.
    """
    server = Server(size)
    for number, tile in enumerate(server.tiles()):
        raw = bytearray(server.honest(tile))
        raw[number % len(raw)] ^= 1
        server.forged = {tile: bytes(raw)}
        with pytest.raises(ProofError) as caught:
            read(server.reader(), tile)
        assert caught.value.code == "forged-tile"


@pytest.mark.parametrize("size", [768, 1000, 70_000])
def test_no_proof_is_made_from_a_forged_tile(size):
    """Not even when the reader has made proofs all over the tree before."""
    server = Server(size)
    for tile in server.tiles()[:: 1 + size // 5000]:
        index = tile.index * 256 ** (tile.level + 1)
        reader = server.reader()
        server.forged = {}
        prove_inclusion((index + size // 2) % size, size, reader)
        server.forged = {tile: server.honest(tile)[:-1] + b"!"}
        with pytest.raises(ProofError):
            prove_inclusion(index, size, server.reader())
        # What was verified before the forgery stays right.
        try:
            proof = prove_inclusion(index, size, reader)
        except ProofError:
            continue
        check_inclusion(server.leaves[index], index, size, proof, server.root)


def test_every_single_hash_of_a_tile_is_checked():
    server = Server(70_000)
    for tile in [TileId(0, 100), TileId(0, 273, 112), TileId(1, 0), TileId(2, 0, 1)]:
        for place in range(0, 32 * tile.width, 32):
            raw = bytearray(server.honest(tile))
            raw[place] ^= 0x80
            server.forged = {tile: bytes(raw)}
            with pytest.raises(ProofError):
                read(server.reader(), tile)


def test_a_tile_in_the_place_of_another_is_refused():
    server = Server(1000)
    server.forged = {TileId(0, 1): server.honest(TileId(0, 2))}
    reader = server.reader()
    assert read(reader, TileId(0, 2)) == server.honest(TileId(0, 2))
    with pytest.raises(ProofError):
        read(reader, TileId(0, 1))


@pytest.mark.parametrize("tile", [TileId(0, 0), TileId(0, 3, 232), TileId(1, 0, 3)])
@pytest.mark.parametrize("change", [-32, -1, 1, 32])
def test_a_tile_of_another_length_is_refused(tile, change):
    server = Server(1000)
    raw = server.honest(tile)
    server.forged = {tile: (raw + bytes(32))[: len(raw) + change]}
    with pytest.raises(MalformedError) as caught:
        read(server.reader(), tile)
    assert "length" in caught.value.message


@pytest.mark.parametrize("size", [0, 1, 256, 1000])
def test_the_head_is_not_taken_on_trust_either(size):
    """Tiles that belong to another root are refused, those of no tile included."""
    server = Server(size)
    reader = TileReader(size, bytes(32), server.fetch)
    with pytest.raises(ProofError):
        reader.read(0, 0, 1) if size else reader._tile(0, 0)
    larger = TileReader(size + 1, server.root, Server(size + 1).fetch)
    with pytest.raises(ProofError):
        larger.read(0, 0, 1)


def test_the_empty_tree_needs_no_tile():
    server = Server(0)
    assert TileReader(0, EMPTY_ROOT, server.fetch).read(0, 0, 0) == []
    assert server.asked == []


@pytest.mark.parametrize(
    ("level", "first", "count"), [(0, 999, 2), (1, 500, 1), (0, -1, 1), (0, 0, -1)]
)
def test_nothing_is_read_beyond_the_size(level, first, count):
    with pytest.raises(AssertionError):
        Server(1000).reader().read(level, first, count)


def test_a_partial_tile_that_is_gone_is_cut_from_the_full_one():
    """A log may drop partial tiles once the full tile exists (tlog-tiles)."""
    later, size = Server(70_000), 1000
    partial = TileId(0, 3, size % 256)
    later.gone = {partial}
    reader = TileReader(size, root_of(later.leaves[:size]), later.fetch)
    assert reader.read(0, 0, size) == later.leaves[:size]
    assert later.asked[:2] == [partial, TileId(0, 3)]
    later.forged = {TileId(0, 3): bytes(8192)}
    with pytest.raises(ProofError):
        TileReader(size, reader._root, later.fetch).read(0, 0, 1)


@pytest.mark.parametrize("error", [RefusedError, UnavailableError])
def test_a_tile_that_is_not_there_is_said_to_be_missing(error):
    server = Server(1000)

    def fetch(tile):
        if tile.width == 256:
            raise error("not there")
        return server.honest(tile)

    reader = TileReader(1000, server.root, fetch)
    assert reader.read(0, 768, 232) == server.leaves[768:]
    with pytest.raises(error):
        reader.read(0, 0, 1)


def test_memory_is_flat_and_the_way_up_is_not_fetched_again():
    server = Server(70_000)
    reader = server.reader()
    for first in range(0, 70_000, 500):
        reader.read(0, first, 500)
    assert len(reader._full) == 64
    assert sorted(map(tile_path, server.asked)) == sorted(
        map(tile_path, server.tiles())
    )


@given(st.integers(1, 3000), st.data())
def test_any_range_reads_as_in_memory(size, data):
    server = Server(size)
    level = data.draw(st.integers(0, size.bit_length() - 1))
    first = data.draw(st.integers(0, (size >> level) - 1))
    count = data.draw(st.integers(0, (size >> level) - first))
    want = ListReader(server.leaves).read(level, first, count)
    assert server.reader().read(level, first, count) == want


@given(st.integers(1, 2000), st.data())
def test_no_byte_can_be_changed_anywhere(size, data):
    """Whichever byte of whichever tile: its leaves are right or are not given out."""
    server = Server(size)
    tile = data.draw(st.sampled_from(server.tiles()))
    raw = bytearray(server.honest(tile))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    server.forged = {tile: bytes(raw)}
    index = data.draw(st.integers(0, size - 1))
    reader = server.reader()
    try:
        leaf = reader.read(0, index, 1)
        proof = prove_inclusion(index, size, reader)
    except ProofError:
        return
    assert leaf == [server.leaves[index]]
    check_inclusion(leaf[0], index, size, proof, server.root)
