"""The file: refused unless certainly ours, private, readable by people, copied whole."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from hub.errors import ConfigError, UnavailableError
from hub.store import engine, opening, schema
from hub.store.base import BatchRow, StoredHead
from hub.store.sqlite import SqliteStore
from tests.hub.store.samples import append, line, realistic_lines


def test_missing_is_not_created(tmp_path: Path) -> None:
    """A wrong path does not start an empty hub; the advice names the command."""
    with pytest.raises(ConfigError) as caught:
        SqliteStore(tmp_path / "hub.db")
    assert caught.value.code == "no-database"
    assert "hub init" in caught.value.advice
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path: Path) -> None:
    """A folder that is not there is the operator's to make."""
    with pytest.raises(UnavailableError):
        SqliteStore(tmp_path / "nowhere" / "hub.db", create=True)


def test_created_once(tmp_path: Path) -> None:
    """``create`` on an existing database opens it as it is."""
    path = tmp_path / "hub.db"
    with closing(SqliteStore(path, create=True)) as store, store.write() as tx:
        append(tx, "maison", 3)
    for create in (True, False):
        with closing(SqliteStore(path, create=create)) as store, store.read() as tx:
            assert tx.objects.size("maison") == 3


def test_creation_that_stopped_goes_on(tmp_path: Path) -> None:
    """The empty file that a crash leaves is filled next time, never used as it is."""
    path = tmp_path / "hub.db"
    path.touch()
    with pytest.raises(ConfigError) as caught:
        SqliteStore(path)
    assert caught.value.code == "foreign-database"
    SqliteStore(path, create=True).close()
    SqliteStore(path).close()


def test_only_the_owner_reads_it(tmp_path: Path, sqlite: SqliteStore) -> None:
    """The file, its journal and its backups are private."""
    with sqlite.write() as tx:
        append(tx, "maison", 3)
        sqlite.backup(tmp_path / "backup.db")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_foreign_file(tmp_path: Path) -> None:
    """Neither text nor another program's database is touched."""
    path = tmp_path / "hub.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 40)
    before = path.read_bytes()
    for create in (False, True):
        with pytest.raises((ConfigError, UnavailableError)):
            SqliteStore(path, create=create)
    assert path.read_bytes() == before
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE feeds (id)")
    before = path.read_bytes()
    for create in (False, True):
        with pytest.raises(ConfigError) as caught:
            SqliteStore(path, create=create)
        assert caught.value.code == "foreign-database"
    assert path.read_bytes() == before


def set_version(path: Path, version: int) -> None:
    with closing(opening.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


def test_newer_database(tmp_path: Path) -> None:
    """What a newer hub wrote is refused, not guessed at."""
    path = tmp_path / "hub.db"
    SqliteStore(path, create=True).close()
    set_version(path, len(schema.names()) + 1)
    for attempt in (lambda: SqliteStore(path), lambda: opening.migrate(path)):
        with pytest.raises(ConfigError) as caught:
            attempt()
        assert caught.value.code == "newer-database"


def test_older_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older hub wrote waits for ``hub migrate``, which can be tried dry."""
    path = tmp_path / "hub.db"
    with closing(SqliteStore(path, create=True)) as store, store.write() as tx:
        append(tx, "maison", 3)
    known = list(schema.MIGRATIONS._migrations)
    monkeypatch.setattr(schema.MIGRATIONS, "_migrations", known)

    @schema.MIGRATIONS(name="9999_extra")
    def _extra(db: object) -> None:
        db.execute("CREATE TABLE extra (id)")  # type: ignore[attr-defined]

    with pytest.raises(ConfigError) as caught:
        SqliteStore(path)
    assert caught.value.code == "older-database"
    assert "hub migrate" in caught.value.advice
    assert opening.migrate(path, dry_run=True) == ["9999_extra"]
    assert opening.migrate(path) == ["9999_extra"]
    assert opening.migrate(path) == []
    with closing(SqliteStore(path)) as store, store.read() as tx:
        assert tx.objects.size("maison") == 3


def test_failed_migration_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that fails half-way leaves the database as it was."""
    path = tmp_path / "hub.db"
    SqliteStore(path, create=True).close()
    known = list(schema.MIGRATIONS._migrations)
    with monkeypatch.context() as patch:
        patch.setattr(schema.MIGRATIONS, "_migrations", known.copy())

        @schema.MIGRATIONS(name="9999_broken")
        def _broken(db: object) -> None:
            db.execute("CREATE TABLE extra (id)")  # type: ignore[attr-defined]
            db.execute("CREATE TABLE nonsense nonsense")  # type: ignore[attr-defined]

        with pytest.raises(UnavailableError):
            opening.migrate(path)
    SqliteStore(path).close()


def test_migrating_what_is_missing(tmp_path: Path) -> None:
    """There is nothing to migrate at a wrong path."""
    with pytest.raises(ConfigError) as caught:
        opening.migrate(tmp_path / "hub.db")
    assert caught.value.code == "no-database"


def test_settings_hold_on_every_connection(sqlite: SqliteStore) -> None:
    """Durability and secure deletion do not depend on who opened the connection."""
    with closing(opening.connect(sqlite.path)) as connection:
        found = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
    }


