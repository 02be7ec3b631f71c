"""A restored node has all that it signed, or says what it lacks; failures change nothing."""

from __future__ import annotations

import fcntl
import gzip
import shutil
import sqlite3
from contextlib import closing

import pytest

from hub.access import new_bearer
from hub.errors import ConfigError, ForkError, HubError, RefusedError, UnavailableError
from hub.feeds import delete_due
from hub.marks import Marks
from hub.model import new_salt, render_time
from hub.registry import Registry
from hub.restoring import restore
from hub.store import opening, schema
from hub.store.locks import claim_alone, use
from hub.store.sqlite import SqliteStore
from hub.sync import Mirror, pull
from schemas.base import render_line
from tests.conftest import Alliance
from tests.hub.test_faults import NOW, Node, report_line


class World:
    """A node, an old backup of it, and mirrors of members."""

    def __init__(self, folder):
        self.folder = folder.parent
        self.node = Node(folder)
        self.pin = self.node.hub.registry.pin
        self.database = folder / "hub.db"
        self.backup = self.folder / "old.db"
        self.node.hub.store.backup(self.backup)

    def grow(self, *lines):
        answer = self.node.post(self.node.batch(*(lines or [report_line()])))
        assert answer.status_code == 200, answer.json

    def mirror(self, name):
        """Bring a member's mirror up to date and return its path."""
        path = self.folder / f"{name}.db"
        with closing(SqliteStore(path, create=True)) as store:
            peer = Mirror(self.node.hub.store, "http://node.example")
            assert not pull(store, Registry(self.pin), peer, NOW).problems
        return path

    def restore(self, *mirrors, backup=None, **options):
        self.node.hub.close()
        marks = Marks(self.database.parent / "private")
        backup = backup or self.backup
        place = self.database
        return restore(place, backup, mirrors, self.pin, marks, NOW, **options)

    def again(self):
        """Start the node on what is there now."""
        self.node = Node(self.database.parent)
        return self.node

    def files(self):
        """Return what the folder holds, but for the files of locks."""
        self.node.hub.close()
        return {
            path.name: path.read_bytes()
            for path in self.database.parent.iterdir()
            if path.is_file() and path.suffix not in (".users", ".lock", ".writer")
        }


@pytest.fixture
def world(harmed):
    return World(harmed)


def refuses(world, kind, *mirrors, **options):
    """Check that restoring fails and changes nothing; return the error."""
    before = world.files()
    with pytest.raises(kind) as caught:
        world.restore(*mirrors, **options)
    assert world.files() == before
    assert caught.value.advice
    return caught.value


def test_a_backup_alone_is_read_only_until_it_is_whole(world):
    """It serves what it has and says what it lacks."""
    world.grow()
    done = world.restore()
    assert done.behind == {"maison": (5, 7)}
    node = world.again()
    assert node.web.get("/v1/feeds/maison/tile/0/000.p/5").status_code == 200
    answer = node.post(node.batch(report_line()))
    assert answer.json["type"] == "urn:alliance-hub:behind-own-signature"


def test_a_feed_that_lacks_nothing_goes_on(world):
    done = world.restore()
    assert (done.behind, done.feeds) == ({}, [])
    world.again()
    world.grow()


def test_without_marks_it_goes_on(world):
    """The marks are lost with the disk: nothing here says that something is missing."""
    world.grow()
    (world.database.parent / "private" / "log.heads").unlink()
    assert world.restore().behind == {}
    world.again()
    world.grow()


def test_a_mirror_makes_it_whole(world):
    """What came after the backup is there again, and the feed grows behind it."""
    world.grow()
    world.grow()
    done = world.restore(world.mirror("market"))
    assert (done.feeds, done.behind) == ([("maison", 5, 9)], {})
    node = world.again()
    answer = node.post(node.batch(report_line()))
    assert answer.json["first"] == 9


def test_a_lost_database_is_made_again(world):
    """There is nothing to keep."""
    mirror = world.mirror("market")
    world.node.hub.close()
    for path in world.database.parent.glob("hub.db*"):
        path.unlink()
    assert world.restore(mirror).kept is None
    world.again()
    world.grow()


