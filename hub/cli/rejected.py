"""Where rows go that were read: long results kept on disk, and ``FILE.rejected.csv``.

Neither grows in memory. The file of rejected rows holds their original cells, so that
it can be mended and published itself; a file of that name that somebody else wrote, or
that was changed since, is never overwritten.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.interop.tables import Row, write_rejected
from hub.store.ledger import Ledger

__all__ = ["Rejected", "Spool"]

_MEMORY = "rejected files"
_NAMES = 100


class Spool:
    """A long list of JSON values in a file that has no name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - Closed by the next line.
        weakref.finalize(self, self._file.close)
        self.count = 0

    def add(self, value: Any) -> None:
        """Add a value at the end."""
        self._file.write(json.dumps(value).encode() + b"\n")
        self.count += 1

    def __iter__(self) -> Iterator[Any]:
        """Yield the values in order; nothing may be added meanwhile."""
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)
        self._file.seek(0, os.SEEK_END)


class Rejected:
    """The rows of a file that were not used, and why."""

    def __init__(self) -> None:
        self._rows = Spool()
        self._names: Counter[str] = Counter()
        self.first: list[str] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return self._rows.count

    def add(self, row: Row, reason: str) -> None:
        """Add a row."""
        self._rows.add([row.number, reason, row.cells])
        here = Counter(name for name, _ in row.cells)
        for name in here:
            self._names[name] = max(self._names[name], here[name])
        if len(self.first) < 3:
            self.first.append(f"row {row.number}: {reason}")

    def listed(self) -> Iterator[dict[str, Any]]:
        """Yield numbers and reasons, as the command's JSON shows them."""
        return ({"row": number, "reason": reason} for number, reason, _ in self._rows)

    def write(self, source: Path, folder: Path, ledger: Ledger) -> Path | None:
        """Write the file beside its source, or into the folder where that cannot be.

        A file that an earlier run wrote is replaced, and removed when no row was
        rejected.

        Args:
            source: The file that was read.
            folder: The member's folder.
            ledger: Remembers what was written.

        Returns:
            Where it is, or None when no row was rejected.
        """
        try:
            return self._write(source.with_name(f"{source.name}.rejected"), ledger)
        except OSError:
            return self._write(folder / f"{source.name}.rejected", ledger)

    def _write(self, stem: Path, ledger: Ledger) -> Path | None:
        known = dict(ledger.get(_MEMORY) or {})
        place = _free_place(stem, known)
        if not self.count:
            if place.exists():
                place.unlink()
                known.pop(_key(place))
                ledger.put(_MEMORY, known)
            return None
        partial = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            with partial.open("w", newline="", encoding="utf-8") as stream:
                write_rejected(stream, list(self._names.elements()), self._triples())
            _copy_mode(stem, partial)
            known[_key(place)] = _digest(partial)
            # If we crash here, then the old file stays and is taken for a stranger's.
            ledger.put(_MEMORY, known)
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
        return place

    def _triples(self) -> Iterator[tuple[int, str, list[tuple[str, str]]]]:
        for number, reason, cells in self._rows:
            yield number, reason, [(name, text) for name, text in cells]


def _free_place(stem: Path, known: dict[str, str]) -> Path:
    """Return a path that is free, or holds what an earlier run wrote there."""
    for number in range(1, _NAMES):
        suffix = "" if number == 1 else f"-{number}"
        place = stem.with_name(f"{stem.name}{suffix}.csv")
        if not place.exists() or known.get(_key(place)) == _digest(place):
            return place
    raise FileExistsError(f"{stem}-{_NAMES - 1}.csv and all before it exist")


def _key(place: Path) -> str:
    return str(place.resolve())


def _digest(place: Path) -> str:
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy_mode(stem: Path, target: Path) -> None:
    """Let those read the rejected rows who can read the source, and nobody else."""
    source = stem.with_name(stem.name.removesuffix(".rejected"))
    if source.is_file():
        shutil.copymode(source, target)
