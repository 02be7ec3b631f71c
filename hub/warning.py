"""What the worker warns of: feeds that went stale, and own reports that end soon."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

from hub.model import render_time
from hub.store.base import Store

__all__ = ["note_pulled", "stale_feeds"]

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


def stale_feeds(store: Store, now: int, hours: int) -> dict[str, Alert]:
    """Return the alert for each feed that nothing was pulled of for so many hours.

    A feed that has nothing new is not stale while a hub says so.
    """
    with store.read() as tx:
        pulled = tx.node.get_sync(_PULLED)
    return {
        feed: {
            "alert": "stale",
            "feed": feed,
            "since": render_time(int(at)),
            "id": secrets.token_hex(16),
            "at": render_time(now),
        }
        for feed, at in sorted(pulled.items())
        if int(at) <= now - hours * 3600
    }
