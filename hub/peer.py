"""What is pulled from: a node over HTTP, or the file of another mirror.

Not trusted: either. :mod:`hub.sync` verifies whatever comes from here.
"""

from __future__ import annotations

from typing import Any, Protocol

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.model import render_tombstone
from hub.store.base import Block, Store, Transaction
from hub.tlog.batch import MAX_BYTES
from hub.tlog.merkle import prove_inclusion
from hub.tlog.proof import TlogProof, render_proof

__all__ = ["MAX_ANSWER", "Bounded", "Mirror", "Peer"]

MAX_ANSWER = MAX_BYTES + (4 << 20)
"""Most bytes of lines in one answer: those of a batch at least, where one starts."""


class Peer(Protocol):
    """What is pulled from: a node over HTTP, or another mirror's file."""

    url: str

    def heads(self, etag: str = "") -> tuple[dict[str, Any] | None, str]:
        """Return all heads and a tag; None when the tag still holds."""
        ...

    def lines(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return the lines of a range, or fewer of them from its start."""
        ...

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the answer for a path of the HTTP interface."""
        ...

    def get_bytes(self, path: str) -> bytes:
        """Return what is at a path of the HTTP interface."""
        ...


class Bounded:
    """A peer that is asked no more after a while, or after so many bytes.

    The client bounds each answer; this bounds all of a visit. What was stored before
    stays, and the next visit goes on from there.

    Args:
        peer: Whom to ask.
        clock: Tells the time.
        until: The second after which nothing more is asked.
        most: How many bytes of lines and other content one visit may bring.
    """

    def __init__(self, peer: Peer, clock: Clock, until: int, most: int):
        self._peer, self._clock, self._until, self._left = peer, clock, until, most
        self.url = peer.url

    def _check(self) -> None:
        if self._clock.now() > self._until:
            raise UnavailableError(
                f"the visit to {self.url} takes too long", code="visit-over"
            )
        if self._left < 0:
            raise UnavailableError(
                f"the visit to {self.url} brought too much", code="visit-over"
            )

    def heads(self, etag: str = "") -> tuple[dict[str, Any] | None, str]:
        """Return all heads and a tag; None when the tag still holds."""
        self._check()
        return self._peer.heads(etag)

    def lines(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return the lines of a range, or fewer of them from its start."""
        self._check()
        found = self._peer.lines(feed, start, stop)
        self._left -= sum(map(len, found))
        return found

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the answer for a path of the HTTP interface."""
        self._check()
        return self._peer.get_json(path)

    def get_bytes(self, path: str) -> bytes:
        """Return what is at a path of the HTTP interface."""
        self._check()
        found = self._peer.get_bytes(path)
        self._left -= len(found)
        return found


class Mirror:
    """A peer that is the file of another mirror; not trusted, like every peer.

    Args:
        store: The other mirror's store.
        url: A name for it.
    """

    def __init__(self, store: Store, url: str):
        self.store, self.url = store, url

    def heads(self, etag: str = "") -> tuple[dict[str, Any] | None, str]:
        """Return all heads."""
        with self.store.read() as tx:
            feeds = [
                {"feed": feed, "checkpoint": head.checkpoint.decode()}
                for feed, head in tx.heads.all().items()
            ]
        return {"feeds": feeds}, etag

    def lines(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return the lines of a range, tombstones in the place of erased ones.

        What is hidden but not deleted yet is handed out, as between nodes.
        """
        with self.store.read() as tx:
            sent: list[bytes] = []
            total = 0
            for block in tx.objects.blocks(feed, start, stop):
                lines = _shown(tx, feed, block)
                total += sum(map(len, lines)) + len(lines)
                # A batch and the rest of its last block are less than the bound.
                if sent and total > MAX_ANSWER:
                    break
                sent += lines
            return sent

    def get_json(self, path: str) -> dict[str, Any]:
        """Return checkpoints from a size on; the engine asks for nothing else."""
        feed, query = path.split("/")[3], path.partition("?from=")[2]
        start, _, limit = query.partition("&limit=")
        with self.store.read() as tx:
            notes = tx.heads.checkpoints(feed, int(start), int(limit or 1000))
        return {"checkpoints": [raw.decode() for _, raw in notes]}

    def get_bytes(self, path: str) -> bytes:
        """Return a proof; a file shows nothing else of its tree.

        Raises:
            UnavailableError: Always for other paths, and above the head.
        """
        feed, kind, index = path.split("/")[3:6]
        with self.store.read() as tx:
            head = tx.heads.get(feed)
            if kind != "proof" or head is None or int(index) >= head.size:
                raise UnavailableError(f"{self.url} does not serve {path}")
            place, reader = int(index), tx.objects.hash_reader(feed, head.size)
            hashes = tuple(prove_inclusion(place, head.size, reader))
        return render_proof(TlogProof(place, hashes, head.checkpoint))


def _shown(tx: Transaction, feed: str, block: Block) -> list[bytes]:
    """Return the lines of a block, tombstones in the place of erased ones."""
    lines = [line for line in block.lines if line is not None]
    if len(lines) == len(block.lines):
        return lines
    by = tx.erasures.hidden(feed, block.first, block.first + len(block.lines))
    places = enumerate(zip(block.lines, block.digests, strict=True), block.first)
    return [
        line or render_tombstone(index, digest, by.get(index, ""))
        for index, (line, digest) in places
    ]
