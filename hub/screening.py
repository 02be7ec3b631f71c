"""Screening: one's own sellers against the active reports, locally.

The hub learns how many tokens are asked for and nothing else. :func:`catch_up` brings
the token index up to the heads that were pulled, so an answer is never from behind
them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from hub.directory import Directory
from hub.feeds import void_ranges
from hub.indicators import Listed, Outlook
from hub.interop.tables import Row
from hub.model import REGISTRY, EntryName, render_time
from hub.store.base import Store, Transaction
from hub.store.ledger import Ledger
from hub.tokens import Tokenizer
from schemas.fast import read_line
from schemas.identifiers import variants

__all__ = ["Refs", "catch_up", "describe", "outlook_of", "refs_of", "screen"]

PART = 2000
Refs = Callable[[EntryName], str | None]
"""Returns the member's own reference of its own report, None for all others."""


def outlook_of(directory: Directory, now: int) -> Outlook:
    """Return what besides the feeds decides whether a report is active."""
    gone = frozenset(m for m, how in directory.left.items() if how == "suspended")
    return Outlook(now, directory.suspended, gone)


def catch_up(store: Store, directory: Directory) -> None:
    """Index every feed up to its head; again from 0 when keys were closed since."""
    with store.write() as tx:
        feeds = [f for f in tx.heads.all() if f != REGISTRY]
        voids = {f: void_ranges(tx, directory, f) for f in feeds}
        mark = repr(voids)
        if tx.node.get_meta("voids") not in (None, mark):
            tx.index.clear()
        tx.node.set_meta("voids", mark)
        for feed in feeds:
            _index(tx, feed, voids[feed])
        _silence(tx, directory)


def _silence(tx: Transaction, directory: Directory) -> None:
    """Keep what the registry makes inactive beside the index, when it changed."""
    gone = sorted(outlook_of(directory, 0).gone)
    mark = repr((sorted(directory.suspended.items()), gone))
    if tx.node.get_meta("silenced") != mark:
        tx.index.silence(directory.suspended, gone)
        tx.node.set_meta("silenced", mark)


def _index(tx: Transaction, feed: str, voids: list[range]) -> None:
    head = tx.heads.get(feed)
    start, stop = tx.index.size(feed), head.size if head else 0
    if start >= stop:
        return
    entries: list[tuple[int, dict[str, Any]]] = []
    for line in tx.objects.lines(feed, start, stop):
        if line.raw is None or any(line.index in span for span in voids):
            continue
        entry, _ = read_line(line.raw)
        if entry is not None:
            entries.append((line.index, entry))
    tx.index.add(feed, stop, entries)


def refs_of(ledger: Ledger, member: str) -> Refs:
    """Return what finds the member's own references; read once, when first asked."""
    spans: list[tuple[int, int, str]] | None = None

    def find(name: EntryName) -> str | None:
        nonlocal spans
        if name.feed != member:
            return None
        if spans is None:
            where = "WHERE ref IS NOT NULL AND first IS NOT NULL"
            cases = ledger.cases(where)
            spans = sorted(
                (c["first"], c["first"] + c["count"], c["ref"]) for c in cases
            )
        place = bisect_right(spans, name.index, key=lambda span: span[0]) - 1
        if place < 0 or name.index >= spans[place][1]:
            return None
        return spans[place][2]

    return find


def _no_refs(_name: EntryName) -> None:
    return None


def _every(_listed: Listed) -> bool:
    return True


def screen(
    store: Store,
    tokenizer: Tokenizer,
    outlook: Outlook,
    rows: Iterable[Row],
    *,
    looser: bool = False,
    counts: Callable[[Listed], bool] = _every,
    refs: Refs = _no_refs,
) -> Iterator[dict[str, Any]]:
    """Yield one result for each row, in order; memory does not grow with them.

    A run that stops in the middle, because the quota ends, has yielded whole results
    only, and the tokens that it asked for are cached.

    Args:
        store: The mirror, its index up to date.
        tokenizer: Makes tokens.
        outlook: Time, suspensions, departures.
        rows: The rows of a file.
        looser: Ask for sites and mailboxes too.
        counts: Tells whether a report is wanted at all.
        refs: Own references of own reports.

    Raises:
        QuotaError: The quota is used up.
        UnavailableError: Too few nodes answer.
    """
    left = iter(rows)
    while part := list(islice(left, PART)):
        # A cell that cannot be read takes nothing from the others of its row.
        asked = [_asked(row, looser=looser) for row in part]
        tokens = tokenizer.tokens(i for forms in asked for i in forms)
        with store.read() as tx:
            found = tx.index.lookup(list(tokens.values()), outlook)
        for row, forms in zip(part, asked, strict=True):
            hits = [
                (match, listed)
                for identifier, match in forms.items()
                for listed in found.get(tokens[identifier], ())
                if counts(listed)
            ]
            yield _result(row, hits, refs)


def _asked(row: Row, *, looser: bool) -> dict[tuple[str, str], str]:
    """Return the identifiers to ask for, the exact ones first, with how they match."""
    forms = dict.fromkeys(row.identifiers, "exact")
    if looser:
        for identifier in row.identifiers:
            for variant in variants(*identifier):
                forms.setdefault(variant, variant[0])
    return forms


def _result(row: Row, hits: list[tuple[str, Listed]], refs: Refs) -> dict[str, Any]:
    # An exact match says more than any looser one, so it hides those.
    exact = [hit for hit in hits if hit[0] == "exact"]
    shown = exact or hits
    reports = {
        str(listed.entry): describe(listed, refs)
        for _, listed in sorted(shown, key=lambda hit: hit[1].entry)
    }
    return {
        "row": row.number,
        "ref": row.ref,
        "match": shown[0][0] if shown else None,
        "listed_by": sorted({listed.member for _, listed in shown}),
        "disputed": any(listed.disputed for _, listed in shown),
        "reports": list(reports.values()),
        **({"problem": row.problem} if row.problem else {}),
    }


def describe(listed: Listed, refs: Refs = _no_refs) -> dict[str, Any]:
    """Return a report as screening, alerts and lists show it."""
    return {
        "entry": str(listed.entry),
        "member": listed.member,
        "type": listed.type,
        "basis": listed.basis,
        "confidence": listed.confidence,
        "goods": list(listed.goods),
        "valid_until": render_time(listed.valid_until),
        **_if_known("first_seen", listed.first_seen),
        **_if_known("last_seen", listed.last_seen),
        **_if_known("ref", refs(listed.entry)),
    }


def _if_known(key: str, value: str | None) -> dict[str, str]:
    return {key: value} if value else {}
