"""Locks between processes of one machine: one server, who uses a file, one writer.

All are ``flock`` on a file beside the database, never on the database itself, whose
own locks SQLite would lose. The kernel releases them when the last process that
inherited the open file ends, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from hub.errors import UnavailableError
from hub.store.session import translated

__all__ = [
    "hold_server_lock",
    "release_server_lock",
    "try_lock",
    "turn",
    "writer_turn",
]

_PAUSE = 0.005  # Seconds; a commit takes about as long.

# A lock whose file object is collected is no lock, so the open files are kept here.
_held: dict[Path, int] = {}
_alone: set[Path] = set()


def hold_server_lock(path: Path) -> None:
    """Claim the database at ``path`` for this server and its workers until they end.

    Raises:
        UnavailableError: Another server holds it (code ``already-served``), or the
            lock file cannot be made.
    """
    place = path.resolve()
    if place in _held:
        raise AssertionError("this process already holds the lock")
    descriptor = _open(place.with_name(place.name + ".lock"))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise UnavailableError(f"{path} cannot be locked: {error}.") from error
        raise UnavailableError(
            f"Another hub already serves {path}.",
            code="already-served",
            advice="Stop the other `hub serve`, or give this one another folder.",
        ) from error
    _held[place] = descriptor


def release_server_lock(path: Path) -> None:
    """Let go of the claim; without effect if this process holds none."""
    descriptor = _held.pop(path.resolve(), None)
    if descriptor is not None:
        os.close(descriptor)


def use(path: Path) -> Callable[[], None]:
    """Say that this process uses the database at ``path``; return what ends that.

    Users do not exclude each other, only who would put another file in its place:
    whoever has it open would go on with the former one, unnoticed. Where no file can
    be made beside the database, nobody can replace it either.

    Raises:
        UnavailableError: It is being replaced (code ``being-replaced``).
    """
    if path.resolve() in _alone:
        return lambda: None
    try:
        descriptor = os.open(_users(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return lambda: None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UnavailableError(
            f"{path} is being replaced.",
            code="being-replaced",
            advice="Try again when the other command is done.",
        ) from error
    return partial(os.close, descriptor)


@contextmanager
def claim_alone(path: Path) -> Iterator[None]:
    """Be the only one that works with the database at ``path``.

    Raises:
        UnavailableError: Somebody uses it (code ``in-use``).
    """
    descriptor = _open(_users(path))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UnavailableError(
            f"Another command uses {path}.",
            code="in-use",
            advice="Stop `hub worker` and other commands of this folder first.",
        ) from error
    _alone.add(path.resolve())
    try:
        yield
    finally:
        _alone.discard(path.resolve())
        os.close(descriptor)


def _users(path: Path) -> Path:
    place = path.resolve()
    return place.with_name(place.name + ".users")


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold the lock file at ``path`` during the block, unless another process does.

    Yields:
        Whether it is held; the block runs either way.

    Raises:
        UnavailableError: The lock file cannot be made.
    """
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise UnavailableError(f"{path} cannot be locked: {error}.") from error
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def writer_turn(path: Path, patience: float) -> Iterator[None]:
    """Wait until no other process of this machine writes, then keep them waiting.

    Only needed where SQLite could damage the file when one connection writes while
    another moves the journal into the database.

    Raises:
        UnavailableError: It took more than ``patience`` seconds (code ``locked``).
    """
    with turn(path.with_name(path.name + ".writer"), patience):
        yield


@contextmanager
def turn(path: Path, patience: float) -> Iterator[None]:
    """Wait until no other process holds the lock file ``path``, then hold it.

    Raises:
        UnavailableError: It took more than ``patience`` seconds (code ``locked``).
    """
    descriptor = _open(path)
    try:
        _wait(descriptor, path, patience)
        yield
    finally:
        # A process forked meanwhile has the file open too, so closing is not enough.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _wait(descriptor: int, path: Path, patience: float) -> None:
    """Lock an open file, asking again and again: ``flock`` knows no deadline."""
    for _ in range(max(1, round(patience / _PAUSE))):
        with translated():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE)
            else:
                return
    raise UnavailableError(
        f"Another process held {path.name} too long.",
        code="locked",
        advice="Try again.",
    )


def _open(path: Path) -> int:
    with translated():
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
