r"""Plain reports: those that one regular expression proves valid and takes apart.

Nearly every line of a feed is a report as ``hub publish`` writes it: compact, in ASCII,
its fields in the order of the schema and without a free-text note. The expression for
it is made from the JSON Schema of a report, so there is no second truth, and it only
ever says yes: whatever it does not match, valid or not, is for ``schemas.fast``.

Why a match is a valid line, as :func:`schemas.fast.read_line` would say:

- It is canonical JSON: every name stands at most once and in one place, there are no
  blanks, numbers are written out one by one (``50``, never ``50.0``), and no text holds
  a quote, a backslash or anything outside printable ASCII.
- Each value matches the pattern, the words or the bounds of its field, and what is
  required is not optional in the expression.
- A field whose form the expression does not know (a note, evidence) is left out of it,
  as is every field that the rule of a report looks at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from schemas.base import MAX_LINE, VISIBLE
from schemas.entry import Report
from schemas.fast import json_schema

__all__ = ["PlainReport", "plain_report"]

# Patterns made of this match letters, digits and a few signs and nothing else, so that
# a text in JSON is the value itself and ends where its quote stands.
_SAFE = re.compile(
    r"(?:\[(?:[0-9]-[0-9]|[A-Z]-[A-Z]|[a-z]-[a-z]|[A-Za-z0-9+/])*-?\]"
    r"|\(\?:|[)|?]|\{[0-9]+(?:,[0-9]+)?\}|[A-Za-z0-9+/=:-])*"
)
_WORD = re.compile(r"[a-z0-9+-]+")
_PRINTABLE = r"[ !#-\[\]-~]"


class PlainReport(NamedTuple):
    """What the index and the audit need of a plain report, as text."""

    type: str
    token: str
    key: str
    case: str
    basis: str
    confidence: str
    valid_until: str
    goods: str | None
    """The numbers with commas between them, ``18,25``; None without the field."""
    first_seen: str | None
    last_seen: str | None


def plain_report(line: bytes) -> PlainReport | None:
    """Return the fields of a line that is plainly a valid report, else None.

    None says nothing of the line: ask :func:`schemas.fast.read_line`.
    """
    try:
        found = _fullmatch()(line.decode("ascii"))
    except UnicodeDecodeError:
        return None
    if found is None or len(line) > MAX_LINE:
        return None
    return PlainReport._make(found.groups())


@cache
def _fullmatch() -> Callable[[str], re.Match[str] | None]:
    rules = json_schema("report")
    # The kind leads, then what every entry has, then the fields in their order.
    names = ["kind", *(name for name in Report().fields if name != "kind")]
    parts = []
    for name in names:
        form = None if name in Report.ruled else _form(rules["properties"][name])
        if form is not None:
            start, value, end = form
            value = f"({value})" if name in PlainReport._fields else value
            field = f'{"" if name == "kind" else ","}"{name}":{start}{value}{end}'
            parts.append(field if name in rules["required"] else f"(?:{field})?")
        elif name in rules["required"]:
            raise AssertionError("every required field has a plain form")
    return re.compile(rf"\{{{''.join(parts)}\}}").fullmatch


def _form(rules: dict[str, Any]) -> tuple[str, str, str] | None:
    """Return an expression for a value, without and with what encloses it in JSON."""
    if rules.get("type") == "array":
        inner = _form(rules["items"])
        if inner is None or rules["minItems"]:
            return None
        item = "".join(inner)
        return r"\[", rf"(?:{item}(?:,{item}){{0,{rules['maxItems'] - 1}}})?", r"\]"
    if rules.get("type") == "integer":
        return ("", _numbers(rules["minimum"], rules["maximum"]), "")
    text = _text(rules)
    return None if text is None else ('"', text, '"')


def _text(rules: dict[str, Any]) -> str | None:
    words, pattern = rules.get("enum", ()), rules.get("pattern", "")
    if words and all(map(_WORD.fullmatch, words)):
        return f"(?:{'|'.join(map(re.escape, words))})"
    if pattern == f"^(?:{VISIBLE})$":
        return f"{_PRINTABLE}{{{rules['minLength']},{rules['maxLength']}}}"
    pattern = pattern.removeprefix("^").removesuffix("$")
    return pattern if pattern and _SAFE.fullmatch(pattern) else None


def _numbers(low: int, high: int) -> str:
    """Return an expression for the numbers of a small range as JSON writes them."""
    if low < 0 or high - low > 1000:
        raise AssertionError("a plain number lies in a small range")
    by_start: dict[str, str] = {}
    for number in map(str, range(low, high + 1)):
        by_start[number[:-1]] = by_start.get(number[:-1], "") + number[-1]
    by_end: dict[str, list[str]] = {}
    for start, ends in by_start.items():
        by_end.setdefault(ends, []).append(start)
    several = [f"{_starts(starts)}[{ends}]" for ends, starts in by_end.items()]
    return f"(?:{'|'.join(several)})"


def _starts(starts: list[str]) -> str:
    optional = "?" if "" in starts else ""
    return f"(?:{'|'.join(filter(None, starts))}){optional}" if any(starts) else ""
