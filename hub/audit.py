"""Audit: re-derive everything from the lines and compare. Trusts only the pin.

Works on any store: a client's mirror or a node's own database. Every fault becomes a
finding with a stable kind and the audit goes on with the next feed, so that one report
names all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub.directory import Directory, Pin
from hub.errors import HubError, MalformedError
from hub.model import REGISTRY, origin_of, render_time
from hub.registry import new_replay
from hub.store.base import Store, Transaction
from hub.tlog.batch import digests_of
from hub.tlog.checkpoint import open_checkpoint
from hub.tlog.merkle import Frontier, leaf_hashes
from hub.verifier import OpenBatch, check_entries, open_header
from keys.errors import KeysError
from schemas.fast import read_line
from schemas.identifiers import IdentifierError, token_class
from schemas.plain import plain_report

__all__ = ["Finding", "Report", "audit"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: its kind, the feed, the entry it begins at, and a sentence."""

    kind: str
    feed: str
    entry: str
    detail: str


@dataclass
class Report:
    """What an audit saw."""

    as_of: str
    feeds: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    void: list[str] = field(default_factory=list)
    entries: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON form."""
        return {
            "ok": not self.findings,
            "as_of": self.as_of,
            "feeds": self.feeds,
            "void": self.void,
            "findings": [
                {"kind": f.kind, "feed": f.feed, "entry": f.entry, "detail": f.detail}
                for f in self.findings
            ],
        }


def audit(store: Store, pin: Pin, now: int) -> Report:
    """Verify everything that is stored."""
    report = Report(render_time(now))
    replay = new_replay(pin)
    with store.read() as tx:
        names = sorted(tx.heads.all(), key=lambda n: (n != REGISTRY, n))
        for name in names:
            one = _FeedAudit(tx, name, report, replay.directory)
            if name == REGISTRY:
                one.run(lambda _, lines, digests, _leaves: replay.batch(lines, digests))
            else:
                one.directory = replay.directory
                one.run(one.member_batch)
            one.checkpoints(replay.directory)
    return report


class _FeedAudit:
    """The audit of one feed."""

    def __init__(
        self, tx: Transaction, feed: str, report: Report, directory: Directory
    ):
        self.tx, self.feed, self.report = tx, feed, report
        self.directory = directory
        head = tx.heads.get(feed)
        self.size = head.size if head else 0
        self.roots: dict[int, bytes] = {}
        self.ids: dict[bytes, int] = {}
        self.fitting: dict[tuple[str, str], bool] = {}
        self.hidden = tx.erasures.hidden(feed, 0, min(self.size, tx.objects.size(feed)))

    def find(self, kind: str, index: int, detail: str) -> None:
        """Note a finding."""
        entry = f"{self.feed}/{index}"
        self.report.findings.append(Finding(kind, self.feed, entry, detail))

    def run(self, check: Callable[..., OpenBatch]) -> None:
        """Walk the feed batch by batch."""
        sizes = [s for s, _ in self._notes()]
        frontier, first, count = Frontier(), 0, 0
        if self.tx.objects.size(self.feed) < self.size:
            stored = self.tx.objects.size(self.feed)
            self.find("rolled-back-head", stored, f"the head says {self.size} entries")
            self.size = stored
        while first < self.size:
            try:
                stop = self._stop(first)
                lines, digests = self._batch(first, stop)
                self._compare(first, lines, digests)
                leaves = leaf_hashes(digests)
                batch = check(first, lines, digests, leaves)
                self._lines(batch, lines)
            except (HubError, KeysError) as error:
                self.find(error.code, first, str(error))
                return
            frontier = frontier.extend(leaves)
            if not sizes or stop in sizes:
                self.roots[stop] = frontier.root()
            first, count = stop, count + 1
        self.roots[first] = frontier.root()
        self.report.entries += first
        self.report.feeds.append(
            {"feed": self.feed, "size": first, "batches": count, "cosignatures": 0}
        )

    def _stop(self, first: int) -> int:
        header = next(self.tx.objects.lines(self.feed, first, first + 1)).raw
        if header is None:
            raise MalformedError("a header is missing", code="dropped-batch")
        try:
            stop = open_header(self.directory, self.feed, first, header).end
        except MalformedError as error:
            raise MalformedError(str(error), code="dropped-batch") from None
        if stop > self.size:
            raise MalformedError("the last batch is cut short", code="dropped-batch")
        return stop

    def _batch(self, first: int, stop: int) -> tuple[list[bytes | None], list[bytes]]:
        lines: list[bytes | None] = []
        digests: list[bytes] = []
        for block in self.tx.objects.blocks(self.feed, first, stop):
            lines += block.lines
            digests += block.digests
        return lines, digests

    def _compare(
        self, first: int, lines: list[bytes | None], digests: list[bytes]
    ) -> None:
        found = digests_of([line or b"" for line in lines])
        if found == digests:
            return
        for index, (line, digest, stored) in enumerate(
            zip(lines, found, digests, strict=True), first
        ):
            if line is None:
                if index not in self.hidden:
                    self.find(
                        "tombstone-without-erasure", index, "no erasure covers it"
                    )
            elif digest != stored:
                self.find("altered-line", index, "the line is not the one hashed")

    def member_batch(
        self,
        first: int,
        lines: list[bytes | None],
        _digests: list[bytes],
        leaves: list[bytes],
    ) -> OpenBatch:
        """Check one batch of a member."""
        batch = open_header(self.directory, self.feed, first, lines[0] or b"")
        check_entries(batch, leaves[1:])
        if batch.void:
            self.report.void.append(f"{self.feed}/{first}-{batch.end - 1}")
        before = self.ids.setdefault(batch.note.batch_id, first)
        if before != first:
            self.find("repeated-batch", first, f"its id stands at {before} already")
        return batch

    def _lines(self, batch: OpenBatch, lines: list[bytes | None]) -> None:
        if batch.void or self.feed == REGISTRY:
            return
        for index, line in enumerate(lines[1:], batch.first + 1):
            if line is None:
                continue
            plain = plain_report(line)
            if plain is not None:
                self._report(index, plain.type, plain.key)
                continue
            entry, problem = read_line(line)
            if problem:
                self.find("invalid-line", index, problem)
            elif entry and entry["kind"] == "report":
                self._report(index, entry["type"], entry["key"])

    def _report(self, index: int, kind: str, name: str) -> None:
        # A feed has few pairs of type and key, and a million reports under them.
        if (kind, name) not in self.fitting:
            self.fitting[kind, name] = self._fits(kind, name)
        if not self.fitting[kind, name]:
            self.find("wrong-token-class", index, f"{kind} under {name}")

    def _fits(self, kind: str, name: str) -> bool:
        """Tell whether reports of a type belong under a token key."""
        key = self.directory.token_keys.get(name)
        try:
            return key is not None and key.token_class == token_class(kind)
        except IdentifierError:
            # Of a type that came later, nobody here knows the class.
            return True

    def _notes(self) -> list[tuple[int, bytes]]:
        notes: list[tuple[int, bytes]] = []
        while found := self.tx.heads.checkpoints(
            self.feed, notes[-1][0] + 1 if notes else 0, 1000
        ):
            notes += found
        return notes

    def checkpoints(self, directory: Directory) -> None:
        """Check every stored checkpoint against the roots that were computed."""
        origin = origin_of(directory.alliance, self.feed)
        for size, raw in self._notes():
            public = directory.log_public(self.feed, size)
            try:
                if public is None:
                    raise MalformedError("the registry names no home for the feed")
                checkpoint = open_checkpoint(raw, origin, public)
            except (HubError, KeysError) as error:
                self.find("bad-checkpoint", size, str(error))
                continue
            root = self.roots.get(checkpoint.size)
            if root != checkpoint.root:
                self.find(
                    "wrong-root", size, "the lines do not lead to this checkpoint"
                )
