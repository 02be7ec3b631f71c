"""Bytes of a table to named cells: CSV and its kin, XLSX, JSON lines.

Each reader gives the headings, if the form has any, and then (number, cells, problem)
for every row: cells are (heading, text) pairs, because headings can repeat and a JSON
list is several cells. Numbers are those that a text editor or a spreadsheet shows.
Nothing here holds more than one row in memory.
"""

from __future__ import annotations

import csv
import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

from hub.errors import MalformedError

__all__ = ["Cells", "Lines", "delimited", "json_lines", "text_lines", "workbook"]

Lines = Iterator[tuple[int, str, str | None]]
Cells = Iterator[tuple[int, list[tuple[str, str]], str | None]]

_MAX_LINE = 2**20
_MAX_UNPACKED = 2**30
# A spreadsheet keeps 15 digits of a number and replaces the others by zeros.
_EXACT = 10**15
_MAX_ROW_LINES = 50
_FOREIGN = {
    b"PK\x03\x04": "an XLSX or another zipped file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"%PDF-": "a PDF",
    b"\x1f\x8b": "compressed by gzip",
    b"SQLite f": "a database",
}
_BOMS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def text_lines(stream: BinaryIO) -> Lines:
    """Yield (number, line, problem); each line is decoded by itself.

    Raises:
        MalformedError: The bytes begin as those of a file of another kind.
    """
    start = stream.read(8)
    for magic, kind in _FOREIGN.items():
        if start.startswith(magic):
            raise MalformedError(
                f"the file is {kind}, whatever its name says",
                code="wrong-kind",
                advice="Give the file its right ending, or export it as CSV in UTF-8.",
            )
    whole: BinaryIO = io.BufferedReader(_Joined(start, stream))
    if start[:2] in _BOMS:
        whole.read(2)
        yield from _utf16_lines(whole, _BOMS[start[:2]])
        return
    for number, raw in enumerate(_raw_lines(whole), 1):
        if raw is None:
            yield number, "", "is longer than a mebibyte"
            continue
        mark = b"\xef\xbb\xbf" if number == 1 else b""
        yield number, *_decode(raw.removeprefix(mark))


