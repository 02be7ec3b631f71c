"""A client that knows the C2SP texts and nothing of this project.

Standard library and ``cryptography`` alone. It reads one log from its prefix without
any authentication: tlog-checkpoint v1.0.0, signed-note v1.0.0, tlog-tiles v0.1.0 and
RFC 6962. Every hash that it uses was followed down from a signed root, tile by tile.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def leaf(data):
    return hashlib.sha256(b"\x00" + data).digest()


def parent(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree(hashes):
    """The recursive definition of RFC 6962, section 2.1."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return parent(tree(hashes[:split]), tree(hashes[split:]))


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes


@dataclass
class Log:
    """One log: its URL prefix and the verifier key that somebody handed over."""

    prefix: str
    vkey: str

    def __post_init__(self):
        parts = urlsplit(self.prefix)
        self.path = parts.path
        self.connection = http.client.HTTPConnection(
            parts.hostname, parts.port, timeout=60
        )
        self.tiles = {}
        name, key_id, data = self.vkey.split("+", 2)
        raw = base64.b64decode(data, validate=True)
        assert raw[0] == 1, "an Ed25519 key"
        assert len(raw) == 33
        expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
        assert bytes.fromhex(key_id) == expected
        self.name, self.key_id = name, expected
        self.key = Ed25519PublicKey.from_public_bytes(raw[1:])

    def get(self, path):
        """GET without cookies, signatures or anything else that says who asks."""
        self.connection.request("GET", f"{self.path}/{path}")
        answer = self.connection.getresponse()
        headers = {k.lower(): v for k, v in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())

    # -- signed-note and tlog-checkpoint -------------------------------------------

    def checkpoint(self):
        """Fetch and verify the newest checkpoint."""
        answer = self.get("checkpoint")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        # A head that changes must not be taken from a cache for long.
        assert re.search(
            r"no-cache|no-store|max-age=[0-9]\b", answer.headers["cache-control"]
        )
        return self.open(answer.body)

    def open(self, note):
        """Return (size, root) of a signed checkpoint."""
        text, _, signatures = note.decode().rpartition("\n\n")
        text += "\n"
        assert signatures.endswith("\n")
        verified = 0
        for line in signatures[:-1].split("\n"):
            dash, name, data = line.split(" ")
            raw = base64.b64decode(data, validate=True)
            assert dash == "\u2014"
            if (name, raw[:4]) == (self.name, self.key_id):
                self.key.verify(raw[4:], text.encode())
                verified += 1
        assert verified == 1
        origin, size, root, end, *more = text.split("\n")
        assert (origin, end, more) == (self.name, "", [])
        assert re.fullmatch("0|[1-9][0-9]*", size)
        digest = base64.b64decode(root, validate=True)
        assert base64.b64encode(digest).decode() == root
        assert len(digest) == 32
        return int(size), digest

    # -- tlog-tiles ----------------------------------------------------------------

    @staticmethod
    def tile_path(level, index, width):
        digits = f"{index % 1000:03}"
        while index >= 1000:
            index //= 1000
            digits = f"x{index % 1000:03}/{digits}"
        partial = "" if width == 256 else f".p/{width}"
        return f"tile/{level}/{digits}{partial}"

    def fetch(self, level, index, width):
        """Fetch a tile or bundle and check what every static file server would say."""
        answer = self.get(self.tile_path(level, index, width))
        assert answer.status == 200, (level, index, width)
        assert answer.headers["content-type"] == "application/octet-stream"
        cache = answer.headers["cache-control"]
        assert "immutable" in cache
        assert int(re.search(r"max-age=([0-9]+)", cache)[1]) >= 86_400
        assert "set-cookie" not in answer.headers
        return answer.body

    def hashes(self, level, index, width):
        """Return the hashes of a tile, fetched once."""
        key = level, index, width
        if key not in self.tiles:
            body = self.fetch(level, index, width)
            assert len(body) == 32 * width
            self.tiles[key] = [body[n : n + 32] for n in range(0, len(body), 32)]
        return self.tiles[key]

    def bundle(self, index, width):
        """Return the items of an entry bundle."""
        body, items = self.fetch("entries", index, width), []
        while body:
            size = int.from_bytes(body[:2], "big")
            items.append(body[2 : 2 + size])
            assert len(items[-1]) == size
            body = body[2 + size :]
        assert len(items) == width
        return items

    @staticmethod
    def widths(size):
        """Yield (level, index, width) of every tile of a tree, by the specification."""
        for level in range(64):
            count = size >> 8 * level
            if not count:
                return
            for index in range(-(-count // 256)):
                yield level, index, min(256, count - 256 * index)


class Tree:
    """A signed tree, every hash of which is checked before it is used."""

    def __init__(self, log, size, root):
        self.log, self.size, self.root = log, size, root
        partial = [
            self.log.hashes(level, index, width)
            for level, index, width in log.widths(size)
            if width < 256
        ]
        # The right edge: the subtrees of the partial tiles, largest first, are the tree.
        peaks = []
        for hashes in reversed(partial):
            done = 0
            while done < len(hashes):
                power = 1 << (len(hashes) - done).bit_length() - 1
                peaks.append(tree(hashes[done : done + power]))
                done += power
        total = peaks.pop()
        while peaks:
            total = parent(peaks.pop(), total)
        assert total == root, "the partial tiles do not lead to the signed root"

    def tile(self, level, index):
        """Return a tile as wide as this tree has it, checked against its parent."""
        width = min(256, (self.size >> 8 * level) - 256 * index)
        hashes = self.log.hashes(level, index, width)
        if width == 256:
            assert tree(hashes) == self.tile(level + 1, index // 256)[index % 256]
        return hashes

    def subtree(self, start, end):
        """Return the hash over leaves [start, end), from tiles alone."""
        length = end - start
        if length & (length - 1) == 0 and start % length == 0:
            bits = length.bit_length() - 1
            level, rest = divmod(bits, 8)
            first, count = start >> 8 * level, 1 << rest
            return tree(self.tile(level, first // 256)[first % 256 :][:count])
        split = 1 << (length - 1).bit_length() - 1
        return parent(
            self.subtree(start, start + split), self.subtree(start + split, end)
        )

    def inclusion(self, index):
        """Return the inclusion path of RFC 6962, section 2.1.1."""
        return self._path(index, 0, self.size)

    def _path(self, index, start, end):
        if end - start == 1:
            return []
        split = start + (1 << (end - start - 1).bit_length() - 1)
        if index < split:
            return [*self._path(index, start, split), self.subtree(split, end)]
        return [*self._path(index, split, end), self.subtree(start, split)]

    def consistency(self, old):
        """Return the consistency proof of RFC 6962, section 2.1.2."""
        return self._subproof(old, 0, self.size, whole=True)

    def _subproof(self, old, start, end, *, whole):
        if old == end:
            return [] if whole else [self.subtree(start, end)]
        split = start + (1 << (end - start - 1).bit_length() - 1)
        if old <= split:
            rest = self._subproof(old, start, split, whole=whole)
            return [*rest, self.subtree(split, end)]
        rest = self._subproof(old, split, end, whole=False)
        return [*rest, self.subtree(start, split)]


def root_of_inclusion(digest, index, size, path):
    """RFC 9162, section 2.1.3.2."""
    node, last = index, size - 1
    for sibling in path:
        assert last
        if node % 2 or node == last:
            digest = parent(sibling, digest)
            while not node % 2 and node:
                node, last = node >> 1, last >> 1
        else:
            digest = parent(digest, sibling)
        node, last = node >> 1, last >> 1
    assert not last
    return digest


def roots_of_consistency(old, old_root, new, path):
    """RFC 9162, section 2.1.4.2."""
    if old & (old - 1) == 0:
        path = [old_root, *path]
    node, last = old - 1, new - 1
    while node % 2:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        assert last
        if node % 2 or node == last:
            first, second = parent(sibling, first), parent(sibling, second)
            while not node % 2 and node:
                node, last = node >> 1, last >> 1
        else:
            second = parent(second, sibling)
        node, last = node >> 1, last >> 1
    assert not last
    return first, second
