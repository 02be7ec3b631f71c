"""What is to be said about a row: a pure decision over the row and the ledger.

A row with an own reference is the case of that reference in its list; a row without one
is the case that has exactly its identifiers. A known row whose content is the same says
nothing new, unless its report ended by itself. A changed row keeps its case.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from hub.directory import Directory, TokenKey
from hub.errors import HubError, MalformedError
from hub.interop.tables import Row
from hub.interop.warninglists import is_shared_site
from hub.model import new_case_id
from hub.publishing.batches import MAX_BODY, Piece
from hub.publishing.lines import ReportDraft, entry_line, report_line
from hub.store.cases import Case
from hub.store.journal import Change
from hub.store.ledger import Ledger
from hub.tlog.batch import MAX_ENTRIES
from schemas.identifiers import variants

__all__ = [
    "SENT",
    "Identifier",
    "Job",
    "Keys",
    "Plan",
    "Planner",
    "Verdict",
    "identifiers_hash",
]

Identifier = tuple[str, str]
Guard = Callable[[str, str], str | None]
_WITHDRAWAL_BYTES = 512


class Verdict(StrEnum):
    """What becomes of a row."""

    NEW = "new"
    CHANGED = "changed"
    RENEWED = "renewed"
    RESTORED = "restored"
    UNCHANGED = "unchanged"
    REPEATED = "repeated"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"


SENT = frozenset({Verdict.NEW, Verdict.CHANGED, Verdict.RENEWED, Verdict.RESTORED})
"""The verdicts of rows that are published."""


class Keys(Protocol):
    """Knows the token key of an identifier type."""

    def key_for(self, kind: str) -> TokenKey:
        """Return the active token key of an identifier type."""
        ...


@dataclass(frozen=True)
class Job:
    """How a file is to be published.

    Args:
        about: What it is, for messages.
        list: The list that the file is an edition of.
        named: Whether somebody named the list, rather than the reference's column.
        as_site: Publish the registrable domain of hosts too, unless it is shared.
        again: Publish rows of withdrawn and erased cases as well.
        replace: Withdraw what the list no longer has.
        reason: Why those are withdrawn.
        force: Withdraw however many they are.
        guard: Says of (type, canonical form) why it must not be published, or None.
    """

    about: str
    list: str
    named: bool = False
    as_site: bool = False
    again: bool = False
    replace: bool = False
    reason: str = "resolved"
    force: bool = False
    guard: Guard = lambda _kind, _value: None


@dataclass(slots=True)
class Plan:
    """The decision about a row, with what is needed to carry it out."""

    row: Row
    verdict: Verdict
    reason: str = ""
    case: str = ""
    known: Case | None = None
    drafts: list[tuple[Identifier, ReportDraft]] = field(default_factory=list)
    identifiers: bytes = b""
    content: bytes = b""


def identifiers_hash(secret: bytes, identifiers: Iterable[Identifier]) -> bytes:
    """Return the hash by which a row without a reference is recognised."""
    return _hash(secret, sorted(set(identifiers)))


def _hash(secret: bytes, value: object) -> bytes:
    text = json.dumps(value, sort_keys=True)
    return hmac.digest(secret, text.encode(), "sha256")


class Planner:
    """Decides about the rows of one run over a file, in their order.

    Args:
        ledger: What the member knows; only read here.
        directory: The policy and the token keys.
        keys: Knows the active token keys.
        job: How the file is to be published.
        run: The number of this run over the list.
        now: The time that entries claim.
    """

    def __init__(
        self,
        ledger: Ledger,
        directory: Directory,
        keys: Keys,
        job: Job,
        run: int,
        now: int,
    ):
        self._ledger, self._cases = ledger, ledger.cases
        self._directory, self._keys, self._job = directory, keys, job
        self.run, self.now = run, now
        # Rows of this run that the ledger does not have as seen yet, by reference and
        # by identifiers: case, content, row number.
        self._open: dict[object, tuple[str, bytes, int]] = {}

    def plan(self, row: Row) -> Plan:
        """Decide about a row."""
        plan = self._decide(row)
        if plan.verdict is not Verdict.REJECTED:
            said = (plan.case, plan.content, row.number)
            self._open.setdefault(self._name(plan), said)
            self._open.setdefault(plan.identifiers, said)
        return plan

    def settled(self, plans: Iterable[Plan]) -> None:
        """Forget rows that the ledger knows by now, or that were refused."""
        for plan in plans:
            for name in (self._name(plan), plan.identifiers):
                if self._open.get(name, ("", b"", 0))[2] == plan.row.number:
                    del self._open[name]

    @staticmethod
    def _name(plan: Plan) -> object:
        return plan.row.ref or plan.identifiers

    def mark_of(self, row: Row) -> bytes:
        """Return a hash that recognises an unusable row when it comes again."""
        return self._hash(["unusable", row.cells])

    def _hash(self, value: object) -> bytes:
        return _hash(self._ledger.secret, value)

    def _decide(self, row: Row) -> Plan:
        plan = Plan(row, Verdict.REJECTED)
        if row.identifiers:
            secret = self._ledger.secret
            plan.identifiers = identifiers_hash(secret, row.identifiers)
        try:
            plan.known = self._find(row, plan.identifiers)
            if row.problem:
                raise MalformedError(row.problem)
            sent = self._sent(row)
            self._check_guard(sent)
            plan.content = self._content(sent, row.context)
            plan.case = plan.known.case if plan.known else new_case_id()
            plan.verdict = self._verdict(plan)
            if plan.verdict in SENT:
                plan.drafts = self._drafts(plan, sent)
        except HubError as error:
            plan.verdict, plan.reason = Verdict.REJECTED, error.message
        return plan

    def _find(self, row: Row, identifiers: bytes) -> Case | None:
        if row.ref is None:
            found = self._cases.by_identifiers(identifiers) if identifiers else []
            return found[0] if found else None
        named = self._cases.by_ref(row.ref)
        # Ledgers of before there were lists have references without one.
        own = [c for c in named if c.list in (self._job.list, None)]
        if own:
            return own[0]
        if named and not self._job.named:
            other, here = named[0].list, self._job.list
            raise MalformedError(
                f"reference {row.ref} was published from the list {other!r}: say "
                f"--list {other!r} if it is the same case, or --list {here!r} if it "
                "is another one"
            )
        unnamed = self._cases.by_identifiers(identifiers) if identifiers else []
        return next((c for c in unnamed if c.ref is None), None)

    def _sent(self, row: Row) -> list[Identifier]:
        exact = list(dict.fromkeys(row.identifiers))
        sites = [v for i in exact for v in variants(*i) if v[0] == "site"]
        wider = [s for s in sites if self._job.as_site and not is_shared_site(s[1])]
        sent = list(dict.fromkeys([*exact, *wider]))
        if len(sent) >= MAX_ENTRIES:
            raise MalformedError(f"has more than {MAX_ENTRIES - 1} identifiers")
        return sent

    def _check_guard(self, sent: Iterable[Identifier]) -> None:
        for identifier in sent:
            if reason := self._job.guard(*identifier):
                raise MalformedError(reason)

    def _content(self, sent: Iterable[Identifier], context: Mapping[str, Any]) -> bytes:
        # With its token key: once a key is replaced, what was published under the
        # old one is found by nobody, so every row of it counts as changed.
        keyed = sorted((k, v, self._keys.key_for(k).name) for k, v in sent)
        return self._hash([keyed, dict(context)])

    def _verdict(self, plan: Plan) -> Verdict:
        if earlier := self._earlier(plan):
            _, content, number = earlier
            if content == plan.content:
                return Verdict.REPEATED
            what = f"reference {plan.row.ref}" if plan.row.ref else "the same case"
            raise MalformedError(
                f"{what} stands in row {number} with other content; one row is one case"
            )
        if plan.known is None:
            return Verdict.NEW
        return self._known_verdict(plan, plan.known)

    def _known_verdict(self, plan: Plan, known: Case) -> Verdict:
        same = known.content == plan.content
        if known.hidden and not self._job.again:
            if same:
                return Verdict.UNCHANGED
            raise MalformedError(
                "entries of this case were erased; take out what is not to be known, "
                "and publish the rest with --again"
            )
        if known.withdrawn == "withdrawn" and same and not self._job.again:
            return Verdict.WITHDRAWN
        if known.withdrawn or known.hidden:
            return Verdict.RESTORED
        if not same:
            return Verdict.CHANGED
        # A row that says itself until when it holds has ended as it said.
        lapsed = known.expired(self.now) and "valid_until" not in plan.row.context
        return Verdict.RENEWED if lapsed else Verdict.UNCHANGED

    def _earlier(self, plan: Plan) -> tuple[str, bytes, int] | None:
        """Return what this run said before about the same case."""
        if found := self._open.get(self._name(plan)):
            return found
        if plan.known is None:
            return None
        seen = self._cases.seen(self._job.list, plan.known.case)
        if seen is None or seen[0] != self.run:
            return None
        return plan.known.case, plan.known.content, seen[1]

    def _drafts(
        self, plan: Plan, sent: list[Identifier]
    ) -> list[tuple[Identifier, ReportDraft]]:
        drafts = []
        for identifier in sent:
            key = self._keys.key_for(identifier[0]).name
            draft = ReportDraft.of(
                self._directory,
                self.now,
                identifier[0],
                key,
                plan.case,
                plan.row.context,
            )
            drafts.append((identifier, draft))
        weight = sum(d.size + 1 for _, d in drafts) + _WITHDRAWAL_BYTES
        if weight > MAX_BODY:
            raise MalformedError("is too large for one batch")
        return drafts

    def piece(self, plan: Plan, tokens: Mapping[Identifier, bytes]) -> Piece:
        """Return the entries of a plan: what ends first, then what holds now.

        A withdrawal ends only what came before it, so in one batch it ends the old
        reports of the case and leaves the new ones.
        """
        lines = [report_line(d.fields, tokens[i], self.now) for i, d in plan.drafts]
        before: list[bytes] = []
        ends = plan.verdict in (Verdict.CHANGED, Verdict.RESTORED)
        if ends and plan.known and not plan.known.withdrawn:
            fields = {"case": plan.case, "reason": "superseded"}
            before = [entry_line("withdrawal", self.now, **fields)]
        change = Change(
            len(before),
            "reported",
            plan.case,
            plan.row.number,
            plan.row.ref,
            self._job.list,
            plan.identifiers,
            plan.content,
            len(lines),
            min(d.until for _, d in plan.drafts),
            self.run,
        )
        return Piece((*before, *lines), (change,), plan.row)
