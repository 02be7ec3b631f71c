"""Reads members' files: CSV, TSV, XLSX, JSON lines, or one identifier a line.

Columns are recognised by their names; one row is one case. A row that cannot be used
keeps its number and gets a reason, and the rows around it go on. Lists may be plain, in
hosts-file form (``0.0.0.0 shop.example``), or of patterns (``*://*.shop.example/*``,
``||shop.example^``); lines that start with ``#`` or ``!`` are comments.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from hub.errors import MalformedError
from hub.model import parse_time, render_time
from schemas.entry import BASES, TLP
from schemas.identifiers import COLUMN_NAMES, TYPES, IdentifierError, canonicalise

__all__ = ["Options", "Row", "read_rows"]

CONTEXT = (
    "basis",
    "confidence",
    "goods",
    "brands",
    "marketplaces",
    "countries",
    "first_seen",
    "last_seen",
    "valid_until",
    "tlp",
    "note",
)
_LISTS = ("goods", "brands", "marketplaces", "countries")
_DATES = ("first_seen", "last_seen", "valid_until")
_HOSTS = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+(\S+)")


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is to be read."""

    type: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    ref: str | None = None


@dataclass(slots=True)
class Row:
    """A row: its number in the file, and either identifiers or a problem."""

    number: int
    identifiers: list[tuple[str, str]] = field(default_factory=list)
    context: dict[str, Any] = field(default_factory=dict)
    ref: str | None = None
    problem: str | None = None


def read_rows(stream: BinaryIO, name: str, options: Options) -> Iterator[Row]:
    """Yield the rows of a file, one at a time.

    Args:
        stream: The file's bytes.
        name: Its name; the ending chooses the form.
        options: Column names and types.

    Raises:
        MalformedError: No column of the file is known, or it is not of its form.
    """
    ending = name.lower().rpartition(".")[2]
    if ending == "xlsx":
        yield from _table(_workbook(stream), options)
    elif ending in ("jsonl", "ndjson"):
        yield from _table(_json_lines(stream), options)
    elif ending in ("csv", "tsv") and options.type is None:
        yield from _table(_delimited(_text(stream), ending), options)
    else:
        yield from _list(_text(stream), options)


def _text(stream: BinaryIO) -> Iterator[tuple[int, str, str | None]]:
    """Yield (number, line, problem), decoding each line by itself."""
    start = stream.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16-le" if start == b"\xff\xfe" else "utf-16-be"
        reader = io.TextIOWrapper(stream, encoding, errors="replace", newline="")
        for number, line in enumerate(reader, 1):
            yield number, line, None
        return
    for number, raw in enumerate(stream, 1):
        data = start + raw if number == 1 else raw
        try:
            yield number, data.decode("utf-8-sig" if number == 1 else "utf-8"), None
        except UnicodeDecodeError:
            # Spreadsheets on Windows write cp1252; the row is read and says so only
            # when it is not that either.
            text = data.decode("cp1252", errors="replace")
            bad = "is neither UTF-8 nor Windows-1252" if "\ufffd" in text else None
            yield number, text, bad


Cells = Iterator[tuple[int, dict[str, str], str | None]]


def _delimited(  # noqa: C901 - Its two generators share the line numbers.
    lines: Iterator[tuple[int, str, str | None]], ending: str
) -> Cells:
    first = next(lines, None)
    if first is None:
        raise MalformedError("the file is empty", code="empty-file")
    delimiter = "\t"
    if ending == "csv":
        delimiter = max(",;\t", key=first[1].count)
    header = [c.strip() for c in next(csv.reader([first[1]], delimiter=delimiter))]
    problems: dict[int, str] = {}

    def texts() -> Iterator[str]:
        for number, line, problem in lines:
            if problem:
                problems[number] = problem
            yield line.replace("\x00", "\ufffd")

    reader = csv.reader(texts(), delimiter=delimiter)
    before = 1
    try:
        for cells in reader:
            number, before = before + 1, 1 + reader.line_num
            if not any(c.strip() for c in cells):
                continue
            extra = len(cells) > len(header)
            bad = "has more cells than the header" if extra else None
            row = dict(zip(header, cells, strict=False))
            yield number, row, bad or problems.pop(number, None)
    except csv.Error as error:
        raise MalformedError(f"row {before + 1}: {error}", code="bad-csv") from None


