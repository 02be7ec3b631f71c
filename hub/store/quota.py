"""How much a member may still ask: the arithmetic of quotas, without any storage.

Use is counted in buckets of one minute, and a bucket counts until all of it has left
the window. So no window ever holds more than its limit, and what was used returns at
most a minute late.

A clock that was set back leaves use in the future. It counts, so that nothing reopens,
unless it lies more than a window ahead: then the clock was wrong by more than the quota
can heal, and whoever asks is not kept waiting for as long as it was wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.errors import QuotaError, RefusedError
from hub.store.records import Limit

__all__ = ["BUCKET", "admit", "bucket_of", "left"]

BUCKET = 60
"""Seconds of one bucket."""


def bucket_of(now: int) -> int:
    """Return the number of the bucket that holds a time."""
    return now // BUCKET


def admit(
    used: Sequence[tuple[int, int]], count: int, limits: Sequence[Limit], now: int
) -> int:
    """Check that ``count`` more are allowed and return what is left afterwards.

    Args:
        used: (bucket, count) in ascending order, as far back as the widest window.
        count: How many are asked for.
        limits: All of them must hold.
        now: The current time.

    Raises:
        QuotaError: Not now; says when the same request can succeed.
        RefusedError: Never, as ``count`` alone exceeds a limit.
    """
    if count < 0 or not limits:
        raise AssertionError("a charge has a count and a limit")
    tightest = min(limit.count for limit in limits)
    if count > tightest:
        raise RefusedError(
            f"{count} at once is more than the quota of {tightest}.",
            code="quota-too-small",
            advice="Ask for fewer at a time, or ask the officers for a grant.",
        )
    wait = max(_wait(used, count, limit, now) for limit in limits)
    if wait > 0:
        raise QuotaError("The quota is used up.", retry_after=wait)
    return left(used, limits, now) - count


def left(used: Sequence[tuple[int, int]], limits: Sequence[Limit], now: int) -> int:
    """Return how many more are allowed now; 0 if a limit was lowered below the use."""
    rest = min(limit.count - _sum(used, limit, now) for limit in limits)
    return max(rest, 0)


def _left_at(bucket: int, limit: Limit) -> int:
    """Return the time at which a bucket no longer counts."""
    return (bucket + 1) * BUCKET + limit.seconds


def _counts(bucket: int, limit: Limit, now: int) -> bool:
    return bucket * BUCKET <= now + limit.seconds and _left_at(bucket, limit) > now


def _sum(used: Sequence[tuple[int, int]], limit: Limit, now: int) -> int:
    return sum(count for bucket, count in used if _counts(bucket, limit, now))


def _wait(used: Sequence[tuple[int, int]], count: int, limit: Limit, now: int) -> int:
    """Return after how many seconds ``count`` more fit under one limit."""
    excess = _sum(used, limit, now) + count - limit.count
    wait = 0
    for bucket, spent in used:
        if excess <= 0:
            break
        if _counts(bucket, limit, now):
            excess -= spent
            wait = _left_at(bucket, limit) - now
    return wait
