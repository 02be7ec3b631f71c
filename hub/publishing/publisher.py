"""Publishing a file: rows are decided about, turned into tokens, packed and posted.

A run that was interrupted first sends what the journal holds, then goes on with the
rows that no batch with a receipt covers; so nothing is published twice and nothing is
lost. Memory does not grow with the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hub.directory import Directory
from hub.errors import HubError, QuotaError, RefusedError
from hub.interop.tables import Row
from hub.publishing.batches import Packer, Piece, packed
from hub.publishing.lines import entry_line
from hub.publishing.outbox import Posted, RefusedBatchError
from hub.publishing.rows import SENT, Identifier, Job, Keys, Plan, Planner, Verdict
from hub.store.cases import Case
from hub.store.journal import Change
from hub.store.ledger import Ledger
from keys.errors import KeysError

__all__ = ["Outcome", "Poster", "Published", "Publisher", "Sink", "Tokens"]

PART = 1000


class Tokens(Keys, Protocol):
    """Turns identifiers into tokens."""

    def tokens(self, identifiers: Iterable[Identifier]) -> Mapping[Identifier, bytes]:
        """Return the token of each identifier."""
        ...


class Poster(Protocol):
    """Posts batches; see :class:`hub.publishing.outbox.Outbox`."""

    def post(
        self, pieces: list[Piece], about: str, fits: Callable[[Piece], bool]
    ) -> Posted:
        """Sign, journal and send, as one batch, those pieces that still fit."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """A row whose reports have a receipt; ``first`` is the index of the first one."""

    number: int
    case: str
    first: int
    count: int
    verdict: Verdict


class Sink(Protocol):
    """Is told what becomes of rows, as soon as it is certain."""

    def published(self, rows: list[Published]) -> None:
        """Take rows whose batch has its receipt."""
        ...

    def rejected(self, row: Row, reason: str) -> None:
        """Take a row that was not published, and why."""
        ...

    def progress(self, number: int) -> None:
        """Take up to which row the file was read and has its tokens."""
        ...


@dataclass
class Outcome:
    """What became of a file, in numbers.

    Args:
        counts: Rows by verdict.
        entries: Entries that were sent.
        batches: Batches that were sent.
        withdrawn: Cases of the list that were withdrawn because it has them no more.
        kept: Cases that it has no more and that were left standing.
        first_run: Whether the list was never published before.
        receipt: Of the last batch.
        stopped: Why the file was not read to its end, or not all of it was done.
    """

    counts: Counter[Verdict] = field(default_factory=Counter)
    entries: int = 0
    batches: int = 0
    withdrawn: list[Case] = field(default_factory=list)
    kept: int = 0
    first_run: bool = False
    receipt: dict[str, Any] | None = None
    stopped: HubError | KeysError | None = None


class Publisher:
    """Publishes files for one member.

    Args:
        ledger: What the member knows.
        directory: The policy and the token keys.
        tokens: Turns identifiers into tokens.
        outbox: Posts batches.
        now: The time that entries claim.
    """

    def __init__(
        self,
        ledger: Ledger,
        directory: Directory,
        tokens: Tokens,
        outbox: Poster,
        now: int,
    ):
        self._ledger, self._directory = ledger, directory
        self._tokens, self._outbox, self._now = tokens, outbox, now

    def publish(self, rows: Iterable[Row], job: Job, sink: Sink) -> Outcome:
        """Publish what is new or changed among the rows of a file.

        What stops it before the end of the file is in the outcome, so that what was
        done before is not forgotten.
        """
        run = self._ledger.cases.new_run(job.list)
        keys = self._tokens
        planner = Planner(self._ledger, self._directory, keys, job, run, self._now)
        one = _Run(self._ledger, planner, self._tokens, self._outbox, job, sink)
        try:
            for part in _parts(rows):
                one.take(part)
            one.flush()
            one.end_of_file()
        except (HubError, KeysError) as error:
            one.outcome.stopped = error
        return one.outcome


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == PART:
            yield part
            part = []
    if part:
        yield part


class _Run:
    """One run over one file."""

    def __init__(
        self,
        ledger: Ledger,
        planner: Planner,
        tokens: Tokens,
        outbox: Poster,
        job: Job,
        sink: Sink,
    ):
        self._ledger, self._cases, self._planner = ledger, ledger.cases, planner
        self._tokens, self._outbox, self._job, self._sink = tokens, outbox, job, sink
        self._packer = Packer()
        self._plans: dict[int, Plan] = {}
        self._unclear: list[bytes] = []
        self.outcome = Outcome(first_run=planner.run == 1)

    def take(self, rows: list[Row]) -> None:
        """Decide about rows, ask for their tokens, and send batches that are full."""
        plans = [self._planner.plan(row) for row in rows]
        self._note(plans)
        todo = [p for p in plans if p.verdict in SENT]
        try:
            tokens = self._tokens.tokens({i for p in todo for i, _ in p.drafts})
        except QuotaError:
            # What has its tokens is sent; the next run asks for the others.
            self.flush()
            raise
        for plan in todo:
            piece = self._planner.piece(plan, tokens)
            self._post(self._packer.add(piece))
            self._plans[plan.row.number] = plan
        if rows:
            self._sink.progress(rows[-1].number)

    def _note(self, plans: list[Plan]) -> None:
        """Note what was seen, so that it is not taken for missing."""
        seen = []
        for plan in plans:
            row, known = plan.row, plan.known
            if known:
                seen.append((known.case, row.number))
                if row.ref and known.ref is None:
                    self._cases.name(known.case, row.ref, self._job.list)
            if plan.verdict not in SENT:
                self.outcome.counts[plan.verdict] += 1
            if plan.verdict is Verdict.REJECTED:
                self._sink.rejected(row, plan.reason)
                self._note_unclear(plan)
        self._cases.see(self._job.list, self._planner.run, seen)
        self._planner.settled(p for p in plans if p.verdict not in SENT)

    def _note_unclear(self, plan: Plan) -> None:
        """Remember a rejected row of which nobody can say which case it was."""
        row = plan.row
        if row.ref is None and row.problem and plan.known is None:
            mark = self._planner.mark_of(row)
            if not self._cases.is_unusable(self._job.list, mark):
                self._unclear.append(mark)

    def flush(self) -> None:
        """Send what was collected."""
        self._post(self._packer.flush())

    def _post(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        plans = {p.row.number: self._plans[p.row.number] for p in pieces if p.row}
        try:
            posted = self._outbox.post(pieces, self._job.about, self._still_fits)
        except RefusedBatchError as error:
            for plan in plans.values():
                self.outcome.counts[Verdict.REJECTED] += 1
                self._sink.rejected(plan.row, f"the hub refused it: {error.reason}")
            raise
        finally:
            self._planner.settled(plans.values())
            for number in plans:
                del self._plans[number]
        self._report(posted, plans)

    def _still_fits(self, piece: Piece) -> bool:
        """Tell whether nobody ended the case of a row since it was decided about."""
        known = self._plans[piece.row.number].known if piece.row else None
        if known is None:
            return True
        now = self._cases.get(known.case)
        return (
            now is not None
            and (now.ended, now.erased) == (known.ended, known.erased)
            and not self._ledger.journal.holds([known.case])
        )

    def _report(self, posted: Posted, plans: dict[int, Plan]) -> None:
        published, place = [], posted.first
        for piece in posted.pieces:
            [change] = piece.changes
            plan = plans.pop(change.number or 0)
            first, count = place + change.place, change.count
            published.append(
                Published(plan.row.number, plan.case, first, count, plan.verdict)
            )
            self.outcome.counts[plan.verdict] += 1
            place += len(piece.lines)
        # Those that are left were withdrawn by another command meanwhile.
        self.outcome.counts[Verdict.WITHDRAWN] += len(plans)
        self._count(posted)
        self._sink.published(published)

    def _count(self, posted: Posted) -> None:
        if posted.pieces:
            self.outcome.receipt = posted.receipt
            self.outcome.batches += 1
            self.outcome.entries += sum(len(p.lines) for p in posted.pieces)

    def end_of_file(self) -> None:
        """Withdraw what the list no longer has, if asked to.

        Raises:
            RefusedError: That would be more than half of the list.
        """
        of_list, run, now = self._job.list, self._planner.run, self._planner.now
        missing = self._cases.missing(of_list, run, now)
        if not missing:
            # Nothing is missing, so no row that cannot be used hides a case.
            self._cases.add_unusable(of_list, self._unclear)
        if not self._job.replace:
            return
        if missing and not self._job.force:
            self._check_safe(missing)
        self._withdraw(missing)
        self._cases.add_unusable(of_list, self._unclear)
        self._cases.forget_unseen(of_list, run)

    def _check_safe(self, missing: list[Case]) -> None:
        self.outcome.kept = len(missing)
        standing = self._cases.standing(self._job.list, self._planner.now)
        if 2 * len(missing) > standing:
            raise RefusedError(
                f"{len(missing)} of the {standing} standing cases of the list "
                f"{self._job.list!r} are not in {self._job.about}; more than half are "
                "not withdrawn unasked",
                code="too-many-withdrawals",
                advice="If the file is the whole list, say --force.",
            )
        if self._unclear:
            raise RefusedError(
                f"{len(missing)} cases are not in {self._job.about}, but "
                f"{len(self._unclear)} rejected rows may be some of them; none was "
                "withdrawn",
                code="unclear-rows",
                advice="Mend or take out the rejected rows, or say --force.",
            )
        self.outcome.kept = 0

    def _withdraw(self, missing: list[Case]) -> None:
        for pieces in packed(map(self._withdrawal, missing)):
            about = f"{self._job.about}, withdrawals"
            posted = self._outbox.post(pieces, about, lambda _piece: True)
            self._count(posted)
            gone = {c.case for p in pieces for c in p.changes}
            self.outcome.withdrawn += [c for c in missing if c.case in gone]

    def _withdrawal(self, case: Case) -> Piece:
        fields = {"case": case.case, "reason": self._job.reason}
        line = entry_line("withdrawal", self._planner.now, **fields)
        change = Change(0, "missing", case.case)
        return Piece((line,), (change,))
