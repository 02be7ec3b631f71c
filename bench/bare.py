"""Ceilings: what the bare libraries need for the same lines and rows, and no more.

Whoever verifies must hash, whoever stores must compress and insert, whoever asks must
look up. Nothing here is checked, signed, proven or kept consistent.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from hub.store.engine import sqlite3
from hub.store.records import SLOT

__all__ = ["Table", "digests", "packed", "store_lines", "unpacked"]

Row = tuple[object, ...]


def digests(lines: Sequence[bytes]) -> list[bytes]:
    """Hash each line."""
    return [hashlib.sha256(line).digest() for line in lines]


def packed(lines: Sequence[bytes]) -> list[bytes]:
    """Compress runs of 256 lines, at the level of the store."""
    found = []
    for start in range(0, len(lines), SLOT):
        engine = zlib.compressobj(3, zlib.DEFLATED, 31)
        text = b"\n".join(lines[start : start + SLOT])
        found.append(engine.compress(text) + engine.flush())
    return found


def unpacked(pages: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Decompress runs of lines."""
    return (zlib.decompress(page, 31).split(b"\n") for page in pages)


class Table:
    """A table in a SQLite file of its own, as durable as the store's.

    Args:
        path: The file; it is made.
        columns: Its columns, as SQL.
        count: How many there are.
    """

    def __init__(self, path: Path, columns: str, count: int):
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        self.connection = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode = WAL", "synchronous = FULL"):
            self.connection.execute(f"PRAGMA {setting}")
        self.connection.execute(f"CREATE TABLE rows ({columns}) STRICT, WITHOUT ROWID")
        marks = ",".join("?" * count)
        self._insert = f"INSERT INTO rows VALUES ({marks})"  # noqa: S608 - Question marks.

    def insert(self, rows: Sequence[Row]) -> None:
        """Insert rows in one durable transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(self._insert, rows)
        self.connection.execute("COMMIT")

    def find(self, keys: Sequence[bytes], at_once: int = 400) -> int:
        """Look keys up, some hundreds with each statement; return how many are there."""
        found = 0
        for start in range(0, len(keys), at_once):
            part = keys[start : start + at_once]
            marks = ",".join("?" * len(part))
            query = f"SELECT count(*) FROM rows WHERE token IN ({marks})"  # noqa: S608 - Question marks.
            found += self.connection.execute(query, part).fetchone()[0]
        return found

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def store_lines(table: Table, first: int, lines: Sequence[bytes]) -> None:
    """Hash, compress and insert lines: the least that storing them takes."""
    found = digests(lines)
    rows = [
        (first + place * SLOT, b"".join(found[place * SLOT : (place + 1) * SLOT]), page)
        for place, page in enumerate(packed(lines))
    ]
    table.insert(rows)
