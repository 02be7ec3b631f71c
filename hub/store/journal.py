"""Batches on their way to the hub: signed, kept with what they change, then sent.

A batch and its changes become durable in one transaction before the batch is sent. The
receipt moves the changes into the cases and ends the journal's entry, in one
transaction too. So whenever the process dies, the next run finds either nothing, or the
signed bytes to send again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hub.store.ledger_file import LedgerFile

__all__ = ["Change", "Journal", "Waiting"]


@dataclass(frozen=True, slots=True)
class Change:
    """What the ledger notes about a case once a batch has its receipt.

    Args:
        place: Of its first entry among the entries of the batch, from 0.
        kind: ``reported``, ``renewed``, ``withdrawn``, ``missing`` (withdrawn because
            its list no longer has it) or ``erased``.
        case: Which case.
        number: The row of the file that asked for it.
        ref: The member's own reference.
        list: The list that the row is of.
        identifiers: Hash of the row's identifiers under the ledger's secret.
        content: Hash of all that was sent for the row.
        count: How many entries.
        until: When the reports end by themselves.
        run: The run that read the row.
    """

    place: int
    kind: str
    case: str
    number: int | None = None
    ref: str | None = None
    list: str | None = None
    identifiers: bytes | None = None
    content: bytes | None = None
    count: int = 1
    until: int | None = None
    run: int | None = None

    def values(self) -> tuple[object, ...]:
        """Return the fields in their order."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def moved(self, places: int) -> Change:
        """Return the change with its place counted from further back."""
        return replace(self, place=self.place + places)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch without a receipt."""

    batch: bytes
    feed: str
    about: str


class Journal:
    """The journal of a ledger.

    Args:
        file: The ledger's file.
    """

    def __init__(self, file: LedgerFile):
        self._file = file

    def add(
        self, batch: bytes, feed: str, body: bytes, about: str, changes: list[Change]
    ) -> None:
        """Keep a signed batch and what it changes."""
        with self._file.transaction():
            self._file.run(
                "INSERT INTO journal (batch, feed, body, about) VALUES (?, ?, ?, ?)",
                (batch, feed, body, about),
            )
            self._file.many(
                "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((batch, *change.values()) for change in changes),
            )

    def waiting(self) -> list[Waiting]:
        """Return the batches that have no receipt yet, oldest first."""
        rows = self._file.rows("SELECT batch, feed, about FROM journal ORDER BY id")
        return [Waiting(*row) for row in rows]

    def body(self, batch: bytes) -> bytes | None:
        """Return the bytes of a batch, or None when it was settled meanwhile."""
        row = self._file.row("SELECT body FROM journal WHERE batch = ?", (batch,))
        return bytes(row[0]) if row else None

    def changes(self, batch: bytes) -> list[Change]:
        """Return what a batch will change, in its order."""
        query = """SELECT place, kind, "case", number, ref, list, identifiers, content,
            count, until, run FROM changes WHERE batch = ? ORDER BY place"""
        return [Change(*row) for row in self._file.rows(query, (batch,))]

    def holds(self, cases: Sequence[str]) -> set[str]:
        """Return which of these cases are on their way."""
        query = 'SELECT 1 FROM changes WHERE "case" = ? LIMIT 1'
        return {case for case in cases if self._file.row(query, (case,))}

    def settle(self, batch: bytes, first: int) -> None:
        """Note the receipt of a batch whose first entry is at ``first``.

        Two processes may bring the same receipt, and two batches may be settled in
        either order: the state of a case follows the feed's order, not ours.
        """
        with self._file.transaction():
            for change in self.changes(batch):
                _APPLY[change.kind](self._file, change, first + change.place)
            self.drop(batch)

    def drop(self, batch: bytes) -> None:
        """Forget a batch that the hub refused for good, and what it would change."""
        with self._file.transaction():
            self._file.run("DELETE FROM changes WHERE batch = ?", (batch,))
            self._file.run("DELETE FROM journal WHERE batch = ?", (batch,))


def _reported(file: LedgerFile, change: Change, first: int) -> None:
    file.run(
        """INSERT INTO cases ("case", ref, list, identifiers, content, first, count,
            until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT ("case") DO UPDATE SET ref = ifnull(excluded.ref, ref),
            list = CASE WHEN excluded.ref IS NULL THEN list ELSE excluded.list END,
            identifiers = excluded.identifiers, content = excluded.content,
            first = excluded.first, count = excluded.count, until = excluded.until
        WHERE excluded.first > first""",
        (
            change.case,
            change.ref,
            change.list,
            change.identifiers,
            change.content,
            first,
            change.count,
            change.until,
        ),
    )
    _span(file, change, first)
    if change.list is not None:
        file.run(
            """INSERT INTO lists VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
            SET run = excluded.run, number = excluded.number
            WHERE excluded.run >= run""",
            (change.list, change.case, change.run or 0, change.number or 0),
        )


def _span(file: LedgerFile, change: Change, first: int) -> None:
    file.run(
        "INSERT OR IGNORE INTO spans VALUES (?, ?, ?)",
        (first, change.count, change.case),
    )


def _renewed(file: LedgerFile, change: Change, index: int) -> None:
    _span(file, change, index)
    file.run(
        'UPDATE cases SET until = ? WHERE "case" = ? AND first < ?',
        (change.until, change.case, index),
    )


def _ended(file: LedgerFile, change: Change, index: int) -> None:
    file.run(
        """UPDATE cases SET ended = ?, how = ?
        WHERE "case" = ? AND (ended IS NULL OR ended < ?)""",
        (index, change.kind, change.case, index),
    )


def _erased(file: LedgerFile, change: Change, index: int) -> None:
    file.run(
        'UPDATE cases SET erased = max(ifnull(erased, 0), ?) WHERE "case" = ?',
        (index, change.case),
    )


_APPLY = {
    "reported": _reported,
    "renewed": _renewed,
    "withdrawn": _ended,
    "missing": _ended,
    "erased": _erased,
}
