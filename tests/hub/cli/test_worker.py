"""The worker as a process: alone, two at a time, and beside a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from hub.store.base import ReadRow
from hub.store.ledger import Ledger
from hub.store.sqlite import SqliteStore
from hub.store.watching import Watching
from tests.conftest import start

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A node; maison reported a seller that market watches and has not pulled yet."""
    made = start(tmp_path_factory.mktemp("worker"))
    try:
        made.admit("maison")
        made.admit("market")
        cases, sellers = made.folder / "cases.csv", made.folder / "sellers.csv"
        cases.write_text("case,domain\nC-1,fake.example\n")
        sellers.write_text("seller,domain\nS-1,fake.example\nS-2,clean.example\n")
        made.hub("market", "pull")
        made.hub("market", "watch", "add", sellers, "--ref", "seller")
        made.hub("maison", "publish", cases, "--ref", "case")
        yield made
    finally:
        made.stop()


@pytest.fixture
def folder(made, tmp_path):
    """A copy of market's folder whose alerts go to a file."""
    target = tmp_path / "market"
    shutil.copytree(made.folder / "market", target)
    with (target / "config.toml").open("a") as config:
        config.write('\n[alerts]\nfile = "alerts.jsonl"\n')
    return target


def launch(folder, *words, log, **more):
    with log.open("a") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "hub", "--dir", str(folder), *words],
            cwd=ROOT,
            stdout=stream,
            stderr=stream,
            **more,
        )


def eventually(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def alerts(folder):
    path = folder / "alerts.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def once(folder, status=0, **environ):
    done = subprocess.run(
        [sys.executable, "-m", "hub", "--dir", str(folder), "worker", "--once"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environ},
    )
    assert done.returncode == status, done.stderr
    return done


def test_two_workers_on_one_folder_alert_once_and_stop_when_told(folder, tmp_path):
    """Both pull at once; whoever comes second finds the lease taken or nothing new."""
    log = tmp_path / "log"
    workers = [launch(folder, "worker", log=log) for _ in range(2)]
    try:
        eventually(lambda: alerts(folder))
        time.sleep(2)
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        statuses = [worker.wait(60) for worker in workers]
    assert statuses == [0, 0], log.read_text()
    assert [(a["alert"], a["ref"]) for a in alerts(folder)] == [("listed", "S-1")]
    assert log.read_text().count("ALERT S-1") == 1
    # What a stopped worker held is free at once.
    once(folder)
    assert len(alerts(folder)) == 1


def test_a_worker_that_is_killed_leaves_nothing_undone(folder, tmp_path):
    """The next one takes over, at the latest when the lease has run out."""
    log = tmp_path / "log"
    worker = launch(folder, "worker", log=log)
    eventually((folder / "hub.db-wal").exists)
    worker.kill()
    worker.wait(20)
    with closing(SqliteStore(folder / "hub.db")) as store, store.write() as tx:
        # As time would: a lease lasts five minutes.
        tx.node.lease("pull", "the-next", 1, 2**40)
        tx.node.lease("tidy", "the-next", 1, 2**40)
    once(folder)
    assert [(a["alert"], a["ref"]) for a in alerts(folder)] == [("listed", "S-1")]


def test_it_warns_of_a_stale_feed_once_and_says_when_it_is_over(folder):
    """Also while no hub answers; the status says that none did."""
    once(folder)
    away = {"HUB__CLIENT__HUBS": "http://127.0.0.1:1"}
    assert once(folder, 6, **away).stdout.count("STALE") == 0
    with closing(SqliteStore(folder / "hub.db")) as store, store.write() as tx:
        tx.node.set_sync("pulled", dict.fromkeys(("registry", "maison"), "1700000000"))
    first = once(folder, 6, **away)
    assert "STALE maison: nothing was pulled of it since 2023-11-14" in first.stdout
    assert "STALE registry" in first.stdout
    assert "STALE" not in once(folder, 6, **away).stdout
    assert [a["feed"] for a in alerts(folder) if a["alert"] == "stale"] == [
        "maison",
        "registry",
    ]
    # A pull that succeeds ends it, and the next silence is news again.
    assert "STALE" not in once(folder).stdout
    with closing(SqliteStore(folder / "hub.db")) as store, store.write() as tx:
        tx.node.set_sync("pulled", {"maison": "1700000000"})
    assert "STALE maison" in once(folder, 6, **away).stdout


def test_alerts_that_could_not_be_delivered_are_reported_and_kept(folder):
    away = {"HUB__ALERTS__WEBHOOK": "http://127.0.0.1:1/alerts"}
    done = once(folder, 6, **away)
    assert "webhook: a delivery of alerts waits" in done.stderr
    with closing(Ledger(folder / "ledger.db")) as ledger:
        [waiting] = Watching(ledger).outbox.waiting()
    assert (waiting.way, waiting.tries) == ("webhook", 1)


def beside(log):
    """Return the process ids of the workers that a server's log names."""
    found = re.findall(r'"event": "the worker runs beside".*?"pid": (\d+)', log)
    return [int(pid) for pid in found]


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_beside_the_server_does_its_jobs_and_ends_with_it(made, tmp_path, how):
    """Whether the server is stopped or killed with its processes."""
    folder, log = tmp_path / "node", tmp_path / "log"
    shutil.copytree(made.folder / "node", folder)
    with closing(SqliteStore(folder / "hub.db")) as store:
        with store.write() as tx:
            tx.node.add_read(ReadRow(1, "member/market", "maison", 0, 1))
        listen = {"HUB__SERVER__LISTEN": "127.0.0.1:0"}
        server = launch(
            folder,
            "serve",
            "--with-worker",
            log=log,
            env={**os.environ, **listen},
            start_new_session=True,
        )
        try:
            [pid] = eventually(lambda: beside(log.read_text()))
            assert is_alive(pid)

            def tidied():
                with store.read() as tx:
                    return all(read.at > 1 for read in tx.node.list_reads())

            eventually(tidied)
        finally:
            os.killpg(server.pid, how) if how == signal.SIGKILL else server.terminate()
            server.wait(90)
    # It was not told by a signal when it is in a session of its own: by the pipe.
    eventually(lambda: not is_alive(pid))


def test_a_worker_beside_the_server_that_dies_is_started_again(made, tmp_path):
    folder, log = tmp_path / "node", tmp_path / "log"
    shutil.copytree(made.folder / "node", folder)
    listen = {"HUB__SERVER__LISTEN": "127.0.0.1:0"}
    words = ("serve", "--with-worker")
    server = launch(folder, *words, log=log, env={**os.environ, **listen})
    try:
        [pid] = eventually(lambda: beside(log.read_text()))
        os.kill(pid, signal.SIGKILL)
        pids = eventually(lambda: len(beside(log.read_text())) == 2)
        assert pids
        assert is_alive(beside(log.read_text())[1])
    finally:
        server.terminate()
        server.wait(90)
    eventually(lambda: not is_alive(beside(log.read_text())[1]))