def test_the_former_database_is_kept_with_its_journal(world):
    """What only its journal holds can still be read there, however often we restore."""
    world.grow()
    crashed = world.folder / "crashed"
    crashed.mkdir()
    for path in world.database.parent.glob("hub.db*"):
        shutil.copy(path, crashed)
    world.node.hub.close()
    for path in world.database.parent.glob("hub.db*"):
        path.unlink()
    for path in crashed.iterdir():
        shutil.copy(path, world.database.parent)
    first, second = world.restore(), world.restore()
    assert (first.kept.name, second.kept.name) == ("hub.db.before", "hub.db.before2")
    with closing(SqliteStore(first.kept)) as store, store.read() as tx:
        assert tx.heads.get("maison").size == 7
    with closing(SqliteStore(second.kept)) as store, store.read() as tx:
        assert tx.heads.get("maison").size == 5


def test_a_damaged_database_is_kept_as_it_is(world):
    world.node.hub.close()
    world.database.write_bytes(b"ruined" * 1000)
    done = world.restore()
    assert done.kept.read_bytes() == b"ruined" * 1000
    world.again()
    world.grow()


def test_a_mirror_that_is_behind_is_not_enough(world):
    """It is refused unless that is what is wanted."""
    world.grow()
    mirror = world.mirror("market")
    world.grow()
    error = refuses(world, RefusedError, mirror)
    assert error.code == "still-behind"
    assert "maison ends at 7 of 9" in str(error)
    done = world.restore(mirror, incomplete=True)
    assert done.behind == {"maison": (7, 9)}
    node = world.again()
    answer = node.post(node.batch(report_line()))
    assert answer.json["type"] == "urn:alliance-hub:behind-own-signature"


def test_several_mirrors_make_it_whole(world):
    world.grow()
    early = world.mirror("market")
    world.grow()
    done = world.restore(early, world.mirror("parcel"))
    assert done.feeds == [("maison", 5, 7), ("maison", 7, 9)]
    assert done.behind == {}


def test_a_mirror_older_than_the_backup_harms_nothing(world):
    early = world.mirror("market")
    world.grow()
    later = world.folder / "later.db"
    world.node.hub.store.backup(later)
    done = world.restore(early, backup=later)
    assert (done.feeds, done.behind) == ([], {})


def test_lines_that_the_mirror_deleted_come_as_tombstones(world):
    """An erased line stays erased, and the rest of the feed comes."""
    erasure = {"kind": "erasure", "salt": new_salt(), "at": render_time(NOW)}
    world.grow(report_line(), report_line())
    world.grow(render_line({**erasure, "indices": [6], "ground": "other"}))
    mirror = world.mirror("market")
    with closing(SqliteStore(mirror)) as store:
        assert delete_due(store, NOW + 73 * 3600) == 1
    assert world.restore(mirror).behind == {}
    with world.again().hub.store.read() as tx:
        assert [e.raw is None for e in tx.objects.lines("maison", 5, 10)] == [
            False,
            True,
            False,
            False,
            False,
        ]


def test_a_file_of_another_alliance_is_refused(world):
    """The pin decides, for the backup and for each mirror."""
    words = ("--alliance", "other.example", "--node", "node1")
    Alliance(world.folder, "").hub("other", "init", *words)
    other = world.folder / "other.db"
    with closing(SqliteStore(world.folder / "other" / "hub.db")) as store:
        store.backup(other)
    assert refuses(world, RefusedError, backup=other).code == "other-alliance"
    error = refuses(world, RefusedError, other)
    assert error.code == "other-alliance"
    assert "other.db" in str(error)


def test_a_mirror_with_another_history_convicts(world):
    """Both are signed by this node's key: a fork, and nothing is touched."""
    mirror_of = world.folder / "fork.db"
    world.node.hub.store.backup(mirror_of)
    world.grow()
    later = world.folder / "later.db"
    world.node.hub.store.backup(later)
    world.node.hub.close()
    (world.database.parent / "private" / "log.heads").unlink()
    shutil.copy(mirror_of, world.database)
    world.again()
    world.grow()
    forked = world.mirror("market")
    error = refuses(world, ForkError, forked, backup=later)
    assert "market.db" in str(error)


