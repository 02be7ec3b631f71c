"""What a node alone knows: nonces, quotas, bearer tokens, sync, reads, leases."""

from __future__ import annotations

import pytest

from hub.errors import ConflictError, QuotaError, RefusedError
from hub.store.base import DAY, BearerToken, Limit, ReadRow, Store, Transaction
from hub.store.records import GRACE

NOON = 1_800_000_000 - 1_800_000_000 % 60


def test_a_nonce_is_spent_once(store: Store) -> None:
    """The second use is refused, by the same key and within its time only."""
    with store.write() as tx:
        tx.node.use_nonce("a", "n", expires=300, now=10)
        tx.node.use_nonce("b", "n", expires=300, now=10)
        with pytest.raises(RefusedError) as caught:
            tx.node.use_nonce("a", "n", expires=300, now=300)
        assert caught.value.code == "replayed-nonce"
        tx.node.use_nonce("a", "n", expires=600, now=301)


def test_expired_nonces_are_forgotten(store: Store) -> None:
    """Those that may still come again are kept."""
    with store.write() as tx:
        tx.node.use_nonce("a", "old", expires=300, now=10)
        tx.node.use_nonce("a", "new", expires=301, now=10)
        assert tx.node.forget_nonces(now=301 + GRACE) == 1
        assert tx.node.forget_nonces(now=301 + GRACE) == 0
        with pytest.raises(RefusedError):
            tx.node.use_nonce("a", "new", expires=301, now=301)


def charge(
    tx: Transaction, count: int, now: int = NOON, body: bytes = b"", limit: int = 100
) -> int:
    body = body or b"%d %d" % (count, now)
    return tx.node.charge(
        "maison", "scarce", count, limits=[Limit(limit)], now=now, body_digest=body
    )


def test_quota_counts_down(store: Store) -> None:
    """Each charge says what is left; the last element can be had."""
    with store.write() as tx:
        assert charge(tx, 60) == 40
        assert charge(tx, 40, body=b"x") == 0
        assert tx.node.usage("maison", NOON) == {"scarce": 100}


def test_quota_says_when(store: Store) -> None:
    """A refused request succeeds after exactly the seconds that were named."""
    with store.write() as tx:
        charge(tx, 60)
        charge(tx, 40, NOON + 3600)
        with pytest.raises(QuotaError) as caught:
            charge(tx, 50, NOON + 7200)
        assert caught.value.retry_after == DAY - 7200 + 60
        later = NOON + 7200 + caught.value.retry_after
        with pytest.raises(QuotaError):
            charge(tx, 50, later - 1)
        assert charge(tx, 50, later) == 10


def test_refused_charges_cost_nothing(store: Store) -> None:
    """What was refused is neither counted nor free the next time."""
    with store.write() as tx:
        charge(tx, 60)
        for _ in range(2):
            with pytest.raises(QuotaError):
                charge(tx, 50, body=b"same")
        assert tx.node.usage("maison", NOON) == {"scarce": 60}


def test_same_body_is_charged_once_a_day(store: Store) -> None:
    """A repeated request is free for 24 hours, even when the quota is used up."""
    with store.write() as tx:
        charge(tx, 100, body=b"b")
        assert charge(tx, 100, NOON + DAY - 1, body=b"b") == 0
        assert charge(tx, 100, NOON + 9, body=b"b", limit=10_000) == 9_900
        assert charge(tx, 100, NOON + 9, body=b"b", limit=100) == 0
        assert charge(tx, 100, NOON + DAY + 60, body=b"b") == 0
        assert tx.node.usage("maison", NOON + DAY + 60) == {"scarce": 100}


def test_lowered_limit(store: Store) -> None:
    """A repeated request stays free when the limit fell below what was used."""
    with store.write() as tx:
        charge(tx, 100, body=b"b")
        again = tx.node.charge(
            "maison", "scarce", 100, limits=[Limit(30)], now=NOON, body_digest=b"b"
        )
        assert again == 0


def test_too_much_at_once(store: Store) -> None:
    """What no waiting can grant is refused as such."""
    with store.write() as tx, pytest.raises(RefusedError) as caught:
        charge(tx, 101)
    assert caught.value.code == "quota-too-small"


def test_every_limit_holds(store: Store) -> None:
    """A burst limit and a daily one hold at once; the tighter speaks."""
    limits = [Limit(1000), Limit(100, seconds=600)]

    def ask(tx: Transaction, now: int) -> int:
        return tx.node.charge(
            "m", "open", 60, limits=limits, now=now, body_digest=b"%d" % now
        )

    with store.write() as tx:
        assert ask(tx, NOON) == 40
        with pytest.raises(QuotaError) as caught:
            ask(tx, NOON + 1)
        assert caught.value.retry_after == 600 + 59
        assert ask(tx, NOON + 660) == 40


def test_quotas_are_apart(store: Store) -> None:
    """Members and classes do not share."""
    with store.write() as tx:
        charge(tx, 100)
        limits = [Limit(100)]
        tx.node.charge("maison", "open", 7, limits=limits, now=NOON, body_digest=b"a")
        tx.node.charge("other", "scarce", 9, limits=limits, now=NOON, body_digest=b"a")
        assert tx.node.usage("maison", NOON) == {"open": 7, "scarce": 100}
        assert tx.node.usage("other", NOON) == {"scarce": 9}
        assert tx.node.usage("other", NOON + 2 * DAY) == {}
        assert tx.node.usage("nobody", NOON) == {}


TOKEN = BearerToken(b"d" * 32, "script", "member/maison", 10, 99)


