"""Evidence: data that proves misbehaviour to anybody who has the registry.

A file is one JSON object on one line, its keys in this order and nothing else in it::

    {"format":"alliance-hub-evidence/v1","kind":"fork",
     "notes":[N,N],"hashes":[H,...]}
    {"format":"alliance-hub-evidence/v1","kind":"repeated-batch",
     "headers":[L,L],"proofs":[P,P]}
    {"format":"alliance-hub-evidence/v1","kind":"witness-rollback",
     "witness":"<key name>","notes":[N,N]}
    {"format":"alliance-hub-evidence/v1","kind":"two-successors",
     "batches":[[L,...],[L,...]]}

N is a signed checkpoint, H a hash in base64, L a line, P a tlog-proof, each
verbatim; the file ends in a newline (the examples are broken for the page).

- *fork* convicts the log: two checkpoints that cannot both be true. Two roots at one
  size need no hashes. At two sizes, that no consistency proof exists cannot be shown;
  but hashes that yield the larger signed root together with another smaller root than
  the signed one can, and they convict.
- *repeated-batch* convicts the log: one batch id at two indices of one tree. Of one,
  because a batch that was set aside when officers cut a feed is published again, and
  then stands elsewhere in the tree that follows.
- *witness-rollback* convicts a node: it cosigned a larger tree, and at a later second a
  smaller one. Within one second the order is unknown, and nothing is proved.

- *two-successors* convicts officers: two whole batches of the registry, each with
  enough signatures, on top of one head. Whoever signed both is convicted, unless one of
  them holds the ``home`` entry by which the registry goes on from that head elsewhere.

Every checkpoint must carry the log's signature, by the key that the registry holds for
a head of that size. So the heads above a cut, signed by the key that lost the feed, are
void and convict nobody. What was proved is identified by what a check returns, not by
the bytes of the file: signature lines of strangers can be added to any note.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hub.errors import MalformedError, ProofError
from hub.tlog.advance import Relation, relate
from hub.tlog.batch import BatchNote, digests_of, parse_batch_note, parse_header
from hub.tlog.checkpoint import Checkpoint, Head, open_checkpoint, peek_checkpoint
from hub.tlog.merkle import HashReader, leaf_hashes, prove_roots, root_of
from hub.tlog.proof import TlogProof, check_proof, parse_proof, render_proof
from keys.cosignature import check_cosignature
from keys.encoding import from_base64, to_base64
from keys.errors import KeysError
from keys.note import VerifierKey, open_note, parse_note

__all__ = [
    "MAX_BYTES",
    "Evidence",
    "ForkEvidence",
    "LogKeys",
    "RepeatedBatch",
    "TwoSuccessors",
    "WitnessRollback",
    "check_fork",
    "check_repeat",
    "check_rollback",
    "check_successors",
    "parse_evidence",
    "prove_fork",
    "render_evidence",
]

MAX_BYTES = 1_000_000
_FORMAT = "alliance-hub-evidence/v1"
LogKeys = Callable[[int], bytes | None]
"""Gives the public key by which a head of that size counts, as the registry has it."""


@dataclass(frozen=True, slots=True)
class ForkEvidence:
    """Two signed checkpoints, and the hashes of both roots when their sizes differ."""

    first: bytes
    second: bytes
    hashes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class RepeatedBatch:
    """Two header lines with one batch id, and their proofs to one checkpoint."""

    headers: tuple[bytes, bytes]
    proofs: tuple[TlogProof, TlogProof]


@dataclass(frozen=True, slots=True)
class WitnessRollback:
    """A node's key name, and two checkpoints that it cosigned, the larger first."""

    witness: str
    larger: bytes
    smaller: bytes


@dataclass(frozen=True, slots=True)
class TwoSuccessors:
    """Two batches of the registry, each with its header first, on top of one head."""

    first: tuple[bytes, ...]
    second: tuple[bytes, ...]


Evidence = ForkEvidence | RepeatedBatch | WitnessRollback | TwoSuccessors
Board = Callable[[int], tuple[int, list[VerifierKey]]]
"""Gives the threshold and the officers that sign on top of a head of that size."""


def render_evidence(evidence: Evidence) -> bytes:
    """Return the bytes of the evidence file."""
    body = {"format": _FORMAT, **_body(evidence)}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode() + b"\n"


def _body(evidence: Evidence) -> dict[str, Any]:
    if isinstance(evidence, ForkEvidence):
        return {
            "kind": "fork",
            "notes": [evidence.first.decode(), evidence.second.decode()],
            "hashes": [to_base64(h) for h in evidence.hashes],
        }
    if isinstance(evidence, RepeatedBatch):
        return {
            "kind": "repeated-batch",
            "headers": [line.decode() for line in evidence.headers],
            "proofs": [render_proof(proof).decode() for proof in evidence.proofs],
        }
    if isinstance(evidence, TwoSuccessors):
        batches = (evidence.first, evidence.second)
        lines = [[line.decode() for line in batch] for batch in batches]
        return {"kind": "two-successors", "batches": lines}
    return {
        "kind": "witness-rollback",
        "witness": evidence.witness,
        "notes": [evidence.larger.decode(), evidence.smaller.decode()],
    }