class _Joined(io.RawIOBase):
    """A stream whose start was read already."""

    def __init__(self, start: bytes, rest: BinaryIO):
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._start[: len(buffer)] or self._rest.read(len(buffer))
        self._start = self._start[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _raw_lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Yield lines, None for one that is too long."""
    while raw := stream.readline(_MAX_LINE):
        if len(raw) < _MAX_LINE or raw.endswith(b"\n"):
            yield raw
            continue
        while (part := stream.readline(_MAX_LINE)) and not part.endswith(b"\n"):
            pass
        yield None


def _decode(raw: bytes) -> tuple[str, str | None]:
    try:
        return raw.decode(), None
    except UnicodeDecodeError:
        # Spreadsheets on Windows write cp1252; most bytes mean something in it.
        text = raw.decode("cp1252", errors="replace")
        bad = "is neither UTF-8 nor Windows-1252" if "\ufffd" in text else None
        return text, bad


def _utf16_lines(stream: BinaryIO, encoding: str) -> Lines:
    reader = io.TextIOWrapper(stream, encoding, errors="replace", newline="")
    try:
        number = 0
        while line := reader.readline(_MAX_LINE):
            number += 1
            problem = "is not UTF-16" if "\ufffd" in line else None
            if len(line) >= _MAX_LINE and not line.endswith(("\n", "\r")):
                while (rest := reader.readline(_MAX_LINE)) and rest[-1] not in "\r\n":
                    pass
                line, problem = "", "is longer than a mebibyte"
            yield number, line, problem
    finally:
        # The caller opened the stream and closes it.
        reader.detach()


def delimited(lines: Lines, ending: str) -> tuple[list[str], Cells]:
    """Read CSV, TSV or semicolons; the heading shows which.

    Args:
        lines: The file's lines.
        ending: Of its name; ``tsv`` leaves no choice.

    Returns:
        The headings, and the rows after them.

    Raises:
        MalformedError: There is no heading that can be read.
    """
    number, line = _heading(lines)
    delimiter = "\t" if ending == "tsv" else max(",;\t|", key=line.count)
    if line.lower().startswith("sep=") and len(line.strip()) == 5:
        delimiter = line[4]
        number, line = _heading(lines)
    if not line:
        raise MalformedError("the file is empty", code="empty-file")
    try:
        [header] = csv.reader([line.replace("\x00", "\ufffd")], delimiter=delimiter)
    except csv.Error as error:
        raise MalformedError(
            f"the heading cannot be read: {error}",
            code="bad-csv",
            advice="Export the file as CSV in UTF-8 again.",
        ) from None
    names = [c.strip() for c in header]
    return names, _delimited_rows(names, lines, delimiter, number)


def _heading(lines: Lines) -> tuple[int, str]:
    for number, line, problem in lines:
        if problem:
            raise MalformedError(
                f"line {number}, which should be the heading, {problem}",
                code="bad-csv",
                advice="Export the file as CSV in UTF-8 again.",
            )
        if line.strip():
            return number, line
    return 0, ""


def _delimited_rows(
    names: list[str], lines: Lines, delimiter: str, before: int
) -> Cells:
    problems: dict[int, str] = {}
    last = before

    def texts() -> Iterator[str]:
        nonlocal last
        for number, line, problem in lines:
            last = number
            if problem or "\x00" in line:
                problems[number] = problem or "holds a zero byte"
            yield line.replace("\x00", "\ufffd")

    reader = csv.reader(texts(), delimiter=delimiter)
    while True:
        number = last + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The reader starts afresh at the next line.
            yield number, [], f"cannot be read: {error}"
            continue
        bad = next((p for p in problems.values()), None) or _shape(
            cells, names, last - number + 1
        )
        problems.clear()
        if bad or any(c.strip() for c in cells):
            yield number, list(zip(names, cells, strict=False)), bad


def _shape(cells: list[str], names: list[str], lines: int) -> str | None:
    if any(c.strip() for c in cells[len(names) :]):
        return "has more cells than the heading"
    if lines > _MAX_ROW_LINES:
        return f"runs over {lines} lines; a quotation mark in it is not closed"
    return None


def json_lines(stream: BinaryIO) -> Cells:
    """Read one JSON object a line."""
    for number, line, problem in text_lines(stream):
        if problem is None and not line.strip():
            continue
        try:
            cells = [c for k, v in json.loads(line).items() for c in _members(k, v)]
            json.dumps(cells, ensure_ascii=False).encode()
        except (ValueError, AttributeError, RecursionError):
            yield number, [], problem or "is not a JSON object"
            continue
        yield number, cells, problem


def _members(name: str, value: object) -> list[tuple[str, str]]:
    values = value if isinstance(value, list) else [value]
    return [
        (name, v if isinstance(v, str) else json.dumps(v))
        for v in values
        if v is not None
    ]


def workbook(stream: BinaryIO) -> tuple[list[str], Cells]:
    """Read the active sheet of an XLSX file.

    Returns:
        The headings, and the rows after them.

    Raises:
        MalformedError: Not such a file, or it unpacks to more than a gibibyte.
    """
    import openpyxl  # noqa: PLC0415 - Slow to import, and seldom needed.

    try:
        with zipfile.ZipFile(stream) as archive:
            unpacked = sum(i.file_size for i in archive.infolist())
        if unpacked > _MAX_UNPACKED:
            raise MalformedError("the XLSX file is too large", code="bad-xlsx")
        stream.seek(0)
        with warnings.catch_warnings():
            # Styles and extensions that it does not know are of no interest.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        sheet: Any = book.active
        rows = enumerate(sheet.iter_rows(values_only=True), 1)
        before, header = next(
            ((n, r) for n, r in rows if any(c is not None for c in r)), (0, ())
        )
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        OSError,
        ParseError,
    ):
        raise MalformedError("not an XLSX file", code="bad-xlsx") from None
    if not before:
        raise MalformedError("the sheet is empty", code="empty-file")
    names = [str(c if c is not None else "").strip() for c in header]
    return names, _sheet_rows(names, rows)


def _sheet_rows(
    names: list[str], rows: Iterator[tuple[int, tuple[object, ...]]]
) -> Cells:
    for number, values in rows:
        cells = [(n, _text(v)) for n, v in zip(names, values, strict=False) if n]
        if not any(text for _, text in cells):
            continue
        lost = [
            n
            for n, v in zip(names, values, strict=False)
            if n and isinstance(v, int | float) and abs(v) >= _EXACT
        ]
        problem = (
            f"{lost[0]} has lost digits, as numbers of more than 15 digits do in a "
            "spreadsheet; format the column as text and enter them again"
            if lost
            else None
        )
        yield number, cells, problem


def _text(value: object) -> str:
    """Return the text of a spreadsheet's cell."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        whole = value.replace(microsecond=0, tzinfo=None)
        day_only = not (value.hour or value.minute or value.second)
        return whole.date().isoformat() if day_only else f"{whole.isoformat()}Z"
    return value.isoformat() if isinstance(value, date) else str(value)
