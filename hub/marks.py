"""What this node's keys signed last, in small files beside the keys.

``private/log.heads`` holds, by feed, the largest size that the log key signed, and
``private/witness.heads`` the size and the second of the last cosignature. They are
written after the commit and before a signature leaves. So a database that was restored
from an older copy is behind them and is noticed: a node that signed again from there
would convict itself.
"""

from __future__ import annotations

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
        return {str(k): int(v) for k, v in self._read("log").items()}

    def note_log(self, feed: str, size: int) -> None:
        """Note a head after its commit and before its signature leaves.

        If we crash before this, then the database is ahead of the mark, which is
        harmless; a restored database that is behind it is noticed.
        """
        with self._turn():
            marks = self._read("log")
            if size > int(marks.get(feed, 0)):
                self._write("log", {**marks, feed: size})

    def witnessed(self, feed: str) -> tuple[int, int]:
        """Return the size and the second of the last cosignature, (0, 0) for none."""
        size, time = self._read("witness").get(feed, (0, 0))
        return int(size), int(time)

    def note_witness(self, feed: str, size: int, time: int) -> None:
        """Note a cosignature after its commit and before it leaves."""
        with self._turn():
            marks = self._read("witness")
            self._write("witness", {**marks, feed: [size, time]})

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
        try:
            marks = json.loads(self._path(name).read_text())
            return dict(marks)
        except FileNotFoundError:
            return {}
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
        descriptor = os.open(self._folder / "heads.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, name: str, marks: dict[str, Any]) -> None:
        path = self._path(name)
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
