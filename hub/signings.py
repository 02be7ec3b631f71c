"""What an officer's folder signed, so that it does not sign two successors of one head.

The file is JSON lines: ``at``, ``batch`` (the batch id), ``head`` (size and root) and
``entries`` of each proposal, and ``dropped`` with the batch id of one that the registry
refused for good. Losing it loses warnings and no signature.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hub.model import render_time
from hub.tlog.batch import BatchNote
from keys.encoding import to_base64

__all__ = ["Signings"]


class Signings:
    """Remembers the proposals that this folder signed.

    Args:
        path: A file of JSON lines.
    """

    def __init__(self, path: Path):
        self._path = path

    def others(self, note: BatchNote) -> list[dict[str, Any]]:
        """Return other proposals for the same head that were signed and not dropped."""
        head = [note.registry.size, to_base64(note.registry.root)]
        mine = to_base64(note.batch_id)
        signed: dict[str, dict[str, Any]] = {}
        for row in self._rows():
            if row.get("dropped"):
                signed.pop(row["dropped"], None)
            elif row["head"] == head and row["batch"] != mine:
                signed[row["batch"]] = row
        return list(signed.values())

    def add(self, note: BatchNote, entries: Sequence[str], now: int) -> None:
        """Remember a proposal, durably, before its signature leaves this folder."""
        head = [note.registry.size, to_base64(note.registry.root)]
        row = {"at": render_time(now), "batch": to_base64(note.batch_id), "head": head}
        if not any(r.get("batch") == row["batch"] for r in self._rows()):
            self._append({**row, "entries": list(entries)})
        # If we crash here, then a signature that nobody has is remembered: a warning
        # too many, and never one too few.

    def drop(self, note: BatchNote) -> None:
        """Forget a proposal that the registry refused for good."""
        self._append({"dropped": to_base64(note.batch_id)})

    def _rows(self) -> list[dict[str, Any]]:
        try:
            lines = self._path.read_text().split("\n")
        except FileNotFoundError:
            return []
        # A crash may have cut the last line short; its signature never left.
        return [json.loads(line) for line in lines[:-1]]

    def _append(self, row: dict[str, Any]) -> None:
        line = json.dumps(row) + "\n"
        data = self._path.read_bytes() if self._path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(whole + line.encode())
            file.flush()
            os.fsync(file.fileno())
        # If we crash here, then the old file stands, and nothing was signed yet.
        fresh.replace(self._path)
