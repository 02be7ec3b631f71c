"""Batches: signing one, and packing entries into as few as their limits allow."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hub.interop.tables import Row
from hub.model import Rng
from hub.store.journal import Change
from hub.tlog.batch import (
    MAX_BYTES,
    MAX_ENTRIES,
    MAX_LINE,
    BatchNote,
    digests_of,
    render_batch_note,
    render_header,
)
from hub.tlog.checkpoint import Head
from hub.tlog.merkle import leaf_hashes, root_of
from keys.note import NoteSigner, sign_note

__all__ = ["MAX_BODY", "Packer", "Piece", "make_batch", "packed"]

MAX_BODY = MAX_BYTES - MAX_LINE
"""What the entries of a batch may weigh, with their newlines, beside its header."""


def make_batch(
    origin: str,
    entries: list[bytes],
    registry: Head,
    *signers: NoteSigner,
    rng: Rng = secrets.token_bytes,
) -> tuple[bytes, bytes]:
    """Return (batch id, body) of a signed batch over entry lines."""
    batch_id = rng(16)
    root = root_of(leaf_hashes(digests_of(entries)))
    note = BatchNote(origin, len(entries), root, batch_id, registry)
    header = render_header(sign_note(render_batch_note(note), *signers))
    return batch_id, b"".join(line + b"\n" for line in (header, *entries))


@dataclass(frozen=True, slots=True)
class Piece:
    """Entries that stand in one batch, and what changes once they have a receipt.

    Args:
        lines: Entry lines without newlines.
        changes: With places counted from the first of these lines.
        row: The row that they came from, if any.
    """

    lines: tuple[bytes, ...]
    changes: tuple[Change, ...] = ()
    row: Row | None = None

    @property
    def size(self) -> int:
        """The bytes of the lines with their newlines."""
        return sum(map(len, self.lines)) + len(self.lines)


class Packer:
    """Collects pieces into batches, each as full as the order of pieces allows.

    Args:
        max_entries: What a batch may hold; a piece alone never exceeds it.
        max_bytes: What its entries may weigh.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BODY):
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._pieces: list[Piece] = []
        self._entries = self._bytes = 0

    def add(self, piece: Piece) -> list[Piece]:
        """Take a piece; return the batch that it no longer fits into, if any."""
        full = (
            self._entries + len(piece.lines) > self._max_entries
            or self._bytes + piece.size > self._max_bytes
        )
        ready = self.flush() if full else []
        self._pieces.append(piece)
        self._entries += len(piece.lines)
        self._bytes += piece.size
        return ready

    def flush(self) -> list[Piece]:
        """Return what was collected since the last batch, perhaps nothing."""
        ready, self._pieces = self._pieces, []
        self._entries = self._bytes = 0
        return ready


def packed(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield pieces in batches."""
    packer = Packer()
    for piece in pieces:
        if ready := packer.add(piece):
            yield ready
    if ready := packer.flush():
        yield ready
