"""Clocks that are wrong, or set while everything runs: told plainly, and healed."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from hub import scheduler
from hub.clock import FixedClock, SystemClock
from hub.errors import MalformedError
from hub.model import render_time
from hub.scheduler import Job, Worker
from hub.wiring import build_hub
from keys.requests import sign_request
from tests.conftest import Alliance
from tests.faultkit import run
from tests.hub.api.served import report_line
from tests.scenarios.test_kill_server import Writer, audited, send

HOUR = 3600


@pytest.fixture
def timed(published, tmp_path, monkeypatch):
    """A node whose clock a test sets with ``set(seconds off)``."""
    shutil.copytree(published.folder, tmp_path / "alliance")
    offset = tmp_path / "offset"
    offset.write_text("0")
    monkeypatch.setenv("CLOCK_OFFSET", str(offset))
    made = Alliance(tmp_path / "alliance", published.url, module="tests.clocked")
    made.set = lambda seconds: offset.write_text(str(seconds))
    made.serve()
    yield made
    made.stop()


def shifted(monkeypatch, seconds):
    """Let the clock of this process, where the clients run, be off."""
    monkeypatch.setattr(SystemClock, "now", lambda _: int(time.time()) + seconds)


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "way"), [(600, "ahead of"), (-600, "behind")])
def test_a_members_clock_is_wrong(going, monkeypatch, seconds, way):
    """It is told the node's time; nothing is signed, and with the right time all goes."""
    maison, file = going.folder / "maison", going.folder / "more.csv"
    file.write_text("domain\nshop.example\n")
    assert run(maison, "pull").status == 0
    with monkeypatch.context() as patch:
        shifted(patch, seconds)
        for words in (("publish", file), ("pull",), ("screen", file)):
            ran = run(maison, *words)
            assert ran.status == 5, (words, ran)
            assert "this node's time is 2" in ran.err
            assert f"600 seconds {way} the node's: set it" in ran.err
    assert run(maison, "publish", file).status == 0
    assert audited(going)["maison"] == 7


@pytest.mark.slow
def test_the_nodes_clock_is_set_while_it_runs(timed):
    """Members are told; when it is right again, everything goes on by itself."""
    maison, file = timed.folder / "maison", timed.folder / "more.csv"
    file.write_text("domain\nshop.example\n")
    for seconds in (-10 * 86400, 600, 400 * 86400):
        timed.set(seconds)
        ran = run(maison, "publish", file)
        assert (ran.status, "this node's time is" in ran.err) == (5, True), ran
        timed.set(0)
        assert run(maison, "pull").status == 0
    assert run(maison, "publish", file).status == 0
    assert audited(timed)["maison"] == 7


@pytest.mark.slow
def test_a_request_is_not_replayed_across_a_jump(timed):
    """A nonce that was spent before the clock jumped is spent after it was set back."""
    with closing(build_hub(timed.folder / "maison")) as hub:
        identity = hub.identity()

    def signed(now, nonce):
        headers, url = {}, f"{timed.url}/v1/whoami"
        key = {"keyid": identity.keyid, "signer": identity.signer}
        sign_request("GET", url, headers, b"", now=now, nonce=nonce, **key)
        return urllib.request.Request(url, headers=headers)  # noqa: S310

    def ask(request):
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    now = SystemClock().now()
    captured = signed(now, "one-nonce-of-many")
    assert ask(captured)[0] == 200
    timed.set(HOUR)
    assert ask(captured)[1]["type"] == "urn:alliance-hub:clock-skew"
    # What asks during the jump makes the node forget what has expired by then.
    assert ask(signed(now + HOUR, "another-nonce-then"))[0] == 200
    timed.set(0)
    status, problem = ask(captured)
    assert (status, problem["type"]) == (401, "urn:alliance-hub:replayed-nonce")


@pytest.mark.slow
def test_entries_from_the_future_are_refused(going):
    """The home takes no claim that lies more than five minutes ahead of its clock."""
    late = render_time(SystemClock().now() + 400)
    with pytest.raises(MalformedError, match="five minutes ahead") as caught:
        send(going.url, Writer(going).batch(report_line(at=late)))
    assert caught.value.code == "invalid-line"
    soon = render_time(SystemClock().now() + 200)
    assert send(going.url, Writer(going).batch(report_line(at=soon)))["first"] == 5


def test_a_worker_goes_on_when_the_clock_is_set_back(harmed, monkeypatch):
    """Its jobs do not wait for the time that the clock showed before."""
    monkeypatch.setattr(scheduler, "CLOCK_SECONDS", 0.05)
    clock, ran = FixedClock(1_900_000_000), threading.Semaphore(0)
    with closing(build_hub(harmed, clock)) as hub:
        worker = Worker(hub, [Job("pull", ran.release, 60)])
        worker.start()
        assert ran.acquire(timeout=20)
        assert not ran.acquire(timeout=0.3)
        clock.advance(-86400)
        assert ran.acquire(timeout=20)
        worker.stop()
