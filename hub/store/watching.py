"""The watch list and what was alerted, in the member's ledger.

A watched seller is its tokens under a reference of its owner's; no identifier is here.
An alert is noted and put into the outbox, once for each way, in one transaction. It
leaves the outbox when that way took it. So no alert is lost, and none is made twice:
whoever notes what another process noted meanwhile changes nothing and is told so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hub.store.ledger import Ledger
from hub.store.outbox import Alert, Outbox

__all__ = ["Change", "Listing", "Seller", "Watched", "Watching"]

_PART = 2000
_TYPES = """SELECT ref, type, count(*) AS n,
    max("key" IN (SELECT value FROM json_each(?))) AS fresh
    FROM watch_list GROUP BY ref, type ORDER BY ref, type"""


@dataclass(frozen=True, slots=True)
class Watched:
    """One token of a watched seller; ``match`` is ``exact`` or the looser kind."""

    token: bytes
    ref: str
    type: str
    match: str
    key: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A match that was alerted and has not ended."""

    token: bytes
    ref: str
    member: str
    entry: str
    match: str


@dataclass(frozen=True, slots=True)
class Seller:
    """A watched seller: how many tokens of which types, and how many matches stand."""

    ref: str
    types: dict[str, int]
    listed: int
    outdated: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A match that began (``alert`` says so), was renewed (no alert) or ended."""

    listing: Listing
    alert: Alert | None
    ended: bool = False


class Watching:
    """The watch list and the outbox of a ledger.

    Args:
        ledger: The open ledger.
    """

    def __init__(self, ledger: Ledger):
        self._file = ledger.file
        self.outbox = Outbox(ledger)

    # -- the watch list ----------------------------------------------------------

    def add(self, rows: Iterable[Watched]) -> int:
        """Add tokens to the watch list; return how many were not there.

        A token that was watched as a looser form of its seller becomes exact when it
        is added as such, and never the other way round.
        """
        with self._file.transaction():
            before = self._count()
            self._file.many(
                """INSERT INTO watch_list VALUES (?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET "key" = excluded."key",
                    "match" = CASE "match" WHEN 'exact' THEN 'exact'
                        ELSE excluded."match" END""",
                ((r.token, r.ref, r.type, r.match, r.key) for r in rows),
            )
            return self._count() - before

    def _count(self) -> int:
        return int(self._file.rows("SELECT count(*) FROM watch_list")[0][0])

    def remove(self, ref: str) -> int:
        """Forget a seller and its matches; return how many tokens it had."""
        with self._file.transaction():
            self._file.run("DELETE FROM watch_alerts WHERE ref = ?", (ref,))
            return self._file.run("DELETE FROM watch_list WHERE ref = ?", (ref,))

    def sellers(self, keys: Iterable[str]) -> list[Seller]:
        """Return the watched sellers by reference.

        Args:
            keys: The active token keys. A seller is outdated when one of its types
                has tokens of other keys only: newer reports cannot match those.
        """
        rows = self._file.rows(
            f"""SELECT ref, json_group_object(type, n), min(fresh),
                (SELECT count(*) FROM watch_alerts a WHERE a.ref = types.ref)
            FROM ({_TYPES}) AS types GROUP BY ref ORDER BY ref""",  # noqa: S608 - A fixed text.
            (json.dumps(sorted(keys)),),
        )
        return [
            Seller(ref, json.loads(types), listed, not fresh)
            for ref, types, fresh, listed in rows
        ]

    def outdated(self, keys: Iterable[str]) -> int:
        """Return how many sellers have to be added again for the active keys."""
        active = (json.dumps(sorted(keys)),)
        # Usually no key was ever retired, and this answers that fast.
        if not self._file.rows(
            """SELECT 1 FROM watch_list
            WHERE "key" NOT IN (SELECT value FROM json_each(?)) LIMIT 1""",
            active,
        ):
            return 0
        query = f"SELECT count(DISTINCT ref) FROM ({_TYPES}) WHERE NOT fresh"  # noqa: S608 - A fixed text.
        return int(self._file.rows(query, active)[0][0])

    def parts(self) -> Iterator[tuple[list[Watched], list[Listing]]]:
        """Yield the watch list in parts, each with the matches that stand on it."""
        last = b""
        while True:
            found = self._file.rows(
                """SELECT token, ref, type, "match", "key" FROM watch_list
                WHERE token > ? ORDER BY token, ref LIMIT ?""",
                (last, _PART),
            )
            if not found:
                return
            first, last = found[0][0], found[-1][0]
            # The part ends with all that is watched under its last token.
            found += self._file.rows(
                """SELECT token, ref, type, "match", "key" FROM watch_list
                WHERE token = ? AND ref > ? ORDER BY ref""",
                (last, found[-1][1]),
            )
            standing = self._file.rows(
                """SELECT token, ref, member, entry, "match" FROM watch_alerts
                WHERE token BETWEEN ? AND ? ORDER BY token, ref, member""",
                (first, last),
            )
            yield [Watched(*r) for r in found], [Listing(*r) for r in standing]

    # -- alerts ------------------------------------------------------------------

    def note(
        self, changes: Sequence[Change], ways: Sequence[str], now: int
    ) -> list[Alert]:
        """Note what began, was renewed and ended, and put the alerts into the outbox.

        Returns:
            The alerts that nobody else noted meanwhile.
        """
        with self._file.transaction():
            alerts = [
                change.alert
                for change in changes
                if self._note(change) and change.alert is not None
            ]
            self.outbox.put(alerts, ways, now)
        # If we crash here, the alerts are in the outbox and the next run delivers them.
        return alerts

    def _note(self, change: Change) -> bool:
        """Note one change; return whether it was one."""
        it = change.listing
        where = (it.token, it.ref, it.member)
        if change.ended:
            statement = (
                "DELETE FROM watch_alerts WHERE token = ? AND ref = ? AND member = ?"
            )
            return bool(self._file.run(statement, where))
        if change.alert is None:
            self._file.run(
                """UPDATE watch_alerts SET entry = ?, "match" = ?
                WHERE token = ? AND ref = ? AND member = ?""",
                (it.entry, it.match, *where),
            )
            return False
        # Whoever was removed from the watch list meanwhile is not alerted any more.
        return bool(
            self._file.run(
                """INSERT INTO watch_alerts SELECT token, ref, ?, ?, ? FROM watch_list
                WHERE token = ? AND ref = ? ON CONFLICT DO NOTHING""",
                (it.member, it.entry, it.match, it.token, it.ref),
            )
        )

    def warn(
        self,
        what: str,
        standing: Mapping[str, Alert],
        ways: Sequence[str],
        now: int,
    ) -> list[Alert]:
        """Note warnings of one kind, each name once for as long as it stands.

        Args:
            what: The kind of warning.
            standing: The alert for everything that is to be warned of now, by name.
                A name that is missing here may be warned of again.
            ways: How alerts are delivered.
            now: The time.

        Returns:
            The alerts that nobody noted before.
        """
        with self._file.transaction():
            noted = {
                name
                for (name,) in self._file.rows(
                    "SELECT name FROM warned WHERE what = ?", (what,)
                )
            }
            fresh = [name for name in standing if name not in noted]
            self._file.many(
                "INSERT INTO warned VALUES (?, ?)", ((what, name) for name in fresh)
            )
            self._file.many(
                "DELETE FROM warned WHERE what = ? AND name = ?",
                ((what, name) for name in noted if name not in standing),
            )
            alerts = [standing[name] for name in fresh]
            self.outbox.put(alerts, ways, now)
        return alerts
