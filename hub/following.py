"""Follow one feed of one peer: fetch what is ahead, verify it, then store it.

Nothing is stored before it is verified: the home's signature over the checkpoint, every
digest and root, every batch signature, and that the new head extends the old one. A
segment ends at a checkpoint and is one transaction, so an interrupted pull goes on
where it stopped. A head that cannot be followed is compared with ours, and may convict
its home.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub.conviction import (
    RepeatError,
    accept,
    check_repeats,
    find_fork,
    fork,
    show_repeat,
    show_successors,
)
from hub.cutting import Cut, drop
from hub.directory import Directory
from hub.erasure import void_closed
from hub.errors import (
    ConflictError,
    ForkError,
    HubError,
    MalformedError,
    MisbehaviourError,
    ProofError,
    RefusedError,
)
from hub.feeds import append_all
from hub.findings import Finding
from hub.freezing import check_not_frozen
from hub.gossip import ShownHead, check_shown, keep_cosignatures, note_shown
from hub.model import REGISTRY, origin_of
from hub.peer import Peer
from hub.registry import Registry
from hub.store.base import Store, StoredHead, Transaction
from hub.tlog.checkpoint import Checkpoint, open_checkpoint, peek_checkpoint
from hub.tlog.merkle import Frontier, leaf_hashes
from hub.tlog.tiles import TileId, TileReader, tile_path
from hub.tombstones import Arrived, foresee, parse_sent, settle
from hub.verifier import OpenBatch, split
from keys.errors import KeysError

__all__ = ["Following", "Progress", "Pulled"]

SEGMENT = 30_000
_TRIES = 100
Progress = Callable[[str, int, int], None]


@dataclass
class Pulled:
    """What a pull brought: (feed, from, to), and what went wrong at which feed.

    ``lagging`` holds the feeds of which the peer has less than we, as (its size, ours),
    ``evidence`` the names of facts that convict somebody and were not known here,
    ``findings`` orders to erase that were ignored, ``lost`` lines that were deleted
    under an order that is void now, with the order; ``answered`` is False when the peer
    said that it had nothing new; ``cuts`` holds the feeds of which the officers had a
    part set aside; ``shown`` holds the checkpoint that the peer showed of every feed.
    """

    feeds: list[tuple[str, int, int]] = field(default_factory=list)
    problems: dict[str, HubError] = field(default_factory=dict)
    lagging: dict[str, tuple[int, int]] = field(default_factory=dict)
    evidence: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    answered: bool = True
    cuts: list[Cut] = field(default_factory=list)
    shown: dict[str, bytes] = field(default_factory=dict)

    def add(self, more: Pulled) -> None:
        """Add what another round with the same peer brought."""
        for name in {feed for feed, _, _ in more.feeds} | set(more.problems):
            self.problems.pop(name, None)
        self.feeds += more.feeds
        self.problems.update(more.problems)
        self.lagging.update(more.lagging)
        self.evidence += more.evidence
        self.findings += more.findings
        self.lost.update(more.lost)
        self.cuts += more.cuts
        self.shown.update(more.shown)


class _OverruledError(MisbehaviourError):
    """Our history of a feed is not the one that the officers chose."""


def _checkpoints(answer: dict[str, Any]) -> list[bytes]:
    try:
        return [note.encode() for note in answer["checkpoints"]]
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
        raise MalformedError("the node's list of checkpoints is not one") from None


def _wrap(error: KeysError) -> HubError:
    return MalformedError(str(error), code=error.code, advice=error.advice)


class Following:
    """One feed of one peer, pulled once.

    Args:
        store: Where to.
        registry: Gives the directory of that store.
        client: The peer.
        name: The feed.
        now: The time here.
        progress: Is told (feed, entries so far, entries in all).
        known: Our size before the peer was asked for its heads.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        client: Peer,
        name: str,
        now: int,
        progress: Progress,
        known: int,
    ):
        self.store, self.registry, self.client = store, registry, client
        self.name, self.now, self.progress = name, now, progress
        self.known = known
        self.behind: tuple[int, int] | None = None
        self.findings: list[Finding] = []

    def pull_into(self, result: Pulled, shown: ShownHead) -> None:
        """Pull the feed and note what came of it."""
        self.findings = result.findings
        try:
            try:
                before, after = self._undisturbed(shown.checkpoint)
            except _OverruledError:
                drop(self.store, self.name, self.now)
                before, after = self._undisturbed(shown.checkpoint)
            note_shown(self.store, self.registry, self.client.url, self.name, shown)
            keep_cosignatures(self.store, self.registry, self.name, shown, self.now)
        except (HubError, KeysError) as error:
            # One bad feed never stalls the others.
            wrapped = error if isinstance(error, HubError) else _wrap(error)
            result.problems[self.name] = wrapped
            self._convict(wrapped)
            if self.name == REGISTRY:
                with self.store.read() as tx:
                    known = self.registry.directory(tx)
                show_successors(self.store, known, self.client, self.now)
            self._add_part(result)
            return
        if after > before:
            result.feeds.append((self.name, before, after))
        if self.behind:
            result.lagging[self.name] = self.behind

    def _add_part(self, result: Pulled) -> None:
        """Note what was stored before something went wrong; the next pull goes on."""
        with self.store.read() as tx:
            head = tx.heads.get(self.name)
        if head is not None and head.size > self.known:
            result.feeds.append((self.name, self.known, head.size))

    def _undisturbed(self, raw: bytes) -> tuple[int, int]:
        """Pull; begin again where another pull of this store got to meanwhile."""
        for left in reversed(range(_TRIES)):
            try:
                return self._pull(raw)
            except ConflictError as error:
                # A batch on top of another head is the peer's; no other pull is at it.
                if not left or error.code == "stale-proposal":
                    raise
        raise AssertionError("the last try returns or raises")

    def _pull(self, raw: bytes) -> tuple[int, int]:
        """Bring the feed up to a checkpoint; return the sizes before and after."""
        claimed = peek_checkpoint(raw)
        with self.store.read() as tx:
            head = tx.heads.get(self.name)
        size = head.size if head else 0
        self._compare(head, claimed, raw)
        start = size
        while size < claimed.size:
            target, note = self._target(size, claimed, raw)
            try:
                size = self._segment(size, target, note)
            except RepeatError as error:
                raise show_repeat(error, self.client) from None
            except (MalformedError, RefusedError, KeysError):
                self._suspect(note)
                raise
            except ConflictError as error:
                if error.code == "stale-proposal":
                    self._suspect(note)
                raise
            self.progress(self.name, size - start, claimed.size - start)
        return start, size

    def _suspect(self, raw: bytes) -> None:
        """Find out whether a head that we cannot follow convicts its home.

        Raises:
            ForkError: It does; the error carries the evidence.
        """
        with self.store.read() as tx:
            head = tx.heads.get(self.name)
            directory = self.registry.directory(tx)
        try:
            claimed = self._open(directory, raw)
            found = find_fork(head, raw, self._tile) if head else None
            over = bool(found and head) and self._is_overruled(directory, head, claimed)
        except (HubError, KeysError):
            # Whoever shows it cannot show that it was signed: that is its own lie.
            return
        if over:
            raise _OverruledError(f"the officers chose another history of {self.name}")
        if found:
            raise self._fork(found)

    def _is_overruled(
        self, directory: Directory, head: StoredHead | None, claimed: Checkpoint
    ) -> bool:
        """Tell whether a head that contradicts ours holds the one of the officers."""
        home = directory.home(self.name)
        if home is None or not head or not head.size < home.size <= claimed.size:
            return False
        reader = TileReader(claimed.size, claimed.root, self._tile)
        return Frontier.of_hashes(home.size, reader).root() == home.root

    def _tile(self, tile: TileId) -> bytes:
        return self.client.get_bytes(f"/v1/feeds/{self.name}/{tile_path(tile)}")

    def _fork(self, evidence: bytes) -> ForkError:
        return ForkError(
            f"{self.client.url} shows another history of {self.name}",
            evidence=evidence,
            advice="The evidence is kept; tell the officers of the alliance.",
        )

    def _convict(self, problem: HubError) -> None:
        """Keep the evidence that an error carries, once it proved to be some."""
        if not isinstance(problem, MisbehaviourError) or problem.evidence is None:
            return
        with self.store.read() as tx:
            directory = self.registry.directory(tx)
        try:
            accept(self.store, directory, problem.evidence, self.now)
        except (MalformedError, ProofError):
            # It convicts nobody under the keys of the registry that we have.
            return

    def _open(self, directory: Directory, raw: bytes) -> Checkpoint:
        checkpoint = peek_checkpoint(raw)
        public = directory.log_public(self.name, checkpoint.size)
        if public is None:
            raise MalformedError(
                f"the registry names no home for {self.name}", code="no-home"
            )
        return open_checkpoint(raw, origin_of(directory.alliance, self.name), public)

    def _compare(
        self, head: StoredHead | None, claimed: Checkpoint, raw: bytes
    ) -> None:
        """Refuse a head that cannot be true beside ours."""
        with self.store.read() as tx:
            directory = self.registry.directory(tx)
            if head is None or claimed.size > head.size:
                # Lines are fetched for signed heads; the registry's name its key.
                if self.name != REGISTRY:
                    check_not_frozen(tx, directory, self.name)
                    self._open(directory, raw)
                return
            self._open(directory, raw)
            if self._root_at(tx, claimed.size) != claimed.root:
                if self._is_left_behind(tx, directory, head, claimed):
                    self.behind = (0, head.size)
                    return
                raise self._fork(self._proof(tx, head, raw))
        # What another pull stored since we asked says nothing about the peer.
        if claimed.size >= min(head.size, self.known):
            return
        self.behind = (claimed.size, head.size)
        check_shown(self.store, directory, self.client.url, self.name, claimed.size)

    def _is_left_behind(
        self,
        tx: Transaction,
        directory: Directory,
        head: StoredHead,
        claimed: Checkpoint,
    ) -> bool:
        """Tell whether a peer holds a branch on which the officers decided against."""
        home = directory.home(self.name)
        if home is None or not claimed.size <= home.size <= head.size:
            return False
        return self._root_at(tx, home.size) == home.root

    def _proof(self, tx: Transaction, head: StoredHead, raw: bytes) -> bytes:
        reader = tx.objects.hash_reader(self.name, head.size)
        same = peek_checkpoint(raw).size == head.size
        return fork(head.checkpoint, raw, None if same else reader)

    def _root_at(self, tx: Transaction, size: int) -> bytes:
        if size == 0:
            return Frontier().root()
        reader = tx.objects.hash_reader(self.name, size)
        return Frontier.of_hashes(size, reader).root()

    def _target(self, size: int, claimed: Checkpoint, raw: bytes) -> tuple[int, bytes]:
        """Return a checkpoint at most about SEGMENT entries further."""
        if claimed.size - size <= SEGMENT:
            return claimed.size, raw
        path = f"/v1/feeds/{self.name}/checkpoints?from={size + SEGMENT}&limit=1"
        note = next(iter(self._list(path)), raw)
        target = peek_checkpoint(note).size
        if not size < target <= claimed.size:
            raise MalformedError("the list of checkpoints is out of order")
        return target, note

    def _nearer(self, size: int, reached: int) -> tuple[int, bytes]:
        """Return the furthest checkpoint over entries that were sent.

        Raises:
            MalformedError: The node sent less than a batch.
        """
        path = f"/v1/feeds/{self.name}/checkpoints?from={size + 1}"
        notes = [(peek_checkpoint(n).size, n) for n in self._list(path)]
        within = [(end, note) for end, note in notes if size < end <= reached]
        if not within:
            raise MalformedError("the node sent fewer lines than a batch has")
        return max(within)

    def _list(self, path: str) -> list[bytes]:
        return _checkpoints(self.client.get_json(path))

    def _segment(self, size: int, target: int, raw: bytes) -> int:
        """Fetch, verify and store the lines up to a checkpoint; return its size.

        Where the lines are too many bytes for one answer, it is an earlier one.
        """
        sent = self.client.lines(self.name, size, target)
        if len(sent) > target - size:
            raise MalformedError("the node sent more lines than asked")
        if len(sent) < target - size:
            target, raw = self._nearer(size, size + len(sent))
            del sent[target - size :]
        arrived = parse_sent(self.name, size, sent)
        lines, digests = arrived.lines, arrived.digests
        leaves = leaf_hashes(digests)
        self._foresee(arrived)
        with self.store.write() as tx:
            if tx.objects.size(self.name) != size:
                raise ConflictError(f"{self.name} grew meanwhile", code="feed-grew")
            before = directory = self.registry.directory(tx)
            if self.name == REGISTRY:
                batches, directory = self._replay(tx, size, lines, digests, raw)
            else:
                self._open(directory, raw)
                batches = split(directory, self.name, size, lines, leaves)
            # A batch that gives the registry another home is what ends its freeze.
            check_not_frozen(tx, directory, self.name)
            check_repeats(tx, batches)
            append_all(tx, batches, lines, digests, leaves, raw)
            self.findings += settle(tx, directory, arrived, batches, self.now)
            void_closed(tx, before, directory)
        return target

    def _foresee(self, arrived: Arrived) -> None:
        if arrived.claims and self.name != REGISTRY:
            with self.store.read() as tx:
                directory = self.registry.directory(tx)
            foresee(arrived, directory.size, directory, self.client)

    def _replay(
        self,
        tx: Transaction,
        size: int,
        lines: list[bytes | None],
        digests: list[bytes],
        raw: bytes,
    ) -> tuple[list[OpenBatch], Directory]:
        import copy  # noqa: PLC0415 - Only the registry needs it.

        replay = copy.copy(self.registry.current(tx))
        batches, place = [], 0
        while place < len(lines):
            batch = self._registry_batch(replay, lines, digests, place, size)
            batches.append(batch)
            place = batch.end - size
        # SPEC: design, Batch: the registry's checkpoint key is checked after its
        # batches, since they name it.
        checkpoint = self._open(replay.directory, raw)
        if checkpoint.head != replay.head:
            raise MalformedError("the registry does not lead to its checkpoint")
        return batches, replay.directory

    @staticmethod
    def _registry_batch(
        replay: Any,
        lines: list[bytes | None],
        digests: list[bytes],
        place: int,
        size: int,
    ) -> OpenBatch:
        from hub.verifier import open_header  # noqa: PLC0415

        header = lines[place]
        if header is None:
            raise MalformedError("a header is never erased")
        end = open_header(replay.directory, REGISTRY, size + place, header).end - size
        batch: OpenBatch = replay.batch(lines[place:end], digests[place:end])
        return batch
