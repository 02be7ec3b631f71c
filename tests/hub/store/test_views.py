"""The file is pleasant to open with the command line of sqlite-utils."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.model import render_time
from tests.world import new_world

ROOT = Path(__file__).parents[3]
FAKE, GOOD = b"f" * 32, b"g" * 32


def sqlite_utils(*words):
    done = subprocess.run(
        [sys.executable, "-m", "sqlite_utils", *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


@pytest.fixture
def file(tmp_path):
    # The views take the time of the machine.
    world = new_world(tmp_path, SystemClock().now())
    seen = {"goods": [18, 25], "first_seen": "2026-01-02"}
    world.publish("maison", world.report(FAKE, "a" * 16, 300, **seen))
    world.publish("market", world.report(FAKE, "b" * 16, 300))
    world.publish("market", world.report(GOOD, "c" * 16, 300))
    [gone] = world.publish("maison", world.report(GOOD, "d" * 16, 300))
    until = render_time(world.clock.now() + 86400 * 365)
    world.registry(
        world.entry("suspension", entries=[str(gone)], ground="error", until=until)
    )
    world.index()
    world.store.close()
    return tmp_path / "hub.db"


def test_active_reports_as_a_person_reads_them(file):
    rows = sqlite_utils("rows", file, "active_reports")
    assert [(r["entry"], r["member"]) for r in rows] == [
        ("maison/1", "maison"),
        ("market/1", "market"),
        ("market/3", "market"),
    ]
    assert {k: rows[0][k] for k in ("type", "token", "basis", "goods", "disputed")} == {
        "type": "domain",
        "token": FAKE.hex(),
        "basis": "test-purchase",
        "goods": "18,25",
        "disputed": 0,
    }
    assert rows[0]["first_seen"] == "2026-01-02"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", rows[0]["valid_until"])


def test_listings_as_a_person_reads_them(file):
    [one, two] = sqlite_utils("rows", file, "listings")
    assert (one["token"], one["members"]) == (FAKE.hex(), 2)
    assert sorted(one["listed_by"].split(",")) == ["maison", "market"]
    assert (two["token"], two["listed_by"]) == (GOOD.hex(), "market")


def test_the_queries_of_the_documents_run(file):
    """Every query that docs/operations.md shows is one that works."""
    text = (ROOT / "docs" / "operations.md").read_text()
    queries = re.findall(r'^sqlite-utils hub\.db "([^"]+)"', text, re.MULTILINE)
    assert len(queries) >= 2
    for query in queries:
        assert sqlite_utils(file, query), query