def test_bearer_tokens(store: Store) -> None:
    """Found by digest, listed by name, revoked once and for all."""
    other = BearerToken(b"e" * 32, "board", "member/maison", 11, 99)
    with store.write() as tx:
        tx.node.add_bearer(TOKEN)
        tx.node.add_bearer(other)
        assert tx.node.find_bearer(b"d" * 32) == TOKEN
        assert tx.node.find_bearer(b"x" * 32) is None
        assert tx.node.list_bearers() == [other, TOKEN]
        tx.node.revoke_bearer("script", 50)
        tx.node.revoke_bearer("script", 60)
        found = tx.node.find_bearer(b"d" * 32)
        assert found is not None
        assert found.revoked == 50
        with pytest.raises(RefusedError) as caught:
            tx.node.revoke_bearer("nothing", 1)
        assert caught.value.code == "unknown-token"


@pytest.mark.parametrize("field", ["name", "digest"])
def test_bearer_tokens_are_unique(store: Store, field: str) -> None:
    """Neither a name nor a secret is given twice."""
    again = BearerToken(
        TOKEN.digest if field == "digest" else b"e" * 32,
        TOKEN.name if field == "name" else "other",
        "member/maison",
        1,
        2,
    )
    with store.write() as tx:
        tx.node.add_bearer(TOKEN)
        with pytest.raises(ConflictError):
            tx.node.add_bearer(again)
        assert tx.node.list_bearers() == [TOKEN]


def test_sync_state(store: Store) -> None:
    """Values of a peer are merged; peers are apart."""
    with store.write() as tx:
        tx.node.set_sync("node2", {"etag": "a", "failures": "0"})
        tx.node.set_sync("node2", {"failures": "3"})
        tx.node.set_sync("node3", {})
        assert tx.node.get_sync("node2") == {"etag": "a", "failures": "3"}
        assert tx.node.get_sync("node3") == {}


def test_reads_are_logged(store: Store) -> None:
    """Who read what is listed by time and can be dropped by age."""
    rows = [
        ReadRow(20, "member/maison", "other", 0, 256),
        ReadRow(10, "auditor/aud1", "other", 0, 9),
        ReadRow(30, "member/maison", "other", 256, 300),
    ]
    with store.write() as tx:
        for row in rows:
            tx.node.add_read(row)
        assert tx.node.list_reads() == [rows[1], rows[0], rows[2]]
        assert tx.node.list_reads(since=20) == [rows[0], rows[2]]
        assert tx.node.list_reads(who="member/maison", limit=1) == [rows[0]]
        assert tx.node.forget_reads(before=20) == 1
        assert tx.node.list_reads() == [rows[0], rows[2]]


def test_meta(store: Store) -> None:
    """A setting is what was set last."""
    with store.write() as tx:
        assert tx.node.get_meta("alliance") is None
        tx.node.set_meta("alliance", "a.example")
        tx.node.set_meta("alliance", "b.example")
        assert tx.node.get_meta("alliance") == "b.example"


def test_leases(store: Store) -> None:
    """One owner at a time; renewed, released, or taken over when it ran out."""
    with store.write() as tx:
        tx.node.lease("sync", "worker1", until=100, now=0)
        tx.node.lease("sync", "worker1", until=200, now=50)
        with pytest.raises(ConflictError):
            tx.node.lease("sync", "worker2", until=300, now=199)
        tx.node.lease("audit", "worker2", until=300, now=199)
        tx.node.release("sync", "worker2")
        with pytest.raises(ConflictError):
            tx.node.lease("sync", "worker2", until=300, now=199)
        tx.node.lease("sync", "worker2", until=300, now=200)
        tx.node.release("sync", "worker2")
        tx.node.lease("sync", "worker1", until=400, now=201)


def test_a_nonce_survives_a_clock_that_jumps(store: Store) -> None:
    """Spent before a jump of an hour and sent again after it, it is still spent."""
    with store.write() as tx:
        tx.node.use_nonce("a", "n", expires=300, now=10)
        tx.node.use_nonce("a", "later", expires=3900, now=3600)
        with pytest.raises(RefusedError):
            tx.node.use_nonce("a", "n", expires=300, now=11)


def test_a_quota_does_not_reopen_when_the_clock_jumps(store: Store) -> None:
    """What was used before a jump of days, or during one of hours, still counts."""
    limits, hour = [Limit(10, DAY)], 3600

    def charge(now: int, count: int) -> int:
        body = b"%d" % now
        with store.write() as tx:
            return tx.node.charge(
                "maison", "open", count, limits=limits, now=now, body_digest=body
            )

    start = 100 * DAY
    assert charge(start, 8) == 2
    assert charge(start + 6 * DAY, 1) == 9
    with pytest.raises(QuotaError):
        charge(start + 1, 3)
    assert charge(start + 2, 2) == 0
    later = start + 200 * DAY
    assert charge(later + hour, 10) == 0
    with pytest.raises(QuotaError):
        charge(later, 1)


def test_a_clock_that_was_wrong_for_a_year_locks_nobody_out(store: Store) -> None:
    """Use from far in the future says nothing about now."""
    limits = [Limit(10, DAY)]
    with store.write() as tx:
        for now in (900 * DAY, 100 * DAY):
            rest = tx.node.charge(
                "maison", "open", 10, limits=limits, now=now, body_digest=b"%d" % now
            )
            assert rest == 0
            assert tx.node.usage("maison", now) == {"open": 10}


def test_a_lease_from_before_the_clock_was_set_back(store: Store) -> None:
    """It would hold for as long as the clock was wrong; it holds no longer than any."""
    with store.write() as tx:
        tx.node.lease("sync", "worker1", until=100_300, now=100_000)
        tx.node.lease("sync", "worker2", until=400, now=100)
        with pytest.raises(ConflictError):
            tx.node.lease("sync", "worker3", until=420, now=120)
