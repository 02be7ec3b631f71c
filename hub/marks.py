"""What this node's keys signed last, in small files beside the keys.

``private/log.heads`` holds, by feed, the largest size that the log key signed, and
``private/witness.heads`` the size and the second of the last cosignature. They are
written after the commit and before a signature leaves. So a database that was restored
from an older copy is behind them and is noticed: a node that signed again from there
would convict itself. ``private/homes.heads`` holds the log key under which a feed went
on when the officers cut it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.errors import ConfigError, UnavailableError

__all__ = ["Marks"]


class Marks:
    """The marks of one node.

    Args:
        folder: The folder of the node's private keys.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def log_sizes(self) -> dict[str, int]:
        """Return the largest size that the log key ever signed, by feed."""
        with self._sound("log"):
            return {str(k): _whole(v) for k, v in self._read("log").items()}

    def note_log(self, feed: str, size: int) -> None:
        """Note a head after its commit and before its signature leaves.

        If we crash before this, then the database is ahead of the mark, which is
        harmless; a restored database that is behind it is noticed.
        """
        with self._turn():
            marks = self.log_sizes()
            if size > marks.get(feed, 0):
                self._write("log", {**marks, feed: size})

    def witnessed(self, feed: str) -> tuple[int, int]:
        """Return the size and the second of the last cosignature, (0, 0) for none."""
        with self._sound("witness"):
            size, time = self._read("witness").get(feed, (0, 0))
            return _whole(size), _whole(time)

    def note_witness(self, feed: str, size: int, time: int) -> None:
        """Note a cosignature after its commit and before it leaves.

        The server and the worker may commit in one order and come here in the other,
        so neither size nor time is lowered; only :meth:`start` does that.
        """
        with self._turn():
            marks, (known, last) = self._read("witness"), self.witnessed(feed)
            raised = [max(size, known), max(time, last)]
            if raised != [known, last]:
                self._write("witness", {**marks, feed: raised})

    def start(self, feed: str, size: int, key: bytes) -> None:
        """Start anew at a size under a log key, unless that was done before.

        The officers named the key and the size from which the feed goes on, so what
        was signed above that under an earlier key does not count.
        """
        with self._turn():
            keys = self._read("homes")
            if keys.get(feed) == key.hex():
                return
            log, witness = self.log_sizes(), self._read("witness")
            if log.get(feed, 0) > size:
                self._write("log", {**log, feed: size})
            if feed in witness and witness[feed][0] > size:
                self._write("witness", {**witness, feed: [size, witness[feed][1]]})
            # If we crash before this, then the marks are lowered again, and nothing
            # was signed under the new key in between.
            self._write("homes", {**keys, feed: key.hex()})

    def check_not_behind(self, feed: str, size: int, seen: int = 0) -> None:
        """Refuse to sign when this node signed a larger head before.

        Args:
            feed: The feed.
            size: What the database holds.
            seen: The size of a head of ours that somebody showed.

        Raises:
            UnavailableError: The database is older than the key's last signature.
        """
        newest = max(self.log_sizes().get(feed, 0), seen)
        if size < newest:
            raise UnavailableError(
                f"this node signed {feed} at {newest} and its database ends at {size}",
                code="behind-own-signature",
                advice="The operator restores the rest: hub restore --from-mirror.",
            )

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.heads"

    def _read(self, name: str) -> dict[str, Any]:
        with self._sound(name), _disk():
            try:
                marks = json.loads(self._path(name).read_text())
            except FileNotFoundError:
                return {}
            if type(marks) is not dict:
                raise TypeError("marks are by feed")
            return marks

    @contextmanager
    def _sound(self, name: str) -> Iterator[None]:
        """Name the file when what it holds is not what was written."""
        try:
            yield
        except (ValueError, TypeError):
            # To guess here could mean to sign a second history.
            raise ConfigError(
                f"{self._path(name)} is damaged",
                code="damaged-marks",
                advice="Restore it with the keys, or ask the officers for a new key.",
            ) from None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one thread of one process at a time change the marks."""
        with _disk():
            descriptor = os.open(
                self._folder / "heads.lock", os.O_CREAT | os.O_RDWR, 0o600
            )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, name: str, marks: dict[str, Any]) -> None:
        with _disk():
            self._replace(self._path(name), marks)

    def _replace(self, path: Path, marks: dict[str, Any]) -> None:
        fresh = path.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(json.dumps(marks))
            file.flush()
            os.fsync(file.fileno())
        # If we crash here, then the old marks stand, and nothing was handed out yet.
        fresh.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("a mark is a whole number")
    return value


@contextmanager
def _disk() -> Iterator[None]:
    """Raise what the disk does as what the caller can do about it."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise UnavailableError(
            f"the marks beside the keys cannot be used: {error}",
            code="disk-full" if full else "disk-failed",
            advice="Free some space, or mend the folder private/, then try again.",
        ) from None
