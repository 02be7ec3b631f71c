"""Every alert arrives, in order, once into a file and at least once elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from hub import delivery
from hub.delivery import Command, File, Webhook, deliver, ways_of
from hub.store.ledger import Ledger
from hub.store.outbox import Outbox
from tests.hub.delivery_victim import run
from tests.hub.receiver import receiving

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000
ALERTS = [{"alert": "listed", "n": n} for n in range(3)]


@pytest.fixture
def outbox(tmp_path):
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        yield Outbox(ledger)


def put(outbox, *ways, alerts=None):
    outbox.put(alerts or ALERTS, ways, NOW)


def lines(raw):
    return [json.loads(line) for line in raw.splitlines()]


def test_a_webhook_that_fails_twice_gets_the_same_bytes_under_the_same_key(outbox):
    """It can tell a repetition; later alerts wait behind, so the order stays."""
    put(outbox, "webhook")
    with receiving(500, 503) as (url, got):
        ways = {"webhook": Webhook(url)}
        [first] = deliver(outbox, ways, NOW)
        assert (first.waiting, first.due) == (1, NOW + 60)
        assert "500" in first.problem
        put(outbox, "webhook", alerts=[{"n": "later"}])
        # Before its time nothing is tried, and what waits is still reported.
        [waiting] = deliver(outbox, ways, NOW + 59)
        assert (waiting.waiting, waiting.problem) == (2, first.problem)
        assert len(got) == 1
        [second] = deliver(outbox, ways, NOW + 60)
        assert second.due == NOW + 60 + 120
        assert deliver(outbox, ways, NOW + 180) == []
    assert [b for _, b in got[:3]] == [got[0][1]] * 3
    keys = [headers["Idempotency-Key"] for headers, _ in got]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert lines(got[3][1]) == [{"n": "later"}]
    assert outbox.waiting() == []


def test_the_pause_grows_to_six_hours_and_no_further(outbox):
    put(outbox, "webhook")
    now, pauses = NOW, []
    with receiving(*[500] * 12) as (url, _):
        for _ in range(12):
            [failed] = deliver(outbox, {"webhook": Webhook(url)}, now)
            pauses.append(failed.due - now)
            now = failed.due
    assert pauses[:4] == [60, 120, 240, 480]
    assert pauses[-1] == max(pauses) == 6 * 3600


@pytest.mark.parametrize("status", [302, 400, 404, 410])
def test_only_success_counts_as_taken(outbox, status):
    put(outbox, "webhook")
    with receiving(status) as (url, _):
        [failed] = deliver(outbox, {"webhook": Webhook(url)}, NOW)
    assert str(status) in failed.problem
    assert len(outbox.waiting("webhook")) == 1


def test_a_webhook_with_a_secret_is_signed(outbox):
    """HMAC-SHA-256 over the bytes that were sent, as a receiver computes it."""
    put(outbox, "webhook")
    with receiving() as (url, got):
        assert deliver(outbox, {"webhook": Webhook(url, "correct horse")}, NOW) == []
    [(headers, body)] = got
    expected = hmac.new(b"correct horse", body, hashlib.sha256).hexdigest()
    assert headers["Hub-Signature-256"] == f"sha256={expected}"
    assert headers["Content-Type"] == "application/x-ndjson"
    assert lines(body) == ALERTS


def test_nobody_at_the_webhook(outbox):
    put(outbox, "webhook")
    [failed] = deliver(outbox, {"webhook": Webhook("http://127.0.0.1:1/")}, NOW)
    assert "cannot be reached" in failed.problem


def test_a_command_gets_json_lines_and_its_key(outbox, tmp_path):
    put(outbox, "command")
    command = f"cat > {tmp_path}/got; echo $HUB_DELIVERY > {tmp_path}/key"
    key = outbox.waiting()[0].key
    assert deliver(outbox, {"command": Command(command)}, NOW) == []
    assert lines((tmp_path / "got").read_bytes()) == ALERTS
    assert (tmp_path / "key").read_text() == key + "\n"


@pytest.mark.parametrize(
    ("command", "problem"), [("exit 7", "ended with 7"), ("no-such-command", "127")]
)
def test_a_command_that_fails_keeps_the_alerts(outbox, command, problem):
    put(outbox, "command")
    [failed] = deliver(outbox, {"command": Command(command)}, NOW)
    assert problem in failed.problem
    assert len(outbox.waiting("command")) == 1


def test_a_command_that_hangs_is_ended_with_what_it_started(
    outbox, tmp_path, monkeypatch
):
    monkeypatch.setattr(delivery, "PATIENCE", 0.5)
    put(outbox, "command")
    pid = tmp_path / "pid"
    command = f"sleep 60 & echo $! > {pid}; wait"
    [failed] = deliver(outbox, {"command": Command(command)}, NOW)
    assert "more than 0.5 seconds" in failed.problem
    for _ in range(100):
        try:
            os.kill(int(pid.read_text()), 0)
        except ProcessLookupError:
            break
        # The system still has to collect it.
        state = (tmp_path / "/proc" / pid.read_text().strip() / "stat").read_text()
        if state.rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        raise AssertionError("it lives")


def test_one_way_that_fails_holds_up_no_other(outbox, tmp_path):
    put(outbox, "file", "command", "webhook")
    with receiving(500) as (url, _):
        ways = {
            "webhook": Webhook(url),
            "command": Command("exit 1"),
            "file": File(tmp_path / "alerts.jsonl", outbox),
        }
        failed = deliver(outbox, ways, NOW)
    assert [f.way for f in failed] == ["webhook", "command"]
    assert lines((tmp_path / "alerts.jsonl").read_bytes()) == ALERTS


def test_a_file_that_cannot_be_written_keeps_the_alerts(outbox, tmp_path):
    put(outbox, "file")
    path = tmp_path / "nowhere" / "alerts.jsonl"
    [failed] = deliver(outbox, {"file": File(path, outbox)}, NOW)
    assert "No such file" in failed.problem
    path.parent.mkdir()
    assert deliver(outbox, {"file": File(path, outbox)}, failed.due) == []
    assert lines(path.read_bytes()) == ALERTS


@pytest.mark.parametrize("cut", range(0, 90, 7))
def test_a_file_that_was_cut_off_gets_the_rest_only(outbox, tmp_path, cut):
    """Wherever the machine died while it wrote, each alert stands in the file once."""
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"n": "before"}\n')
    put(outbox, "file")
    [waiting] = outbox.waiting()
    outbox.mark(waiting, path.stat().st_size)
    with path.open("ab") as file:
        file.write(waiting.body[:cut])
    assert deliver(outbox, {"file": File(path, outbox)}, NOW) == []
    assert lines(path.read_bytes()) == [{"n": "before"}, *ALERTS]


def test_a_file_that_was_moved_away_meanwhile_gets_all(outbox, tmp_path):
    path = tmp_path / "alerts.jsonl"
    put(outbox, "file")
    [waiting] = outbox.waiting()
    outbox.mark(waiting, 10_000)
    path.write_text('{"n": "rotated"}\n')
    assert deliver(outbox, {"file": File(path, outbox)}, NOW) == []
    assert lines(path.read_bytes()) == [{"n": "rotated"}, *ALERTS]


def test_many_alerts_travel_in_parts(outbox):
    """A webhook's body stays small however much a first pull brings."""
    many = [{"n": n} for n in range(1201)]
    put(outbox, "webhook", alerts=many)
    with receiving() as (url, got):
        assert deliver(outbox, {"webhook": Webhook(url)}, NOW) == []
    assert [len(lines(body)) for _, body in got] == [500, 500, 201]
    assert [a for _, body in got for a in lines(body)] == many


