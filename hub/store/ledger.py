"""What a member alone knows, in a file of its own that is never sent.

Its own case numbers and what was published under them, signed batches that wait for
their receipt, and a cache of tokens; ``hub.store.watching`` adds the watch list. No
identifier is in it: rows are recognised by a hash under a local random key. Losing the
file loses the references, not the reports; ``hub reports --mine`` still lists those.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from hub.store.cases import Cases
from hub.store.journal import Journal
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
        self.cases = Cases(self._file)
        self.journal = Journal(self._file)

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

    def copy(self, path: Path) -> Ledger:
        """Return a ledger in a new file that holds what this one holds now."""
        self._file.copy(path)
        return Ledger(path)

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

    def get(self, key: str) -> Any:
        """Return a small setting of this file, or None."""
        query = "SELECT value FROM meta WHERE key = ?"
        row = self._file.row(query, (key,))
        return json.loads(row[0]) if row else None

    def put(self, key: str, value: Any) -> None:
        """Keep a small setting of this file."""
        body = json.dumps(value).encode()
        self._file.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, body))
