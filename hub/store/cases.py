"""Published cases: what the member knows about them, and which list each stands in.

A row of a file is recognised by its own reference within its list, or else by its
identifiers, as a hash under the ledger's secret. A *list* is what a file is an edition
of; publishing with ``--replace`` withdraws what the list no longer has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hub.store.ledger_file import LedgerFile

__all__ = ["Case", "Cases"]

_COLUMNS = """"case", ref, list, identifiers, content, first, count, until, ended, how,
    erased"""
_MANY = 500


@dataclass(frozen=True, slots=True)
class Case:
    """A published case; its entries are those that count now."""

    case: str
    ref: str | None
    list: str | None
    identifiers: bytes
    content: bytes
    first: int
    count: int
    until: int | None
    ended: int | None
    how: str | None
    erased: int | None

    @property
    def withdrawn(self) -> str | None:
        """How the case ended (``withdrawn`` or ``missing``), or None while it stands.

        A withdrawal ends only what came before it.
        """
        stands = self.ended is None or self.ended < self.first
        return None if stands else self.how

    @property
    def hidden(self) -> bool:
        """Whether entries of it were ordered to be erased since it was reported."""
        return self.erased is not None and self.erased > self.first

    def expired(self, now: int) -> bool:
        """Tell whether its reports ended by themselves."""
        return self.until is not None and self.until <= now


class Cases:
    """The published cases of a ledger.

    Args:
        file: The ledger's file.
    """

    def __init__(self, file: LedgerFile):
        self._file = file

    def get(self, case: str) -> Case | None:
        """Return a case."""
        return next(self._select('"case" = ?', case), None)

    def all(self) -> Iterator[Case]:
        """Yield all cases, in pages, so that memory does not grow with them."""
        after = ""
        while True:
            page = list(self._select('"case" > ? ORDER BY "case" LIMIT 1000', after))
            if not page:
                return
            yield from page
            after = page[-1].case

    def by_ref(self, ref: str) -> list[Case]:
        """Return the cases with a reference, of whatever list."""
        return list(self._select('ref = ? ORDER BY "case"', ref))

    def by_identifiers(self, identifiers: bytes) -> list[Case]:
        """Return the cases with exactly these identifiers, standing ones first."""
        found = self._select("identifiers = ? ORDER BY first DESC", identifiers)
        return sorted(found, key=lambda c: c.withdrawn is not None)

    def _select(self, where: str, *values: object) -> Iterator[Case]:
        query = f"SELECT {_COLUMNS} FROM cases WHERE {where}"  # noqa: S608 - Conditions are fixed texts of this class.
        return (Case(*row) for row in self._file.rows(query, values))

    def refs(self, cases: Iterable[str]) -> dict[str, str]:
        """Return the references of those cases that have one."""
        wanted = sorted(set(cases))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), _MANY):
            part = wanted[start : start + _MANY]
            marks = ",".join("?" * len(part))
            query = f"""SELECT "case", ref FROM cases
                WHERE "case" IN ({marks}) AND ref IS NOT NULL"""  # noqa: S608 - Only question marks are put in.
            found.update(dict(self._file.rows(query, part)))
        return found

    def at(self, entry: int) -> str | None:
        """Return the case of an own entry, by its index."""
        query = """SELECT "case", first + count FROM spans WHERE first <= ?
            ORDER BY first DESC LIMIT 1"""
        row = self._file.row(query, (entry,))
        return row[0] if row and entry < row[1] else None

    def ref_at(self, entry: int) -> str | None:
        """Return the reference of an own entry, by its index."""
        case = self.at(entry)
        found = self.get(case) if case else None
        return found.ref if found else None

    def name(self, case: str, ref: str, of_list: str) -> None:
        """Give a case a reference in a list; nothing of it is sent."""
        self._file.run(
            'UPDATE cases SET ref = ?, list = ? WHERE "case" = ?', (ref, of_list, case)
        )

    # -- lists ---------------------------------------------------------------------

    def new_run(self, of_list: str) -> int:
        """Return a number above that of every earlier run over a list."""
        query = """SELECT max(ifnull((SELECT max(run) FROM lists WHERE list = ?), 0),
            ifnull((SELECT max(run) FROM changes WHERE list = ?), 0)) + 1"""
        return int(self._file.rows(query, (of_list, of_list))[0][0])

    def seen(self, of_list: str, case: str) -> tuple[int, int] | None:
        """Return the run that last saw a case in a list, and at which row."""
        query = 'SELECT run, number FROM lists WHERE list = ? AND "case" = ?'
        row = self._file.row(query, (of_list, case))
        return (row[0], row[1]) if row else None

    def see(self, of_list: str, run: int, rows: Sequence[tuple[str, int]]) -> None:
        """Note that a run saw (case, row number) pairs in a list."""
        with self._file.transaction():
            self._file.many(
                """INSERT INTO lists VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
                SET run = excluded.run, number = excluded.number""",
                ((of_list, case, run, number) for case, number in rows),
            )

    def missing(self, of_list: str, run: int, now: int) -> list[Case]:
        """Return the standing cases of a list that a run did not see.

        Those that another list holds too are not missing; expired ones need no end.
        """
        where = f"""{_STANDING} AND "case" IN (
            SELECT "case" FROM lists WHERE list = ? AND run < ?) AND NOT EXISTS (
            SELECT 1 FROM lists o WHERE o."case" = cases."case" AND o.list <> ?)
            ORDER BY first"""  # noqa: S608 - Fixed texts.
        return list(self._select(where, now, of_list, run, of_list))

    def standing(self, of_list: str, now: int) -> int:
        """Return how many standing cases a list has."""
        query = f"""SELECT count(*) FROM cases WHERE {_STANDING}
            AND "case" IN (SELECT "case" FROM lists WHERE list = ?)"""  # noqa: S608 - Fixed texts.
        return int(self._file.rows(query, (now, of_list))[0][0])

    def forget_unseen(self, of_list: str, run: int) -> None:
        """Drop from a list what a run did not see."""
        self._file.run("DELETE FROM lists WHERE list = ? AND run < ?", (of_list, run))

    def is_unusable(self, of_list: str, row: bytes) -> bool:
        """Tell whether a row of a list is known to be unusable and to hide no case."""
        query = 'SELECT 1 FROM unusable WHERE list = ? AND "row" = ?'
        return self._file.row(query, (of_list, row)) is not None

    def add_unusable(self, of_list: str, rows: Iterable[bytes]) -> None:
        """Note rows that could not be used while no case was missing."""
        with self._file.transaction():
            self._file.many(
                "INSERT OR IGNORE INTO unusable VALUES (?, ?)",
                ((of_list, row) for row in rows),
            )


_STANDING = "(ended IS NULL OR ended < first) AND (until IS NULL OR until > ?)"
