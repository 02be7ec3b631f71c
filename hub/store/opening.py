"""Opening, creating, migrating and copying the file of a database.

What is not certainly a database of this version of the hub is refused with the
command that mends it; nothing is created, overwritten or upgraded by accident.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from sqlite_utils import Database

from hub.errors import ConfigError, RefusedError
from hub.store import engine
from hub.store.engine import sqlite3
from hub.store.pages import corrupt
from hub.store.schema import APPLICATION_ID, MIGRATIONS, names
from hub.store.session import translated

__all__ = [
    "BUSY_SECONDS",
    "check_integrity",
    "connect",
    "copy_of",
    "copy_to",
    "keep_copy",
    "migrate",
    "prepare",
    "put_in_place",
    "remove",
]

BUSY_SECONDS = 30
"""How long a writer waits for its turn."""

_SETTINGS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    # Erased lines must not survive in a temporary file either.
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection to an existing file, set up as every one must be.

    Transactions are begun and ended by hand, and the pool sees to it that one thread
    at a time uses the connection.

    Raises:
        UnavailableError: The file cannot be opened.
    """
    with translated():
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=BUSY_SECONDS,
            check_same_thread=False,
        )
        try:
            for setting in _SETTINGS:
                connection.execute(setting)
            if engine.WAL_RESET_FAULT:
                connection.execute("PRAGMA wal_autocheckpoint = 0")
        except BaseException:
            connection.close()
            raise
        return connection


def prepare(path: Path, *, create: bool) -> None:
    """Check that ``path`` is a database of this hub, making it if asked to.

    Raises:
        ConfigError: It is missing (``no-database``), of something else
            (``foreign-database``), or of another version (``newer-database``,
            ``older-database``).
        UnavailableError: The disk or the file is damaged.
    """
    if create and not path.exists():
        _make_file(path)
        # If we crash here, then an empty file stays: created again, it is filled;
        # opened without ``create``, it is refused as not ours.
    if not path.exists():
        raise ConfigError(
            f"There is no database at {path}.",
            code="no-database",
            advice="Make one with `hub init`, or bring one back with `hub restore`.",
        )
    with closing(connect(path)) as connection:
        if create and _is_empty(connection):
            _fill(connection)
        version = _check_ours(connection, path)
    _check_version(version, path)


def migrate(path: Path, *, dry_run: bool = False) -> list[str]:
    """Bring an older database up to date; return what was, or would be, done.

    Raises:
        ConfigError: It is missing, foreign or newer.
        UnavailableError: The disk or the file is damaged.
    """
    if not path.exists():
        prepare(path, create=False)
    with closing(connect(path)) as connection:
        version = _check_ours(connection, path)
        if version > len(names()):
            _check_version(version, path)
        pending = names()[version:]
        if pending and not dry_run:
            _fill(connection)
    return pending


def keep_copy(path: Path) -> Path:
    """Copy a database of any version of ours to a new file beside it; return that.

    Raises:
        ConfigError: It is missing or foreign.
        UnavailableError: The disk is full, or the file is damaged.
    """
    with closing(connect(path)) as connection:
        name = f"{path.name}.version-{_check_ours(connection, path)}"
        others = (path.with_name(f"{name}.{number}") for number in range(2, 1000))
        target = next(p for p in (path.with_name(name), *others) if not p.exists())
        copy_to(connection, target)
    return target


def check_integrity(connection: sqlite3.Connection) -> None:
    """Read the whole file and compare it with itself.

    Raises:
        UnavailableError: Damage was found (code ``corrupt``).
    """
    with translated():
        found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    if found != ["ok"]:
        raise corrupt("; ".join(found))
    if orphans:
        raise corrupt(f"{len(orphans)} rows of no feed")