def altered(path):
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT rowid, lines FROM pages").fetchall()
        for row, lines in rows:
            text = gzip.decompress(lines).replace(
                b'"confidence":50', b'"confidence":90'
            )
            values = (gzip.compress(text), row)
            connection.execute("UPDATE pages SET lines = ? WHERE rowid = ?", values)
        connection.commit()


def test_a_mirror_with_altered_lines_is_refused(world):
    """Its file and feed are named."""
    world.grow()
    mirror = world.mirror("market")
    altered(mirror)
    error = refuses(world, HubError, mirror)
    assert "maison in" in str(error)
    assert "market.db" in str(error)


def torn(path):
    raw = bytearray(path.read_bytes())
    raw[8192:20480] = bytes(12288)
    path.write_bytes(raw)


def cut(path):
    path.write_bytes(path.read_bytes()[:-8192])


def garbage(path):
    path.write_bytes(b"no database at all, but long enough to look like one" * 100)


def foreign(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE feeds (id)")


def newer(path):
    with closing(opening.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.names()) + 1}")


def missing(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("which", ["backup", "mirror"])
@pytest.mark.parametrize("harm", [torn, cut, garbage, foreign, newer, missing, empty])
def test_a_file_that_cannot_be_used_is_named(world, harm, which):
    """The former database stands, byte for byte."""
    mirror = world.mirror("market")
    harm(world.backup if which == "backup" else mirror)
    error = refuses(world, (ConfigError, UnavailableError), mirror)
    assert isinstance(error, HubError)


def test_a_backup_of_an_older_hub_is_migrated(world, monkeypatch):
    """The file itself stays as it is."""
    before = world.backup.read_bytes()
    known = list(schema.MIGRATIONS._migrations)
    monkeypatch.setattr(schema.MIGRATIONS, "_migrations", known)

    @schema.MIGRATIONS(name="9999_extra")
    def _extra(db):
        db.execute("CREATE TABLE extra (id)")

    world.restore()
    assert world.backup.read_bytes() == before
    SqliteStore(world.database).close()


def test_a_token_that_was_revoked_stays_revoked(world):
    """A restored backup knows nothing of what was revoked after it."""
    store = world.node.hub.store
    for name in ("script", "other"):
        with store.write() as tx:
            tx.node.add_bearer(new_bearer(name, "member/maison", days=9, now=NOW)[1])
    world.backup.unlink()
    store.backup(world.backup)
    with store.write() as tx:
        tx.node.revoke_bearer("script", NOW)
    assert world.restore().revoked == ["script"]
    with world.again().hub.store.read() as tx:
        revoked = {row.name: row.revoked for row in tx.node.list_bearers()}
    assert revoked == {"other": None, "script": NOW}


def test_a_folder_that_takes_no_file(world, monkeypatch):
    """A full disk leaves the former database and no debris."""

    def full(_source, target):
        target.with_name(target.name + ".partial").write_bytes(b"half")
        raise UnavailableError("full", code="disk-full", advice="Free some space.")

    monkeypatch.setattr(opening, "copy_of", full)
    assert refuses(world, UnavailableError).code == "disk-full"


def test_what_is_used_is_not_replaced(tmp_path):
    """Users do not exclude each other; who replaces excludes them all."""
    path = tmp_path / "hub.db"
    first, second = use(path), use(path)
    with pytest.raises(UnavailableError) as caught, claim_alone(path):
        pass
    assert caught.value.code == "in-use"
    first()
    second()
    with claim_alone(path):
        # The one that replaces it may look at it.
        use(path)()
    use(path)()


def test_nothing_is_opened_while_it_is_replaced(world):
    """A command that starts in the midst of it is told to wait."""
    world.node.hub.close()
    with (world.database.parent / "hub.db.users").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(UnavailableError) as caught:
            SqliteStore(world.database)
    assert caught.value.code == "being-replaced"
