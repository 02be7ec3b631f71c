"""What is said after publication: withdrawals, renewals, actions, erasures.

All of it is made from the own mirror, without any identifier: a renewal copies the
token of the report that it renews.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.directory import Directory
from hub.errors import HubError, MalformedError, RefusedError
from hub.feeds import check_report
from hub.model import EntryName, parse_time, render_time
from hub.publishing.batches import Piece
from hub.publishing.lines import entry_line, report_line, valid_days
from hub.publishing.naming import Named
from hub.standing import first_naming, read_entry
from hub.store.base import Transaction
from hub.store.journal import Change
from keys.encoding import from_base64
from schemas.base import SchemaError
from schemas.fast import check_line

__all__ = ["Renewal", "about", "erasures", "renewals", "standing_in", "withdrawals"]

_DAY = 86_400
_MOST = 1000
_OWN = frozenset({"kind", "salt", "at", "token", "valid_until"})


def standing_in(tx: Transaction, feed: str, case: str) -> list[EntryName]:
    """Return the reports of a case that nothing has ended, expired ones too."""
    return [
        filed.name
        for filed in tx.index.reports_in(feed, case)
        if any(
            r.name == filed.name and r.ended is None
            for r in tx.index.reports_of(feed, filed.token)
        )
    ]


def withdrawals(
    tx: Transaction,
    feed: str,
    named: Iterable[Named],
    now: int,
    *,
    entry_only: bool = False,
    **fields: Any,
) -> tuple[list[Piece], list[Named]]:
    """Return the withdrawals of what was named, and what is withdrawn already.

    Args:
        tx: A snapshot of the mirror.
        feed: The member.
        named: Cases and entries; a case is withdrawn once.
        now: The time that entries claim.
        entry_only: Withdraw named entries alone, not their cases.
        fields: ``reason`` and ``note``.
    """
    pieces, already = [], []
    seen: set[str] = set()
    for one in named:
        alone = one.entry is not None and (entry_only or one.case is None)
        target = str(one.entry) if alone else str(one.case)
        if target in seen:
            continue
        seen.add(target)
        piece = (
            _of_entry(tx, one, now, fields)
            if alone
            else _of_case(tx, feed, target, now, fields)
        )
        if piece is None:
            already.append(one)
        else:
            pieces.append(piece)
    return pieces, already


def _of_case(
    tx: Transaction, feed: str, case: str, now: int, fields: Mapping[str, Any]
) -> Piece | None:
    if not standing_in(tx, feed, case):
        return None
    line = entry_line("withdrawal", now, case=case, **fields)
    return Piece((line,), (Change(0, "withdrawn", case),))


def _of_entry(
    tx: Transaction, one: Named, now: int, fields: Mapping[str, Any]
) -> Piece | None:
    if one.entry is None:
        raise AssertionError("an entry was named")
    name, changes = one.entry, []
    if one.kind == "report" and one.case:
        left = standing_in(tx, name.feed, one.case)
        if name not in left:
            return None
        token = from_base64(read_entry(tx, name)["token"])
        # It ends the earlier reports of its token too.
        gone = {r.name for r in tx.index.reports_of(name.feed, token) if r.name <= name}
        if gone.issuperset(left):
            changes = [Change(0, "withdrawn", one.case)]
    elif _is_withdrawn(tx, name):
        return None
    line = entry_line("withdrawal", now, entry=str(name), **fields)
    return Piece((line,), tuple(changes))


def _is_withdrawn(tx: Transaction, name: EntryName) -> bool:
    return first_naming(tx, name) is not None


def about(tx: Transaction, feed: str, what: str, named: Named | None) -> dict[str, Any]:
    """Return the fields with which an action names what it is about.

    Args:
        tx: A snapshot of the mirror.
        feed: The member.
        what: As it was named.
        named: What that means among the member's own, if anything.

    Raises:
        RefusedError: It is neither an own case nor a report of anybody.
    """
    if named is not None and named.case is not None:
        return {"case": named.case}
    try:
        name = EntryName.parse(what)
        entry = read_entry(tx, name)
    except HubError:
        entry = {}
    if entry.get("kind") != "report":
        raise RefusedError(
            f"{what} is neither a case of {feed} nor a report",
            code="not-found",
            advice="Name a reference or case of yours, or any report's entry.",
        )
    return {k: entry[k] for k in ("token", "type", "key")}


@dataclass
class Renewal:
    """What is renewed, and what cannot be: (entry, why)."""

    pieces: list[Piece] = field(default_factory=list)
    renewed: list[EntryName] = field(default_factory=list)
    refused: list[tuple[EntryName, str]] = field(default_factory=list)


def renewals(
    tx: Transaction,
    directory: Directory,
    groups: Iterable[tuple[str, list[EntryName]]],
    now: int,
    until: int | None = None,
) -> Renewal:
    """Return the renewals of reports, by case.

    Args:
        tx: A snapshot of the mirror.
        directory: The policy and the token keys.
        groups: Cases with reports that count.
        now: The time that entries claim.
        until: When they end now; by default they last as long as before.
    """
    result = Renewal()
    for case, names in groups:
        lines, ends = [], []
        for name in names:
            try:
                line, end = _renewed(read_entry(tx, name), directory, now, until)
            except MalformedError as error:
                result.refused.append((name, error.message))
                continue
            lines.append(line)
            ends.append(end)
            result.renewed.append(name)
        if lines:
            change = Change(0, "renewed", case, count=len(lines), until=min(ends))
            result.pieces.append(Piece(tuple(lines), (change,)))
    return result


def _renewed(
    entry: Mapping[str, Any], directory: Directory, now: int, until: int | None
) -> tuple[bytes, int]:
    before = parse_time(entry["valid_until"])
    end = until
    if end is None:
        most = valid_days(directory, entry["basis"]) * _DAY
        end = now + min(before - parse_time(entry["at"]), most)
    if end <= before:
        raise MalformedError(f"valid_until: is {entry['valid_until']} already")
    kept = {k: v for k, v in entry.items() if k not in _OWN}
    fields = {**kept, "valid_until": render_time(end)}
    line = report_line(fields, from_base64(entry["token"]), now)
    try:
        check_report(directory, check_line(line))
    except SchemaError as error:
        raise MalformedError(str(error)) from None
    return line, end


def erasures(
    tx: Transaction, feed: str, named: Iterable[Named], now: int, ground: str
) -> tuple[list[Piece], list[EntryName]]:
    """Return the orders to erase what was named, and the entries that they name.

    All entries of a named case are erased, withdrawn and renewed ones too. Those under
    an order already are left out.
    """
    wanted = {name: case for one in named for name, case in _lines_of(tx, feed, one)}
    hidden = _hidden(tx, feed, wanted)
    left = sorted(name for name in wanted if name.index not in hidden)
    pieces = []
    for start in range(0, len(left), _MOST):
        part = left[start : start + _MOST]
        indices = [name.index for name in part]
        line = entry_line("erasure", now, indices=indices, ground=ground)
        cases = sorted({case for n in part if (case := wanted[n])})
        changes = tuple(Change(0, "erased", case) for case in cases)
        pieces.append(Piece((line,), changes))
    return pieces, left


def _lines_of(
    tx: Transaction, feed: str, one: Named
) -> Iterator[tuple[EntryName, str | None]]:
    if one.entry is not None:
        yield one.entry, one.case
    elif one.case is not None:
        for filed in tx.index.reports_in(feed, one.case):
            yield filed.name, one.case


def _hidden(tx: Transaction, feed: str, names: Iterable[EntryName]) -> set[int]:
    return {n.index for n in names if tx.erasures.hidden(feed, n.index, n.index + 1)}
