r"""Strict JSON lines, and the fields that schemas are made of.

A line is a UTF-8 JSON object without a newline:

- at most 16 KiB, nested at most 32 deep;
- no key twice in an object, no floats (``50.0`` and ``5e1`` neither), integers within
  2^53, no NUL and no raw control characters;
- compact or not: a line is hashed as it is and never written anew, so one with blanks
  between its tokens is as good as one without.

>>> parse_json_line(b'{"kind":"report","goods":[18,25]}')
{'kind': 'report', 'goods': [18, 25]}

Within a line, binary is canonical padded base64, a time is RFC 3339 in UTC and whole
seconds (``2026-11-24T08:00:00Z``, from 1970 on), a day is ``2026-11-24``, and free text
holds no control characters and none that reorder what surrounds it.

Every form here means the same to marshmallow and to JSON Schema: patterns match the
whole text and have no ``\d`` or ``\s``, whose extent differs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, ClassVar, NoReturn

import orjson
from marshmallow import (
    RAISE,
    Schema,
    ValidationError,
    fields,
    validate,
    validates_schema,
)

__all__ = [
    "Base64",
    "EntrySchema",
    "FullMatch",
    "Kind",
    "Number",
    "OneOf",
    "SchemaError",
    "StrictSchema",
    "Text",
    "Time",
    "Word",
    "load_json",
    "parse_json_line",
    "refuse_numbers",
    "render_line",
]

Entry = dict[str, Any]
Problem = tuple[str, str] | None

MAX_LINE = 16 * 1024
MAX_DEPTH = 32
MAX_INTEGER = 2**53

NAME = "[a-z0-9-]{1,32}"
# A member, and so its feed, bears none of the reserved words.
MEMBER = f"(?!(?:registry|member|auditor|node|officer|batch)$){NAME}"
ENTRY_NAME = f"{NAME}/(?:0|[1-9][0-9]{{0,15}})"
TOKEN_KEY = "(?:open|scarce)-[1-9][0-9]{0,5}"  # noqa: S105 - A name.
ALLIANCE = "[a-z0-9](?:[a-z0-9.-]{0,98}[a-z0-9])?"
URL = r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"

_CONTROL = re.compile(rb"[\x00-\x1f]")
# Days that exist, written out so that both validators know them, leap years included:
# a year is one if it divides by 4, and a century only if it divides by 400.
_DAY = (
    "(?:(?:19[7-9][0-9]|[2-9][0-9]{3})-"
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:19(?:7[26]|8[048]|9[26])"
    "|[2-9][0-9](?:0[48]|[2468][048]|[13579][26])"
    "|(?:[2468][048]|[3579][26])00)-02-29)"
)
_CLOCK = "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"
# C0 and C1 controls, line separators, and what overrides the direction of text: a
# terminal or a page would obey them.
_HIDDEN = r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069"
VISIBLE = f"[^{_HIDDEN}]*"
_VISIBLE_LINES = rf"(?:[^{_HIDDEN}]|[\n\t])*"


class SchemaError(ValueError):
    """A value does not have the required form.

    Args:
        message: What is wrong, and what is expected instead.
        field: The field it is wrong in, if one can be named.
    """

    def __init__(self, message: str, field: str = ""):
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def load_json(line: bytes) -> Entry:
    """Read a line strictly, but for floats and NULs, which a schema refuses anyway.

    Raises:
        SchemaError: Not such a line.
    """
    if len(line) > MAX_LINE:
        raise SchemaError(f"a line has at most {MAX_LINE} bytes; shorten a field")
    try:
        value = orjson.loads(line)
        # What is written back byte for byte has no key twice, no blanks and no integer
        # that became a float; anything else takes the slow way, which says why.
        if orjson.dumps(value) != line:
            value = _load_slowly(line)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        # orjson reads deeper nesting than it writes.
        value = _load_slowly(line)
    if type(value) is not dict:
        raise SchemaError("an entry is a JSON object, such as {…}")
    return value


def parse_json_line(line: bytes) -> Entry:
    """Read a line strictly.

    Raises:
        SchemaError: Not such a line.
    """
    value = load_json(line)
    refuse_numbers(value.values())
    if b"\\u0000" in line:
        _refuse_hidden(value, MAX_DEPTH)
    return value


def _load_slowly(line: bytes) -> Any:
    if _CONTROL.search(line):
        raise SchemaError("a raw control character; a line is one line of JSON")
    try:
        value = json.loads(
            line.decode("utf-8"),
            object_pairs_hook=_pairs,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
        )
    except SchemaError:
        raise
    except UnicodeDecodeError:
        raise SchemaError("not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"not JSON: {error}") from None
    refuse_numbers((value,), MAX_DEPTH + 1)
    _refuse_hidden(value, MAX_DEPTH)
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> Entry:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SchemaError("the key occurs twice; keep one", twice[:60])
    return found


def _refuse_float(text: str) -> NoReturn:
    raise SchemaError(f"{text[:30]} is not an integer; numbers have no fraction")


def _refuse_hidden(value: Any, depth: int) -> None:
    """Refuse NULs and halves of surrogate pairs, which Python's parser lets through."""
    if depth < 0:
        raise SchemaError(f"nested deeper than {MAX_DEPTH}; an entry is flat")
    if type(value) is str:
        if "\0" in value or not _encodes(value):
            raise SchemaError("a NUL character or half of a surrogate pair")
    elif type(value) is dict:
        _refuse_hidden(list(value), depth)
        for item in value.values():
            _refuse_hidden(item, depth - 1)
    elif type(value) is list:
        for item in value:
            _refuse_hidden(item, depth - 1)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def refuse_numbers(values: Iterable[object], depth: int = MAX_DEPTH) -> None:
    """Refuse floats, and integers that not every reader keeps exactly.

    Raises:
        SchemaError: Such a number is among the values, however deep.
    """
    if depth < 0:
        raise SchemaError(f"nested deeper than {MAX_DEPTH}; an entry is flat")
    for value in values:
        kind = type(value)
        if kind is str:
            continue
        if kind is int and not -MAX_INTEGER <= value <= MAX_INTEGER:  # type: ignore[operator]
            raise SchemaError("an integer beyond 2^53; write it as text")
        if kind is float:
            _refuse_float(str(value))
        if kind is list:
            refuse_numbers(value, depth - 1)  # type: ignore[arg-type]
        elif kind is dict:
            refuse_numbers(value.values(), depth - 1)  # type: ignore[attr-defined]


