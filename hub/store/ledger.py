"""What a member alone knows, in a file of its own that is never sent.

Its own case numbers and what was published under them, signed batches that wait for
their receipt, and a cache of tokens; ``hub.store.watching`` adds the watch list. No
identifier is in it: rows are recognised by a hash under a local random key. Losing the
file loses the references, not the reports; ``hub reports --mine`` still lists those.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from hub.store.ledger_file import LedgerFile

__all__ = ["Ledger"]


class Ledger:
    """The member's own file.

    Args:
        path: Made with mode 0600 if it is missing.
    """

    def __init__(self, path: Path):
        self._file = LedgerFile(path)
        self.secret = self._secret()

    @property
    def file(self) -> LedgerFile:
        """The open file, for the modules of this package that keep more in it."""
        return self._file

    def _secret(self) -> bytes:
        query = "SELECT value FROM meta WHERE key = 'secret'"
        row = self._file.row(query)
        if row is None:
            # Two processes may make the file at once; both take what came first.
            self._file.run(
                "INSERT OR IGNORE INTO meta VALUES ('secret', ?)",
                (secrets.token_bytes(32),),
            )
            row = self._file.row(query)
        if row is None:
            raise AssertionError("the secret was just stored")
        return bytes(row[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Run a block as one durable transaction."""
        return self._file.transaction()

    # -- tokens ------------------------------------------------------------------

    def get_tokens(self, handles: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the cached tokens."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(handles), 500):
            part = handles[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"SELECT handle, token FROM tokens WHERE handle IN ({marks})"  # noqa: S608 - Only question marks are put in.
            found.update(self._file.rows(query, part))
        return found

    def put_tokens(self, tokens: Mapping[bytes, bytes]) -> None:
        """Remember tokens."""
        with self.transaction():
            self._file.many(
                "INSERT OR REPLACE INTO tokens VALUES (?, ?)", tokens.items()
            )

    # -- published cases -----------------------------------------------------------

    def case_of_row(self, row: bytes) -> dict[str, Any] | None:
        """Return what was published for a row, by its key."""
        return self._one('WHERE "row" = ?', (row,))

    def _one(self, where: str, values: tuple[object, ...]) -> dict[str, Any] | None:
        return next(self.cases(where, values), None)

    def cases(
        self, where: str = "", values: tuple[object, ...] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield published cases."""
        names = ("row", "ref", "case", "content", "batch", "place", "count", "first")
        columns = ", ".join(f'"{n}"' for n in (*names, "withdrawn"))
        query = f"SELECT {columns} FROM cases {where}"  # noqa: S608 - Conditions are fixed texts of this package.
        for found in self._file.rows(query, values):
            yield dict(zip((*names, "withdrawn"), found, strict=True))

    def journal_batch(
        self, batch: bytes, feed: str, body: bytes, cases: Iterable[Sequence[Any]]
    ) -> None:
        """Keep a signed batch and its cases, in one transaction, before it is sent."""
        with self.transaction():
            self._file.run(
                "INSERT INTO journal (batch, feed, body) VALUES (?, ?, ?)",
                (batch, feed, body),
            )
            self._file.many(
                'INSERT OR REPLACE INTO cases ("row", ref, "case", content, batch, '
                "place, count) VALUES (?, ?, ?, ?, ?, ?, ?)",
                cases,
            )

    def journal(self) -> list[tuple[bytes, str, bytes]]:
        """Return the batches that have no receipt yet, oldest first."""
        query = "SELECT batch, feed, body FROM journal ORDER BY id"
        return self._file.rows(query)

    def settle(self, batch: bytes, first: int) -> None:
        """Note the receipt of a batch whose first entry is at ``first``."""
        with self.transaction():
            self._file.run(
                "UPDATE cases SET first = ? + place WHERE batch = ?", (first, batch)
            )
            self._file.run("DELETE FROM journal WHERE batch = ?", (batch,))

    def drop(self, batch: bytes) -> None:
        """Forget a batch that the hub refused for good, and its cases."""
        with self.transaction():
            self._file.run("DELETE FROM cases WHERE batch = ?", (batch,))
            self._file.run("DELETE FROM journal WHERE batch = ?", (batch,))

    def mark_withdrawn(self, cases: Iterable[str]) -> None:
        """Note that cases are withdrawn, so that publishing them again is new."""
        with self.transaction():
            self._file.many(
                'UPDATE cases SET withdrawn = 1 WHERE "case" = ?', ((c,) for c in cases)
            )

    def get(self, key: str) -> Any:
        """Return a small setting of this file, or None."""
        query = "SELECT value FROM meta WHERE key = ?"
        row = self._file.row(query, (key,))
        return json.loads(row[0]) if row else None

    def put(self, key: str, value: Any) -> None:
        """Keep a small setting of this file."""
        body = json.dumps(value).encode()
        self._file.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, body))
