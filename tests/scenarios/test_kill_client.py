"""A client is killed at every durable step; run again, it goes on as if it had not been."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from hub.clock import SystemClock
from hub.feeds import delete_due
from hub.store.sqlite import SqliteStore
from tests.faultkit import run
from tests.scenarios.test_kill_server import audited

STEPS = {"fsync": 1, "fdatasync": 1, "rename": 1, "unlink": 3, "ftruncate": 3}


def rows_of(folder, feed):
    with closing(SqliteStore(folder / "hub.db")) as store, store.read() as tx:
        return list(tx.objects.lines(feed, 0, tx.objects.size(feed)))


@pytest.mark.slow
def test_killed_at_every_step_of_a_publication(going, stepper):
    """The journal, the sending and the receipt: each case is published exactly once."""
    maison, file = going.folder / "maison", going.folder / "more.csv"
    rows = ["domain"]

    def command():
        rows.append(f"shop-{len(rows)}.example")
        file.write_text("\n".join(rows) + "\n")
        return maison, "publish", file

    def after(killed):
        if killed:
            ran = run(maison, "publish", file)
            assert ran.status == 0, ran

    calls = {**STEPS, "pwrite64": 13, "sendto": 2}
    deaths = stepper.kill_at_every_step(calls, command, after)
    assert deaths["fsync"] > 5
    assert deaths["pwrite64"] > 3
    sizes = audited(going)
    lines = rows_of(going.folder / "market", "maison")
    cases = sum(b'"kind":"report"' in entry.raw for entry in lines)
    # Four entries were published before; since then one for each row, and no other.
    assert cases == 4 + len(rows) - 1
    assert sizes["maison"] == len(lines)
    again = run(maison, "publish", file)
    assert (again.out[0]["rows"], again.out[0]["unchanged"]) == ([], len(rows) - 1)


@pytest.mark.slow
def test_killed_at_every_step_of_a_pull(going, stepper, tmp_path):
    """What is stored was verified, and the next pull brings the rest."""
    market, fresh = going.folder / "market", tmp_path / "fresh"
    shutil.copytree(market, fresh)
    sizes = audited(going)

    def command():
        shutil.rmtree(market)
        shutil.copytree(fresh, market)
        return market, "pull"

    def after(killed):
        if killed:
            assert audited(going) == sizes

    calls = {**STEPS, "fsync": 2, "pwrite64": 29, "recvfrom": 2}
    deaths = stepper.kill_at_every_step(calls, command, after)
    assert deaths["fsync"] > 5
    assert deaths["pwrite64"] > 2


@pytest.mark.slow
def test_killed_at_every_step_of_an_erasure(going, stepper, tmp_path):
    """A line that is due is deleted by the next run, all of it, and the rest stays."""
    maison, node = going.folder / "maison", going.folder / "node"
    assert run(maison, "erase", "maison/1").status == 0
    going.stop()
    with closing(sqlite3.connect(node / "hub.db")) as database:
        database.execute("UPDATE erasures SET stored_at = stored_at - 73 * 3600")
        database.commit()
    before = rows_of(node, "maison")
    due = tmp_path / "due"
    shutil.copytree(node, due)

    def command():
        shutil.rmtree(node)
        shutil.copytree(due, node)
        return node, "worker", "--once"

    def after(killed):
        with closing(SqliteStore(node / "hub.db")) as store:
            delete_due(store, SystemClock().now())
            store.check()
        rows = rows_of(node, "maison")
        assert [r.digest for r in rows] == [r.digest for r in before]
        assert [r.index for r in rows if r.raw is None] == [1]

    deaths = stepper.kill_at_every_step({**STEPS, "pwrite64": 5}, command, after)
    assert deaths["fsync"] > 3
    going.serve()
    assert audited(going)["maison"] == len(before)


@pytest.mark.slow
def test_killed_at_every_step_of_a_restore(going, stepper, tmp_path):
    """The former database stands or the restored one does; run again, it is whole."""
    node, old = going.folder / "node", tmp_path / "old.db"
    assert run(node, "backup", old).status == 0
    file = going.folder / "more.csv"
    file.write_text("domain\nshop.example\n")
    assert run(going.folder / "maison", "publish", file).status == 0
    size = audited(going)["maison"]
    going.stop()
    stopped = tmp_path / "stopped"
    shutil.copytree(node, stopped)
    words = ("restore", old, "--from-mirror", going.folder / "market" / "hub.db")

    def command():
        shutil.rmtree(node)
        shutil.copytree(stopped, node)
        return node, *words

    def after(killed):
        assert len(rows_of(node, "maison")) == size
        if killed:
            ran = run(node, *words)
            assert (ran.status, ran.out[0]["behind"]) == (0, [])
        left = {path.name for path in node.glob("*.restored*")}
        assert left == set()

    calls = {**STEPS, "fsync": 3, "link": 1, "linkat": 1, "pwrite64": 99}
    deaths = stepper.kill_at_every_step(calls, command, after)
    assert deaths["link"] + deaths["linkat"] > 0
    assert deaths["rename"] > 0
    going.serve()
    file.write_text("domain\nshop.example\nother.example\n")
    ran = run(going.folder / "maison", "publish", file)
    assert ran.out[0]["receipt"]["first"] == size
    audited(going)
