"""Derived state: which reports count, as a pure function of feeds and a time.

For each member and token the latest report counts that was not withdrawn, erased or
signed under a key closed before it; it is *active* unless it expired or is suspended,
or its member left and its reports were suspended. A withdrawal of a case ends its
earlier reports; a withdrawal of one report ends it and all earlier ones of the same
case and token. A dispute stands on the reports of the same feed, case and token, so
that renewing a disputed report does not shake it off.

An erased line never was: neither does it count, nor does what was said about it. So a
withdrawal of one report that was erased since ends nothing, because who mirrors the
feed only now cannot know what the report was about.

This is the definition, kept simple; the index of a store answers the same question
fast, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.model import EntryName, parse_time

__all__ = ["Listed", "Outlook", "Row", "derive"]


@dataclass(frozen=True, slots=True)
class Listed:
    """One member's active report on a token."""

    entry: EntryName
    type: str
    basis: str
    confidence: int
    goods: tuple[int, ...]
    valid_until: int
    disputed: bool = False

    @property
    def member(self) -> str:
        """Who reported."""
        return self.entry.feed


@dataclass(frozen=True)
class Outlook:
    """What besides the feeds decides: the time, suspensions and who left."""

    now: int
    suspended: Mapping[EntryName, int] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()

    def active(self, name: EntryName, valid_until: int) -> bool:
        """Tell whether a report that counts is active."""
        return (
            valid_until > self.now
            and self.suspended.get(name, 0) <= self.now
            and name.feed not in self.gone
        )


@dataclass(slots=True)
class Row:
    """A report or dispute with what became of it."""

    name: EntryName
    entry: Mapping[str, Any]
    ended: bool = False


def derive(
    feeds: Mapping[str, Iterable[tuple[int, Mapping[str, Any]]]],
    outlook: Outlook,
    erased: frozenset[EntryName] = frozenset(),
) -> dict[str, list[Listed]]:
    """Return the active reports by token (base64), one for each member.

    Args:
        feeds: (index, entry) of each member's feed, without void and unknown lines.
        outlook: Time, suspensions, departures.
        erased: Entries under a standing erasure.
    """
    reports: list[Row] = []
    disputes: list[Row] = []
    for feed, entries in feeds.items():
        own: list[Row] = []
        for index, entry in entries:
            name = EntryName(feed, index)
            if entry["kind"] == "withdrawal":
                _withdraw(own, entry)
            elif entry["kind"] in ("report", "dispute") and name not in erased:
                own.append(Row(name, entry))
        reports += [r for r in own if r.entry["kind"] == "report"]
        disputes += [r for r in own if r.entry["kind"] == "dispute" and not r.ended]
    return _listings(reports, _disputed(reports, disputes, outlook), outlook)


def _withdraw(own: list[Row], entry: Mapping[str, Any]) -> None:
    if "case" in entry:
        for row in own:
            row.ended |= row.entry.get("case") == entry["case"]
        return
    name = EntryName.parse(entry["entry"])
    target = next((r for r in own if r.name == name), None)
    if target is None:
        return
    target.ended = True
    if target.entry["kind"] == "report":
        for row in own:
            same = all(
                row.entry.get(k) == target.entry[k] for k in ("kind", "case", "token")
            )
            row.ended |= same and row.name.index < name.index


def _group(row: Row) -> tuple[str, str, str]:
    return row.name.feed, row.entry["case"], row.entry["token"]


def _disputed(
    reports: list[Row], disputes: list[Row], outlook: Outlook
) -> set[tuple[str, str, str]]:
    by_name = {r.name: r for r in reports}
    found = set()
    for row in disputes:
        reference = row.entry["report"]
        target = by_name.get(EntryName(reference["feed"], reference["entry"]))
        silenced = outlook.suspended.get(row.name, 0) > outlook.now
        if target and not silenced:
            found.add(_group(target))
    return found


def _listings(
    reports: list[Row], disputed: set[tuple[str, str, str]], outlook: Outlook
) -> dict[str, list[Listed]]:
    latest: dict[tuple[str, str], Row] = {}
    for row in reports:
        if not row.ended:
            latest[row.entry["token"], row.name.feed] = row
    result: dict[str, list[Listed]] = {}
    for (token, _), row in sorted(latest.items()):
        until = parse_time(row.entry["valid_until"])
        if outlook.active(row.name, until):
            result.setdefault(token, []).append(
                Listed(
                    row.name,
                    row.entry["type"],
                    row.entry["basis"],
                    row.entry["confidence"],
                    tuple(row.entry.get("goods", ())),
                    until,
                    _group(row) in disputed,
                )
            )
    return result
