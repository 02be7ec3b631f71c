"""No window ever holds more than its limit, and waiting as told is enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import QuotaError, RefusedError
from hub.store.quota import admit, bucket_of, left
from hub.store.records import Limit

LIMITS = [Limit(100, 3600), Limit(30, 300)]
ASKED = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30)), max_size=40)


@given(ASKED)
def test_no_window_is_exceeded(asked: list[tuple[int, int]]) -> None:
    """In any window up to any request, at most the limit was granted."""
    now, granted, used = 1_000_000, [], dict[int, int]()
    for pause, count in asked:
        now += pause
        try:
            rest = admit(sorted(used.items()), count, LIMITS, now)
        except QuotaError as error:
            later = now + error.retry_after
            assert admit(sorted(used.items()), count, LIMITS, later) >= 0
            with pytest.raises(QuotaError):
                admit(sorted(used.items()), count, LIMITS, later - 1)
            assert later > now
            continue
        granted.append((now, count))
        used[bucket_of(now)] = used.get(bucket_of(now), 0) + count
        assert rest == left(sorted(used.items()), LIMITS, now)
        for limit in LIMITS:
            recent = sum(c for at, c in granted if at > now - limit.seconds)
            assert recent <= limit.count


def test_more_than_ever() -> None:
    """The tightest limit says what can never be granted."""
    with pytest.raises(RefusedError) as caught:
        admit([], 31, LIMITS, 0)
    assert caught.value.code == "quota-too-small"


@pytest.mark.parametrize(("count", "limits"), [(-1, LIMITS), (1, [])])
def test_nonsense(count: int, limits: list[Limit]) -> None:
    """A negative charge or none at all is our own mistake."""
    with pytest.raises(AssertionError):
        admit([], count, limits, 0)
