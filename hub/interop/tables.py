"""Reads members' files: CSV, TSV, XLSX, JSON lines, or one identifier a line.

Columns are recognised by their names; one row is one case. A row that cannot be used
keeps its number and gets a reason, and the rows around it go on. Lists may be plain, in
hosts-file form (``0.0.0.0 shop.example``), or of patterns (``*://*.shop.example/*``,
``||shop.example^``); lines that start with ``#`` or ``!`` are comments. A pattern of a
part of a site is refused, because its host alone would accuse the whole site.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TextIO

from hub.errors import MalformedError
from hub.interop.cells import (
    Cells,
    Lines,
    delimited,
    json_lines,
    text_lines,
    workbook,
)
from hub.model import parse_time, render_time
from schemas.entry import BASES, TLP
from schemas.identifiers import COLUMN_NAMES, TYPES, canonicalise

__all__ = ["Options", "Row", "read_rows", "write_rejected"]

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
_HOSTS = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+(.+)")
_COMMENT = re.compile(r"\s[#!].*")
_PATTERN = re.compile(r"(?:\*://|\|\|)(?:\*\.)?([^/^$*]+)(/.*|\^.*|\$.*)?")
_WHOLE = re.compile(r"/\*?|\^?(?:\$.*)?")


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is to be read.

    Args:
        type: What every line is; the file is then a list.
        columns: Headings to identifier types, besides those that are recognised.
        region: Two-letter country of national telephone numbers.
        ref: The heading of the member's own reference.
    """

    type: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    ref: str | None = None


@dataclass(slots=True)
class Row:
    """A row: its number in the file, and either identifiers or a problem.

    ``cells`` are its headings and texts as they stand in the file.
    """

    number: int
    identifiers: list[tuple[str, str]] = field(default_factory=list)
    context: dict[str, Any] = field(default_factory=dict)
    ref: str | None = None
    problem: str | None = None
    cells: list[tuple[str, str]] = field(default_factory=list, compare=False)


def read_rows(stream: BinaryIO, name: str, options: Options) -> Iterator[Row]:
    """Yield the rows of a file, one at a time.

    Args:
        stream: The file's bytes; the caller closes it.
        name: Its name; the ending chooses the form.
        options: Column names and types.

    Raises:
        MalformedError: No column of the file is known, one that the options name is
            not there, or the file is not of its form.
    """
    ending = name.lower().rpartition(".")[2]
    if ending == "xlsx":
        names, cells = workbook(stream)
        yield from _table(_planned(names, options), cells, options)
    elif ending in ("jsonl", "ndjson"):
        yield from _table({}, json_lines(stream), options)
    elif ending in ("csv", "tsv") and options.type is None:
        names, cells = delimited(text_lines(stream), ending)
        yield from _table(_planned(names, options), cells, options)
    else:
        yield from _list(text_lines(stream), options)


def read_refs(stream: BinaryIO, name: str, ref: str) -> Iterator[tuple[int, str]]:
    """Yield (row number, reference) of a file that names cases and nothing else.

    Args:
        stream: The file's bytes; the caller closes it.
        name: Its name; the ending chooses the form.
        ref: The heading of the references.

    Raises:
        MalformedError: There is no such column, or a row cannot be read: the others
            alone are not what was meant.
    """
    ending = name.lower().rpartition(".")[2]
    names = [ref]
    if ending == "xlsx":
        names, cells = workbook(stream)
    elif ending in ("jsonl", "ndjson"):
        cells = json_lines(stream)
    else:
        names, cells = delimited(text_lines(stream), ending)
    _demand_columns(names, [ref])
    for number, row, problem in cells:
        found = [t.strip() for n, t in row if n.casefold() == ref.casefold()]
        if problem or not any(found):
            raise MalformedError(f"row {number} {problem or f'has no {ref}'}")
        yield from ((number, _unguarded(text)) for text in found if text)


