"""What an audit saw: heads, findings, what is void, lost or erased, what is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hub.findings import Finding

__all__ = ["Report"]


@dataclass
class Report:
    """The result of one audit.

    Attributes:
        as_of: The time that the report is of.
        alliance: The name in the pin.
        registry: The size of the registry that names the keys.
        feeds: For each feed ``feed``, ``size``, ``batches``, ``cosignatures``, and
            ``root``, ``known_by``, ``witnesses``.
        findings: Every fault; without one the audit is clean.
        void: Ranges of lines under a key that was closed before; no fault.
        erased: Lines that a standing order hides or deleted, with the order.
        lost: Lines deleted under an order that is void now; no fault of a node.
        open: What cannot be judged from what is stored here.
        warnings: Heads that the quorum did not cosign, or not lately.
        entries: How many entries were verified.
        evidence: File name and bytes of what convicts somebody.
        counts: With ``--as-of``: what was active then.
        nodes: Of an audit over HTTP: each node's URL, problem, and how far behind.
    """

    as_of: str
    alliance: str = ""
    registry: int = 0
    feeds: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    void: list[str] = field(default_factory=list)
    erased: list[dict[str, str]] = field(default_factory=list)
    lost: list[dict[str, str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    entries: int = 0
    evidence: dict[str, bytes] = field(default_factory=dict)
    counts: dict[str, Any] | None = None
    nodes: list[dict[str, Any]] = field(default_factory=list)

    def find(self, kind: str, feed: str, index: int, detail: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, feed, f"{feed}/{index}", detail))

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON form."""
        body = {
            "ok": not self.findings,
            "as_of": self.as_of,
            "feeds": self.feeds,
            "findings": [finding.to_json() for finding in self.findings],
            "alliance": self.alliance,
            "registry": self.registry,
            "entries": self.entries,
            "void": self.void,
            "erased": self.erased,
            "lost": self.lost,
            "open": self.open,
            "warnings": self.warnings,
            "evidence": sorted(self.evidence),
        }
        if self.counts is not None:
            body["counts"] = self.counts
        if self.nodes:
            body["nodes"] = self.nodes
        return body
