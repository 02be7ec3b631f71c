"""Faults between the steps: whatever happens, a batch is whole or not there."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.errors import UnavailableError
from hub.store import engine, opening, sqlite
from hub.store import session as sessions
from hub.store.base import BatchRow, Store, StoredHead, Transaction
from hub.store.session import Session
from hub.store.sqlite import SqliteStore
from hub.tlog.merkle import Frontier
from tests.hub.store.samples import append, digest, line
from tests.needs import missing

ROOT = Path(__file__).resolve().parents[3]


def publish(store: Store, count: int) -> None:
    """Store one batch as a home does: entries, hashes, place, order, head."""
    with store.write() as tx:
        size = tx.objects.size("maison")
        tree = append(tx, "maison", count)
        tx.batches.add("maison", BatchRow(b"%016d" % size, size, count - 1, b""))
        tx.erasures.order("maison", [size], "maison/1", 5)
        if size:
            tx.objects.erase("maison", [0])
            tx.erasures.mark_deleted("maison", [0])
        head = StoredHead(tree.size, tree.root(), b"note %d" % tree.size)
        tx.heads.replace("maison", size or None, head)


def everything(store: Store) -> object:
    """Return all that a publication changes."""
    with store.read() as tx:
        size = tx.objects.size("maison")
        return (
            list(tx.objects.lines("maison", 0, size)),
            tx.heads.all(),
            tx.heads.checkpoints("maison", 0),
            tx.batches.list("maison"),
            tx.erasures.orders("maison", 0, size),
        )


class Fault:
    """Let the n-th step fail, before or after it was done."""

    def __init__(self, step: int, *, applied: bool):
        self.step = step
        self.applied = applied
        self.hit = False

    def wrap(self, real: Callable[..., object]) -> Callable[..., object]:
        def faulty(*args: object, **kwargs: object) -> object:
            self.step -= 1
            if self.step != 0:
                return real(*args, **kwargs)
            self.hit = True
            if self.applied:
                real(*args, **kwargs)
            raise UnavailableError("injected")

        return faulty


@pytest.mark.parametrize("applied", [False, True])
def test_fault_at_every_step(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    """Each statement fails once, done or not: nothing of the batch is there."""
    publish(sqlite, 100)
    before, step, hit = everything(sqlite), 0, True
    while hit:
        step += 1
        fault = Fault(step, applied=applied)
        with monkeypatch.context() as patch:
            patch.setattr(Session, "run", fault.wrap(Session.run))
            patch.setattr(Session, "many", fault.wrap(Session.many))
            if fault_free := not _fails(sqlite):
                assert not fault.hit
        hit = not fault_free
        if hit:
            assert everything(sqlite) == before
    assert step > 8
    assert everything(sqlite) != before
    sqlite.check()


def _fails(store: Store) -> bool:
    try:
        publish(store, 300)
    except UnavailableError:
        return True
    return False


@pytest.mark.parametrize("applied", [False, True])
def test_fault_at_the_commit(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    """A commit whose answer was lost is all there; one that failed is not at all."""
    publish(sqlite, 100)
    before = everything(sqlite)
    fault = Fault(1, applied=applied)
    with monkeypatch.context() as patch:
        patch.setattr("hub.store.sqlite._commit", fault.wrap(_commit))
        with pytest.raises(UnavailableError, match="injected"):
            publish(sqlite, 300)
    with sqlite.read() as tx:
        assert tx.objects.size("maison") == (400 if applied else 100)
    assert (everything(sqlite) == before) is not applied
    publish(sqlite, 1)
    sqlite.check()


_commit = sqlite._commit


def test_swallowed_fault_cannot_commit(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who catches an error of the disk and goes on stores nothing."""
    failing = "INSERT INTO nowhere VALUES (1)"

    def careless() -> None:
        with sqlite.write() as tx:
            append(tx, "maison", 3)
            with pytest.raises(UnavailableError):
                tx.heads._session.run(failing)
            tx.node.set_meta("k", "v")

    with pytest.raises(UnavailableError, match="nothing of the transaction"):
        careless()
    with sqlite.read() as tx:
        assert tx.objects.size("maison") == 0


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that cannot grow says so, keeps what it has, and recovers."""
    path = tmp_path / "hub.db"
    with closing(SqliteStore(path, create=True)) as store:
        publish(store, 100)
    pages = path.stat().st_size // 4096 + 3
    with monkeypatch.context() as patch:
        full = (*opening._SETTINGS, f"PRAGMA max_page_count = {pages}")
        patch.setattr(opening, "_SETTINGS", full)
        with closing(SqliteStore(path)) as store:
            before = everything(store)
            with pytest.raises(UnavailableError) as caught:
                publish(store, 5000)
            assert caught.value.code == "disk-full"
            assert everything(store) == before
    with closing(SqliteStore(path)) as store:
        publish(store, 5000)
        store.check()


def test_another_process_holds_the_lock(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer waits its time, then says who is to blame; readers never wait."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.2)
    with (
        closing(SqliteStore(sqlite.path)) as other,
        sqlite.write() as mine,
    ):
        append(mine, "maison", 3)
        with pytest.raises(UnavailableError) as caught:
            publish(other, 1)
        assert caught.value.code == "locked"
        with other.read() as tx:
            assert tx.objects.size("maison") == 0


def test_another_thread_holds_the_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue inside a process has the same patience."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.2)
    store = SqliteStore(tmp_path / "hub.db", create=True)
    codes: list[str] = []

    def late() -> None:
        try:
            publish(store, 1)
        except UnavailableError as error:
            codes.append(error.code)

    with store.write():
        thread = threading.Thread(target=late)
        thread.start()
        thread.join()
    assert codes == ["locked"]
    store.close()


def test_errors_are_translated() -> None:
    """Each error of SQLite or the system has one word here, and none leaks."""
    cases = {
        5: "locked",
        6: "locked",
        8: "read-only",
        10 | 3 << 8: "disk-failed",
        11: "corrupt",
        13: "disk-full",
        14: "cannot-open",
        26: "corrupt",
        1: "unavailable",
    }
    for number, code in cases.items():
        error = engine.sqlite3.OperationalError("x")
        error.sqlite_errorcode = number
        found = sessions.translate(error)
        assert isinstance(found, UnavailableError)
        assert (found.code, bool(found.advice)) == (code, True)
    found = sessions.translate(OSError(28, "No space left on device"))
    assert isinstance(found, UnavailableError)
    assert "No space left" in str(found)


def test_broken_constraint_is_our_mistake(sqlite: SqliteStore) -> None:
    """What the ports must never let through is not blamed on the disk."""
    with pytest.raises(AssertionError, match="constraints"), sqlite.write() as tx:
        tx.heads._session.run("INSERT INTO heads VALUES (77, 1, x'00')")


def files_hold(path: Path, needle: bytes) -> bool:
    return any(needle in file.read_bytes() for file in path.parent.iterdir())


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """Return a store that does not compress, so that bytes can be looked for."""
    monkeypatch.setattr("hub.store.pages._LEVEL", 0)
    store = SqliteStore(tmp_path / "hub.db", create=True)
    with store.write() as tx:
        secret(tx)
    yield store
    store.close()


def secret(tx: Transaction) -> None:
    """Store an entry whose line is easy to find on the disk."""
    lines = [line(index, "SECRET" if index == 7 else "") for index in range(20)]
    tx.objects.append("maison", 0, lines, [digest(raw) for raw in lines], [])


def test_erased_bytes_are_gone(plain: SqliteStore) -> None:
    """After the commit, the line is neither in the file nor in its journal."""
    assert files_hold(plain.path, b"SECRET")
    with plain.write() as tx:
        tx.objects.erase("maison", [7])
    assert not files_hold(plain.path, b"SECRET")


def test_merged_bytes_are_erased_too(plain: SqliteStore) -> None:
    """The pieces that a merge replaced keep no copy of the line."""
    with plain.write() as tx:
        append(tx, "maison", 500)
    with plain.write() as tx:
        tx.objects.erase("maison", [7])
    assert not files_hold(plain.path, b"SECRET")


def test_reader_in_the_way_of_an_erasure(plain: SqliteStore) -> None:
    """A snapshot keeps the old bytes alive; the next commit after it removes them."""
    with plain.read() as old:
        with plain.write() as tx:
            tx.objects.erase("maison", [7])
        entry = next(old.objects.lines("maison", 7, 8))
        assert entry.raw is not None
    with plain.write() as tx:
        tx.node.set_meta("k", "v")
    assert not files_hold(plain.path, b"SECRET")


def test_crash_after_an_erasure(plain: SqliteStore) -> None:
    """A process that died between commit and clean-up leaves it to the next one."""

    def die(_: SqliteStore) -> None:
        os._exit(0)

    child = os.fork()
    if not child:
        pytest.MonkeyPatch().setattr(SqliteStore, "_empty_journal", die)
        with plain.write() as tx:
            tx.objects.erase("maison", [7])
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert files_hold(plain.path, b"SECRET")
    SqliteStore(plain.path).close()
    assert not files_hold(plain.path, b"SECRET")


@pytest.mark.slow
def test_kill_nine(tmp_path: Path) -> None:
    """However often a writer is killed, every append that it told of is whole."""
    path = tmp_path / "hub.db"
    SqliteStore(path, create=True).close()
    rng = random.Random(4)  # noqa: S311 moments to be killed at
    sizes = [0]
    for seed in range(8):
        told = run_and_kill(path, seed, rng.uniform(0.05, 0.4))
        with closing(SqliteStore(path)) as store:
            store.check()
            sizes.append(check_whole(store))
        assert sizes[-1] >= max(told, sizes[-2])
    assert sizes[-1] > 0


def run_and_kill(path: Path, seed: int, seconds: float) -> int:
    """Return the last size that a writer told of before it was killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.hub.store.crash_writer", str(path), str(seed)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        writer.kill()
        told = writer.stdout.read().split(b"\n")[:-1]
    return int(told[-1]) if told else 0


