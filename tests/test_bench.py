"""The benchmarks run, so that they still do when needed; no figure is judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.table import Figure, line

ROOT = Path(__file__).parents[1]
BUDGETED = {
    "publish at the hub",
    "pull and index",
    "audit a mirror from nothing",
    "stored without the index",
    "stored with the index",
    "pull over HTTP and index",
    "idle sync, requests",
    "idle sync, both ways",
    "screen tokens against 900 reports",
    "evaluate tokens",
}


@pytest.mark.slow
def test_every_topic_runs_and_every_budget_has_its_line():
    """With next to nothing to do, on real folders and a real server."""
    sizes = ["--entries", "300", "--reports", "900", "--rows", "3", "--runs", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.main", *sizes],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    rows = [row for row in done.stdout.splitlines() if "=" in row]
    assert {row[:36].strip() for row in rows} == BUDGETED


def test_a_line_says_whether_the_budget_is_kept():
    """At least for rates, at most for sizes."""
    rate = Figure("publish", 40_000, "entries/s", 50_000, ceiling=80_000, bare="hash")
    assert not rate.kept
    assert line(rate).split() == [
        *("publish", "40,000", "entries/s", ">=", "50,000", "0.80", "!"),
        *("80,000", "0.50", "hash"),
    ]
    size = Figure("stored", 130, "bytes/entry", 160, most=True)
    assert size.kept
    assert line(size).split() == ["stored", "130", "bytes/entry", "<=", "160", "0.81"]
    assert Figure("other", 1, "ms").kept