def test_views_are_for_people(sqlite: SqliteStore) -> None:
    """Whoever opens the file reads names, hex and dates."""
    with sqlite.write() as tx:
        append(tx, "maison", 3)
        tx.heads.replace("maison", None, StoredHead(3, b"\xab" * 32, b"a note\n"))
        tx.heads.add_cosignature("maison", 3, "node2", 0, b"a line")
        tx.batches.add("maison", BatchRow(b"\x01" * 16, 0, 2, b"\x02" * 32))
        tx.erasures.order("maison", [1], "maison/2", 0)
    queries = {
        "SELECT feed, size, root, checkpoint FROM feed_heads": (
            "maison",
            3,
            "ab" * 32,
            "a note\n",
        ),
        "SELECT feed, size, checkpoint FROM feed_checkpoints": (
            "maison",
            3,
            "a note\n",
        ),
        "SELECT feed, node, time, line FROM feed_cosignatures": (
            "maison",
            "node2",
            "1970-01-01 00:00:00",
            "a line",
        ),
        "SELECT feed, first, count, batch_id FROM feed_batches": (
            "maison",
            0,
            2,
            "01" * 16,
        ),
        "SELECT feed, first, count, missing FROM feed_pages": ("maison", 0, 3, 0),
        "SELECT feed, entry, ordered_by, stored_at FROM feed_erasures": (
            "maison",
            1,
            "maison/2",
            "1970-01-01 00:00:00",
        ),
    }
    with closing(opening.connect(sqlite.path)) as connection:
        for query, row in queries.items():
            assert connection.execute(query).fetchall() == [row]


def test_backup_is_whole_and_one_file(tmp_path: Path, sqlite: SqliteStore) -> None:
    """A backup taken while a writer is busy holds what was committed before."""
    with sqlite.write() as tx:
        append(tx, "maison", 600)
    with sqlite.write() as tx:
        append(tx, "maison", 5)
        sqlite.backup(tmp_path / "backup.db")
    assert sorted(path.name for path in tmp_path.glob("backup*")) == ["backup.db"]
    with closing(SqliteStore(tmp_path / "backup.db")) as copy, copy.read() as tx:
        assert [e.raw for e in tx.objects.lines("maison", 0, 600)] == [
            line(i) for i in range(600)
        ]
        assert tx.objects.size("maison") == 600


def test_backup_replaces_what_a_crash_left(tmp_path: Path, sqlite: SqliteStore) -> None:
    """A ``.partial`` file of an earlier try is no obstacle."""
    (tmp_path / "backup.db.partial").write_bytes(b"half")
    sqlite.backup(tmp_path / "backup.db")
    assert not (tmp_path / "backup.db.partial").exists()


