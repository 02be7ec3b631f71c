"""Threads share nothing but the file; children inherit nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from hub.errors import UnavailableError
from hub.store.sqlite import SqliteStore
from tests.hub.store.samples import append


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked process and return its exit status."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:  # noqa: BLE001 the child must not run the other tests
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_connections_are_used_again(sqlite: SqliteStore) -> None:
    """One after the other, transactions need one connection."""
    for _ in range(5):
        with sqlite.read():
            pass
    assert len(sqlite._pool._idle) == 1


def test_idle_connections_are_few(sqlite: SqliteStore) -> None:
    """A crowd of readers does not leave a crowd of connections."""
    barrier = threading.Barrier(20)

    def look() -> None:
        with sqlite.read():
            barrier.wait()

    threads = [threading.Thread(target=look) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sqlite._pool._idle) <= 8
    assert sqlite._pool._used == 0


def test_parent_and_child_both_go_on(sqlite: SqliteStore) -> None:
    """After a fork each opens connections of its own."""
    with sqlite.write() as tx:
        append(tx, "maison", 3)

    def work() -> None:
        assert sqlite._pool._idle == []
        with sqlite.write() as tx:
            append(tx, "maison", 300)

    assert in_child(work) == 0
    with sqlite.write() as tx:
        append(tx, "maison", 7)
        assert tx.objects.size("maison") == 310
    sqlite.check()


def test_fork_while_another_thread_writes(sqlite: SqliteStore) -> None:
    """A child that inherited an open transaction must not touch the file."""
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with sqlite.write() as tx:
            append(tx, "maison", 1)
            inside.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()

    def work() -> None:
        for attempt in (sqlite.read, sqlite.write):
            with pytest.raises(UnavailableError) as caught, attempt():
                pass
            assert caught.value.code == "forked"

    assert in_child(work) == 0
    done.set()
    thread.join()
    with sqlite.read() as tx:
        assert tx.objects.size("maison") == 1


def test_processes_take_turns(sqlite: SqliteStore) -> None:
    """Read-then-write of several processes loses nothing."""

    def work() -> None:
        for _ in range(20):
            with sqlite.write() as tx:
                seen = int(tx.node.get_meta("n") or "0")
                tx.node.set_meta("n", str(seen + 1))

    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            work()
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    with sqlite.read() as tx:
        assert tx.node.get_meta("n") == "60"


def test_failed_opening_is_not_counted(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that vanished is an error for each caller, not a leak."""
    sqlite.close()
    sqlite.path.rename(sqlite.path.with_name("away.db"))
    with pytest.raises(UnavailableError) as caught, sqlite.read():
        pass
    assert caught.value.code == "cannot-open"
    assert sqlite._pool._used == 0
    sqlite.path.with_name("away.db").rename(sqlite.path)
    with sqlite.read():
        pass