def write_rejected(
    stream: TextIO,
    names: Sequence[str],
    rows: Iterable[tuple[int, str, Sequence[tuple[str, str]]]],
) -> None:
    """Write the rows that were not used as CSV, so that they can be mended and read.

    Args:
        stream: A text file opened with ``newline=""``.
        names: The headings of the cells; one that a row can hold several times stands
            here as often.
        rows: Row numbers, reasons, and cells.
    """
    writer = csv.writer(stream)
    writer.writerow(("row", "reason", *map(_guarded, names)))
    for number, reason, cells in rows:
        left = list(cells)
        texts = []
        for name in names:
            found = next((c for c in left if c[0] == name), None)
            if found:
                left.remove(found)
            texts.append(_guarded(found[1]) if found else "")
        writer.writerow((number, _guarded(reason), *texts))


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _unguarded(text: str) -> str:
    """Return a cell without the mark that keeps a spreadsheet from reading it."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text


Plan = dict[str, tuple[str, str]]


def _meaning(name: str, options: Options) -> tuple[str, str]:
    """Return what a column is: ("type", t), ("context", c), ("ref", "") or nothing."""
    folded = name.casefold()
    if options.ref is not None and folded == options.ref.casefold():
        return "ref", ""
    for wanted, kind in options.columns.items():
        if folded == wanted.casefold():
            return "type", kind
    plain = " ".join(folded.replace("_", " ").split())
    if plain.replace(" ", "_") in CONTEXT:
        return "context", plain.replace(" ", "_")
    for form in (plain, plain.replace(" ", "-"), re.sub(r"[\W ]+", " ", plain).strip()):
        if form in COLUMN_NAMES:
            return "type", COLUMN_NAMES[form]
    return "", ""


def _planned(names: list[str], options: Options) -> Plan:
    """Return the plan of a heading.

    Raises:
        MalformedError: It cannot be used with these options.
    """
    _demand_columns(names, (*options.columns, options.ref))
    plan = {n: _meaning(n, options) for n in names}
    _demand_identifier(plan)
    return plan


def _demand_columns(names: Iterable[str], wanted_ones: Iterable[str | None]) -> None:
    there = {n.casefold() for n in names}
    for wanted in wanted_ones:
        if wanted is not None and wanted.casefold() not in there:
            raise MalformedError(
                f"there is no column {wanted}; there are: {_shown(names)}",
                code="unknown-columns",
                advice="Write the column as the file's first line has it.",
            )


def _shown(names: Iterable[str]) -> str:
    return ", ".join(n[:60] for n in names if n)[:600] or "none with a name"


def _demand_identifier(plan: Plan) -> None:
    if not any(what == "type" for what, _ in plan.values()):
        raise MalformedError(
            f"no column is known: {_shown(plan)}",
            code="unknown-columns",
            advice="Name one, as in --column SELLER_MAIL=email.",
        )


def _table(plan: Plan, cells: Cells, options: Options) -> Iterator[Row]:
    for number, row, problem in cells:
        for name in (n for n, _ in row if n not in plan):
            plan[name] = _meaning(name, options)
        if plan:
            _demand_identifier(plan)
        yield _row(number, row, plan, options, problem)


def _row(
    number: int,
    cells: list[tuple[str, str]],
    plan: Plan,
    options: Options,
    problem: str | None,
) -> Row:
    row = Row(number, problem=problem, cells=cells)
    for name, text in cells:
        what, detail = plan[name]
        value = _unguarded(text.strip())
        if not value or not what:
            continue
        try:
            if what == "type":
                row.identifiers.append(
                    (detail, canonicalise(detail, value, options.region))
                )
            elif what == "context":
                _add_context(row.context, detail, value)
            elif problem is None:
                # In a row that is damaged as a whole, no cell is sure to be its own.
                row.ref = value
        except (ValueError, MalformedError) as error:
            row.problem = row.problem or f"{name} {error}"
    if not row.identifiers and not row.problem:
        row.problem = "has no identifier"
    return row


def _add_context(context: dict[str, Any], name: str, text: str) -> None:
    if name in _LISTS:
        parts = [p.strip() for p in re.split(r"[,;|]", text)]
        context.setdefault(name, []).extend(_item(name, p) for p in parts if p)
    else:
        context[name] = _READERS[name](text)


def _item(name: str, text: str) -> Any:
    if name == "goods":
        return _number(text, 1, 45, "goods are classes of the Nice classification")
    if name == "countries":
        if not re.fullmatch("[A-Za-z]{2}", text):
            raise ValueError("should have two-letter country codes")
        return text.upper()
    return text


def _number(text: str, low: int, high: int, why: str = "") -> int:
    if not re.fullmatch("[0-9]{1,3}", text) or not low <= int(text) <= high:
        tail = f"; {why}" if why else ""
        raise ValueError(f"should be a whole number from {low} to {high}{tail}")
    return int(text)


def _choice(known: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        value = text.lower().removeprefix("tlp:").strip().replace(" ", "-")
        if value not in known:
            raise ValueError(f"should be one of {', '.join(known)}")
        return value

    return read


def _seen(text: str) -> str:
    try:
        parse_time(text)
    except MalformedError:
        raise ValueError(
            "should be a date such as 2026-11-24 or a time such as 2026-11-24T09:30:00Z"
        ) from None
    return text


def _note(text: str) -> str:
    if len(text) > 500:
        raise ValueError("has more than 500 characters")
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "basis": _choice(tuple(BASES)),
    "tlp": _choice(tuple(TLP)),
    "confidence": lambda text: _number(text.removesuffix("%").strip(), 0, 100),
    "first_seen": _seen,
    "last_seen": _seen,
    "valid_until": lambda text: render_time(parse_time(_seen(text))),
    "note": _note,
}


def _list(lines: Lines, options: Options) -> Iterator[Row]:
    kind = options.type or "domain"
    if kind not in TYPES:
        raise MalformedError(
            f"{kind} is not an identifier type",
            advice=f"Use one of {', '.join(sorted(TYPES))}.",
        )
    for number, line, problem in lines:
        text = line.strip()
        if not problem and (not text or text[0] in "#!"):
            continue
        row = Row(number, problem=problem, cells=[(kind, text)] if text else [])
        try:
            for value in () if problem else _values(text, kind):
                row.identifiers.append(
                    (kind, canonicalise(kind, value, options.region))
                )
        except ValueError as error:
            row.problem = str(error)
        yield row


def _values(text: str, kind: str) -> list[str]:
    """Return the identifiers of a line of a list.

    Raises:
        ValueError: It does not list what it names.
    """
    if kind not in ("domain", "site", "url"):
        return [text]
    text = _COMMENT.sub("", text)
    if hosts := _HOSTS.fullmatch(text):
        return hosts[1].split()
    if text.startswith("@@"):
        raise ValueError("is an exception of a block list, not an entry")
    pattern = _PATTERN.fullmatch(text)
    if pattern is None:
        return [text.removeprefix("*.")]
    if not _WHOLE.fullmatch(pattern[2] or ""):
        raise ValueError("is a pattern of a part of a site; list the page as a URL")
    return [pattern[1]]