def parse_evidence(raw: bytes) -> Evidence:
    """Read an evidence file; nothing in it is verified.

    Raises:
        MalformedError: Not exactly such a file.
    """
    if len(raw) > MAX_BYTES:
        raise MalformedError(f"evidence has at most {MAX_BYTES} bytes")
    try:
        evidence = _read(json.loads(raw))
        if render_evidence(evidence) == raw:
            return evidence
    except (ValueError, LookupError, TypeError, RecursionError):
        # Whatever is wrong with it, a stranger's file is refused in one way.
        pass
    except (MalformedError, KeysError):
        # The same for what a part of it is refused for.
        pass
    raise MalformedError("not an evidence file", code="bad-evidence")


def _read(body: dict[str, Any]) -> Evidence:
    kind = body["kind"]
    if kind == "fork":
        hashes = tuple(from_base64(str(h), 32) for h in body["hashes"])
        return ForkEvidence(*_pair(body["notes"]), hashes)
    if kind == "repeated-batch":
        first, second = _pair(body["proofs"])
        proofs = parse_proof(first), parse_proof(second)
        return RepeatedBatch(_pair(body["headers"]), proofs)
    if kind == "witness-rollback":
        return WitnessRollback(str(body["witness"]), *_pair(body["notes"]))
    if kind == "two-successors":
        one, two = body["batches"]
        return TwoSuccessors(_lines(one), _lines(two))
    raise MalformedError("evidence of an unknown kind")


def _lines(values: list[str]) -> tuple[bytes, ...]:
    return tuple(str(value).encode() for value in values)


def _pair(values: list[str]) -> tuple[bytes, bytes]:
    first, second = values
    return str(first).encode(), str(second).encode()


def prove_fork(
    first: bytes, second: bytes, reader: HashReader | None = None
) -> ForkEvidence:
    """Return the evidence that two checkpoints cannot both be true.

    Args:
        first: A signed checkpoint.
        second: Another one of the same log.
        reader: The hashes of the larger of both trees; None when the sizes are equal.

    Raises:
        MalformedError: One of them is not a checkpoint, or is of an empty tree.
        NoteError: One of them is not a note.
    """
    old, new = sorted(peek_checkpoint(raw).size for raw in (first, second))
    if old == new:
        return ForkEvidence(first, second)
    if reader is None:
        raise AssertionError("two sizes need the hashes of the larger tree")
    return ForkEvidence(first, second, tuple(prove_roots(old, new, reader)))


def _open(raw: bytes, origin: str, keys: LogKeys) -> Checkpoint:
    try:
        size = peek_checkpoint(raw).size
        public = keys(size)
        if public is None:
            raise ProofError(f"the registry holds no log key for a head of {size}")
        return open_checkpoint(raw, origin, public)
    except KeysError as error:
        raise ProofError(f"a checkpoint does not count: {error}") from None


def check_fork(
    evidence: ForkEvidence, origin: str, keys: LogKeys
) -> tuple[Checkpoint, Checkpoint]:
    """Check that the log of ``origin`` signed two heads that cannot both be true.

    Returns:
        Both checkpoints, in the order of the evidence.

    Raises:
        MalformedError: A note is not a checkpoint of ``origin``.
        ProofError: A signature does not count, or nothing is proved.
    """
    first = _open(evidence.first, origin, keys)
    second = _open(evidence.second, origin, keys)
    if relate(first.head, second.head, evidence.hashes) is not Relation.FORK:
        raise ProofError(
            f"nothing shows that the heads of {origin} at {first.size} and "
            f"{second.size} contradict each other",
            code="no-evidence",
        )
    return first, second


def check_repeat(evidence: RepeatedBatch, origin: str, keys: LogKeys) -> bytes:
    """Check that one batch id stands at two indices of one tree of ``origin``.

    Returns:
        The batch id.

    Raises:
        MalformedError: A header or the checkpoint is not one of ``origin``.
        ProofError: A signature does not count, or nothing is proved.
    """
    first, second = evidence.proofs
    if first.index == second.index or first.checkpoint != second.checkpoint:
        raise ProofError("not two places of one tree", code="no-evidence")
    head = _open(first.checkpoint, origin, keys).head
    notes = [_batch(line, origin) for line in evidence.headers]
    if notes[0].batch_id != notes[1].batch_id:
        raise ProofError("the batches have different ids", code="no-evidence")
    for line, proof in zip(evidence.headers, evidence.proofs, strict=True):
        check_proof(proof, digests_of([line])[0], head)
    return notes[0].batch_id