def test_backup_into_nowhere(tmp_path: Path, sqlite: SqliteStore) -> None:
    """A folder that does not exist is an error of the disk."""
    with pytest.raises(UnavailableError):
        sqlite.backup(tmp_path / "nowhere" / "backup.db")


def test_damage_is_found(tmp_path: Path) -> None:
    """``check`` finds bytes that somebody changed behind SQLite's back."""
    path = tmp_path / "hub.db"
    with closing(SqliteStore(path, create=True)) as store, store.write() as tx:
        append(tx, "maison", 5000)
    raw = bytearray(path.read_bytes())
    raw[8192:12288] = bytes(4096)
    path.write_bytes(raw)
    with pytest.raises(UnavailableError) as caught, closing(SqliteStore(path)) as store:
        store.check()
    assert caught.value.code == "corrupt"
    assert "hub restore" in caught.value.advice


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE pages SET lines = x'00'", "unpack"),
        ("UPDATE pages SET count = 255 WHERE first = 0", "another number"),
        ("DELETE FROM pages WHERE first = 256", "missing"),
    ],
)
def test_damaged_pages(sqlite: SqliteStore, damage: str, what: str) -> None:
    """A page that is not what it should be is damage, not an answer."""
    with sqlite.write() as tx:
        append(tx, "maison", 600)
    with closing(opening.connect(sqlite.path)) as connection:
        connection.execute(damage)
    with (
        sqlite.read() as tx,
        pytest.raises(UnavailableError, match=what) as caught,
    ):
        list(tx.objects.lines("maison", 0, 600))
    assert caught.value.code == "corrupt"


def test_lost_tree_hash(sqlite: SqliteStore) -> None:
    """A missing hash is damage; a wrong one is for the caller's root to find."""
    with sqlite.write() as tx:
        append(tx, "maison", 600)
    with closing(opening.connect(sqlite.path)) as connection:
        connection.execute("DELETE FROM hashes WHERE n = 1")
    with sqlite.read() as tx, pytest.raises(UnavailableError, match="tree hash"):
        tx.objects.hash_reader("maison", 600).read(8, 0, 2)


def test_bytes_for_each_entry(tmp_path: Path) -> None:
    """An entry takes at most 160 bytes on the disk, without the index."""
    path, lines = tmp_path / "hub.db", realistic_lines(20_000)
    with closing(SqliteStore(path, create=True)) as store:
        for first in range(0, 20_000, 10_000):
            with store.write() as tx:
                part = lines[first : first + 10_000]
                digests = [b"%032d" % at for at in range(first, first + 10_000)]
                tx.objects.append("maison", first, part, digests, [])
    average = sum(map(len, lines)) / len(lines)
    assert 420 < average < 480
    assert path.stat().st_size / len(lines) < 160


@pytest.mark.parametrize(
    ("version", "faulty"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
        ((4, 0, 0), False),
    ],
)
def test_which_sqlite_has_the_fault(version: tuple[int, ...], faulty: bool) -> None:
    """The fault was repaired in three branches."""
    assert engine.has_wal_reset_fault(version) is faulty


def test_faulty_sqlite_moves_its_journal_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the fault, writers take turns over all processes and empty the journal."""
    monkeypatch.setattr(engine, "WAL_RESET_FAULT", True)
    monkeypatch.setattr("hub.store.sqlite._LONG_JOURNAL", 100_000)
    path = tmp_path / "hub.db"
    with closing(SqliteStore(path, create=True)) as store:
        for _ in range(4):
            with store.write() as tx:
                append(tx, "maison", 2000)
            journal = path.with_name("hub.db-wal")
            assert journal.stat().st_size < 300_000
        with store.write() as tx:
            tx.node.set_meta("k", "v")
        assert path.with_name("hub.db.writer").exists()
        store.check()
