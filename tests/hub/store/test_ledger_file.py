"""A ledger is opened by the right version only, by any number of processes."""

from __future__ import annotations

import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hub.errors import ConfigError
from hub.store.engine import sqlite3
from hub.store.ledger import Ledger
from hub.store.ledger_file import APPLICATION_ID, MIGRATIONS, LedgerFile

ROOT = Path(__file__).parents[3]


def raw(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            found = connection.execute(statement).fetchall()
        connection.commit()
    return found


def test_a_new_ledger_is_ours_alone_and_has_the_newest_version(tmp_path):
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert raw(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert raw(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


def test_the_secret_stays(tmp_path):
    """Rows are recognised by it, so a second opening must find the same one."""
    path = tmp_path / "ledger.db"
    with closing(Ledger(path)) as one, closing(Ledger(path)) as other:
        assert one.secret == other.secret
        assert len(one.secret) == 32


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    raw(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(ConfigError, match="newer hub") as caught:
        Ledger(path)
    assert caught.value.code == "newer-ledger"
    assert raw(path, "PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]


@pytest.mark.parametrize("content", [b"no database at all, " * 100, None])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "ledger.db"
    if content is None:
        raw(path, "CREATE TABLE other (a)", "PRAGMA application_id = 7")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(ConfigError) as caught:
        Ledger(path)
    assert caught.value.code == "foreign-ledger"
    assert path.read_bytes() == before


def test_a_ledger_from_before_versions_keeps_what_it_has(tmp_path):
    """Its tables are those of the first migration, and its version is 0."""
    path = tmp_path / "ledger.db"
    raw(path, *MIGRATIONS[0], "INSERT INTO meta VALUES ('secret', x'00ff')")
    with closing(Ledger(path)) as ledger:
        assert ledger.secret == b"\x00\xff"
    assert raw(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    with closing(LedgerFile(tmp_path / "ledger.db")) as file:

        def fail():
            with file.transaction():
                file.run("INSERT INTO meta VALUES ('a', x'00')")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert file.rows("SELECT * FROM meta") == []
        with file.transaction(), file.transaction():
            file.run("INSERT INTO meta VALUES ('a', x'00')")
        assert file.rows("SELECT key FROM meta") == [("a",)]


def test_many_processes_make_one_ledger(tmp_path):
    """Started at the same moment, all of them find the same secret."""
    code = (
        "import sys, pathlib, hub.store.ledger as l\n"
        "sys.stdin.readline()\n"
        "x = l.Ledger(pathlib.Path(sys.argv[1]))\n"
        "[x.put_tokens({bytes([i]) * 32: b'1' * 32}) for i in range(20)]\n"
        "print(x.secret.hex())\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "ledger.db")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [process.communicate(timeout=120) for process in started]
    assert [p.returncode for p in started] == [0] * 6, results
    assert len({out for out, _ in results}) == 1


def test_published_cases_survive_the_move_to_lists(tmp_path):
    """What stands, what was withdrawn, and what waits in the journal."""
    path = tmp_path / "ledger.db"
    insert = 'INSERT INTO cases ("row", ref, "case", content, batch, place, count, first, withdrawn) VALUES '
    raw(
        path,
        *MIGRATIONS[0],
        insert + "(x'01', 'C-1', 'aaaaaaaaaaaaaaaa', x'11', x'aa', 0, 2, 1, 0)",
        insert + "(x'02', NULL, 'bbbbbbbbbbbbbbbb', x'12', x'aa', 2, 1, 3, 1)",
        insert + "(x'03', 'C-3', 'cccccccccccccccc', x'13', x'bb', 0, 1, NULL, 0)",
        "INSERT INTO journal (batch, feed, body) VALUES (x'bb', 'maison', x'00')",
    )
    with closing(Ledger(path)) as ledger:
        [one] = ledger.cases.by_ref("C-1")
        assert (one.first, one.count, one.withdrawn, one.content) == (
            1,
            2,
            None,
            b"\x11",
        )
        assert ledger.cases.get("b" * 16).withdrawn == "withdrawn"
        assert ledger.cases.ref_at(2) == "C-1"
        assert ledger.cases.at(4) is None
        [waiting] = ledger.journal.waiting()
        assert ledger.journal.body(waiting.batch) == b"\x00"
        ledger.journal.settle(waiting.batch, 7)
        [three] = ledger.cases.by_ref("C-3")
        assert (three.first, three.count, three.content) == (7, 1, b"\x13")
        assert ledger.journal.waiting() == []


def test_the_order_of_the_feed_decides_and_not_that_of_receipts(tmp_path):
    """Two processes settle their batches in either order, to the same state."""
    from hub.store.journal import Change

    states = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)):
        ledger = Ledger(tmp_path / f"{order}.db")
        report = Change(0, "reported", "a" * 16, 2, "C-1", "case", b"i", b"c", 1, 99, 1)
        batches = [(report, 1), (Change(0, "withdrawn", "a" * 16), 3), (report, 5)]
        for number in (0, 1, 2):
            ledger.journal.add(bytes([number]), "maison", b"", "", [batches[number][0]])
        # A case must be known before it can end: whoever withdraws has its receipt.
        for number in (0, *order):
            ledger.journal.settle(bytes([number]), batches[number][1])
        states.append(ledger.cases.get("a" * 16))
        ledger.close()
    assert len(set(states)) == 1
    assert (states[0].first, states[0].ended, states[0].withdrawn) == (5, 3, None)
