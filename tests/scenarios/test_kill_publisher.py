"""A publisher of changes is killed at every durable step; run again, it goes on.

Afterwards the ledger, the mirror and an audit agree: every row of the last file stands
in exactly one case, and nothing else does.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from hub.store.ledger import Ledger
from tests.faultkit import run
from tests.scenarios.test_kill_client import STEPS
from tests.scenarios.test_kill_server import audited

ROOT = Path(__file__).parents[2]


def standing(folder):
    """Return {reference: first entry} of what the ledger takes for standing."""
    with closing(Ledger(folder / "ledger.db")) as ledger:
        assert ledger.journal.waiting() == []
        return {
            case.ref: range(case.first, case.first + case.count)
            for case in ledger.cases.all()
            if not case.withdrawn
        }


def check(folder, refs):
    """Compare ledger and mirror; every reference stands once, with all its entries."""
    assert run(folder, "pull").status == 0
    [found] = run(folder, "reports", "--mine").out
    reported = {int(r["entry"].partition("/")[2]): r["ref"] for r in found["reports"]}
    believed = standing(folder)
    assert set(believed) == set(refs)
    assert reported == {index: ref for ref, span in believed.items() for index in span}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_every_step_of_a_change(going, stepper):
    """One row new, one changed, one gone: withdrawals and reports are sent once each."""
    maison, file = going.folder / "maison", going.folder / "list.csv"
    words = ("publish", file, "--ref", "id", "--list", "shops", "--replace")
    run(maison, "withdraw", "C-1", "C-2", "C-3")
    count = 4

    def write():
        rows = [f"R-{n},shop-{n}.example,{50 + n % 7}" for n in range(count - 4, count)]
        rows.append(f"R-x,changed-{count}.example,50")
        file.write_text("\n".join(["id,domain,confidence", *rows]) + "\n")
        return {*(f"R-{n}" for n in range(count - 4, count)), "R-x"}

    refs = write()
    assert run(maison, *words).status == 0

    def command():
        nonlocal count, refs
        count += 1
        refs = write()
        return maison, *words

    def after(killed):
        if killed:
            ran = run(maison, *words)
            assert ran.status == 0, ran
        ran = run(maison, *words)
        assert (ran.status, ran.out[0]["entries"]) == (0, 0), ran
        assert set(standing(maison)) == refs

    calls = {**STEPS, "pwrite64": 17, "sendto": 2}
    deaths = stepper.kill_at_every_step(calls, command, after)
    assert deaths["fsync"] > 5
    assert deaths["sendto"] > 2
    check(maison, refs)
    # Each step withdrew and reported once: no case was ever published twice.
    size = audited(going)["maison"]
    [last] = run(maison, *words).out
    assert last["receipt"] is None
    assert size == audited(going)["maison"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_between_batches(going):
    """Twenty-five thousand rows in three batches; each death leaves whole batches."""
    maison, file = going.folder / "maison", going.folder / "many.csv"
    rows = [f"M-{n},many-{n}.example" for n in range(25_000)]
    file.write_text("\n".join(["id,domain", *rows]) + "\n")
    command = [sys.executable, "-m", "hub", "--dir", str(maison), "--json"]
    command += ["publish", str(file), "--ref", "id"]
    before = _counted(maison)[0]
    for least, waiting in ((0, 1), (10_000, 0), (10_000, 1), (20_000, 0)):
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            cases, journal = _counted(maison)
            if cases - before >= least and journal >= waiting:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    ran = run(maison, "publish", file, "--ref", "id")
    assert ran.status == 0
    [done] = ran.out
    assert len(done["rows"]) + done["unchanged"] == 25_000
    check(maison, {*(f"M-{n}" for n in range(25_000)), "C-1", "C-2", "C-3"})
    audited(going)


def _counted(folder):
    """Return how many cases and how many waiting batches a ledger has, from outside."""
    query = "SELECT (SELECT count(*) FROM cases), (SELECT count(*) FROM journal)"
    uri = f"file:{folder / 'ledger.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
        return connection.execute(query).fetchone()
