"""Backups under load, restores under way, and a home that came back too old."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from hub.store import schema
from hub.store.sqlite import SqliteStore
from tests.conftest import ROOT
from tests.faultkit import run
from tests.hub.api.served import report_line
from tests.scenarios.test_kill_server import Writer, audited, send


def sizes(path):
    with closing(SqliteStore(path)) as store, store.read() as tx:
        return {feed: head.size for feed, head in tx.heads.all().items()}


def publish(going, *names):
    """Publish a file with these domains as maison."""
    file = going.folder / "more.csv"
    file.write_text("domain\n" + "".join(f"{name}.example\n" for name in names))
    return run(going.folder / "maison", "publish", file)


@pytest.mark.slow
def test_a_backup_under_load_is_one_moment(going, tmp_path):
    """It holds whole batches, nothing that was there before is missing, and it audits."""
    writer, over, acknowledged = Writer(going), threading.Event(), [5]

    def load():
        while not over.is_set():
            body = writer.batch(*(report_line() for _ in range(20)))
            acknowledged.append(send(going.url, body)["size"])

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    node, backups = going.folder / "node", []
    for number in range(3):
        before, file = max(acknowledged), tmp_path / f"{number}.db"
        assert run(node, "backup", file).status == 0
        backups.append((before, file))
        time.sleep(0.3)
    over.set()
    for thread in threads:
        thread.join()
    assert run(node, "backup", file).status == 5
    for before, file in backups:
        place = tmp_path / "copy"
        shutil.copytree(going.folder / "market", place)
        for path in place.glob("hub.db*"):
            path.unlink()
        shutil.copy(file, place / "hub.db")
        found = run(place, "audit")
        assert (found.status, found.out[0]["findings"]) == (0, [])
        assert before <= sizes(place / "hub.db")["maison"] <= max(acknowledged)
        shutil.rmtree(place)


@pytest.mark.slow
def test_what_runs_is_not_replaced(going, tmp_path):
    """Neither under a server nor under a worker; both go on untouched."""
    node, market, old = (
        going.folder / "node",
        going.folder / "market",
        tmp_path / "o.db",
    )
    assert run(node, "backup", old).status == 0
    assert publish(going, "shop").status == 0
    before = sizes(node / "hub.db")
    for words in (("restore", old), ("migrate",)):
        ran = run(node, *words)
        assert ran.status == 6
        assert "Another hub already serves" in ran.err
    assert sizes(node / "hub.db") == before
    worker = subprocess.Popen(
        [sys.executable, "-m", "hub", "--dir", str(market), "worker"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert "maison" in "".join(worker.stderr.readline() for _ in range(2))
        ran = run(market, "restore", old)
        assert ran.status == 6
        assert "Stop `hub worker`" in ran.err
    finally:
        worker.terminate()
        worker.wait(30)
        worker.stderr.close()
    assert run(market, "restore", old).status == 0


@pytest.mark.slow
def test_an_older_database_is_migrated_by_a_command(going, monkeypatch):
    """Every other command refuses it and names that one; it can be tried dry."""
    node = going.folder / "node"
    going.stop()
    known = list(schema.MIGRATIONS._migrations)
    monkeypatch.setattr(schema.MIGRATIONS, "_migrations", known)

    @schema.MIGRATIONS(name="9999_extra")
    def _extra(db):
        db.execute("CREATE TABLE extra (id)")

    for words in (("serve",), ("audit",), ("backup", going.folder / "x")):
        ran = run(node, *words)
        assert ran.status == 2
        assert "hub migrate" in ran.err
    dry = run(node, "migrate", "--dry-run")
    assert dry.out[0]["migrations"] == ["9999_extra"]
    assert not dry.out[0]["applied"]
    ran = run(node, "doctor")
    assert (ran.status, "hub migrate" in json.dumps(ran.out)) == (1, True)
    done = run(node, "migrate")
    assert (done.out[0]["migrations"], done.out[0]["applied"]) == (["9999_extra"], True)
    assert run(node, "migrate").out[0]["migrations"] == []
    assert run(node, "audit").status == 0


@pytest.fixture
def too_old(going, tmp_path):
    """A home whose database and marks come from a backup before the last batch."""
    node, old = going.folder / "node", tmp_path / "old.db"
    marks = (node / "private" / "log.heads").read_bytes()
    assert run(node, "backup", old).status == 0
    assert publish(going, "shop").status == 0
    assert audited(going)["maison"] == audited(going, "maison")["maison"] == 7
    going.stop()
    assert run(node, "restore", old).status == 0
    (node / "private" / "log.heads").write_bytes(marks)
    going.serve()
    going.old = old
    return going


@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True])
def test_a_home_without_its_marks_is_stopped_by_its_members(too_old, lost):
    """The newest checkpoint comes along with a batch; a restore with a mirror heals."""
    maison, market = too_old.folder / "maison", too_old.folder / "market"
    if lost:
        # Another writer of the member, which knows of the batch by its mirror alone.
        for path in maison.glob("ledger.db*"):
            path.unlink()
    ran = publish(too_old, "other")
    assert ran.status == 6
    assert "this node signed maison at 7 and its database ends at 5" in ran.err
    assert "hub restore --from-mirror" in ran.err
    # Mirrors refuse to go back, with a reason, and keep what they have.
    ran = run(market, "pull")
    assert ran.status == 1
    assert "shows maison at 5, it was at 7" in ran.err
    assert "restored an old copy" in ran.err
    found = run(market, "audit")
    assert found.status == 0
    assert {f["feed"]: f["size"] for f in found.out[0]["feeds"]}["maison"] == 7

    too_old.stop()
    words = ("restore", too_old.old, "--from-mirror", market / "hub.db")
    ran = run(too_old.folder / "node", *words)
    assert ran.out[0]["feeds"] == [{"feed": "maison", "from": 5, "to": 7}]
    too_old.serve()
    ran = publish(too_old, "other")
    assert (ran.status, ran.out[0]["receipt"]["first"]) == (0, 7)
    assert run(market, "pull").status == 0
    assert audited(too_old)["maison"] >= 9


@pytest.mark.slow
def test_a_restored_home_says_what_it_lacks(going, tmp_path):
    """With its marks it is read-only for that feed alone, and says so at once."""
    node, old = going.folder / "node", tmp_path / "old.db"
    assert run(node, "backup", old).status == 0
    assert publish(going, "shop").status == 0
    going.stop()
    ran = run(node, "restore", old)
    assert ran.status == 0
    assert ran.out[0]["behind"] == [{"feed": "maison", "size": 5, "signed": 7}]
    ran = run(node, "restore", old, "--from-mirror", going.folder / "market" / "hub.db")
    assert ran.status == 5
    assert "maison ends at 5 of 7" in ran.err
    assert "--incomplete" in ran.err
    going.serve()
    assert publish(going, "other").status == 6
    file = going.folder / "market.csv"
    file.write_text("domain\nmarket-shop.example\n")
    assert run(going.folder / "market", "publish", file).status == 0