def copy_to(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database to a new file, check the copy, and only then give it its name.

    Raises:
        RefusedError: ``target`` exists (code ``file-exists``).
        UnavailableError: The copy could not be written or is damaged.
    """
    partial = target.with_name(target.name + ".partial")
    if target.exists():
        raise RefusedError(
            f"{target} already exists.",
            code="file-exists",
            advice="Name a file that does not exist.",
        )
    with translated():
        partial.unlink(missing_ok=True)
    _make_file(partial)
    try:
        with translated(), closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            # One file instead of three; the first hub that opens it switches back.
            copy.execute("PRAGMA journal_mode = DELETE")
            check_integrity(copy)
        # If we crash here, then a `.partial` file stays, which nothing takes for a
        # backup and the next backup replaces.
        with translated():
            _sync(partial)
            os.link(partial, target)
            # If we crash here, then the backup is whole and has two names.
    finally:
        # A copy that failed must not fill the disk.
        with translated():
            partial.unlink(missing_ok=True)
    with translated():
        _sync(target.parent)


def copy_of(source: Path, target: Path) -> None:
    """Copy a database that nobody need have open, and bring the copy up to date.

    Raises:
        ConfigError: ``source`` is missing, foreign or of a newer hub.
        RefusedError: ``target`` exists.
        UnavailableError: It is damaged, or the copy could not be written.
    """
    if not source.exists():
        prepare(source, create=False)
    with closing(connect(source)) as connection:
        version = _check_ours(connection, source)
        if version > len(names()):
            _check_version(version, source)
        # A copy would hide what is damaged in the original.
        check_integrity(connection)
        copy_to(connection, target)
    migrate(target)


def put_in_place(fresh: Path, database: Path) -> Path | None:
    """Give a closed, whole file the name of a database; return where that one is kept.

    The former database keeps a second name, with its journal beside it. Nobody may
    have either open.

    Raises:
        UnavailableError: The disk or the folder refuses; the former one stands.
    """
    with translated():
        kept = _keep(database)
        # If we crash here, then the former database stands and has two names.
        for suffix in _SIDE:
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        # If we crash here, then it stands without a journal. It was emptied before,
        # unless the file was too damaged for that; the second name has it beside it.
        fresh.replace(database)
        _sync(database.parent)
    return kept


_SIDE = ("-wal", "-shm")


def _keep(database: Path) -> Path | None:
    """Give a database and its journal further names that are not taken yet."""
    if not database.exists():
        return None
    number, kept = 1, database.with_name(database.name + ".before")
    while kept.exists():
        number += 1
        kept = database.with_name(f"{database.name}.before{number}")
    journal = database.with_name(database.name + "-wal")
    if journal.exists():
        os.link(journal, kept.with_name(kept.name + "-wal"))
    os.link(database, kept)
    _sync(database.parent)
    return kept


def remove(path: Path) -> None:
    """Remove a database that nobody has open, with what lies beside it.

    Raises:
        UnavailableError: The folder refuses.
    """
    with translated():
        for suffix in ("", *_SIDE, ".users", ".writer", ".partial"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _make_file(path: Path) -> None:
    """Make an empty file that only its owner can read, durably."""
    with translated():
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_empty(connection: sqlite3.Connection) -> bool:
    with translated():
        row = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(row[0] == 0)


def _fill(connection: sqlite3.Connection) -> None:
    """Apply what is pending, under the write lock, so that others wait and see it.

    If we crash in the middle, then nothing has changed; the header that makes the
    file ours is of the same transaction.
    """
    with translated():
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            MIGRATIONS.apply(Database(connection))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(names())}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _check_ours(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of a database of a hub."""
    try:
        (found,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_NOTADB":
            with translated():
                raise
        found, version = 0, 0
    if found != APPLICATION_ID:
        raise ConfigError(
            f"{path} is not a database of a hub.",
            code="foreign-database",
            advice="Name the right file in config.toml, or make one with `hub init`.",
        )
    return int(version)


def _check_version(version: int, path: Path) -> None:
    known = len(names())
    if version > known:
        raise ConfigError(
            f"{path} was written by a newer hub (version {version}, we know {known}).",
            code="newer-database",
            advice="Install the newer alliance-hub, or restore an older backup.",
        )
    if version < known:
        raise ConfigError(
            f"{path} was written by an older hub (version {version} of {known}).",
            code="older-database",
            advice="Run `hub migrate`, which keeps a copy of it.",
        )
