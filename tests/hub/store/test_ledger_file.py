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