def _batch(header: bytes, origin: str) -> BatchNote:
    try:
        note = parse_batch_note(parse_note(parse_header(header)).text)
    except KeysError as error:
        raise MalformedError(f"not the header of a batch: {error}") from None
    if note.origin != origin:
        raise MalformedError(f"the batch is of {note.origin}, not {origin}")
    return note


def check_rollback(
    evidence: WitnessRollback,
    origin: str,
    keys: LogKeys,
    witness: VerifierKey,
    counts: Callable[[int], bool] = lambda _time: True,
) -> tuple[Checkpoint, Checkpoint]:
    """Check that a node cosigned a smaller tree after a larger one.

    Args:
        evidence: What is to be checked.
        origin: The origin of the feed.
        keys: The log keys of the feed.
        witness: The key that made the lines.
        counts: Whether the key's cosignature of a time counts: one that was closed
            convicts by what it signed before.

    Returns:
        Both checkpoints, the larger first.

    Raises:
        MalformedError: A note is not a checkpoint of ``origin``.
        ProofError: A signature does not count, or nothing is proved.
    """
    larger = _open(evidence.larger, origin, keys)
    smaller = _open(evidence.smaller, origin, keys)
    # A note can hold the earliest and the newest cosignature of one node.
    earliest = min(_times(evidence.larger, witness, counts))
    newest = max(_times(evidence.smaller, witness, counts))
    if not (
        evidence.witness == witness.name
        and smaller.size < larger.size
        and earliest < newest
    ):
        raise ProofError(
            f"nothing shows that {witness.name} went back", code="no-evidence"
        )
    return larger, smaller


def _times(
    raw: bytes, witness: VerifierKey, counts: Callable[[int], bool]
) -> list[int]:
    """Return when the witness cosigned a note, once for each line that counts."""
    note = parse_note(raw)
    hint = (witness.name, witness.key_id)
    lines = [s for s in note.signatures if (s.name, s.key_id) == hint]
    if not lines:
        raise ProofError(f"{witness.name} did not cosign", code="no-evidence")
    try:
        times = [check_cosignature(note.text, line, witness) for line in lines]
    except KeysError as error:
        raise ProofError(f"a cosignature does not count: {error}") from None
    counted = [time for time in times if counts(time)]
    if not counted:
        raise ProofError(
            f"{witness.name} cosigned when its key was closed", code="no-evidence"
        )
    return counted


def check_successors(
    evidence: TwoSuccessors, origin: str, board: Board
) -> tuple[Head, list[str]]:
    """Check that officers signed two different batches on top of one registry head.

    Returns:
        The head, and the key names of the officers that signed both.

    Raises:
        MalformedError: One is no whole batch of ``origin``.
        ProofError: Too few officers signed one, or nothing is proved.
    """
    first, second = (_batch(b[0], origin) for b in _whole(evidence))
    head = first.registry
    if first == second or second.registry != head:
        raise ProofError("not two successors of one head", code="no-evidence")
    for note, batch in ((first, evidence.first), (second, evidence.second)):
        leaves = leaf_hashes(digests_of(batch[1:]))
        if note.count != len(leaves) or note.root != root_of(leaves):
            raise ProofError("the entries are not those that were signed")
        if any(_cuts(line, head) for line in batch[1:]):
            raise ProofError("one of them moves the registry", code="no-evidence")
    signed = [_officers(b[0], board(head.size)) for b in _whole(evidence)]
    both = sorted({v.name for v in signed[0] if v in signed[1]})
    if not both:
        raise ProofError("no officer signed both of them", code="no-evidence")
    return head, both


def _whole(evidence: TwoSuccessors) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    if not evidence.first or not evidence.second:
        raise ProofError("a batch is missing", code="no-evidence")
    return evidence.first, evidence.second


def _cuts(line: bytes, head: Head) -> bool:
    """Tell whether a line is the home entry by which the registry goes on from here."""
    try:
        entry = json.loads(line)
        kind = entry["kind"], entry["feed"], entry["size"], entry["root"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    return kind == ("home", "registry", head.size, to_base64(head.root))


def _officers(
    header: bytes, board: tuple[int, list[VerifierKey]]
) -> tuple[VerifierKey, ...]:
    """Return the officers that signed a header, if they are enough."""
    threshold, known = board
    try:
        found = open_note(parse_header(header), known).verified
    except KeysError as error:
        raise ProofError(f"a batch is not signed by officers: {error}") from None
    if len({v.public for v in found}) < threshold:
        raise ProofError("too few officers signed a batch", code="no-evidence")
    return tuple(found)
