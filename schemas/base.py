"""Strict JSON lines and the fields that every entry shares.

An entry is a UTF-8 JSON object on one line, at most 16 KiB, without duplicate keys,
floats, NUL characters or integers beyond 2^53. Binary is padded canonical base64.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn

import orjson
from marshmallow import RAISE, Schema, ValidationError, fields, validate

__all__ = [
    "Base64",
    "EntrySchema",
    "FullMatch",
    "SchemaError",
    "Time",
    "check_time",
    "parse_json_line",
    "render_line",
]

MAX_LINE = 16 * 1024
_LIMIT = 2**53
# An escaped NUL, and not an escaped backslash before the letters u0000.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
ENTRY_NAME = r"^(registry|[a-z0-9-]{1,32})/(0|[1-9][0-9]{0,15})$"
NAME = r"^[a-z0-9-]{1,32}$"


class SchemaError(ValueError):
    """A value does not have the required form.

    Args:
        message: What is wrong.
        field: The field it is wrong in, if one can be named.
    """

    def __init__(self, message: str, field: str = ""):
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def _refuse_float(_text: str) -> NoReturn:
    raise SchemaError("numbers are integers")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise SchemaError("a key occurs twice")
    return found


def _walk(values: Iterable[object]) -> None:
    """Refuse floats, and integers that not every reader keeps exactly."""
    for value in values:
        kind = type(value)
        if kind is str:
            continue
        if kind is int and not -_LIMIT <= value <= _LIMIT:  # type: ignore[operator]
            raise SchemaError("integers lie within 2^53")
        if kind is float:
            raise SchemaError("numbers are integers")
        if kind is list:
            _walk(value)  # type: ignore[arg-type]
        elif kind is dict:
            _walk(value.values())  # type: ignore[attr-defined]


def parse_json_line(line: bytes) -> dict[str, Any]:
    """Read a line strictly.

    Raises:
        SchemaError: Not such a line.
    """
    if len(line) > MAX_LINE:
        raise SchemaError(f"a line has at most {MAX_LINE} bytes")
    try:
        value = orjson.loads(line)
        # What is written back byte for byte has neither duplicate keys nor escapes
        # that hide something; anything else takes the slow way.
        if b"\\u0000" in line or orjson.dumps(value) != line:
            value = json.loads(
                line.decode("utf-8"),
                object_pairs_hook=_pairs,
                parse_float=_refuse_float,
                parse_constant=_refuse_float,
            )
            if _NUL.search(json.dumps(value)):
                raise SchemaError("a NUL character")  # noqa: TRY301 - One way out.
        if not isinstance(value, dict):
            raise SchemaError("an entry is a JSON object")  # noqa: TRY301 - The same.
        _walk(value.values())
    except SchemaError:
        raise
    except (TypeError, RecursionError):
        # orjson writes 254 levels and says TypeError beyond, though it reads 1024.
        raise SchemaError("nested too deeply") from None
    except ValueError as error:
        raise SchemaError(f"not JSON: {error}") from None
    return value


def render_line(entry: dict[str, Any]) -> bytes:
    """Return the compact line of an entry."""
    return orjson.dumps(entry)


class FullMatch(validate.Regexp):
    """A pattern for the whole string; plain ``$`` lets a final newline through."""

    def __call__(self, value: str) -> str:  # type: ignore[override]
        """Return the value if the whole of it matches."""
        if not re.fullmatch(str(self.regex.pattern), value):
            raise ValidationError(self._format_error(value))
        return value


@lru_cache(maxsize=8192)
def check_time(value: str) -> None:
    """Refuse a time or date that does not exist.

    Raises:
        ValidationError: No such day or time.
    """
    form = "%Y-%m-%d" if len(value) == 10 else "%Y-%m-%dT%H:%M:%SZ"
    try:
        datetime.strptime(value, form).replace(tzinfo=UTC)
    except ValueError:
        raise ValidationError("no such time") from None


def Base64(size: int, **more: Any) -> fields.String:  # noqa: N802 - Reads as a field.
    """Return a field of canonical base64 of ``size`` bytes."""
    full, rest = divmod(size, 3)
    tail = {0: "", 1: "[AQgw]==", 2: "[AEIMQUYcgkosw048]="}[rest]
    body = 4 * full + rest
    pattern = f"^[A-Za-z0-9+/]{{{body}}}{tail}$"
    check = FullMatch(pattern, error=f"base64 of {size} bytes expected")
    return fields.String(validate=check, **more)


def Time(*, date: bool = False, **more: Any) -> fields.String:  # noqa: N802 - The same.
    """Return a field of an RFC 3339 time in UTC, or also of a date."""
    day = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    clock = "T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
    pattern = f"{day}({clock})?$" if date else f"{day}{clock}$"
    error = "a UTC time like 2026-11-24T08:00:00Z expected"
    return fields.String(validate=[FullMatch(pattern, error=error), check_time], **more)


def Word(pattern: str, error: str, **more: Any) -> fields.String:  # noqa: N802
    """Return a field whose whole text matches a pattern."""
    return fields.String(validate=FullMatch(pattern, error=error), **more)


def Number(low: int, high: int = _LIMIT, **more: Any) -> fields.Integer:  # noqa: N802
    """Return a field of an integer within a range."""
    return fields.Integer(strict=True, validate=validate.Range(low, high), **more)


class EntrySchema(Schema):
    """What every entry but a header has: ``kind``, ``salt`` and ``at``."""

    class Meta:
        """Unknown keys are refused."""

        unknown = RAISE

    salt = Base64(16, required=True)
    at = Time(required=True)
