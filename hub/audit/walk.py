"""The walk through one feed: lines, digests, roots, signatures, one batch at a time.

A batch that fails is a finding. When its header still says where the next one begins,
the walk goes on behind it, so that one report names all faults; otherwise it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hub.audit.report import Report
from hub.directory import Directory
from hub.errors import HubError
from hub.model import origin_of
from hub.store.base import Transaction
from hub.tlog.batch import (
    BatchNote,
    digests_of,
    is_header,
    parse_batch_note,
    parse_header,
)
from hub.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hashes
from hub.verifier import OpenBatch, check_entries, open_header
from keys.errors import KeysError
from keys.note import parse_note

__all__ = ["Batch", "Walk"]

Lines = list[bytes | None]
Registry = Callable[[Lines, list[bytes]], OpenBatch]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of the feed: where it stands, whose key signed it, whether it counts."""

    first: int
    end: int
    public: bytes
    void: bool = False
    bad: bool = False


class _StoppedError(Exception):
    """The walk cannot know where the next batch begins."""


@dataclass
class Walk:
    """One feed, read from its first line to its head.

    Args:
        tx: A snapshot of the store.
        feed: The feed.
        report: Where findings go.
        directory: Who may sign.
        registry: For the registry itself: replays a batch and checks it.
    """

    tx: Transaction
    feed: str
    report: Report
    directory: Directory
    registry: Registry | None = None
    size: int = 0
    batches: list[Batch] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=lambda: {0: EMPTY_ROOT})
    missing: list[int] = field(default_factory=list)
    nodes: list[tuple[int, int, bytes]] = field(default_factory=list)
    repeats: list[tuple[int, int]] = field(default_factory=list)
    _ids: dict[bytes, int] = field(default_factory=dict)
    _read: _Reader = field(init=False)

    def find(self, kind: str, index: int, detail: str) -> None:
        """Note a finding."""
        self.report.find(kind, self.feed, index, detail)

    def run(self, each: Callable[[OpenBatch, Lines], None]) -> None:
        """Walk the feed; ``each`` gets every batch that verified, with its lines."""
        head = self.tx.heads.get(self.feed)
        end, stored = head.size if head else 0, self.tx.objects.size(self.feed)
        if stored < end:
            self.find("rolled-back-head", stored, f"the head says {end} entries")
            end = stored
        frontier, self._read = Frontier(), _Reader(self.tx, self.feed, end)
        while self.size < end:
            try:
                leaves = self._next(end, each)
            except _StoppedError:
                break
            frontier, nodes = frontier.extend_with_nodes(leaves)
            self.nodes += nodes
            self.size = frontier.size
            self.roots[self.size] = frontier.root()
        self.report.entries += self.size

    def _next(self, end: int, each: Callable[[OpenBatch, Lines], None]) -> list[bytes]:
        """Check one batch; return the leaf hashes of its header and entries."""
        first = self.size
        note = self._peek(first, self._read.next_line())
        stop = first + 1 + note.count
        if stop > end:
            self.find("dropped-batch", first, "the batch is cut short by the head")
            raise _StoppedError
        lines, digests = self._read.take(stop - first)
        self._compare(first, lines, digests)
        leaves = leaf_hashes(digests)
        try:
            batch = self._open(first, lines, digests, leaves)
        except (HubError, KeysError) as error:
            self.find(self._kind(error, note), first, str(error))
            if self.registry is not None:
                # What follows in the registry was signed on top of this.
                raise _StoppedError from None
            self.batches.append(Batch(first, stop, b"", bad=True))
            return leaves
        bad = self._is_repeated(batch)
        self.batches.append(Batch(first, stop, batch.public, batch.void, bad))
        if not bad:
            each(batch, lines)
        return leaves

    def _peek(self, first: int, header: bytes | None) -> BatchNote:
        """Read a header without believing it."""
        if header is None:
            self.find("erased-header", first, "a header stays when others are erased")
            raise _StoppedError
        if not is_header(header):
            self.find("dropped-batch", first, "the header of a batch should be here")
            raise _StoppedError
        try:
            return parse_batch_note(parse_note(parse_header(header)).text)
        except (HubError, KeysError) as error:
            self.find("bad-header", first, str(error))
            raise _StoppedError from None

    def _compare(self, first: int, lines: Lines, digests: list[bytes]) -> None:
        found = digests_of([line or b"" for line in lines])
        if found == digests:
            return
        for index, (line, digest, stored) in enumerate(
            zip(lines, found, digests, strict=True), first
        ):
            if line is None:
                self.missing.append(index)
            elif digest != stored:
                self.find("altered-line", index, "the line is not the one hashed")

    def _open(
        self, first: int, lines: Lines, digests: list[bytes], leaves: list[bytes]
    ) -> OpenBatch:
        if self.registry is not None:
            return self.registry(lines, digests)
        batch = open_header(self.directory, self.feed, first, lines[0] or b"")
        check_entries(batch, leaves[1:])
        if batch.void:
            self.report.void.append(f"{self.feed}/{first}-{batch.end - 1}")
        return batch

    def _is_repeated(self, batch: OpenBatch) -> bool:
        # SPEC: design, Batch: a batch id occurs once in a feed, for ever.
        before = self._ids.setdefault(batch.note.batch_id, batch.first)
        if before == batch.first:
            return False
        self.find("repeated-batch", batch.first, f"its id stands at {before} already")
        self.repeats.append((before, batch.first))
        return True

    def _kind(self, error: HubError | KeysError, note: BatchNote) -> str:
        moved = note.origin != origin_of(self.directory.alliance, self.feed)
        return "moved-batch" if moved else error.code


class _Reader:
    """Reads a feed in order: each page once, however small the batches are.

    Args:
        tx: A snapshot of the store.
        feed: The feed.
        end: Where to stop.
    """

    def __init__(self, tx: Transaction, feed: str, end: int):
        self._blocks = tx.objects.blocks(feed, 0, end)
        self._lines: Lines = []
        self._digests: list[bytes] = []
        self._at = 0  # Where in these lists the next line stands.

    def next_line(self) -> bytes | None:
        """Return the next line and stay before it."""
        self._fill(1)
        return self._lines[self._at]

    def take(self, count: int) -> tuple[Lines, list[bytes]]:
        """Return the next lines and their digests, as stored."""
        self._fill(count)
        cut = slice(self._at, self._at + count)
        self._at += count
        return self._lines[cut], self._digests[cut]

    def _fill(self, count: int) -> None:
        while len(self._lines) - self._at < count:
            block = next(self._blocks)
            # What was taken goes before more comes, so a page at most is kept.
            del self._lines[: self._at], self._digests[: self._at]
            self._at = 0
            self._lines += block.lines
            self._digests += block.digests
