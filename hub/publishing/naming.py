"""What a member calls its own: a reference, a case, or an entry."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hub.errors import HubError, RefusedError
from hub.model import EntryName
from hub.standing import read_entry
from hub.store.base import Transaction
from hub.store.ledger import Ledger

__all__ = ["Named", "Names"]

_CASE = re.compile("[a-z2-7]{16}")


@dataclass(frozen=True, slots=True)
class Named:
    """Something of the member's own that was named.

    Args:
        what: As it was named.
        case: The case, but for a dispute or an action without one.
        entry: The entry, if one was named.
        kind: The kind of that entry.
    """

    what: str
    case: str | None
    entry: EntryName | None = None
    kind: str = "report"


class Names:
    """Finds what names mean.

    Args:
        tx: A snapshot in which the index is as far as the heads.
        ledger: Knows the references.
        feed: The member.
    """

    def __init__(self, tx: Transaction, ledger: Ledger, feed: str):
        self._tx, self._ledger, self._feed = tx, ledger, feed

    def find(self, what: str, of_list: str | None = None) -> Named | None:
        """Return what a name means, or None when it means nothing.

        Args:
            what: A reference, a case, or an entry.
            of_list: The list that a reference is of; by default any.

        Raises:
            RefusedError: It is the reference of several standing cases
                (``ambiguous``).
        """
        if case := self._by_ref(what, of_list):
            return Named(what, case)
        if _CASE.fullmatch(what) and self._is_case(what):
            return Named(what, what)
        return self._entry(what) if "/" in what else None

    def _by_ref(self, ref: str, of_list: str | None) -> str | None:
        found = self._ledger.cases.by_ref(ref)
        if of_list is not None:
            found = [c for c in found if c.list in (of_list, None)]
        standing = [c for c in found if not c.withdrawn] or found[:1]
        if len(standing) > 1:
            cases = ", ".join(f"{c.case} of the list {c.list!r}" for c in standing)
            raise RefusedError(
                f"{ref} is the reference of several cases: {cases}",
                code="ambiguous",
                advice="Name the case, or the list with --list.",
            )
        return standing[0].case if standing else None

    def _is_case(self, what: str) -> bool:
        known = self._ledger.cases.get(what) is not None
        return known or bool(self._tx.index.reports_in(self._feed, what))

    def _entry(self, what: str) -> Named | None:
        try:
            name = EntryName.parse(what)
            if name.feed != self._feed:
                return None
            entry = read_entry(self._tx, name)
        except HubError:
            return None
        if entry["kind"] not in ("report", "dispute", "action"):
            return None
        case = entry.get("case") if entry["kind"] == "report" else None
        return Named(what, case, name, entry["kind"])
