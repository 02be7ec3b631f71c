"""Lines of entries as a member writes them, checked as the home will check them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hub.directory import Directory
from hub.errors import MalformedError
from hub.feeds import check_report
from hub.model import new_salt, parse_time, render_time
from keys.encoding import to_base64
from schemas.base import SchemaError, render_line
from schemas.fast import check_line, json_schema

__all__ = ["DEFAULT_DAYS", "ReportDraft", "entry_line", "report_line", "valid_days"]

DEFAULTS = {"basis": "open-source-investigation", "confidence": 50}
DEFAULT_DAYS = 365
_SECONDS = 86_400


def entry_line(kind: str, now: int, **fields: Any) -> bytes:
    """Return a checked line of any kind.

    Raises:
        MalformedError: A field is wrong; the message names it.
    """
    entry = {"kind": kind, "salt": new_salt(), "at": render_time(now), **fields}
    line = render_line(entry)
    try:
        check_line(line)
    except SchemaError as error:
        raise MalformedError(str(error)) from None
    return line


def valid_days(directory: Directory, basis: str) -> int:
    """Return for how many days a report of a basis may be valid."""
    return directory.policy.valid_days.get(basis, 730)


@dataclass(frozen=True, slots=True)
class ReportDraft:
    """A report that lacks only its token; all of it was checked.

    Args:
        fields: Everything but token and salt.
        until: ``valid_until`` in POSIX seconds.
        size: The bytes of the finished line.
    """

    fields: Mapping[str, Any]
    until: int
    size: int

    @classmethod
    def of(
        cls,
        directory: Directory,
        now: int,
        identifier_type: str,
        key: str,
        case: str,
        context: Mapping[str, Any],
    ) -> ReportDraft:
        """Make a draft from a row's context.

        Raises:
            MalformedError: The home would refuse it; the message names the field.
        """
        fields = {**DEFAULTS, **context}
        days = min(DEFAULT_DAYS, valid_days(directory, str(fields["basis"])))
        fields.setdefault("valid_until", render_time(now + days * _SECONDS))
        fields |= {"type": identifier_type, "key": key, "case": case}
        line = report_line(fields, bytes(32), now)
        try:
            entry = check_line(line)
        except SchemaError as error:
            raise MalformedError(str(error)) from None
        until = parse_time(str(fields["valid_until"]))
        if until <= now:
            raise MalformedError("valid_until: lies in the past")
        check_report(directory, entry)
        return cls(fields, until, len(line))


def report_line(fields: Mapping[str, Any], token: bytes, now: int) -> bytes:
    """Return the line of a report; a token of another value changes no length."""
    entry: dict[str, Any] = {
        "kind": "report",
        "salt": new_salt(),
        "at": render_time(now),
    }
    entry |= {"token": to_base64(token), **fields}
    # In the order of the schema a mirror recognises a report at a glance.
    known = {name: entry.pop(name) for name in _order() if name in entry}
    return render_line({**known, **entry})


@cache
def _order() -> tuple[str, ...]:
    return "kind", *json_schema("report")["properties"]
