"""What the worker warns of: feeds that went stale, and own reports that end soon."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

from hub.indexing import Current, caught_up, outlook_of
from hub.model import REGISTRY, render_time
from hub.screening import Refs, describe
from hub.standing import active_reports
from hub.store.base import Store

__all__ = ["expiring_reports", "note_pulled", "stale_feeds", "was_pulled"]

Alert = dict[str, Any]
_PULLED = "pulled"
"""Under which name the store keeps when each feed was pulled without a problem."""


def note_pulled(store: Store, problems: Collection[str], now: int) -> None:
    """Note that all feeds but those with problems are as the hub has them.

    A feed that has a problem from the beginning counts as pulled when it was first
    seen, so that its warning too comes after its time.
    """
    with store.write() as tx:
        known = tx.node.get_sync(_PULLED)
        feeds = [f for f in {*tx.heads.all(), *problems} if f not in problems]
        fresh = [f for f in problems if f not in known]
        tx.node.set_sync(_PULLED, dict.fromkeys([*feeds, *fresh], str(now)))


def was_pulled(store: Store) -> bool:
    """Tell whether a mirror was ever brought up to the feeds of a hub.

    The registry alone, which joining fetches, says nothing about anybody's reports.
    """
    with store.read() as tx:
        return bool(tx.node.get_sync(_PULLED)) or any(
            feed != REGISTRY for feed in tx.heads.all()
        )


def stale_feeds(store: Store, now: int, hours: int) -> dict[str, Alert]:
    """Return the alert for each feed that nothing was pulled of for so many hours.

    A feed that has nothing new is not stale while a hub says so.
    """
    with store.read() as tx:
        pulled = tx.node.get_sync(_PULLED)
    return {
        feed: _alert("stale", now, feed=feed, since=render_time(int(at)))
        for feed, at in sorted(pulled.items())
        if int(at) <= now - hours * 3600
    }


def expiring_reports(
    store: Store, current: Current, member: str, now: int, days: int, refs: Refs
) -> dict[str, Alert]:
    """Return the alert for each own report that ends within so many days.

    Args:
        store: The mirror.
        current: Returns the directory as of a transaction.
        member: Whose reports.
        now: The time.
        days: How soon.
        refs: Own references.
    """
    with caught_up(store, current) as tx:
        outlook = outlook_of(current(tx), now)
        return {
            str(filed.name): _alert(
                "expiring",
                now,
                ref=refs(filed.name),
                case=filed.case,
                report=describe(listed, refs),
            )
            for filed, listed in active_reports(tx, outlook, [member])
            if listed.valid_until <= now + days * 86400
        }


def _alert(kind: str, now: int, **more: Any) -> Alert:
    named = {"id": secrets.token_hex(16), "at": render_time(now)}
    return {"alert": kind, **more, **named}
