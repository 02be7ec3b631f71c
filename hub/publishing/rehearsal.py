"""A rehearsal: the whole way of a file on a copy of the ledger, with nothing sent.

The same code decides, packs and settles, so what is shown is what would be sent. Tokens
are zeros, and receipts are invented.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hub.directory import TokenKey
from hub.publishing.batches import Piece
from hub.publishing.outbox import Posted
from hub.publishing.rows import Identifier
from hub.store.ledger import Ledger
from hub.tokens import Tokenizer
from schemas.identifiers import token_class

__all__ = ["Rehearsal"]

_SHOWN = 5
_FAR = 2**40
"""Invented places lie above all real ones, as those of a later batch do."""


class Rehearsal:
    """Counts tokens and batches instead of asking and sending.

    Args:
        ledger: A copy, which is changed.
        tokenizer: Over the same copy; it is not asked for tokens.
    """

    def __init__(self, ledger: Ledger, tokenizer: Tokenizer):
        self._ledger, self._tokenizer = ledger, tokenizer
        self._size = _FAR
        self._batch = 0
        self.wanted: Counter[str] = Counter()
        """Tokens to ask for, by token key."""
        self.kinds: Counter[str] = Counter()
        """Entries by kind."""
        self.types: Counter[str] = Counter()
        """Reports by type of identifier."""
        self.classes: Counter[str] = Counter()
        """Reports by the class of their token."""
        self.first: list[dict[str, Any]] = []
        """The first entries, each with its row and without token and salt."""

    def key_for(self, kind: str) -> TokenKey:
        """Return the active token key of an identifier type."""
        return self._tokenizer.key_for(kind)

    def tokens(self, identifiers: Iterable[Identifier]) -> Mapping[Identifier, bytes]:
        """Count what would be asked for; every token is zeros."""
        wanted = list(identifiers)
        for key, count in self._tokenizer.missing(wanted).items():
            self.wanted[key.name] += count
        handles = {self._tokenizer.handle(self.key_for(i[0]), i) for i in wanted}
        self._ledger.put_tokens(dict.fromkeys(handles, bytes(32)))
        return dict.fromkeys(wanted, bytes(32))

    def post(
        self,
        pieces: list[Piece],
        about: str,
        fits: Callable[[Piece], bool] = lambda _piece: True,
    ) -> Posted:
        """Count a batch, and settle it in the copy of the ledger."""
        kept = [piece for piece in pieces if fits(piece)]
        self._batch += 1
        batch, first, place = self._batch.to_bytes(16), self._size + 1, 0
        for piece in kept:
            for line in piece.lines:
                self._count(json.loads(line), piece)
        changes = []
        for piece in kept:
            changes += [c.moved(place) for c in piece.changes]
            place += len(piece.lines)
        self._ledger.journal.add(batch, "rehearsal", b"", about, changes)
        self._ledger.journal.settle(batch, first)
        self._size += 1 + place
        return Posted(first, {}, tuple(kept))

    def _count(self, entry: dict[str, Any], piece: Piece) -> None:
        self.kinds[entry["kind"]] += 1
        if entry["kind"] == "report":
            self.types[entry["type"]] += 1
            self.classes[token_class(entry["type"])] += 1
        if len(self.first) < _SHOWN:
            shown = {k: v for k, v in entry.items() if k not in ("token", "salt")}
            row = {"row": piece.row.number} if piece.row else {}
            self.first.append({**row, **shown})
