"""Evidence as a node keeps it: verified by the registry, each fact once.

:mod:`hub.tlog.evidence` says what each kind proves; here the registry says which keys
count. A fact is named by what was proved and not by the bytes that prove it, since
anybody can add signature lines to a note. Evidence from others is verified like one's
own, and nobody can be convicted by a node's word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from hub.directory import Directory
from hub.errors import (
    HubError,
    MalformedError,
    MisbehaviourError,
    ProofError,
    UnavailableError,
)
from hub.freezing import fork_name
from hub.model import REGISTRY, check_feed, origin_of
from hub.peer import Peer
from hub.store.base import EvidenceRow, Store, StoredHead, Transaction
from hub.tlog.advance import Relation, relate
from hub.tlog.batch import parse_batch_note, parse_header
from hub.tlog.checkpoint import Head, peek_checkpoint
from hub.tlog.evidence import (
    Evidence,
    ForkEvidence,
    RepeatedBatch,
    TwoSuccessors,
    WitnessRollback,
    check_fork,
    check_repeat,
    check_rollback,
    check_successors,
    parse_evidence,
    prove_fork,
    render_evidence,
)
from hub.tlog.merkle import HashReader, prove_roots
from hub.tlog.proof import parse_proof
from hub.tlog.tiles import TileId, TileReader
from hub.verifier import OpenBatch
from keys.errors import KeysError
from keys.note import VerifierKey, add_signatures, parse_note, parse_signature

__all__ = [
    "RepeatError",
    "accept",
    "check_repeats",
    "feed_of",
    "find_fork",
    "fork",
    "judge",
    "note_successor",
    "rollback",
    "show_repeat",
    "show_successors",
]


_STEPS = 100  # Batches of the registry that are compared with a peer's.


def feed_of(directory: Directory, origin: str) -> str:
    """Return the feed of an origin of this alliance.

    Raises:
        ProofError: It is of another alliance.
    """
    alliance, _, feed = origin.rpartition("/")
    if alliance != directory.alliance:
        raise ProofError(f"{origin[:100]} is no feed of {directory.alliance}")
    return check_feed(feed)


def judge(raw: bytes, directory: Directory, now: int) -> EvidenceRow:
    """Verify an evidence file and say what it proves.

    Raises:
        MalformedError: Not an evidence file.
        ProofError: It proves nothing under the keys of this registry.
    """
    evidence = parse_evidence(raw)
    try:
        if isinstance(evidence, ForkEvidence):
            return _fork(evidence, raw, directory, now)
        if isinstance(evidence, RepeatedBatch):
            return _repeat(evidence, raw, directory, now)
        if isinstance(evidence, TwoSuccessors):
            return _successors(evidence, raw, directory, now)
        return _rollback(evidence, raw, directory, now)
    except KeysError as error:
        raise MalformedError(str(error), code="bad-evidence") from None


def _fork(
    evidence: ForkEvidence, raw: bytes, directory: Directory, now: int
) -> EvidenceRow:
    origin = peek_checkpoint(evidence.first).origin
    feed = feed_of(directory, origin)

    def log_key(size: int) -> bytes | None:
        return directory.log_public(feed, size)

    first, second = check_fork(evidence, origin, log_key)
    small = min((first, second), key=lambda c: c.size)
    large = max((first, second), key=lambda c: c.size)
    public = directory.log_public(feed, large.size) or b""
    if directory.log_public(feed, small.size) != public:
        # What the earlier key signed beside the officers' choice is void above it, and
        # the key that goes on from there is bound by their choice and by nothing else.
        raise ProofError("the heads are of two log keys", code="no-evidence")
    return EvidenceRow(fork_name(feed, public), "fork", feed, small.size, raw, now)


def _repeat(
    evidence: RepeatedBatch, raw: bytes, directory: Directory, now: int
) -> EvidenceRow:
    origin = peek_checkpoint(evidence.proofs[0].checkpoint).origin
    feed = feed_of(directory, origin)
    batch = check_repeat(evidence, origin, lambda n: directory.log_public(feed, n))
    name = f"repeated-batch/{feed}/{batch.hex()}"
    size = max(proof.index for proof in evidence.proofs)
    return EvidenceRow(name, "repeated-batch", feed, size, raw, now)


def _successors(
    evidence: TwoSuccessors, raw: bytes, directory: Directory, now: int
) -> EvidenceRow:
    origin = origin_of(directory.alliance, REGISTRY)
    head, both = check_successors(evidence, origin, directory.board)
    names = ",".join(name.rpartition("/")[2] for name in both)
    name = f"two-successors/{head.size}/{names}"
    return EvidenceRow(name, "two-successors", REGISTRY, head.size, raw, now)


def _rollback(
    evidence: WitnessRollback, raw: bytes, directory: Directory, now: int
) -> EvidenceRow:
    origin = peek_checkpoint(evidence.larger).origin
    feed = feed_of(directory, origin)
    problem: ProofError | None = None
    # A key that was closed since, for its guilt perhaps, convicts all the same. The
    # keys of a node share one name; the key id in the lines tells them apart.
    for key in directory.witnesses():
        if key.name != evidence.witness:
            continue
        counts = partial(_counts, directory, key)
        try:
            check_rollback(
                evidence, origin, lambda n: directory.log_public(feed, n), key, counts
            )
        except ProofError as error:
            problem = error
            continue
        name = f"witness-rollback/{key.name.rpartition('/')[2]}/{key.public.hex()}"
        return EvidenceRow(name, "witness-rollback", feed, 0, raw, now)
    raise problem or ProofError(f"{evidence.witness[:100]} is no witness here")


def _counts(directory: Directory, key: VerifierKey, time: int) -> bool:
    return key in directory.cosigners(time)


def accept(store: Store, directory: Directory, raw: bytes, now: int) -> EvidenceRow:
    """Verify evidence and keep it; what was known already is kept as it was.

    Raises:
        MalformedError: Not an evidence file.
        ProofError: It proves nothing under the keys of this registry.
    """
    row = judge(raw, directory, now)
    with store.write() as tx:
        tx.federation.add_evidence(row)
    return row


def fork(first: bytes, second: bytes, reader: HashReader | None) -> bytes:
    """Return the evidence file of two checkpoints that contradict each other.

    Args:
        first: A signed checkpoint.
        second: Another one of the same feed.
        reader: The hashes of the larger tree; None when the sizes are equal.

    Raises:
        MalformedError: One is not a checkpoint.
        ProofError: The hashes cannot be had.
    """
    evidence: Evidence = prove_fork(first, second, reader)
    return render_evidence(evidence)


def find_fork(
    head: StoredHead, raw: bytes, fetch: Callable[[TileId], bytes]
) -> bytes | None:
    """Return the evidence that a larger head does not extend ours, if it does not.

    Tiles that do not lead to the larger root prove nothing: they may be the lie of
    whoever serves them.

    Args:
        head: Our head, with its signed checkpoint.
        raw: A signed and verified checkpoint of a larger size.
        fetch: Returns a tile of the larger tree from whoever shows it.

    Raises:
        HubError: A tile cannot be had, or does not lead to the larger root.
    """
    claimed = peek_checkpoint(raw)
    if not 0 < head.size < claimed.size:
        return None
    reader = TileReader(claimed.size, claimed.root, fetch)
    hashes = prove_roots(head.size, claimed.size, reader)
    ours = Head(head.size, head.root)
    if relate(ours, claimed.head, hashes) is not Relation.FORK:
        return None
    return render_evidence(ForkEvidence(head.checkpoint, raw, tuple(hashes)))


class RepeatError(MisbehaviourError):
    """A batch id stands at two places of a feed; the places are in ``pair``."""

    default_code = "repeated-batch"

    def __init__(self, feed: str, pair: tuple[int, int], evidence: bytes | None = None):
        super().__init__(
            f"the batch at {feed}/{pair[1]} stands at {feed}/{pair[0]} already",
            evidence=evidence,
            advice="Pull from another node, and tell the officers of the alliance.",
        )
        self.feed, self.pair = feed, pair


def check_repeats(tx: Transaction, batches: Sequence[OpenBatch]) -> None:
    """Check that batches which are about to be stored were not there before.

    Raises:
        RepeatError: One was. SPEC: design, Batch: a batch id occurs once in a feed.
    """
    places: dict[bytes, int] = {}
    for batch in batches:
        known = tx.batches.find(batch.feed, batch.note.batch_id)
        first = known.first if known else batch.first
        before = places.setdefault(batch.note.batch_id, first)
        if before != batch.first:
            raise RepeatError(batch.feed, (before, batch.first))


def show_repeat(error: RepeatError, peer: Peer) -> RepeatError:
    """Return the error with the evidence that the peer can give, if it does.

    Nothing of it is verified here; :func:`accept` does that.
    """
    headers, proofs = [], []
    try:
        for index in error.pair:
            headers.append(peer.lines(error.feed, index, index + 1)[0])
            path = f"/v1/feeds/{error.feed}/proof/{index}"
            proofs.append(parse_proof(peer.get_bytes(path)))
    except (HubError, IndexError):
        return error
    evidence = RepeatedBatch((headers[0], headers[1]), (proofs[0], proofs[1]))
    return RepeatError(error.feed, error.pair, render_evidence(evidence))


def rollback(
    tx: Transaction, feed: str, key_name: str, large: int, small: int
) -> bytes | None:
    """Return the evidence that a witness went back, from what is stored, or None.

    Args:
        tx: A transaction that sees both checkpoints.
        feed: The feed.
        key_name: The name under which the node cosigns.
        large: The size that it cosigned earlier.
        small: The smaller size that it cosigned later.
    """
    node = key_name.rpartition("/")[2]
    notes = []
    for size in (large, small):
        found = tx.heads.checkpoints(feed, size, 1)
        rows = [r for r in tx.heads.cosignatures(feed, size) if r.node == node]
        if not found or found[0][0] != size or not rows:
            return None
        lines = [parse_signature(r.line.decode().removesuffix("\n")) for r in rows]
        notes.append(add_signatures(found[0][1], *lines))
    return render_evidence(WitnessRollback(key_name, notes[0], notes[1]))


def note_successor(
    store: Store, directory: Directory, batch: Sequence[bytes], now: int
) -> None:
    """Keep the evidence that a registry batch is, if the registry passed its head.

    Args:
        store: Holds the registry, and with it the batch that came instead.
        directory: The directory as of it.
        batch: The header line and the entries, whoever sent them.
        now: The time here.
    """
    try:
        head = parse_batch_note(parse_note(parse_header(batch[0])).text).registry
        ours = _batch_on(store, head.size)
        if ours:
            found = TwoSuccessors(ours, tuple(batch))
            accept(store, directory, render_evidence(found), now)
    except (MalformedError, ProofError, KeysError):
        # It is the same batch, or too few officers signed it: nobody did wrong.
        return


def _batch_on(store: Store, size: int) -> tuple[bytes, ...]:
    """Return the stored registry batch on top of a head, nothing without one."""
    with store.read() as tx:
        row = tx.batches.at(REGISTRY, size)
        if row is None or row.first != size:
            return ()
        return tuple(
            line.raw or b"" for line in tx.objects.lines(REGISTRY, size, row.stop)
        )


def show_successors(store: Store, directory: Directory, peer: Peer, now: int) -> None:
    """Find where a peer's registry parts from ours, and keep what that proves.

    Nothing that the peer says counts but the officers' signatures.
    """
    with store.read() as tx:
        size = tx.objects.size(REGISTRY)
    for _ in range(_STEPS):
        with store.read() as tx:
            row = tx.batches.at(REGISTRY, size - 1) if size else None
        if row is None:
            return
        size = row.first
        try:
            theirs = _batch_of(peer, size)
        except UnavailableError:
            return
        except (HubError, KeysError, IndexError):
            # Its registry may end below.
            continue
        if theirs[0] == _batch_on(store, size)[0]:
            return
        note_successor(store, directory, theirs, now)


def _batch_of(peer: Peer, first: int) -> list[bytes]:
    header = peer.lines(REGISTRY, first, first + 1)[0]
    count = parse_batch_note(parse_note(parse_header(header)).text).count
    return [header, *peer.lines(REGISTRY, first + 1, first + 1 + count)]
