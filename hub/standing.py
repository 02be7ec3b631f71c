"""What became of an entry: whether it counts, and who ended it, when, and why.

Everything is read from a mirror's snapshot in which the index is as far as the heads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hub.directory import Directory
from hub.errors import RefusedError
from hub.feeds import void_ranges
from hub.indicators import Listed, Outlook
from hub.model import REGISTRY, EntryName, parse_time, render_time
from hub.store.base import Transaction
from hub.store.index_port import Filed
from hub.tlog.batch import is_header
from keys.encoding import from_base64, to_base64
from schemas.fast import read_line

__all__ = [
    "Standing",
    "active_reports",
    "first_naming",
    "latest",
    "read_entry",
    "standing_of",
]

_PAGE = 1000
Entry = dict[str, Any]


@dataclass
class Standing:
    """An entry and what became of it.

    Args:
        name: Which entry.
        digest: Of its line.
        entry: Its fields, or None when the line is erased or not understood.
        state: ``erased``, ``void``, ``withdrawn``, ``suspended``, ``expired``,
            ``renewed``, or ``active``; ``recorded`` for what cannot be active.
        why: What made it so, oldest first: each with ``state``, ``by``, ``at`` and,
            where there is one, ``reason``.
        disputes: Disputes that stand on it: ``by``, ``at`` and ``reason``.
        batch: The batch that holds it.
    """

    name: EntryName
    digest: bytes
    entry: Entry | None
    state: str = "recorded"
    why: list[Entry] = field(default_factory=list)
    disputes: list[Entry] = field(default_factory=list)
    batch: Entry = field(default_factory=dict)


def read_entry(tx: Transaction, name: EntryName) -> Entry:
    """Return the fields of an entry that is there.

    Raises:
        RefusedError: It is not in the mirror, erased, or not understood.
    """
    entry = _line(tx, name)[1]
    if entry is None:
        raise RefusedError(f"{name} is erased or no entry that is understood here")
    return entry


def _line(tx: Transaction, name: EntryName) -> tuple[bytes, Entry | None]:
    """Return the digest and the fields of an entry.

    Raises:
        RefusedError: It is not in the mirror.
    """
    if name.index >= tx.objects.size(name.feed):
        raise RefusedError(
            f"{name} is not in the mirror", code="not-found", advice="Run hub pull."
        )
    [line] = tx.objects.lines(name.feed, name.index, name.index + 1)
    hidden = tx.erasures.hidden(name.feed, name.index, name.index + 1)
    if line.raw is None or hidden:
        return line.digest, None
    if is_header(line.raw):
        return line.digest, {"kind": "batch"}
    return line.digest, read_line(line.raw, registry=name.feed == REGISTRY)[0]


def standing_of(
    tx: Transaction, directory: Directory, name: EntryName, now: int
) -> Standing:
    """Return an entry and what became of it.

    Raises:
        RefusedError: It is not in the mirror.
    """
    digest, entry = _line(tx, name)
    found = Standing(name, digest, entry)
    found.batch = _batch(tx, directory, name)
    found.why = [
        *_erased(tx, name),
        *_void(tx, directory, name),
        *_withdrawn(tx, name, entry),
    ]
    if entry and entry["kind"] == "report":
        found.why += _of_report(tx, directory, name, entry, now)
        found.disputes = list(_disputes(tx, name, entry))
    if entry and entry["kind"] in ("report", "dispute", "action"):
        found.state = "active"
    if found.why:
        found.state = found.why[0]["state"]
    return found


def active_reports(
    tx: Transaction, outlook: Outlook, feeds: Iterable[str]
) -> Iterator[tuple[Filed, Listed]]:
    """Yield the active reports of feeds by their places; memory does not grow."""
    for feed in feeds:
        start = 0
        while page := tx.index.page(feed, start, _PAGE):
            found = tx.index.lookup([filed.token for filed in page], outlook)
            for filed in page:
                for listed in found.get(filed.token, ()):
                    if listed.entry == filed.name:
                        yield filed, listed
            start = page[-1].name.index + 1


def _batch(tx: Transaction, directory: Directory, name: EntryName) -> Entry:
    row = tx.batches.at(name.feed, name.index)
    if row is None:
        raise AssertionError("every entry stands in a batch")
    batch: Entry = {"first": row.first, "size": row.stop, "id": to_base64(row.batch_id)}
    names = [directory.key_name(k) for k in directory.keys if k.public == row.key]
    if names:
        batch["signed_by"] = names[0]
    over = tx.heads.checkpoints(name.feed, row.stop, 1)
    if over:
        size = over[0][0]
        witnesses = tx.heads.cosignatures(name.feed, size)
        batch["checkpoint"] = size
        batch["witnessed"] = sorted({w.node for w in witnesses})
    return batch


def _erased(tx: Transaction, name: EntryName) -> Iterator[Entry]:
    for order in tx.erasures.orders(name.feed, name.index, name.index + 1):
        if not order.voided:
            yield {
                "state": "erased",
                "by": order.by,
                "at": render_time(order.stored_at),
                "reason": "deleted" if order.deleted else "hidden",
            }


def _void(tx: Transaction, directory: Directory, name: EntryName) -> Iterator[Entry]:
    if name.feed == REGISTRY:
        return
    if any(name.index in span for span in void_ranges(tx, directory, name.feed)):
        yield {"state": "void", "by": REGISTRY, "reason": "its key was closed before"}


def _withdrawn(
    tx: Transaction, name: EntryName, entry: Entry | None
) -> Iterator[Entry]:
    if entry is None or entry["kind"] not in ("report", "dispute", "action"):
        return
    if entry["kind"] == "report":
        token = from_base64(entry["token"])
        reports = tx.index.reports_of(name.feed, token)
        ends = [r.ended for r in reports if r.name == name and r.ended is not None]
    else:
        # Seldom asked, and in no index: read on from the entry itself.
        found = first_naming(tx, name)
        ends = [] if found is None else [found]
    for index in ends:
        by = EntryName(name.feed, index)
        withdrawal = _line(tx, by)[1] or {}
        yield _cause("withdrawn", by, withdrawal)


def _cause(state: str, by: EntryName, entry: Entry) -> Entry:
    given = {"at": entry.get("at"), "reason": entry.get("reason")}
    return {"state": state, "by": str(by), **{k: v for k, v in given.items() if v}}


def first_naming(tx: Transaction, name: EntryName) -> int | None:
    """Return the first later withdrawal that names an entry, by reading on from it."""
    stop, wanted = tx.objects.size(name.feed), str(name)
    for line in tx.objects.lines(name.feed, name.index + 1, stop):
        if line.raw is None or not line.raw.startswith(b'{"kind":"withdrawal"'):
            continue
        entry = read_line(line.raw)[0] or {}
        if entry.get("entry") == wanted:
            return line.index
    return None


def latest(tx: Transaction, feed: str, token: bytes) -> EntryName | None:
    """Return a member's report on a token that counts, active or not."""
    reports = tx.index.reports_of(feed, token)
    return next((r.name for r in reversed(reports) if r.ended is None), None)


