"""The server is killed at every durable step; what it acknowledged is never lost."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from hub.client import Client
from hub.clock import SystemClock
from hub.errors import UnavailableError
from hub.publishing import make_batch
from hub.wiring import build_hub
from keys.note import NoteSigner
from tests.faultkit import at_every_step, injected, run
from tests.hub.api.served import report_line

STEPS = ("pwrite64", "fsync", "fdatasync", "rename", "write", "sendto")


def workers(server):
    return Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()


def worker(alliance, but=None):
    """Return the process that answers, once the one that died is replaced."""
    for _ in range(200):
        found = [pid for pid in workers(alliance.server) if pid != but]
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no new worker came")


def send(url, body):
    with closing(Client(url, SystemClock())) as client:
        return client.publish("maison", body)


def send_until_answered(url, body):
    for _ in range(200):
        with suppress(UnavailableError):
            return send(url, body)
        time.sleep(0.05)
    raise AssertionError("the server does not answer any more")


class Writer:
    """Signs batches of one member."""

    def __init__(self, alliance):
        run(alliance.folder / "maison", "pull")
        with closing(build_hub(alliance.folder / "maison")) as hub:
            self.signer = NoteSigner(hub.identity().keyid, hub.signer("publish"))
            with hub.store.read() as tx:
                self.head = hub.registry.current(tx).head

    def batch(self, *lines):
        origin = "alliance.example/maison"
        return make_batch(origin, list(lines), self.head, self.signer)[1]


def audited(alliance, name="market"):
    """Pull and audit as another member; return the size of each feed."""
    folder = alliance.folder / name
    assert run(folder, "pull").status == 0
    done = run(folder, "audit")
    assert (done.status, done.out[0]["findings"]) == (0, [])
    return {feed["feed"]: feed["size"] for feed in done.out[0]["feeds"]}


@pytest.mark.slow
def test_killed_at_every_step_of_a_publication(going):
    """Before the commit nothing is there, after it all is; a resend gets the receipt."""
    writer, given = Writer(going), []

    def attempt(call, number):
        victim, body, died = worker(going), writer.batch(report_line()), False
        with injected(victim, call, f"signal=KILL:when={number}"):
            try:
                send(going.url, body)
            except UnavailableError:
                died = True
        if died:
            worker(going, but=victim)
        given.append((body, send_until_answered(going.url, body)))
        return died

    deaths = at_every_step(STEPS, attempt)
    # The commit's pages, its sync, the mark with its own syncs and name, the answer.
    assert deaths["pwrite64"] > 5
    assert deaths["fsync"] >= 3
    assert deaths["rename"] == 1
    assert deaths["sendto"] == 2
    places = [(answer["first"], answer["size"]) for _, answer in given]
    assert places == [(5 + 2 * n, 7 + 2 * n) for n in range(len(given))]
    going.stop(hard=True)
    going.serve()
    assert audited(going)["maison"] == places[-1][1]
    for body, answer in given:
        assert send(going.url, body) == answer
