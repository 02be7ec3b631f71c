"""The outbox of alerts, in the member's ledger.

Alerts are put in, once for each way, in the transaction that notes them, and leave when
that way took them. The same alerts travel under the same key at every try, so that
whoever gets them twice can tell.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hub.store.ledger import Ledger

__all__ = ["Alert", "Delivery", "Outbox"]

_LINES = 500  # Alerts of one delivery, so that a webhook's body stays small.
Alert = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Some alerts on their way, the same bytes under the same key at every try.

    ``mark`` is where in a file its first try began.
    """

    id: int
    way: str
    key: str
    body: bytes
    tries: int
    due: int
    problem: str
    mark: int | None

    @property
    def alerts(self) -> list[Alert]:
        """What is delivered."""
        return [json.loads(line) for line in self.body.splitlines()]


class Outbox:
    """What waits to be delivered.

    Args:
        ledger: The open ledger.
    """

    def __init__(self, ledger: Ledger):
        self._file = ledger.file

    def put(self, alerts: Sequence[Alert], ways: Sequence[str], now: int) -> None:
        """Put alerts in; belongs in the transaction that notes them."""
        for start in range(0, len(alerts), _LINES):
            part = alerts[start : start + _LINES]
            body = "".join(json.dumps(alert) + "\n" for alert in part).encode()
            self._file.many(
                'INSERT INTO outbox (way, "key", body, due) VALUES (?, ?, ?, ?)',
                ((way, secrets.token_hex(16), body, now) for way in ways),
            )

    def waiting(self, way: str | None = None) -> list[Delivery]:
        """Return what waits, oldest first."""
        rows = self._file.rows(
            """SELECT id, way, "key", body, tries, due, problem, mark FROM outbox
            WHERE ?1 IS NULL OR way = ?1 ORDER BY id""",
            (way,),
        )
        return [Delivery(*row) for row in rows]

    def mark(self, delivery: Delivery, mark: int) -> None:
        """Note where in a file a delivery begins, before it is written."""
        self._file.run("UPDATE outbox SET mark = ? WHERE id = ?", (mark, delivery.id))

    def delivered(self, deliveries: Iterable[Delivery]) -> None:
        """Take out what arrived."""
        with self._file.transaction():
            self._file.many(
                "DELETE FROM outbox WHERE id = ?", ((d.id,) for d in deliveries)
            )

    def failed(self, delivery: Delivery, problem: str, due: int) -> None:
        """Note that a delivery did not arrive, and when it is tried again."""
        self._file.run(
            "UPDATE outbox SET tries = tries + 1, problem = ?, due = ? WHERE id = ?",
            (problem, due, delivery.id),
        )

    def drop(self, ways: Sequence[str]) -> int:
        """Drop what waits for other ways than these; return how many deliveries."""
        return self._file.run(
            "DELETE FROM outbox WHERE way NOT IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ways)),),
        )
