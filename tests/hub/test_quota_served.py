"""Quotas and nonces of a real server: exact under threads, and kept over a crash."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import threading
from collections import Counter

import pytest

from hub.officers import registry_entry
from keys import voprf
from keys.requests import sign_request
from tests.hub.api.served import NOW, OCTETS, Served
from tests.running import running

TOKENS = "/v1/tokens/open-1"
QUOTA = 40


class Caller:
    """Maison, who signs for wherever the node is now."""

    def __init__(self, identity, node, clock):
        self.identity, self.node, self.clock = identity, node, clock

    def signed(self, method, path, body=b"", nonce=None):
        headers = {"Content-Type": OCTETS} if body else {}
        sign_request(
            method,
            self.node.url + path,
            headers,
            body,
            keyid=self.identity.keyid,
            signer=self.identity.signer,
            now=self.clock.now(),
            nonce=nonce or secrets.token_urlsafe(16),
        )
        return headers

    def ask(self, method, path, body=b"", headers=None):
        """Return status, Retry-After and the problem's slug or the JSON."""
        import json

        line = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=60)
        try:
            sent = headers or self.signed(method, path, body)
            line.request(method, path, body=body or None, headers=sent)
            answer = line.getresponse()
            raw = answer.read()
        finally:
            line.close()
        kind = answer.headers.get("Content-Type", "")
        said = json.loads(raw) if "json" in kind else raw
        if answer.status >= 400:
            said = said["type"].rpartition(":")[2]
        return answer.status, answer.headers.get("Retry-After"), said


@pytest.fixture
def folder(harmed):
    """A node whose quota of the open class is small, three of it used before."""
    node = Served(harmed)
    quotas = {"scarce": 5, "open": QUOTA}
    node.registry(registry_entry("policy", NOW, quorum=0, quotas=quotas))
    node.close()
    return harmed


@pytest.fixture
def identity(harmed):
    from hub.wiring import build_hub

    member = build_hub(harmed.parent / "maison")
    yield member.identity()
    member.close()


def caller(identity, node):
    from hub.clock import SystemClock

    return Caller(identity, node, SystemClock())


def elements(count):
    return voprf.blind([secrets.token_bytes(8) for _ in range(count)]).elements


def together(jobs):
    """Run jobs at once, each in a thread, and return what they returned."""
    found, start = [], threading.Barrier(len(jobs))

    def run(job):
        start.wait()
        found.append(job())

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def used(who):
    return who.ask("GET", "/v1/usage")[2]["open"]["used"]


def test_never_more_than_the_quota_however_many_ask_at_once(folder, identity):
    """Thirty requests of two each, and room for eighteen: exactly so many succeed."""
    with running(folder) as node:
        who = caller(identity, node)
        before = used(who)
        assert before == 3
        room = (QUOTA - before) // 2
        bodies = [elements(2) for _ in range(30)]
        found = together(
            [lambda body=body: who.ask("POST", TOKENS, body) for body in bodies]
        )
        statuses = Counter(status for status, _, _ in found)
        assert statuses == {200: room, 429: 30 - room}
        assert used(who) == before + 2 * room
        # What was used before was used after this process began, maybe long ago.
        soonest = NOW + 86400 - who.clock.now() - 120
        for status, wait, said in found:
            if status == 429:
                assert said == "quota-exceeded"
                assert soonest < int(wait) <= 86400 + 60
        # What is left is still given: one element, and not two.
        assert who.ask("POST", TOKENS, elements(2))[0] == 429
        assert who.ask("POST", TOKENS, elements(1))[0] == 200
        assert used(who) == QUOTA


def test_the_same_body_is_charged_once_however_many_send_it_at_once(folder, identity):
    """A client whose connection broke asks again, and has paid already."""
    with running(folder) as node:
        who = caller(identity, node)
        before, body = used(who), elements(7)
        found = together([lambda: who.ask("POST", TOKENS, body)] * 12)
        assert {status for status, _, _ in found} == {200}
        # Each answer has a proof of its own, over the same evaluated elements.
        assert len({said[64:] for _, _, said in found}) == 1
        assert used(who) == before + 7
        assert who.ask("POST", TOKENS, elements(QUOTA + 1))[2] == "quota-too-small"
        assert who.ask("POST", TOKENS, bytes(32))[2] == "bad-element"


def test_one_nonce_is_spent_by_one_of_many_who_use_it_at_once(folder, identity):
    with running(folder) as node:
        who = caller(identity, node)
        headers = who.signed("GET", "/v1/whoami")
        found = together([lambda: who.ask("GET", "/v1/whoami", headers=headers)] * 12)
        assert Counter(status for status, _, _ in found) == {200: 1, 401: 11}
        assert {s for _, _, s in found if isinstance(s, str)} == {"replayed-nonce"}


def test_a_crash_forgets_neither_nonces_nor_quotas(folder, identity):
    """Killed at once after the answer, as in a power cut, and started again."""
    with running(folder) as node:
        who, port = caller(identity, node), node.port
        body = elements(QUOTA - 3)
        headers = who.signed("POST", TOKENS, body)
        assert who.ask("POST", TOKENS, body, headers)[0] == 200
        os.killpg(node.process.pid, signal.SIGKILL)
        node.process.wait(20)
    with running(folder, port=port) as node:
        who.node = node
        assert who.ask("POST", TOKENS, body, headers)[2] == "replayed-nonce"
        assert used(who) == QUOTA
        assert who.ask("POST", TOKENS, elements(1))[0] == 429
        # The same body is paid for still.
        assert who.ask("POST", TOKENS, body)[0] == 200
