"""A node among others: it mirrors them, cosigns what it holds, and shows its heads.

*Sync* (:meth:`Federation.sync`) pulls one peer once, keeps the cosignatures that the
peer shows, and cosigns every head that is not cosigned yet or was an hour ago. So
cosignatures gossip: each node shows all that it has.

*Announce* (:meth:`Federation.announce`) is the home's part after a batch: it posts the
checkpoint to its peers (C2SP tlog-witness) and keeps their cosignatures.

*Receive* (:meth:`Federation.receive`) is the peer's part: it answers only when
everything below the checkpoint is verified and stored here.

Not trusted: peers. One that lies, lags or is silent spoils nothing but its own answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as OutOfTime
from dataclasses import dataclass, field

from hub.client import Client
from hub.clock import Clock
from hub.conviction import accept, feed_of, fork
from hub.cutting import Cut, follow_homes
from hub.directory import Directory
from hub.errors import (
    HubError,
    MalformedError,
    ProofError,
    RefusedError,
    UnavailableError,
)
from hub.model import REGISTRY
from hub.peer import Bounded, Peer
from hub.registry import Registry
from hub.starting import Gate, note_compared
from hub.store.base import Store
from hub.sync import Pulled, pull
from hub.tlog.checkpoint import Checkpoint, Head, open_checkpoint, peek_checkpoint
from hub.tlog.merkle import Frontier, check_consistency, prove_consistency
from hub.tlog.submission import Submission, render_submission
from hub.witness import FRESH, REFRESH, Witness, check_old, keep
from keys.encoding import parse_decimal
from keys.errors import EncodingError, KeysError, SignatureError

__all__ = ["Federation", "Synced"]

log = logging.getLogger("hub.federation")
VISIT_BYTES = 8 << 30
"""Most bytes that one visit to a peer brings; the next one goes on from there."""


@dataclass
class Synced:
    """What one sync with a peer brought."""

    pulled: Pulled
    cosigned: list[str] = field(default_factory=list)
    problems: dict[str, HubError] = field(default_factory=dict)


@dataclass(frozen=True)
class Federation:
    """This node's side of the federation.

    Args:
        name: This node's name.
        store: Its store.
        registry: Gives the directory.
        clock: Dates cosignatures.
        witness: Its witness key.
        client: Returns the client for a peer, by its name.
    """

    name: str
    store: Store
    registry: Registry
    clock: Clock
    witness: Witness
    client: Callable[[str], Client]
    gate: Gate = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the gate that is closed while the node starts."""
        marks = self.witness.marks
        gate = Gate(self.name, self.store, self.registry, marks, self.clock)
        object.__setattr__(self, "gate", gate)

    def directory(self) -> Directory:
        """Return the directory as of the stored registry."""
        with self.store.read() as tx:
            return self.registry.directory(tx)

    def peers(self) -> list[str]:
        """Return the names of all other nodes."""
        return [name for name in self.directory().nodes if name != self.name]

    # -- mirroring -----------------------------------------------------------------

    def sync(self, peer: str, *, until: int | None = None) -> Synced:
        """Pull a peer once, then cosign what is due.

        Args:
            peer: The peer's name.
            until: The second after which nothing more is fetched.

        Raises:
            UnavailableError: The peer does not answer.
            MalformedError: Its list of heads is not one.
        """
        now, marks = self.clock.now(), self.witness.marks
        # What a process that was killed left undone is done first.
        self.follow_homes()
        client: Peer = self.client(peer)
        if until is not None:
            client = Bounded(client, self.clock, until, VISIT_BYTES)
        found = pull(self.store, self.registry, client, now, marks=marks)
        done = Synced(found)
        done.problems.update(done.pulled.problems)
        over = any(p.code == "visit-over" for p in found.problems.values())
        if self.gate.is_level(found.shown) and not over:
            with self.store.write() as tx:
                note_compared(tx, peer)
        if self.gate.is_open():
            self.cosign_due(done)
        return done

    def cosign_due(self, done: Synced) -> None:
        """Cosign every stored head that is not cosigned, or was an hour ago."""
        now, directory = self.clock.now(), self.directory()
        with self.store.read() as tx:
            heads = tx.heads.all()
            last = {feed: tx.federation.witnessed(feed) for feed in heads}
        for feed, head in heads.items():
            known = last[feed]
            if known and known.size == head.size and now - known.time < FRESH:
                continue
            try:
                self.witness.cosign(directory, feed, head.size, now)
                done.cosigned.append(feed)
            except HubError as error:
                # One feed that cannot be cosigned never keeps back the others.
                done.problems.setdefault(feed, error)

    # -- the home's part -----------------------------------------------------------

    def announce(self, feed: str, checkpoint: bytes, *, want: int, wait: float) -> int:
        """Show a checkpoint to all peers; return how many cosigned it in time.

        Args:
            feed: The feed.
            checkpoint: The signed note, stored and durable.
            want: How many cosignatures are enough.
            wait: Seconds to wait for them; later ones are kept all the same.
        """
        peers = self.peers()
        if not peers:
            return 0
        # The threads end with their last answer, which the client bounds in time.
        pool = ThreadPoolExecutor(max_workers=len(peers), thread_name_prefix="announce")
        asked = [pool.submit(self._ask, peer, feed, checkpoint) for peer in peers]
        pool.shutdown(wait=False)
        count = 0
        try:
            for done in as_completed(asked, timeout=wait):
                count += done.result()
                if count >= want:
                    break
        except OutOfTime:
            pass
        return count

    def _ask(self, peer: str, feed: str, checkpoint: bytes) -> int:
        """Ask one peer for its cosignature; return 1 when it came and is kept."""
        try:
            return self._submit(peer, feed, checkpoint)
        except (HubError, KeysError) as error:
            # The peer gets the checkpoint with its next sync.
            log.warning("%s does not cosign %s: %s", peer, feed, error)
            return 0

    def _submit(self, peer: str, feed: str, checkpoint: bytes) -> int:
        """Ask one peer for its cosignature; return 1 when it is kept.

        Raises:
            HubError: The peer cannot cosign, will not, or answers nonsense.
        """
        client, size = self.client(peer), peek_checkpoint(checkpoint).size
        with self.store.read() as tx:
            noted = tx.node.get_sync(f"witness {peer}").get(feed, "0")
        old = int(noted)
        for _ in range(2):
            body = self._submission(feed, old, size, checkpoint)
            status, answer = client.submit(body)
            if status == 200:
                return self._keep(peer, feed, size, answer)
            # SPEC: tlog-witness v1.0.0: 409 tells the size that was cosigned last. That
            # version answers 409 without one where later ones answer 422: the witness
            # cosigned another root of this very size.
            if status != 409 or not answer:
                raise RefusedError(f"the witness refuses with {status}")
            old = _size_of(answer)
            if old > size:
                raise UnavailableError(self._further(feed, old))
        raise UnavailableError("the witness names another size each time")

    def _further(self, feed: str, old: int) -> str:
        with self.store.read() as tx:
            size = tx.objects.size(feed)
        if old <= size:
            return f"it has cosigned {old} already"
        return f"it claims to have cosigned {old}, and there are {size} entries"

    def _submission(self, feed: str, old: int, size: int, checkpoint: bytes) -> bytes:
        if old > size:
            raise UnavailableError(f"a witness is ahead of {feed} at {size}")
        with self.store.read() as tx:
            proof: list[bytes] = []
            if 0 < old < size:
                proof = prove_consistency(old, size, tx.objects.hash_reader(feed, size))
        return render_submission(Submission(old, tuple(proof), checkpoint))

    def _keep(self, peer: str, feed: str, size: int, answer: bytes) -> int:
        lines = [line for line in answer.split(b"\n") if line]
        by: set[str] = set()
        with self.store.write() as tx:
            directory = self.registry.directory(tx)
            found = lambda node, _size, _time: by.add(node)  # noqa: E731 - A callback.
            keep(tx, directory, feed, size, lines, found=found)
            if peer in by:
                tx.node.set_sync(f"witness {peer}", {feed: str(size)})
        if peer not in by:
            # What others signed is kept all the same, but the peer vouched for nothing.
            raise MalformedError("its answer holds no line of its own")
        return 1

    # -- the peer's part -----------------------------------------------------------

    def receive(self, submission: Submission) -> bytes:
        """Return our cosignature of a checkpoint, after storing what is below it.

        Raises:
            RefusedError: Unknown origin (``unknown-origin``), not signed by its log
                key (``bad-log-signature``), or a frozen feed.
            MalformedError: Ill formed (``bad-submission``).
            SizeConflictError: Another size was cosigned last.
            ProofError: It does not extend what was cosigned last.
            UnavailableError: What is below it cannot be stored now.
        """
        self.gate.check()
        feed, checkpoint, directory = self._open(submission)
        size = checkpoint.size
        # SPEC: tlog-witness: the old size must not exceed that of the checkpoint.
        if submission.old > size:
            raise MalformedError(
                "the old size is the larger one", code="bad-submission"
            )
        self._convict(directory, feed, submission.checkpoint, checkpoint)
        with self.store.read() as tx:
            last = tx.federation.witnessed(feed)
        known = check_old(last, feed, submission.old)
        _check_extends(known, checkpoint, submission.proof)
        self._store_below(feed, size)
        self._store_note(feed, submission.checkpoint, checkpoint)
        now = self.clock.now()
        return self.witness.cosign(directory, feed, size, now, after=REFRESH)

    def _convict(
        self, directory: Directory, feed: str, raw: bytes, claimed: Checkpoint
    ) -> None:
        """Keep evidence if a signed checkpoint contradicts the tree that is stored.

        Whatever is answered then: what the log signed is known from here on.
        """
        with self.store.read() as tx:
            head = tx.heads.get(feed)
            if head is None or not 0 < claimed.size <= head.size:
                return
            reader = tx.objects.hash_reader(feed, head.size)
            if Frontier.of_hashes(claimed.size, reader).root() == claimed.root:
                return
            same = claimed.size == head.size
            evidence = fork(head.checkpoint, raw, None if same else reader)
        try:
            accept(self.store, directory, evidence, self.clock.now())
        except (MalformedError, ProofError):
            # It convicts nobody: the officers cut the feed below it, say.
            return

    def _open(self, submission: Submission) -> tuple[str, Checkpoint, Directory]:
        try:
            claimed = peek_checkpoint(submission.checkpoint, any_empty=True)
        except (MalformedError, KeysError):
            raise MalformedError("not a checkpoint", code="bad-submission") from None
        directory = self.directory()
        try:
            feed = feed_of(directory, claimed.origin)
        except (ProofError, MalformedError) as error:
            raise RefusedError(str(error), code="unknown-origin") from None
        public = directory.log_public(feed, claimed.size)
        if public is None:
            # A member or node that was admitted a moment ago.
            self._catch_up_registry(directory)
            directory = self.directory()
            public = directory.log_public(feed, claimed.size)
        if public is None:
            raise RefusedError(
                f"there is no feed {claimed.origin[:100]}", code="unknown-origin"
            )
        try:
            raw = submission.checkpoint
            origin = claimed.origin
            opened = open_checkpoint(raw, origin, public, any_empty=True)
        except SignatureError as error:
            raise RefusedError(str(error), code="bad-log-signature") from None
        return feed, opened, directory

    def _catch_up_registry(self, directory: Directory) -> None:
        home = directory.home(REGISTRY)
        if home is not None and home.node != self.name:
            self._pull(self.client(home.node), {REGISTRY})

    def _pull(self, client: Client, only: set[str]) -> Pulled:
        now, marks = self.clock.now(), self.witness.marks
        return pull(self.store, self.registry, client, now, only=only, marks=marks)

    def follow_homes(self) -> list[Cut]:
        """Set aside what the officers' home entries leave out of feeds."""
        marks = self.witness.marks
        return follow_homes(self.store, self.registry, self.clock.now(), marks)

    def _store_below(self, feed: str, size: int) -> None:
        """Fetch from the home what is below a checkpoint."""
        with self.store.read() as tx:
            head = tx.heads.get(feed)
        home = self.directory().home(feed)
        if home is None or home.node == self.name or (head and head.size >= size):
            return
        found = self._pull(self.client(home.node), {REGISTRY, feed})
        if feed in found.problems:
            raise UnavailableError(
                f"{feed} cannot be stored: {found.problems[feed]}", code="not-stored"
            )

    def _store_note(self, feed: str, raw: bytes, checkpoint: Checkpoint) -> None:
        """Keep the note of a batch that came here together with later ones.

        Raises:
            ProofError: It is not the head of the tree that is stored.
        """
        size = checkpoint.size
        with self.store.write() as tx:
            head, batch = tx.heads.get(feed), tx.batches.at(feed, size - 1)
            if head is None or batch is None or head.size < size:
                return
            reader = tx.objects.hash_reader(feed, size)
            if Frontier.of_hashes(size, reader).root() != checkpoint.root:
                raise ProofError(f"{feed} at {size} has another root here")
            # SPEC: design, Batch: heads end at batch boundaries.
            if batch.stop == size:
                tx.heads.add_checkpoint(feed, size, raw)


