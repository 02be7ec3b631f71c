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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.model import EntryName, parse_time

__all__ = [
    "Ended",
    "Fate",
    "Listed",
    "Outlook",
    "Reported",
    "Row",
    "derive",
    "follow",
    "why_ended",
]


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
    first_seen: str | None = None
    last_seen: str | None = None

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


@dataclass(frozen=True, slots=True)
class Reported:
    """One report, and the index of the withdrawal that ended it first."""

    name: EntryName
    valid_until: int
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one report: ``withdrawn`` is the reason that was given."""

    name: EntryName
    valid_until: int = 0
    withdrawn: str | None = None
    erased: bool = False
    void: bool = False

    @property
    def counts(self) -> bool:
        """Whether nothing but time and registry can make it inactive."""
        return self.withdrawn is None and not self.erased and not self.void


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a member lists a token no more.

    ``why`` is ``erased``, ``key-closed``, ``withdrawn`` (then ``reason`` is the word of
    the withdrawal), ``member-left``, ``suspended`` or ``expired``.
    """

    entry: EntryName
    why: str
    reason: str | None = None


def why_ended(known: EntryName, fates: Sequence[Fate], outlook: Outlook) -> Ended:
    """Return why a member's reports on a token are not active any more.

    Args:
        known: The report that was known to be active.
        fates: Every report of that member on that token, oldest first, the known one
            among them.
        outlook: Time, suspensions, departures.
    """
    own = next(f for f in fates if f.name == known)
    if own.erased:
        return Ended(known, "erased")
    if own.void:
        return Ended(known, "key-closed")
    if own.withdrawn is not None:
        return Ended(known, "withdrawn", own.withdrawn)
    # It may have been renewed; then the newest report that counts decides.
    newest = [f for f in fates if f.counts][-1]
    if newest.name.feed in outlook.gone:
        return Ended(newest.name, "member-left")
    if outlook.suspended.get(newest.name, 0) > outlook.now:
        return Ended(newest.name, "suspended")
    if newest.valid_until > outlook.now:
        raise AssertionError("the member still lists the token")
    return Ended(newest.name, "expired")


@dataclass(slots=True)
class Row:
    """A report or dispute, and the index of the withdrawal that ended it first."""

    name: EntryName
    entry: Mapping[str, Any]
    ended: int | None = None


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
        own = follow(feed, entries, erased)
        reports += [r for r in own if r.entry["kind"] == "report"]
        disputes += [r for r in own if r.entry["kind"] == "dispute" and r.ended is None]
    return _listings(reports, _disputed(reports, disputes, outlook), outlook)


def follow(
    feed: str,
    entries: Iterable[tuple[int, Mapping[str, Any]]],
    erased: frozenset[EntryName] = frozenset(),
) -> list[Row]:
    """Return the reports and disputes of a feed, and what withdrew them."""
    own = _Feed()
    for index, entry in entries:
        name = EntryName(feed, index)
        if entry["kind"] == "withdrawal":
            own.withdraw(index, entry)
        elif entry["kind"] in ("report", "dispute") and name not in erased:
            own.add(Row(name, entry))
    return list(own.rows.values())


class _Feed:
    """A feed's rows so far, and by case those that a withdrawal can still end."""

    def __init__(self) -> None:
        self.rows: dict[EntryName, Row] = {}
        self._cases: dict[str, list[Row]] = {}

    def add(self, row: Row) -> None:
        self.rows[row.name] = row
        if "case" in row.entry:
            self._cases.setdefault(row.entry["case"], []).append(row)

    def withdraw(self, index: int, entry: Mapping[str, Any]) -> None:
        for row in self._named(entry):
            if row.ended is None:
                row.ended = index

    def _named(self, entry: Mapping[str, Any]) -> list[Row]:
        """Return the rows that a withdrawal ends, ended ones among them."""
        if "case" in entry:
            # What came before ended here, so nobody looks at it again.
            return self._cases.pop(entry["case"], [])
        target = self.rows.get(EntryName.parse(entry["entry"]))
        if target is None or target.entry["kind"] != "report":
            return [target] if target else []
        token, last = target.entry["token"], target.name.index
        case = self._cases.get(target.entry["case"], ())
        earlier = [r for r in case if r.name.index < last and r.entry["token"] == token]
        return [*earlier, target]


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
        if row.ended is None:
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
                    row.entry.get("first_seen"),
                    row.entry.get("last_seen"),
                )
            )
    return result
