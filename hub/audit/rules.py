"""The rules of a member's lines: schemas, token keys, references, registry heads.

They are those of the home (:mod:`hub.feeds`), asked again of what it accepted. What
depends on lines that are not stored here is open and no finding: the registry or
another feed may have been pulled a moment earlier than this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.audit.erased import Orders
from hub.audit.report import Report
from hub.audit.walk import Lines
from hub.directory import Directory
from hub.model import EntryName
from hub.store.base import Transaction
from hub.verifier import OpenBatch
from keys.encoding import from_base64
from schemas.fast import read_line
from schemas.identifiers import IdentifierError, token_class
from schemas.plain import plain_report

__all__ = ["Rules"]

Entry = Mapping[str, Any]


@dataclass
class Rules:
    """Judges the lines of one feed.

    Args:
        tx: A snapshot of the store.
        feed: The feed.
        report: Where findings go.
        directory: Holds the token keys.
        orders: Collects erasure orders.
        heads: The roots of the registry by size, at the ends of its batches.
    """

    tx: Transaction
    feed: str
    report: Report
    directory: Directory
    orders: Orders
    heads: Mapping[int, bytes]
    _fitting: dict[tuple[str, str], str] = field(default_factory=dict)

    def find(self, kind: str, index: int, detail: str) -> None:
        """Note a finding."""
        self.report.find(kind, self.feed, index, detail)

    def registry_lines(self, batch: OpenBatch, lines: Lines) -> None:
        """Collect the orders of a registry batch, whose rules the replay checked."""
        for index, line in enumerate(lines[1:], batch.first + 1):
            entry, _ = read_line(line or b"", registry=True)
            if entry and entry["kind"] == "erasure":
                self.orders.add(batch, index, entry)

    def lines(self, batch: OpenBatch, lines: Lines) -> None:
        """Judge a batch of a member."""
        self._seen(batch)
        for index, line in enumerate(lines[1:], batch.first + 1):
            plain = plain_report(line) if line is not None else None
            if plain is not None:
                if not batch.void:
                    self._token(index, plain.type, plain.key)
            elif line is not None:
                self._line(batch, index, line)

    def _line(self, batch: OpenBatch, index: int, line: bytes) -> None:
        entry, problem = read_line(line)
        if entry and entry["kind"] == "erasure":
            # Also a void one, since it explains what was deleted under it.
            self.orders.add(batch, index, entry)
        if batch.void:
            return
        if problem:
            self.find("invalid-line", index, problem)
        elif entry:
            rule = _RULES.get(entry["kind"])
            if rule:
                rule(self, index, entry)

    def _seen(self, batch: OpenBatch) -> None:
        """Check the registry head that the writer says it saw."""
        seen, size = batch.note.registry, max(self.heads)
        if seen.size > size:
            self.report.open.append(
                f"{self.feed}/{batch.first} was signed at registry size {seen.size}; "
                f"{size} lines are here"
            )
        elif self.heads.get(seen.size) != seen.root:
            self.find(
                "unknown-registry-head",
                batch.first,
                f"the registry never had this head of {seen.size} lines",
            )

    def report_line(self, index: int, entry: Entry) -> None:
        """Check a report's or an action's token key."""
        if "token" in entry:
            self._token(index, entry["type"], entry["key"])

    def _token(self, index: int, kind: str, name: str) -> None:
        # A feed has few pairs of type and key, and a million reports under them.
        if (kind, name) not in self._fitting:
            self._fitting[kind, name] = self._fault(kind, name)
        fault = self._fitting[kind, name]
        if fault:
            self.find(fault, index, f"{kind} under {name}")

    def _fault(self, kind: str, name: str) -> str:
        """Return what is wrong with tokens of a type under a token key, or nothing."""
        key = self.directory.token_keys.get(name)
        if key is None:
            return "unknown-token-key"
        try:
            return "" if key.token_class == token_class(kind) else "wrong-token-class"
        except IdentifierError:
            # Of a type that came later, nobody here knows the class.
            return ""

    def dispute(self, index: int, entry: Entry) -> None:
        """Check that a dispute names what stands in the other feed."""
        reference = entry["report"]
        feed, place = reference["feed"], reference["entry"]
        if feed == self.feed:
            self.find("bad-reference", index, "it disputes a report of its own feed")
        elif place >= self.tx.objects.size(feed):
            self.report.open.append(
                f"{self.feed}/{index} disputes {feed}/{place}, which is not here"
            )
        elif self.tx.objects.digests(feed, place, place + 1)[0] != from_base64(
            reference["digest"], 32
        ):
            self.find("bad-reference", index, f"{feed}/{place} has another digest")

    def withdrawal(self, index: int, entry: Entry) -> None:
        """Check that a withdrawal names an earlier entry of its own feed."""
        if "entry" not in entry:
            return
        name = EntryName.parse(entry["entry"])
        if name.feed != self.feed or name.index >= index:
            self.find("bad-reference", index, f"{name} is no earlier entry of its own")


_RULES: dict[str, Callable[[Rules, int, Entry], None]] = {
    "report": Rules.report_line,
    "action": Rules.report_line,
    "dispute": Rules.dispute,
    "withdrawal": Rules.withdrawal,
}