def _check_extends(
    known: Head | None, checkpoint: Checkpoint, proof: Sequence[bytes]
) -> None:
    """Check that a checkpoint extends what was cosigned last, None for nothing.

    Raises:
        ProofError: Nothing shows that it does.
    """
    if checkpoint.size == 0:
        # SPEC: tlog-witness: a root of size 0 other than that of the empty tree is 422.
        # Here the true one is too: a feed's first head is that of its first batch.
        raise ProofError("an empty tree is not cosigned")
    if known is not None:
        new = checkpoint.head
        check_consistency(known.size, known.root, new.size, new.root, proof)
    elif proof:
        # SPEC: tlog-witness: the proof must be empty if the old size is 0.
        raise ProofError("there is nothing to prove from size 0")


def _size_of(answer: bytes) -> int:
    """Return the size that a witness names.

    Raises:
        MalformedError: It names none.
    """
    try:
        return parse_decimal(answer.removesuffix(b"\n"))
    except EncodingError:
        raise MalformedError("the witness names no size") from None


def describe(done: Synced) -> str:
    """Return one JSON line about a sync, for the log."""
    body = {
        "feeds": [[f, a, b] for f, a, b in done.pulled.feeds],
        "cosigned": done.cosigned,
        "problems": {f: str(p) for f, p in done.problems.items()},
    }
    return json.dumps(body)
