"""A feed's log part, read by software that knows nothing of this project."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.feeds import append
from hub.tlog.batch import BatchNote, digests_of
from hub.tlog.checkpoint import EMPTY
from hub.verifier import OpenBatch
from hub.wiring import build_hub
from tests.conftest import start
from tests.interop.c2sp import (
    Log,
    Tree,
    leaf,
    root_of_inclusion,
    roots_of_consistency,
    tree,
)
from tests.needs import missing

HERE = Path(__file__).parent
OLD, SIZE = 300, 70_000
"""Two heads: one just above a tile, and one with partial tiles on three levels."""


def fill(folder, sizes):
    """Append lines up to each size, as the home of maison; return the public key."""
    hub = build_hub(folder)
    signer = hub.signer("log")
    for size in sizes:
        with hub.store.write() as tx:
            first = tx.objects.size("maison")
            lines = [b'{"n":%d}' % n for n in range(first, size)]
            digests = digests_of(lines)
            batch_id = size.to_bytes(16, "big")
            note = BatchNote("", len(lines) - 1, bytes(32), batch_id, EMPTY)
            batch = OpenBatch("maison", first, note, bytes(32), "", void=False)
            append(tx, "alliance.example", batch, lines, digests, signer=signer)
    hub.close()
    return signer.public


def vkey(name, public):
    raw = b"\x01" + public
    key_id = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(raw).decode()}"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A real server of a log of 70,000 entries, and its checkpoint at 300."""
    alliance = start(tmp_path_factory.mktemp("log"))
    try:
        alliance.admit("maison")
        alliance.stop()
        folder = alliance.folder / "node"
        public = fill(folder, [OLD])
        alliance.serve()
        url = f"{alliance.url}/v1/feeds/maison"
        log = Log(url, vkey("alliance.example/maison", public))
        old = log.get("checkpoint").body
        alliance.stop()
        log.connection.close()
        fill(folder, [*range(10_000, SIZE, 10_000), SIZE])
        alliance.serve()
        yield log, old
        log.connection.close()
    finally:
        alliance.stop()


@pytest.fixture
def log(served):
    return served[0]


def test_every_tile_of_every_level_leads_to_the_signed_root(log):
    """Leaves from the bundles, tiles of each level from the level below, then the root."""
    size, root = log.checkpoint()
    assert size == SIZE
    tiles = list(log.widths(size))
    # tlog-tiles: 70,000 entries have partial tiles on three levels.
    assert [t for t in tiles if t[2] < 256] == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    leaves = []
    for level, index, width in tiles:
        if level == 0:
            leaves += [leaf(item) for item in log.bundle(index, width)]
    assert len(leaves) == size
    below = leaves
    for level, tiles_of_level in itertools.groupby(tiles, lambda t: t[0]):
        if level:
            full = len(below) // 256
            below = [tree(below[256 * n : 256 * n + 256]) for n in range(full)]
        found = [
            h for _, n, width in tiles_of_level for h in log.hashes(level, n, width)
        ]
        assert found == below
    assert tree(leaves) == root


def test_the_items_are_the_digests_of_the_lines(log):
    """The log holds digests; whoever was shown a line can find it there."""
    items = log.bundle(1, 256)
    line = b'{"n":300}'
    assert items[300 - 256] == hashlib.sha256(line).digest()


@pytest.mark.parametrize(
    "index", [0, 1, 255, 256, 257, 299, 300, 65_535, 65_536, 69_887, 69_888, 69_999]
)
def test_inclusion_from_tiles_alone(log, index):
    size, root = log.checkpoint()
    path = Tree(log, size, root).inclusion(index)
    width = min(256, size - index // 256 * 256)
    item = log.bundle(index // 256, width)[index % 256]
    assert root_of_inclusion(leaf(item), index, size, path) == root


def test_consistency_with_a_checkpoint_that_was_kept(served):
    """And no other root of that size is consistent."""
    log, old = served
    old_size, old_root = log.open(old)
    assert old_size == OLD
    size, root = log.checkpoint()
    path = Tree(log, size, root).consistency(old_size)
    assert roots_of_consistency(old_size, old_root, size, path) == (old_root, root)


@pytest.mark.parametrize("old", [1, 2, 256, 257, 65_536, 65_537, 69_999])
def test_consistency_with_the_tree_of_any_size(log, old):
    size, root = log.checkpoint()
    grown = Tree(log, size, root)
    old_root = grown.subtree(0, old)
    path = grown.consistency(old)
    assert roots_of_consistency(old, old_root, size, path) == (old_root, root)


def test_partial_tiles_of_older_heads_are_still_there(served):
    """A reader of an older head finds the widths of that head, or the full tile."""
    log, old = served
    size, root = log.open(old)
    for level, index, width in log.widths(size):
        if width < 256 and level == 0:
            assert (
                log.hashes(level, index, width) == log.hashes(level, index, 256)[:width]
            )
    assert Tree(log, size, root).inclusion(299)
    assert log.bundle(1, 44) == log.bundle(1, 256)[:44]


def test_what_the_log_does_not_have(log):
    """Not found, and nothing that a cache would keep."""
    for path in (
        "tile/0/274",
        "tile/0/273",
        "tile/0/273.p/113",
        "tile/0/273.p/256",
        "tile/0/273.p/0",
        "tile/0/273.p/007",
        "tile/1/001",
        "tile/2/000",
        "tile/2/000.p/2",
        "tile/3/000.p/1",
        "tile/64/000.p/1",
        "tile/00/000",
        "tile/0/0",
        "tile/0/x000/001",
        "tile/entries/274",
        "tile/entries/273.p/113",
        "tile/-1/000",
        "tile/0/%30%30%31/",
    ):
        answer = log.get(path)
        assert answer.status == 404, path
        assert "immutable" not in answer.headers.get("cache-control", "")


def test_a_client_that_takes_gzip_gets_the_same_bytes(log):
    """Compression is the server's choice; the contents are the same."""
    log.connection.request(
        "GET", f"{log.path}/tile/entries/000", headers={"Accept-Encoding": "gzip"}
    )
    answer = log.connection.getresponse()
    raw = answer.read()
    if answer.headers.get("Content-Encoding") == "gzip":
        import gzip

        raw = gzip.decompress(raw)
    assert raw == log.fetch("entries", 0, 256)


def _gopath():
    """Where golang.org/x/mod is, if it and Go are there."""
    for path in (os.environ.get("GOPATH", ""), "/usr/share/gocode"):
        if path and (Path(path) / "src/golang.org/x/mod/sumdb/tlog").is_dir():
            return path if shutil.which("go") else None
    return None


@pytest.mark.slow
def test_the_tools_of_go_agree(served, tmp_path):
    """``golang.org/x/mod/sumdb`` verifies notes, inclusion and consistency."""
    gopath = _gopath()
    if gopath is None:
        missing("Go: golang-go and golang-golang-x-mod-dev")
    log, old = served
    kept = tmp_path / "old"
    kept.write_bytes(old)
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": gopath}
    environment["GOCACHE"] = str(tmp_path / "cache")
    command = ["go", "run", HERE / "c2sp.go", log.prefix, log.vkey, kept]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("alliance.example/maison: 70000 records, 10 proved")
    kept.write_bytes(old.replace(b"\n300\n", b"\n301\n"))
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 1
