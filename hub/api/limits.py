"""How often somebody may ask: so many requests a minute, and so many batches.

Counted for the owner of the key or token that was used, for others by their address:
that of the connection, or what the proxy says when ``server.behind_proxy`` promises
that one stands in front and sets ``X-Forwarded-For``. Whoever sends bad signatures or
tokens is counted by the address before they are looked at. The counts are of this
process alone and start anew with it; they guard the node against haste, while quotas,
which are durable, guard identifiers against guessing.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from hub.errors import RateError

__all__ = ["Limits", "address_of"]

_MAX_CALLERS = 50_000


def address_of(remote: str, forwarded: str | None, *, behind_proxy: bool) -> str:
    """Return whom to count: an address, of IPv6 the network that one site has.

    Args:
        remote: The address of the connection.
        forwarded: The field ``X-Forwarded-For``.
        behind_proxy: Whether a proxy wrote the last part of that field.
    """
    if behind_proxy and forwarded:
        remote = forwarded.rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


class Limits:
    """Counts requests.

    Args:
        settings: ``rate_per_minute`` and ``publish_per_minute``; 0 is no limit.
    """

    def __init__(self, settings: dict[str, Any]):
        self._most = {
            "request": int(settings["rate_per_minute"]),
            "refused": int(settings["rate_per_minute"]),
            "publish": int(settings["publish_per_minute"]),
        }
        self._lock = threading.Lock()
        self._limiter: MovingWindowRateLimiter | None = None

    def count(self, kind: str, caller: str) -> None:
        """Count one more.

        Raises:
            RateError: It is one too many.
        """
        item = self._item(kind)
        if item and not self._counter().hit(item, kind, caller):
            raise self._error(item, kind, caller)

    def check(self, kind: str, caller: str) -> None:
        """Check that one more would be allowed.

        Raises:
            RateError: It would not.
        """
        item = self._item(kind)
        if item and not self._counter().test(item, kind, caller):
            raise self._error(item, kind, caller)

    def _item(self, kind: str) -> RateLimitItemPerMinute | None:
        most = self._most[kind]
        return RateLimitItemPerMinute(most) if most else None

    def _counter(self) -> MovingWindowRateLimiter:
        with self._lock:
            if self._limiter is None:
                # Made by the process that serves: it has a thread of its own.
                self._limiter = MovingWindowRateLimiter(MemoryStorage())
            storage = self._limiter.storage
            if (
                isinstance(storage, MemoryStorage)
                and len(storage.events) > _MAX_CALLERS
            ):
                # The library keeps each caller for ever. Forgetting all of them is
                # harmless: everybody begins a new minute.
                storage.reset()
            return self._limiter

    def _error(self, item: RateLimitItemPerMinute, kind: str, caller: str) -> RateError:
        reset = self._counter().get_window_stats(item, kind, caller).reset_time
        now = time.time()  # noqa: TID251 - The library counts by the machine's time.
        wait = min(max(math.ceil(reset - now), 1), 60)
        return RateError(f"more than {item.amount} a minute ({kind})", retry_after=wait)
