"""How results of screening are written: a table for a person, CSV, or JSON lines."""

from __future__ import annotations

import csv
import json
import textwrap
from collections.abc import Iterator
from typing import Any, Protocol, TextIO

__all__ = ["COLUMNS", "CsvLines", "JsonLines", "Table", "Writer"]

Result = dict[str, Any]
COLUMNS = (
    "row",
    "ref",
    "match",
    "disputed",
    "member",
    "entry",
    "type",
    "basis",
    "confidence",
    "goods",
    "first_seen",
    "last_seen",
    "valid_until",
    "own_ref",
    "problem",
)
"""The columns of the CSV; later versions add columns behind these."""


class Writer(Protocol):
    """Writes results one after the other; what was written stands."""

    def write(self, result: Result) -> None:
        """Write one result."""
        ...

    def close(self) -> None:
        """Write what was kept back."""
        ...


class JsonLines:
    """One JSON object for each row."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, result: Result) -> None:
        """Write one result."""
        self._stream.write(json.dumps(result) + "\n")

    def close(self) -> None:
        """Write nothing more."""
        self._stream.flush()


class CsvLines:
    """One line for each report, and one for each row without any.

    Args:
        stream: Opened with ``newline=""``.
        heading: Write the names of the columns first.
    """

    def __init__(self, stream: TextIO, *, heading: bool = True):
        self._stream = stream
        self._writer = csv.writer(stream)
        if heading:
            self._writer.writerow(COLUMNS)

    def write(self, result: Result) -> None:
        """Write one result."""
        for report in result["reports"] or [{}]:
            cells = {**result, **report, "ref": result["ref"]}
            cells["own_ref"] = report.get("ref")
            cells["goods"] = " ".join(map(str, report.get("goods", ())))
            cells["disputed"] = "yes" if result["disputed"] else ""
            self._writer.writerow(_safe(cells.get(name)) for name in COLUMNS)

    def close(self) -> None:
        """Write nothing more."""
        self._stream.flush()


def _safe(value: object) -> str:
    text = "" if value is None else str(value)
    # A reference may be a stranger's text, which a spreadsheet would run.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


_HEADINGS = {
    "row": "row",
    "ref": "ref",
    "match": "match",
    "member": "listed by",
    "type": "type",
    "basis": "basis",
    "confidence": "conf.",
    "goods": "goods",
    "seen": "seen",
    "valid_until": "until",
    "entry": "entry",
}
_FIRST = ("row", "ref", "match")
_GAP = 2
# A narrower column would cut words and dates.
_LEAST = {
    "ref": 6,
    "match": 10,
    "member": 6,
    "type": 6,
    "basis": 13,
    "goods": 5,
    "seen": 10,
    "entry": 11,
}
# What a narrow terminal does without, first to last; the entry names its member.
_SPARE = ("seen", "goods", "member")
_PROBE = 200


class Table:
    """Aligned columns, wrapped to the width of the terminal.

    The widths are those of the first rows; memory does not grow with the others.

    Args:
        stream: Where to.
        width: Of the terminal; None for lines of any length.
    """

    def __init__(self, stream: TextIO, width: int | None = None):
        self._stream, self._width = stream, width
        self._kept: list[dict[str, str]] = []
        self._widths: dict[str, int] | None = None

    def write(self, result: Result) -> None:
        """Write one result."""
        self._kept += _lines(result)
        if self._widths is not None or len(self._kept) >= _PROBE:
            self._flush()

    def close(self) -> None:
        """Write what was kept back to find the widths."""
        self._flush()
        self._stream.flush()

    def _flush(self) -> None:
        if self._widths is None and self._kept:
            self._widths = self._fit()
            self._print(_HEADINGS)
        for line in self._kept:
            self._print(line)
        self._kept = []

    def _fit(self) -> dict[str, int]:
        """Return the widths of the columns, such that they fit the terminal.

        The widest column is narrowed first. What does not fit even so is left out, in
        the order of ``_SPARE``.
        """
        widths = {
            name: max(len(line[name]) for line in [_HEADINGS, *self._kept])
            for name in _HEADINGS
        }
        for spare in (*_SPARE, None):
            narrow = {n: min(w, _LEAST.get(n, w)) for n, w in widths.items()}
            if self._beyond(narrow) <= 0 or spare is None:
                break
            del widths[spare]
        while self._beyond(widths) > 0:
            loose = [n for n in widths if widths[n] > _LEAST.get(n, widths[n])]
            if not loose:
                break
            widths[max(loose, key=lambda name: widths[name])] -= 1
        return widths

    def _beyond(self, widths: dict[str, int]) -> int:
        """Return how many characters lines of these widths are too long."""
        if self._width is None:
            return 0
        return sum(widths.values()) + _GAP * (len(widths) - 1) - self._width

    def _print(self, line: dict[str, str]) -> None:
        if self._widths is None:
            raise AssertionError("the widths are known before anything is printed")
        widths = self._widths
        if line.get("problem"):
            widths = {name: widths[name] for name in _FIRST}
            room = max(-self._beyond({**widths, "problem": 0}), 20)
            widths["problem"] = room if self._width else len(line["problem"])
        cells = [_wrap(line[name], width) for name, width in widths.items()]
        for place in range(max(map(len, cells))):
            parts = [
                (cell[place] if place < len(cell) else "").ljust(width)
                for cell, width in zip(cells, widths.values(), strict=True)
            ]
            self._stream.write((" " * _GAP).join(parts).rstrip() + "\n")


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width) or [""]


def _lines(result: Result) -> Iterator[dict[str, str]]:
    """Yield the lines of a result: one for each report, the row in the first only."""
    match = result["match"] or "-"
    if result["disputed"]:
        match += " (disputed)"
    ref = _plain(result["ref"] or "")
    first = {"row": str(result["row"]), "ref": ref, "match": match}
    empty = dict.fromkeys(_HEADINGS, "")
    if not result["reports"]:
        yield {**empty, **first, "problem": _plain(result.get("problem", ""))}
    for place, report in enumerate(result["reports"]):
        shown = dict.fromkeys(_FIRST, "") if place else first
        yield {**empty, **shown, **_cells(report)}


def _cells(report: dict[str, Any]) -> dict[str, str]:
    seen = [report[k][:10] for k in ("first_seen", "last_seen") if k in report]
    entry = report["entry"] + (f" ({report['ref']})" if "ref" in report else "")
    return {
        "member": report["member"],
        "type": report["type"],
        "basis": report["basis"],
        "confidence": str(report["confidence"]),
        "goods": " ".join(map(str, report["goods"])),
        "seen": " ".join(dict.fromkeys(seen)),
        "valid_until": report["valid_until"][:10],
        "entry": _plain(entry),
    }


def _plain(text: str) -> str:
    """Return a stranger's text without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
