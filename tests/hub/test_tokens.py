"""The client's side of tokens: cached, in parts, several under way, nothing lost."""

from __future__ import annotations

import threading
import time

import httpx2
import pytest

from hub import tokens
from hub.errors import QuotaError, UnavailableError
from keys import voprf


def domains(count, start=0):
    return [("domain", f"shop{n}.example") for n in range(start, start + count)]


class Wire(httpx2.BaseTransport):
    """Counts token requests and how many are under way at once; may fail some."""

    def __init__(self, inner):
        self.inner, self.lock = inner, threading.Lock()
        self.sizes, self.now, self.most = [], 0, 0
        self.fails = lambda _number: False
        self.pause = 0.0

    def handle_request(self, request):
        with self.lock:
            number = len(self.sizes)
            self.sizes.append(len(request.read()) // 32)
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            time.sleep(self.pause)
            if self.fails(number):
                raise httpx2.ConnectError("cut", request=request)
            return self.inner.handle_request(request)
        finally:
            with self.lock:
                self.now -= 1


def alone(secret, identifier):
    """Return the token that the bare key gives, without blinding by this client."""
    blinding = voprf.blind([voprf.token_input(*identifier)])
    answer = voprf.evaluate(secret, voprf.public_of(secret), blinding.elements)
    return voprf.finalise(blinding, [(1, answer.elements)])[0][:32]


def counted(world, ledger):
    wires = []

    def wrap(inner):
        wires.append(Wire(inner))
        return wires[0]

    return world.tokenizer(ledger, wrap=wrap), wires[0]


def test_tokens_are_those_of_the_key_and_asked_for_once(world, ledger):
    tokenizer, wire = counted(world, ledger)
    wanted = domains(3)
    found = tokenizer.tokens(wanted + wanted)
    secret = world.secrets["open-1"]
    assert found == {i: alone(secret, i) for i in wanted}
    assert tokenizer.tokens(wanted) == found
    assert wire.sizes == [3]
    # Another run of the same folder finds them in the cache.
    assert world.tokenizer(ledger, wrap=lambda _w: None).tokens(wanted) == found


def test_two_parts_are_under_way_at_a_time_and_no_more(world, ledger, monkeypatch):
    """While the node works on one part, the client works on the next."""
    monkeypatch.setattr(tokens, "BATCH", 4)
    tokenizer, wire = counted(world, ledger)
    wire.pause = 0.1
    assert len(tokenizer.tokens(domains(22))) == 22
    # Which of two that are under way arrives first is nobody's promise.
    assert sorted(wire.sizes) == [2, 4, 4, 4, 4, 4]
    assert wire.most == 2
    assert tokenizer.asked == 22
    assert tokenizer.rate > 0


def test_when_a_part_fails_what_was_paid_for_is_kept(world, ledger, monkeypatch):
    """Nothing more is sent; the next run asks for the rest only."""
    monkeypatch.setattr(tokens, "BATCH", 4)
    tokenizer, wire = counted(world, ledger)
    wire.fails = lambda number: number == 2
    with pytest.raises(UnavailableError):
        tokenizer.tokens(domains(40))
    sent = len(wire.sizes)
    # One more may be on its way when the failure is noticed.
    assert sent <= 5
    kept = 40 - sum(tokenizer.missing(domains(40)).values())
    assert kept == 4 * (sent - 1)
    wire.fails = lambda _number: False
    assert len(tokenizer.tokens(domains(40))) == 40
    assert sum(wire.sizes[sent:]) == 40 - kept


def test_the_quota_ends_a_run_and_what_it_paid_for_is_cached(
    world, ledger, monkeypatch
):
    monkeypatch.setattr(tokens, "BATCH", 4)
    world.registry(world.entry("policy", quorum=0, quotas={"open": 10}))
    tokenizer = world.tokenizer(ledger)
    with pytest.raises(QuotaError) as caught:
        tokenizer.tokens(domains(40))
    assert 0 < caught.value.retry_after <= 86400 + 60
    missing = sum(tokenizer.missing(domains(40)).values())
    assert missing == 40 - 8
    world.clock.advance(86400 + 120)
    with pytest.raises(QuotaError):
        tokenizer.tokens(domains(40))
    assert sum(tokenizer.missing(domains(40)).values()) == missing - 8


def test_each_class_has_its_own_key(world, ledger):
    tokenizer, wire = counted(world, ledger)
    mixed = [("domain", "a.example"), ("phone", "+442079460018")]
    found = tokenizer.tokens(mixed)
    assert wire.sizes == [1, 1]
    assert found[mixed[1]] == alone(world.secrets["scarce-1"], mixed[1])
