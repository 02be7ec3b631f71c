"""Screening: one's own sellers against the active reports, locally.

The hub learns how many tokens are asked for and nothing else. :func:`catch_up` brings
the token index up to the heads that were pulled, so an answer is never from behind
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hub.directory import Directory
from hub.feeds import void_ranges
from hub.indicators import Listed, Outlook
from hub.interop.tables import Row
from hub.model import REGISTRY, render_time
from hub.store.base import Store, Transaction
from hub.store.ledger import Ledger
from hub.tokens import Tokenizer
from schemas.fast import read_line
from schemas.identifiers import variants

__all__ = ["alerts", "catch_up", "outlook_of", "screen", "watch"]

PART = 2000


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


def _asked(row: Row) -> list[tuple[str, str, bool]]:
    """Return (type, canonical form, exact) of every token to ask for."""
    asked = [(kind, value, True) for kind, value in row.identifiers]
    for identifier in row.identifiers:
        asked += [(kind, value, False) for kind, value in variants(*identifier)]
    return list(dict.fromkeys(asked))


def screen(
    store: Store,
    tokenizer: Tokenizer,
    outlook: Outlook,
    rows: Iterable[Row],
    *,
    looser: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield one result for each row, in order; memory does not grow with them."""
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == PART:
            yield from _screen(store, tokenizer, outlook, part, looser)
            part = []
    yield from _screen(store, tokenizer, outlook, part, looser)


def _screen(
    store: Store,
    tokenizer: Tokenizer,
    outlook: Outlook,
    part: list[Row],
    looser: bool,
) -> Iterator[dict[str, Any]]:
    # A cell that cannot be read takes nothing from the others of its row.
    asked = {row.number: _asked(row) for row in part}
    wanted = {(k, v) for many in asked.values() for k, v, e in many if e or looser}
    tokens = tokenizer.tokens(sorted(wanted))
    with store.read() as tx:
        found = tx.index.lookup(list(tokens.values()), outlook)
    for row in part:
        hits = [
            (exact, kind, listed)
            for kind, value, exact in asked.get(row.number, ())
            if (kind, value) in tokens
            for listed in found.get(tokens[kind, value], ())
        ]
        yield _result(row, hits)


def _result(row: Row, hits: list[tuple[bool, str, Listed]]) -> dict[str, Any]:
    exact = [h for h in hits if h[0]]
    shown = exact or hits
    match = "exact" if exact else (shown[0][1] if shown else None)
    reports = {str(listed.entry): _report(listed) for _, _, listed in shown}
    return {
        "row": row.number,
        "ref": row.ref,
        "match": match,
        "listed_by": sorted({listed.member for _, _, listed in shown}),
        "disputed": any(listed.disputed for _, _, listed in shown),
        "reports": list(reports.values()),
        **({"problem": row.problem} if row.problem else {}),
    }


def _report(listed: Listed) -> dict[str, Any]:
    return {
        "entry": str(listed.entry),
        "member": listed.member,
        "type": listed.type,
        "basis": listed.basis,
        "confidence": listed.confidence,
        "goods": list(listed.goods),
        "valid_until": render_time(listed.valid_until),
    }


def watch(ledger: Ledger, tokenizer: Tokenizer, rows: Iterable[Row]) -> int:
    """Add rows to the watch list, as tokens only; return how many."""
    count, part = 0, []
    for row in rows:
        if not row.problem:
            part += [(row.ref or f"row {row.number}", i) for i in row.identifiers]
            count += 1
    tokens = tokenizer.tokens([i for _, i in part])
    ledger.watch((tokens[i], ref, i[0], True) for ref, i in part)
    return count


def alerts(store: Store, ledger: Ledger, outlook: Outlook) -> list[dict[str, Any]]:
    """Return what began or ended on the watch list since the last time, once each."""
    watched = list(ledger.watched())
    with store.read() as tx:
        found = tx.index.lookup([token for token, *_ in watched], outlook)
    now = {
        (ref, listed.member, kind): listed
        for token, ref, kind, _ in watched
        for listed in found.get(token, ())
    }
    before = ledger.alerted()
    begun = {k: v for k, v in now.items() if k not in before}
    ended = [k for k in before if k not in now]
    ledger.note_alerts({k: str(v.entry) for k, v in begun.items()}, ended)
    result = [
        {"alert": "listed", "ref": ref, "member": member, "report": _report(listed)}
        for (ref, member, _), listed in sorted(begun.items(), key=lambda i: i[0])
    ]
    result += [
        {
            "alert": "ended",
            "ref": ref,
            "member": member,
            "entry": before[ref, member, t],
        }
        for ref, member, t in sorted(ended)
    ]
    return result