def render_line(entry: Entry) -> bytes:
    """Return the compact line of an entry, its fields in their order."""
    return orjson.dumps(entry)


class FullMatch(validate.Regexp):
    """A pattern for the whole text; a plain ``$`` lets a final newline through."""

    def __init__(self, pattern: str, *, error: str):
        # JSON Schema gets the anchored form: there, a pattern matches any part.
        super().__init__(f"^(?:{pattern})$", error=error)
        self._whole = re.compile(pattern)

    def __call__(self, value: str) -> str:  # type: ignore[override]
        """Return the value if the whole of it matches.

        Raises:
            ValidationError: It does not.
        """
        if not self._whole.fullmatch(value):
            raise ValidationError(self._format_error(value))
        return value


class Word(fields.String):
    """Text that matches a pattern from its first to its last character."""

    def __init__(self, pattern: str, expected: str, **more: Any):
        check = FullMatch(pattern, error=f"{expected} is expected")
        super().__init__(validate=check, **more)


class Base64(Word):
    """Canonical padded base64 of ``size`` bytes: spare bits of the end are 0."""

    def __init__(self, size: int, **more: Any):
        full, rest = divmod(size, 3)
        tail = {
            0: "",
            1: "[A-Za-z0-9+/][AQgw]==",
            2: "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=",
        }
        pattern = f"[A-Za-z0-9+/]{{{4 * full}}}{tail[rest]}"
        super().__init__(pattern, f"padded base64 of {size} bytes", **more)


class Time(fields.String):
    """A time in UTC, or, with ``day``, also a day."""

    def __init__(self, *, day: bool = False, **more: Any):
        pattern = f"{_DAY}(?:{_CLOCK})?" if day else f"{_DAY}{_CLOCK}"
        form = "2026-11-24 or 2026-11-24T08:00:00Z" if day else "2026-11-24T08:00:00Z"
        match = FullMatch(pattern, error=f"a UTC time such as {form} is expected")
        super().__init__(validate=match, **more)


class Number(fields.Integer):
    """An integer within a range, never a float or a boolean."""

    def __init__(self, low: int, high: int = MAX_INTEGER, **more: Any):
        error = f"an integer from {low} to {high} is expected"
        check = validate.Range(low, high, error=error)
        super().__init__(
            strict=True, validate=check, error_messages={"invalid": error}, **more
        )


class OneOf(fields.String):
    """One of a few words."""

    def __init__(self, words: Iterable[str], **more: Any):
        words = tuple(words)
        error = f"one of {', '.join(words)} is expected"
        super().__init__(validate=validate.OneOf(words, error=error), **more)


class Kind(OneOf):
    """The kind that a schema is for."""

    def __init__(self, name: str):
        super().__init__((name,), required=True)


class Text(fields.String):
    """Free text of limited length; ``lines`` allows newlines and tabs in it."""

    def __init__(self, low: int, high: int, *, lines: bool = False, **more: Any):
        size = validate.Length(low, high, error=f"{low} to {high} characters expected")
        pattern = _VISIBLE_LINES if lines else VISIBLE
        error = "text without control characters is expected"
        super().__init__(validate=[size, FullMatch(pattern, error=error)], **more)


class StrictSchema(Schema):
    """A schema that refuses keys it does not know, and says so to JSON Schema."""

    class Meta:
        """Unknown keys are refused."""

        unknown = RAISE


class EntrySchema(StrictSchema):
    """What every entry but a header has: ``kind``, ``salt`` and ``at``.

    ``salt`` is 16 random bytes, so that an entry's digest reveals nothing of it; ``at``
    is when the entry was made, as its author claims.
    """

    ruled: ClassVar[tuple[str, ...]] = ()
    """The fields that :meth:`rule` looks at."""

    salt = Base64(16, required=True)
    at = Time(required=True)

    @staticmethod
    def rule(_entry: Entry) -> Problem:
        """Return (field, problem) of what no field states alone, or None."""
        return None

    @validates_schema
    def _check_rule(self, data: Entry, **_more: Any) -> None:
        problem = type(self).rule(data)
        if problem:
            raise ValidationError(problem[1], problem[0])
