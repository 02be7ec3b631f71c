"""One server for one database, until the last of its processes ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from hub.errors import UnavailableError
from hub.store import locks


def test_second_server_is_refused(tmp_path: Path) -> None:
    """Another process is told what is in its way."""
    path = tmp_path / "hub.db"
    locks.hold_server_lock(path)
    child = os.fork()
    if not child:
        # What a stranger does: it inherits no claim of ours.
        locks._held.clear()
        try:
            locks.hold_server_lock(path)
        except UnavailableError as error:
            os._exit(0 if error.code == "already-served" else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    locks.release_server_lock(path)


def test_claiming_twice_is_a_mistake(tmp_path: Path) -> None:
    """One process claims once."""
    path = tmp_path / "hub.db"
    locks.hold_server_lock(path)
    with pytest.raises(AssertionError):
        locks.hold_server_lock(path)
    locks.release_server_lock(path)
    locks.release_server_lock(path)
    locks.hold_server_lock(path)
    locks.release_server_lock(path)


def test_workers_keep_the_claim(tmp_path: Path) -> None:
    """The claim lasts as long as a forked worker lives."""
    path = tmp_path / "hub.db"
    locks.hold_server_lock(path)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.read(reading, 1)
        os._exit(0)
    locks.release_server_lock(path)
    with pytest.raises(UnavailableError):
        locks.hold_server_lock(path)
    os.write(writing, b"x")
    os.waitpid(child, 0)
    locks.hold_server_lock(path)
    locks.release_server_lock(path)
    os.close(reading)
    os.close(writing)


def test_no_place_for_the_lock(tmp_path: Path) -> None:
    """A folder that is not there is an error of the disk."""
    with pytest.raises(UnavailableError):
        locks.hold_server_lock(tmp_path / "nowhere" / "hub.db")


def test_writers_turn(tmp_path: Path) -> None:
    """While one writes, the file of the turn is locked; afterwards it is not."""
    path = tmp_path / "hub.db"
    with (
        locks.writer_turn(path, 1),
        (tmp_path / "hub.db.writer").open() as other,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "hub.db.writer").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_writer_has_no_endless_patience(tmp_path: Path) -> None:
    """A turn that does not come is said to be taken."""
    path = tmp_path / "hub.db"
    with (
        locks.writer_turn(path, 1),
        pytest.raises(UnavailableError) as caught,
        locks.writer_turn(path, 0.02),
    ):
        pass
    assert caught.value.code == "locked"


def test_turn_ends_though_a_child_lives(tmp_path: Path) -> None:
    """A process forked during a turn does not keep it."""
    path = tmp_path / "hub.db"
    reading, writing = os.pipe()
    with locks.writer_turn(path, 1):
        child = os.fork()
        if not child:
            os.read(reading, 1)
            os._exit(0)
    with locks.writer_turn(path, 0.02):
        pass
    os.write(writing, b"x")
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
