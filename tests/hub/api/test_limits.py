"""So many requests a minute of one caller, and nobody else pays for it."""

from __future__ import annotations

import pytest

from hub.api.limits import Limits, address_of
from hub.errors import RateError
from tests.hub.api.served import NDJSON, Served, slug


@pytest.mark.parametrize(
    ("remote", "forwarded", "behind", "expected"),
    [
        ("192.0.2.7", None, False, "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", False, "192.0.2.7"),
        ("127.0.0.1", "198.51.100.1", True, "198.51.100.1"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.1", True, "198.51.100.1"),
        ("127.0.0.1", None, True, "127.0.0.1"),
        ("127.0.0.1", "unknown", True, ""),
        ("", None, False, ""),
        ("::ffff:192.0.2.7", None, False, "192.0.2.7"),
        ("2001:db8:1:2:3::4", None, False, "2001:db8:1:2::/64"),
    ],
)
def test_whom_to_count(remote, forwarded, behind, expected):
    """What stands before the last comma is what the caller itself said."""
    assert address_of(remote, forwarded, behind_proxy=behind) == expected


@pytest.fixture
def limited(harmed, monkeypatch):
    monkeypatch.setenv("HUB__SERVER__RATE_PER_MINUTE", "5")
    monkeypatch.setenv("HUB__SERVER__PUBLISH_PER_MINUTE", "2")
    node = Served(harmed)
    yield node
    node.close()


def test_one_too_many_is_refused_and_says_when_to_come_back(limited):
    for _ in range(5):
        assert limited.web.get("/v1/feeds").status_code == 200
    answer = limited.web.get("/v1/feeds")
    assert (answer.status_code, slug(answer)) == (429, "rate-limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_members_are_counted_by_themselves_and_health_is_not(limited):
    """A stranger's haste, from the same address, holds up no member."""
    for _ in range(6):
        limited.web.get("/v1/feeds")
    for _ in range(5):
        assert limited.ask("GET", "/v1/whoami").status_code == 200
    assert slug(limited.ask("GET", "/v1/whoami")) == "rate-limited"
    for _ in range(9):
        assert limited.web.get("/healthz").status_code == 200
    bearer = {"Authorization": f"Bearer {limited.bearer()}"}
    # A token is its owner's: it gets no further minute.
    assert slug(limited.web.get("/v1/whoami", headers=bearer)) == "rate-limited"


def test_other_addresses_are_counted_by_themselves(limited):
    for _ in range(6):
        limited.web.get("/v1/feeds")
    other = {"REMOTE_ADDR": "192.0.2.8"}
    answer = limited.web.get("/v1/feeds", environ_overrides=other)
    assert answer.status_code == 200
    # Without a promise, nobody gets a minute by claiming another address.
    claimed = {"X-Forwarded-For": "192.0.2.9"}
    assert limited.web.get("/v1/feeds", headers=claimed).status_code == 429


def test_whoever_guesses_is_refused_before_anything_is_verified(limited, monkeypatch):
    wrong = {"Authorization": "Bearer ahub_guess"}
    for _ in range(5):
        assert slug(limited.web.get("/v1/whoami", headers=wrong)) == "bad-bearer"

    def verify(*_words, **_more):
        raise AssertionError("nothing is verified")

    monkeypatch.setattr("hub.api.context.authenticate", verify)
    assert slug(limited.web.get("/v1/whoami", headers=wrong)) == "rate-limited"


def test_batches_have_a_limit_of_their_own(limited):
    path = "/v1/feeds/maison/batches"

    def send():
        return limited.web.post(path, data=b"x\n", content_type=NDJSON)

    assert [send().status_code for _ in range(3)] == [422, 422, 429]


def test_zero_is_no_limit(harmed, monkeypatch):
    monkeypatch.setenv("HUB__SERVER__RATE_PER_MINUTE", "0")
    node = Served(harmed)
    assert {node.web.get("/v1/feeds").status_code for _ in range(50)} == {200}
    node.close()


def test_the_window_moves(monkeypatch):
    """A minute after the first of five, one more is taken, and not five."""
    import time

    start = time.time()
    now = [start]
    monkeypatch.setattr("limits.storage.memory.time.time", lambda: now[0])
    limits = Limits({"rate_per_minute": 5, "publish_per_minute": 1})
    for _ in range(5):
        limits.count("request", "a")
        now[0] += 10
    with pytest.raises(RateError) as refused:
        limits.count("request", "a")
    assert 1 <= refused.value.retry_after <= 11
    now[0] = start + 61
    limits.count("request", "a")
    with pytest.raises(RateError):
        limits.count("request", "a")


def test_so_many_strangers_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("hub.api.limits._MAX_CALLERS", 100)
    limits = Limits({"rate_per_minute": 5, "publish_per_minute": 1})
    for number in range(1000):
        limits.count("request", str(number))
    assert len(limits._counter().storage.events) <= 101


def test_a_client_waits_as_long_as_it_is_asked(limited):
    """And no longer than a node may ask for."""
    waits = []

    def wait(seconds):
        waits.append(seconds)
        limited.serving.limits._counter().storage.reset()

    client = limited.client()
    client._wait = wait
    for _ in range(8):
        client.get_json("/v1/whoami")
    assert len(waits) == 1
    client._wait = waits.append
    for _ in range(2):
        client.get_json("/v1/whoami")
    with pytest.raises(RateError):
        client.get_json("/v1/whoami")
    assert sum(waits[1:]) <= 120
    client.close()