def _of_report(
    tx: Transaction, directory: Directory, name: EntryName, entry: Entry, now: int
) -> Iterator[Entry]:
    until = directory.suspended.get(name, 0)
    if until > now:
        yield {**_suspension(tx, name), "until": render_time(until)}
    if directory.left.get(name.feed) == "suspended":
        yield {"state": "suspended", "by": REGISTRY, "reason": "its member left"}
    newest = latest(tx, name.feed, from_base64(entry["token"]))
    if newest is not None and newest.index > name.index:
        yield _cause("renewed", newest, _line(tx, newest)[1] or {})
    if parse_time(entry["valid_until"]) <= now:
        yield {"state": "expired", "by": str(name), "at": entry["valid_until"]}


def _suspension(tx: Transaction, name: EntryName) -> Entry:
    """Return which entry of the registry suspends an entry last."""
    found: Entry = {"state": "suspended", "by": REGISTRY}
    wanted = str(name)
    for line in tx.objects.lines(REGISTRY, 0, tx.objects.size(REGISTRY)):
        if line.raw is None or b'"suspension"' not in line.raw[:40]:
            continue
        entry = read_line(line.raw, registry=True)[0] or {}
        if wanted in entry.get("entries", ()):
            by = EntryName(REGISTRY, line.index)
            reason = {**entry, "reason": entry.get("ground")}
            found = _cause("suspended", by, reason)
    return found


def _disputes(tx: Transaction, name: EntryName, entry: Entry) -> Iterator[Entry]:
    """Yield the disputes on the same case and token, whichever report they name."""
    token = from_base64(entry["token"])
    for filed in tx.index.reports_in(name.feed, entry["case"]):
        if filed.token == token:
            for by in tx.index.disputes_of(filed.name):
                yield _cause("disputed", by, _line(tx, by)[1] or {})
