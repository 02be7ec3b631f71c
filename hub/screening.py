"""Screening: one's own sellers against the active reports, locally.

The hub learns how many tokens are asked for and nothing else. What was pulled counts in
every answer: the token index is brought up to it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from hub.indexing import Current, caught_up, outlook_of
from hub.indicators import Listed, Outlook
from hub.interop.tables import Row
from hub.model import EntryName, render_time
from hub.store.base import Store
from hub.store.ledger import Ledger
from hub.tokens import Tokenizer
from schemas.identifiers import variants

__all__ = ["Refs", "describe", "forms_of", "outlook_of", "refs_of", "screen"]

PART = 2000
Refs = Callable[[EntryName], str | None]
"""Returns the member's own reference of its own report, None for all others."""


def refs_of(ledger: Ledger, member: str) -> Refs:
    """Return what finds the member's own references."""

    def find(name: EntryName) -> str | None:
        return ledger.cases.ref_at(name.index) if name.feed == member else None

    return find


def _no_refs(_name: EntryName) -> None:
    return None


def _every(_listed: Listed) -> bool:
    return True


def screen(
    store: Store,
    current: Current,
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
        store: The mirror.
        current: Returns the directory as of a transaction.
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
        asked = [forms_of(row, looser=looser) for row in part]
        tokens = tokenizer.tokens(i for forms in asked for i in forms)
        with caught_up(store, current) as tx:
            found = tx.index.lookup(list(tokens.values()), outlook)
        for row, forms in zip(part, asked, strict=True):
            hits = [
                (match, listed)
                for identifier, match in forms.items()
                for listed in found.get(tokens[identifier], ())
                if counts(listed)
            ]
            yield _result(row, hits, refs)


def forms_of(row: Row, *, looser: bool) -> dict[tuple[str, str], str]:
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