def _json_lines(stream: BinaryIO) -> Cells:
    for number, line, problem in _text(stream):
        if not line.strip():
            continue
        try:
            body = json.loads(line)
            row = {
                str(k): ",".join(map(str, v)) if isinstance(v, list) else str(v)
                for k, v in body.items()
                if v is not None
            }
            yield number, row, problem
        except (ValueError, AttributeError):
            yield number, {}, "is not a JSON object"


def _workbook(stream: BinaryIO) -> Cells:
    import openpyxl  # noqa: PLC0415 - Slow to import, and seldom needed.

    try:
        sheet = openpyxl.load_workbook(stream, read_only=True, data_only=True).active
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        raise MalformedError("not an XLSX file", code="bad-xlsx") from None
    rows = sheet.iter_rows(values_only=True) if sheet else iter(())
    header = [str(c or "").strip() for c in next(rows, ())]
    for number, cells in enumerate(rows, 2):
        row = {h: _cell(c) for h, c in zip(header, cells, strict=False) if h}
        if any(row.values()):
            yield number, row, None


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _plan(names: Iterable[str], options: Options) -> dict[str, tuple[str, str]]:
    """Return what each column is: ("type", t), ("context", c) or ("ref", "")."""
    plan: dict[str, tuple[str, str]] = {}
    for name in names:
        plain = " ".join(name.lower().replace("_", " ").split())
        context = plain.replace(" ", "_")
        if name == options.ref:
            plan[name] = ("ref", "")
        elif name in options.columns:
            plan[name] = ("type", options.columns[name])
        elif context in CONTEXT:
            plan[name] = ("context", context)
        elif plain in COLUMN_NAMES or plain.replace(" ", "-") in TYPES:
            kind = COLUMN_NAMES.get(plain) or plain.replace(" ", "-")
            plan[name] = ("type", kind)
    return plan


def _table(cells: Cells, options: Options) -> Iterator[Row]:
    plan: dict[str, tuple[str, str]] = {}
    for number, row, problem in cells:
        missing = [n for n in row if n not in plan]
        plan.update(_plan(missing, options))
        if number <= 2 and row and not any(w == "type" for w, _ in plan.values()):
            raise MalformedError(
                f"no column is known: {', '.join(row)}",
                code="unknown-columns",
                advice="Name one, as in --column SELLER_MAIL=email.",
            )
        yield _row(number, row, plan, options, problem)


def _row(
    number: int,
    cells: dict[str, str],
    plan: Mapping[str, tuple[str, str]],
    options: Options,
    problem: str | None,
) -> Row:
    row = Row(number, problem=problem)
    for name, text in cells.items():
        what, detail = plan.get(name, ("", ""))
        value = text.strip()
        if not value or not what:
            continue
        try:
            if what == "type":
                found = canonicalise(detail, value, options.region)
                row.identifiers.append((detail, found))
            elif what == "context":
                row.context[detail] = _context(detail, value)
            else:
                row.ref = value
        except ValueError as error:
            row.problem = row.problem or f"{name} {error}"
        except MalformedError as error:
            row.problem = row.problem or f"{name}: {error}"
    if not row.identifiers and not row.problem:
        row.problem = "has no identifier"
    return row


def _context(name: str, text: str) -> Any:
    if name in _LISTS:
        parts = [p.strip() for p in re.split(r"[,;|]", text) if p.strip()]
        if name == "goods":
            return [int(p) for p in parts]
        return [p.upper() for p in parts] if name == "countries" else parts
    if name == "confidence":
        return int(text.removesuffix("%"))
    if name in _DATES:
        seconds = parse_time(text)
        return render_time(seconds) if name == "valid_until" else text
    known = {"basis": BASES, "tlp": TLP}.get(name)
    value = text.lower().removeprefix("tlp:").strip().replace(" ", "-")
    if known and value not in known:
        raise ValueError(f"should be one of {', '.join(known)}")
    return value if known else text


def _list(
    lines: Iterator[tuple[int, str, str | None]], options: Options
) -> Iterator[Row]:
    kind = options.type or "domain"
    if kind not in TYPES:
        raise MalformedError(
            f"{kind} is not an identifier type",
            advice=f"Use one of {', '.join(sorted(TYPES))}.",
        )
    for number, line, problem in lines:
        text = line.strip()
        if not text or text[0] in "#!":
            continue
        match = _HOSTS.match(text)
        value = match[1] if match else text.removeprefix("||").removesuffix("^")
        row = Row(number, problem=problem)
        try:
            row.identifiers.append((kind, canonicalise(kind, value, options.region)))
        except IdentifierError as error:
            row.problem = problem or str(error)
        yield row
