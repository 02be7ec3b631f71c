"""Watching: what began and what ended for the sellers on the watch list.

:func:`watch` puts sellers on the list as tokens; :func:`news` compares the list with
the active reports and with what was alerted before, and notes each begin and each end
once. Memory grows with what changed, not with the list.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from hub.directory import Directory
from hub.feeds import void_ranges
from hub.indexing import Current, caught_up, outlook_of
from hub.indicators import Ended, Fate, Listed, Outlook, why_ended
from hub.interop.tables import Row
from hub.model import EntryName, render_time
from hub.screening import Refs, describe
from hub.store.base import Store, Transaction
from hub.store.watching import Change, Listing, Watched, Watching
from hub.tokens import Tokenizer
from schemas.fast import read_line
from schemas.identifiers import variants

__all__ = ["Added", "active_keys", "news", "watch"]

PART = 1000
Alert = dict[str, Any]


@dataclass
class Added:
    """What became of the rows that were to be watched."""

    sellers: int = 0
    added: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)


def watch(
    watching: Watching,
    tokenizer: Tokenizer,
    rows: Iterable[Row],
    *,
    name: str,
    looser: bool = False,
) -> Added:
    """Put rows on the watch list, as tokens only.

    A run that stops in the middle, because the quota ends, leaves what it added; the
    next one finds those tokens in the cache.

    Args:
        watching: The watch list.
        tokenizer: Makes tokens.
        rows: The rows of a file.
        name: What rows without a reference are called after, with their number.
        looser: Watch sites and mailboxes too.

    Raises:
        QuotaError: The quota is used up.
        UnavailableError: Too few nodes answer.
    """
    result = Added()
    left = iter(rows)
    while part := list(islice(left, PART)):
        wanted: list[tuple[str, tuple[str, str], str]] = []
        for row in part:
            if row.problem:
                result.rejected.append({"row": row.number, "reason": row.problem})
            ref = row.ref or f"{name} row {row.number}"
            wanted += ((ref, i, match) for i, match in _forms(row, looser=looser))
            result.sellers += bool(row.identifiers)
        tokens = tokenizer.tokens([i for _, i, _ in wanted])
        result.added += watching.add(
            Watched(tokens[i], ref, i[0], match, tokenizer.key_for(i[0]).name)
            for ref, i, match in wanted
        )
    return result


def _forms(row: Row, *, looser: bool) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield (identifier, how it matches) of a row."""
    for identifier in row.identifiers:
        yield identifier, "exact"
        if looser:
            yield from ((v, v[0]) for v in variants(*identifier))


def active_keys(directory: Directory) -> list[str]:
    """Return the names of the token keys under which new reports are published."""
    classes = {key.token_class for key in directory.token_keys.values()}
    found = map(directory.active_token_key, sorted(classes))
    return [key.name for key in found if key is not None]


def news(
    store: Store,
    current: Current,
    watching: Watching,
    now: int,
    *,
    ways: Sequence[str],
    refs: Refs,
    new_id: Callable[[], str] = lambda: secrets.token_hex(16),
) -> list[Alert]:
    """Note what began or ended on the watch list, and put the alerts into the outbox.

    Args:
        store: The mirror.
        current: Returns the directory as of a transaction.
        watching: The watch list.
        now: The time.
        ways: How alerts are delivered.
        refs: Own references of own reports.
        new_id: Names each alert, so that its receiver can tell a repetition.

    Returns:
        The alerts: begins before ends, each by reference.
    """
    changes: list[Change] = []
    with caught_up(store, current) as tx:
        directory = current(tx)
        outlook = outlook_of(directory, now)
        reasons = _Reasons(tx, directory, outlook)
        for watched, standing in watching.parts():
            found = tx.index.lookup([w.token for w in watched], outlook)
            changes += _compare(watched, standing, found, refs, reasons)
    changes.sort(key=lambda c: (c.ended, c.listing.ref, c.listing.entry))
    for change in changes:
        if change.alert is not None:
            change.alert.update(id=new_id(), at=render_time(now))
    return watching.note(changes, ways, now)


def _compare(
    watched: list[Watched],
    standing: list[Listing],
    found: dict[bytes, list[Listed]],
    refs: Refs,
    reasons: _Reasons,
) -> Iterator[Change]:
    """Yield what changed in a part of the watch list."""
    before = {(s.token, s.ref, s.member): s for s in standing}
    for one in watched:
        for listed in found.get(one.token, ()):
            where = (one.token, one.ref, listed.member)
            now = Listing(*where, str(listed.entry), one.match)
            old = before.pop(where, None)
            if old is None:
                yield Change(now, _begin(now, listed, refs))
            elif old != now:
                yield Change(now, None)
    for listing in before.values():
        ended = reasons.of(listing)
        if ended is not None:
            yield Change(listing, _end(listing, ended), ended=True)


def _begin(listing: Listing, listed: Listed, refs: Refs) -> Alert:
    return {
        "alert": "listed",
        "ref": listing.ref,
        "match": listing.match,
        "member": listing.member,
        "disputed": listed.disputed,
        "report": describe(listed, refs),
    }


def _end(listing: Listing, ended: Ended) -> Alert:
    return {
        "alert": "ended",
        "ref": listing.ref,
        "match": listing.match,
        "member": listing.member,
        "entry": str(ended.entry),
        "why": ended.why,
        **({"reason": ended.reason} if ended.reason else {}),
    }


class _Reasons:
    """Finds in the mirror why listings ended."""

    def __init__(self, tx: Transaction, directory: Directory, outlook: Outlook):
        self._tx, self._directory, self._outlook = tx, directory, outlook
        self._void: dict[str, list[range]] = {}

    def of(self, listing: Listing) -> Ended | None:
        """Return why a listing ended, or None if this mirror cannot know yet.

        A mirror that was restored from a copy is behind what was alerted; nothing of
        that ended, and the next pull brings it back.
        """
        known = EntryName.parse(listing.entry)
        if known.index >= self._tx.index.size(known.feed):
            return None
        reports = self._tx.index.reports_of(known.feed, listing.token)
        fates = [
            Fate(r.name, r.valid_until, self._reason(known.feed, r.ended))
            for r in reports
        ]
        if known not in {f.name for f in fates}:
            fates.insert(0, self._gone(known))
        return why_ended(known, fates, self._outlook)

    def _gone(self, name: EntryName) -> Fate:
        """Return the fate of a report that does not count any more."""
        spans = self._void.get(name.feed)
        if spans is None:
            spans = void_ranges(self._tx, self._directory, name.feed)
            self._void[name.feed] = spans
        void = any(name.index in span for span in spans)
        return Fate(name, erased=not void, void=void)

    def _reason(self, feed: str, withdrawal: int | None) -> str | None:
        if withdrawal is None:
            return None
        line = next(self._tx.objects.lines(feed, withdrawal, withdrawal + 1))
        entry = read_line(line.raw)[0] if line.raw is not None else None
        return str((entry or {}).get("reason", "other"))
