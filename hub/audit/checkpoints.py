"""Checkpoints, cosignatures and tree hashes beside the lines that were walked.

Every stored checkpoint must be of the tree that the lines give at its size, so the
history is append-only by what its home signed. Time comes from cosignatures alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hub.audit.report import Report
from hub.audit.walk import Walk
from hub.conviction import rollback
from hub.directory import Directory
from hub.errors import HubError, MalformedError
from hub.model import origin_of
from hub.tlog.checkpoint import Checkpoint, open_checkpoint
from hub.tlog.evidence import RepeatedBatch, prove_fork, render_evidence
from hub.tlog.merkle import Frontier, prove_inclusion
from hub.tlog.proof import TlogProof
from hub.witness import quorum_age
from keys.cosignature import check_cosignature
from keys.errors import KeysError
from keys.note import VerifierKey, parse_note, parse_signature

__all__ = ["Heads", "Vouch"]


@dataclass(frozen=True, slots=True)
class Vouch:
    """A valid cosignature: a node other than the home held this head at that time."""

    time: int
    size: int
    node: str


@dataclass
class Heads:
    """What was signed over one feed.

    Args:
        walk: The feed, walked to its head.
        directory: The registry to its end.
    """

    walk: Walk
    directory: Directory
    report: Report
    vouches: list[Vouch] = field(default_factory=list)
    _good: dict[int, tuple[Checkpoint, bytes]] = field(default_factory=dict)

    def find(self, kind: str, index: int, detail: str) -> None:
        """Note a finding."""
        self.report.find(kind, self.walk.feed, index, detail)

    def run(self) -> None:
        """Check everything that is stored of the feed's heads."""
        self._hashes()
        for size, raw in self._notes():
            self._checkpoint(size, raw)
        self._contradictions()
        self._repeats()
        self._homes()
        self._rollbacks()

    def _notes(self) -> list[tuple[int, bytes]]:
        heads, feed = self.walk.tx.heads, self.walk.feed
        notes: list[tuple[int, bytes]] = []
        while found := heads.checkpoints(feed, notes[-1][0] + 1 if notes else 0, 1000):
            notes += found
        return notes

    def _checkpoint(self, size: int, raw: bytes) -> None:
        origin = origin_of(self.directory.alliance, self.walk.feed)
        public = self.directory.log_public(self.walk.feed, size)
        try:
            if public is None:
                raise MalformedError("the registry names no home for the feed")
            checkpoint = open_checkpoint(raw, origin, public)
            if checkpoint.size != size:
                raise MalformedError(f"it is of size {checkpoint.size}")
        except (HubError, KeysError) as error:
            self.find("bad-checkpoint", size, str(error))
            return
        self._good[size] = (checkpoint, raw)
        self._cosignatures(size, parse_note(raw).text)

    # -- cosignatures --------------------------------------------------------------

    def _cosignatures(self, size: int, text: str) -> None:
        for row in self.walk.tx.heads.cosignatures(self.walk.feed, size):
            try:
                line = parse_signature(row.line.decode().removesuffix("\n"))
                key = self._witness(line.name, line.key_id)
                time = check_cosignature(text, line, key)
            except (HubError, KeysError, UnicodeDecodeError) as error:
                self.find("bad-cosignature", size, f"said to be of {row.node}: {error}")
                continue
            node = self.directory.cosigners(time).get(key)
            home = self.directory.home_at(self.walk.feed, size)
            if node is not None and node != (home.node if home else None):
                self.vouches.append(Vouch(time, size, node))

    def _witness(self, name: str, key_id: bytes) -> VerifierKey:
        for known in self.directory.witnesses():
            if (known.name, known.key_id) == (name, key_id):
                return known
        raise MalformedError(f"no node registered a witness key of {name}")

    def witnesses(self, size: int) -> list[dict[str, Any]]:
        """Return for each node that cosigned a head when it did so first and last."""
        times: dict[str, list[int]] = {}
        for vouch in self.vouches:
            if vouch.size == size:
                times.setdefault(vouch.node, []).append(vouch.time)
        return [
            {"node": node, "earliest": min(found), "newest": max(found)}
            for node, found in sorted(times.items())
        ]

    def unfresh(self, now: int) -> str:
        """Say how far the head is from cosigned lately by the quorum, or nothing."""
        # SPEC: design, Federation: freshness is the q-th newest cosignature's age.
        policy, size = self.directory.policy, self.walk.size
        newest = {w["node"]: w["newest"] for w in self.witnesses(size)}
        if not policy.quorum or not size:
            return ""
        if len(newest) < policy.quorum:
            return f"{len(newest)} of {policy.quorum} nodes cosigned the head of {size}"
        age = quorum_age(newest, policy.quorum, now)
        if age is not None and age <= policy.fresh_hours * 3600:
            return ""
        if age is None:
            return f"the cosignatures of the head of {size} are from the future"
        hours = age // 3600
        return f"enough nodes cosigned the head of {size} last {hours} hours ago"

    # -- what convicts somebody ----------------------------------------------------

    def _contradictions(self) -> None:
        """Compare what was signed with the tree that the lines give."""
        end = self.walk.size
        newest = self._good.get(end)
        whole = newest is not None and newest[0].root == self.walk.roots[end]
        reader = self.walk.tx.objects.hash_reader(self.walk.feed, end)
        for size, (checkpoint, raw) in self._good.items():
            if size > end:
                continue
            root = self.walk.roots.get(size)
            if root is None:
                self.find("checkpoint-between-batches", size, "no batch ends there")
                root = Frontier.of_hashes(size, reader).root()
            if root == checkpoint.root:
                continue
            if newest is None or not whole or not size:
                detail = "the lines do not lead to this checkpoint"
                self.find("wrong-root", size, detail)
                continue
            # The log signed both, so its own two signatures convict it.
            self.find("fork", size, f"it contradicts the signed head of {end}")
            evidence = render_evidence(prove_fork(raw, newest[1], reader))
            self.report.evidence[f"fork-{self.walk.feed}-{size}.evidence"] = evidence

    def _repeats(self) -> None:
        """Convict a log that took one batch twice."""
        newest, feed = self._good.get(self.walk.size), self.walk.feed
        if newest is None:
            return
        objects = self.walk.tx.objects
        reader = objects.hash_reader(feed, self.walk.size)
        for pair in self.walk.repeats:
            headers, proofs = [], []
            for index in pair:
                headers.append(next(objects.lines(feed, index, index + 1)).raw or b"")
                path = tuple(prove_inclusion(index, self.walk.size, reader))
                proofs.append(TlogProof(index, path, newest[1]))
            evidence = RepeatedBatch((headers[0], headers[1]), (proofs[0], proofs[1]))
            name = f"repeated-batch-{feed}-{pair[1]}.evidence"
            self.report.evidence[name] = render_evidence(evidence)

    def _rollbacks(self) -> None:
        """Convict a witness that cosigned a smaller head after a larger one."""
        for node in sorted({vouch.node for vouch in self.vouches}):
            pair = self._went_back(node)
            if pair:
                self._rollback(node, *pair)

    def _went_back(self, node: str) -> tuple[Vouch, Vouch] | None:
        # SPEC: design, Federation: a witness key never goes back, except to the size
        # that an officers' home entry names.
        cuts = {home.size for home in self.directory.homes.get(self.walk.feed, ())}
        mine = [v for v in self.vouches if v.node == node and v.size not in cuts]
        largest: Vouch | None = None
        for vouch in sorted(mine, key=lambda v: (v.time, -v.size)):
            if largest and vouch.size < largest.size and vouch.time > largest.time:
                return largest, vouch
            if largest is None or vouch.size > largest.size:
                largest = vouch
        return None

    def _rollback(self, node: str, larger: Vouch, smaller: Vouch) -> None:
        feed = self.walk.feed
        self.find(
            "witness-rollback",
            smaller.size,
            f"{node} cosigned {larger.size} entries before",
        )
        name = f"{self.directory.alliance}/node/{node}"
        raw = rollback(self.walk.tx, feed, name, larger.size, smaller.size)
        if raw:
            self.report.evidence[f"witness-{node}-{feed}-{smaller.size}.evidence"] = raw

    # -- homes and stored hashes ---------------------------------------------------

    def _homes(self) -> None:
        """Check that officers moved the feed from a head that it really had."""
        for home in self.directory.homes.get(self.walk.feed, ()):
            if not home.size or home.size > self.walk.size:
                continue
            if self.walk.roots.get(home.size) != home.root:
                self.find(
                    "wrong-home",
                    home.size,
                    f"the registry moves the feed to {home.node} from another head",
                )

    def _hashes(self) -> None:
        """Compare the stored tree hashes, which proofs are made of, with the lines'."""
        reader = self.walk.tx.objects.hash_reader(self.walk.feed, self.walk.size)
        for level, index, digest in self.walk.nodes:
            try:
                stored = reader.read(8 * level, index, 1)
            except HubError as error:
                self.find("altered-hash", index << 8 * level, str(error))
                return
            if stored != [digest]:
                self.find(
                    "altered-hash", index << 8 * level, "a stored tree hash is wrong"
                )
                return