def check_whole(store: Store) -> int:
    """Compare every line, digest, hash and head; return the size."""
    with store.read() as tx:
        size = tx.objects.size("maison")
        head = tx.heads.get("maison")
        assert (head.size if head else 0) == size
        erased = tx.erasures.hidden("maison", 0, size)
        for entry in tx.objects.lines("maison", 0, size):
            assert entry.digest == digest(line(entry.index))
            gone = entry.index in erased
            assert entry.raw == (None if gone else line(entry.index))
        reader = tx.objects.hash_reader("maison", size)
        if head:
            tree = Frontier.of_hashes(size, reader)
            assert tree.root() == head.root
    return size


@pytest.mark.slow
@pytest.mark.parametrize("when", [3, 8])
def test_disk_that_fails_to_sync(tmp_path: Path, when: int) -> None:
    """A commit whose sync fails is refused, and nothing that was told is lost."""
    path = tmp_path / "hub.db"
    SqliteStore(path, create=True).close()
    failing = f"inject=fdatasync,fsync:error=EIO:when={when}+"
    tracer = ["strace", "-f", "-qq", "-o", os.devnull, "-e", failing]
    if shutil.which("strace") is None or subprocess.call([*tracer, "true"]):
        missing("strace cannot make the disk fail here")
    writer = [sys.executable, "-m", "tests.hub.store.crash_writer", str(path), "1"]
    done = subprocess.run(
        [*tracer, *writer], cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert b"UnavailableError: The disk failed" in done.stderr
    told = [int(size) for size in done.stdout.split()[1:]]
    with closing(SqliteStore(path)) as store:
        store.check()
        assert check_whole(store) >= max(told, default=0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 2 MB, or skip where this machine does not let us."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        missing("cannot mount a small disk here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_disk_runs_full(small_disk: Path) -> None:
    """On a disk that is really full, what was committed stays and reads."""
    with closing(SqliteStore(small_disk / "hub.db", create=True)) as store:
        publish(store, 100)
        filler = small_disk / "filler"
        before = everything(store)
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        with pytest.raises(UnavailableError) as caught:
            publish(store, 5000)
        assert caught.value.code in {"disk-full", "disk-failed"}
        assert everything(store) == before
        filler.unlink()
        publish(store, 500)
        store.check()