def test_ways_come_from_the_configuration(outbox, tmp_path):
    settings = {"file": "a.jsonl", "command": "", "webhook": "https://a.example/"}
    ways = ways_of({**settings, "webhook_secret": "s"}, tmp_path, outbox)
    assert ways["file"].path == tmp_path / "a.jsonl"
    assert ways["webhook"] == Webhook("https://a.example/", "s")
    assert set(ways) == {"file", "webhook"}


def test_what_waits_for_a_way_that_was_given_up_is_dropped(outbox):
    put(outbox, "webhook", "file")
    assert outbox.drop(["file", "terminal"]) == 1
    assert [d.way for d in outbox.waiting()] == ["file"]


@pytest.mark.parametrize("moment", ["mark", "write", "file", "command", "webhook"])
def test_killed_between_the_steps_nothing_is_lost(tmp_path, moment):
    """The next run delivers it: once into the file, under the same key elsewhere."""
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        put(Outbox(ledger), "file", "command", "webhook")
    with receiving() as (url, got):
        victim = [sys.executable, "-m", "tests.hub.delivery_victim"]
        words = [*victim, tmp_path, url, str(NOW), moment]
        died = subprocess.run(words, cwd=ROOT, check=False, timeout=60)
        assert died.returncode == 9
        assert run(tmp_path, url, NOW) == []
    heard = (tmp_path / "heard").read_text().split()
    assert lines((tmp_path / "alerts.jsonl").read_bytes()) == ALERTS
    assert len(set(heard)) == 1
    assert len({headers["Idempotency-Key"] for headers, _ in got}) == 1
    # It dies after the other side took them and before that is noted.
    assert len(heard) == (2 if moment == "command" else 1)
    assert len(got) == (2 if moment == "webhook" else 1)
