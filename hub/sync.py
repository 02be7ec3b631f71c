"""Pull one peer once: heads, registry first, then every feed that is ahead.

A client is a node that does not serve, so ``hub pull`` is this function too. Nothing is
stored before it is verified: the home's signature over the checkpoint, every digest and
root, every batch signature, and that the new head extends the old one. A segment ends
at a checkpoint and is one transaction, so an interrupted pull goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from hub.directory import Directory
from hub.errors import ForkError, HubError, MalformedError, RollbackError
from hub.feeds import append, erasure_targets
from hub.model import REGISTRY, EntryName, check_feed, origin_of
from hub.registry import Registry
from hub.store.base import Store, StoredHead, Transaction
from hub.tlog.batch import digests_of
from hub.tlog.checkpoint import Checkpoint, open_checkpoint, peek_checkpoint
from hub.tlog.merkle import Frontier, leaf_hashes
from hub.verifier import OpenBatch, split
from keys.encoding import from_base64
from keys.errors import EncodingError, KeysError
from schemas.fast import read_line

__all__ = ["Mirror", "Peer", "Pulled", "pull"]

SEGMENT = 30_000
_TOMBSTONE = b'{"kind":"tombstone"'
Progress = Callable[[str, int, int], None]


class Peer(Protocol):
    """What is pulled from: a node over HTTP, or another mirror's file."""

    url: str

    def heads(self, etag: str = "") -> tuple[dict[str, Any] | None, str]:
        """Return all heads and a tag; None when the tag still holds."""
        ...

    def lines(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return the lines of a range."""
        ...

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the answer for a path of the HTTP interface."""
        ...


class Mirror:
    """A peer that is the file of another mirror; not trusted, like every peer.

    Args:
        store: The other mirror's store.
        url: A name for it.
    """

    def __init__(self, store: Store, url: str):
        self.store, self.url = store, url

    def heads(self, etag: str = "") -> tuple[dict[str, Any] | None, str]:
        """Return all heads."""
        with self.store.read() as tx:
            feeds = [
                {"feed": feed, "checkpoint": head.checkpoint.decode()}
                for feed, head in tx.heads.all().items()
            ]
        return {"feeds": feeds}, etag

    def lines(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return the lines of a range.

        Raises:
            MalformedError: A line is erased there; another mirror may have it.
        """
        with self.store.read() as tx:
            lines = [line.raw for line in tx.objects.lines(feed, start, stop)]
        if None in lines:
            raise MalformedError(f"{self.url} lacks lines of {feed}", code="erased")
        return [line for line in lines if line is not None]

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the next checkpoint; the engine asks a mirror for nothing else."""
        feed, query = path.split("/")[3], path.partition("?from=")[2]
        with self.store.read() as tx:
            start = int(query.partition("&")[0])
            notes = tx.heads.checkpoints(feed, start, 1)
        return {"checkpoints": [raw.decode() for _, raw in notes]}


@dataclass
class Pulled:
    """What a pull brought: (feed, from, to), and what went wrong at which feed."""

    feeds: list[tuple[str, int, int]] = field(default_factory=list)
    problems: dict[str, HubError] = field(default_factory=dict)


def pull(
    store: Store,
    registry: Registry,
    client: Peer,
    now: int,
    progress: Progress = lambda _feed, _done, _size: None,
) -> Pulled:
    """Bring every feed up to the peer's heads.

    Raises:
        UnavailableError: The peer does not answer.
        MalformedError: Its list of heads is not one.
    """
    result = Pulled()
    with store.read() as tx:
        etag = tx.node.get_sync(client.url).get("etag", "")
    answer, etag = client.heads(etag)
    if answer is None:
        return result
    heads = _heads(answer)
    for name in sorted(heads, key=lambda n: (n != REGISTRY, n)):
        one = _Feed(store, registry, client, name, now, progress)
        try:
            before, after = one.pull(heads[name])
        except (HubError, KeysError) as error:
            # One bad feed never stalls the others.
            wrapped = error if isinstance(error, HubError) else _wrap(error)
            result.problems[name] = wrapped
            continue
        if after > before:
            result.feeds.append((name, before, after))
    if not result.problems:
        with store.write() as tx:
            tx.node.set_sync(client.url, {"etag": etag})
    return result


def _heads(answer: dict[str, Any]) -> dict[str, bytes]:
    try:
        feeds = [(check_feed(h["feed"]), h["checkpoint"]) for h in answer["feeds"]]
        return {feed: checkpoint.encode() for feed, checkpoint in feeds}
    except (KeyError, TypeError, AttributeError):
        raise MalformedError("the node's list of heads is not one") from None


def _first_checkpoint(answer: dict[str, Any], otherwise: bytes) -> bytes:
    try:
        notes = answer["checkpoints"]
        return bytes(notes[0].encode()) if notes else otherwise
    except (KeyError, TypeError, AttributeError, IndexError):
        raise MalformedError("the node's list of checkpoints is not one") from None


def _wrap(error: KeysError) -> HubError:
    return MalformedError(str(error), code=error.code, advice=error.advice)


class _Feed:
    """One feed of one peer, pulled once."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        client: Peer,
        name: str,
        now: int,
        progress: Progress,
    ):
        self.store, self.registry, self.client = store, registry, client
        self.name, self.now, self.progress = name, now, progress

    def pull(self, raw: bytes) -> tuple[int, int]:
        """Bring the feed up to a checkpoint; return the sizes before and after."""
        claimed = peek_checkpoint(raw)
        with self.store.read() as tx:
            head = tx.heads.get(self.name)
        size = head.size if head else 0
        self._compare(head, claimed, raw)
        start = size
        for target, note in self._targets(size, claimed, raw):
            self._segment(size, target, note)
            size = target
            self.progress(self.name, size - start, claimed.size - start)
        return start, size

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
        if head is None or claimed.size > head.size:
            return
        with self.store.read() as tx:
            directory = self.registry.directory(tx)
            ours = self._root_at(tx, claimed.size)
        self._open(directory, raw)
        if ours != claimed.root:
            raise ForkError(
                f"{self.client.url} shows another history of {self.name} at size "
                f"{claimed.size}",
                evidence=json.dumps(
                    [head.checkpoint.decode(), raw.decode()], ensure_ascii=False
                ).encode(),
                advice="Keep this message and tell the officers of the alliance.",
            )
        if claimed.size < head.size:
            raise RollbackError(
                f"{self.client.url} shows {self.name} at {claimed.size}, it was at "
                f"{head.size} before",
                advice="Its operator may have restored an old copy: tell them.",
            )

    def _root_at(self, tx: Transaction, size: int) -> bytes:
        if size == 0:
            return Frontier().root()
        reader = tx.objects.hash_reader(self.name, size)
        return Frontier.of_hashes(size, reader).root()

    def _targets(
        self, size: int, claimed: Checkpoint, raw: bytes
    ) -> Iterator[tuple[int, bytes]]:
        """Yield checkpoints at most about SEGMENT entries apart."""
        while size < claimed.size:
            if claimed.size - size <= SEGMENT:
                yield claimed.size, raw
                return
            path = f"/v1/feeds/{self.name}/checkpoints?from={size + SEGMENT}&limit=1"
            note = _first_checkpoint(self.client.get_json(path), raw)
            target = peek_checkpoint(note).size
            if not size < target <= claimed.size:
                raise MalformedError("the list of checkpoints is out of order")
            yield target, note
            size = target

    def _segment(self, size: int, target: int, raw: bytes) -> None:
        """Fetch, verify and store the lines up to a checkpoint."""
        sent = self.client.lines(self.name, size, target)
        if len(sent) != target - size:
            raise MalformedError("the node sent another number of lines than asked")
        lines, digests, claims = self._digests(size, sent)
        with self.store.write() as tx:
            if tx.objects.size(self.name) != size:
                return
            if self.name == REGISTRY:
                batches = self._replay(tx, size, lines, digests, raw)
            else:
                directory = self.registry.directory(tx)
                checkpoint = self._open(directory, raw)
                batches = split(directory, self.name, size, lines, digests)
                self._check_root(tx, size, digests, checkpoint)
            alliance = self.registry.pin.alliance
            for batch in batches:
                cut = slice(batch.first - size, batch.end - size)
                note = raw if batch.end == target else None
                append(tx, alliance, batch, lines[cut], digests[cut], checkpoint=note)
            self._orders(tx, size, lines)
            self._check_claims(tx, claims)

    def _digests(
        self, first: int, sent: list[bytes]
    ) -> tuple[list[bytes | None], list[bytes], dict[int, str]]:
        digests = digests_of(sent)
        lines: list[bytes | None] = list(sent)
        claims = {}
        for place, line in enumerate(sent):
            if not line.startswith(_TOMBSTONE):
                continue
            try:
                body = json.loads(line)
                digests[place] = from_base64(body["digest"], 32)
                claims[first + place] = str(body["by"])
            except (
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
                RecursionError,
                EncodingError,
            ):
                raise MalformedError("a tombstone is malformed") from None
            lines[place] = None
        return lines, digests, claims

    def _replay(
        self,
        tx: Transaction,
        size: int,
        lines: list[bytes | None],
        digests: list[bytes],
        raw: bytes,
    ) -> list[OpenBatch]:
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
        return batches

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

    def _check_root(
        self, tx: Transaction, size: int, digests: list[bytes], claimed: Checkpoint
    ) -> None:
        before = Frontier()
        if size:
            before = Frontier.of_hashes(size, tx.objects.hash_reader(self.name, size))
        if before.extend(leaf_hashes(digests)).root() != claimed.root:
            raise MalformedError(
                f"the lines of {self.name} do not lead to its checkpoint",
                code="wrong-root",
                advice="Pull from another node, and tell the operator of this one.",
            )

    def _orders(self, tx: Transaction, first: int, lines: list[bytes | None]) -> None:
        registry = self.name == REGISTRY
        for index, line in enumerate(lines, first):
            if line is None or b'"kind":"erasure"' not in line[:40]:
                continue
            entry, _ = read_line(line, registry=registry)
            for target, indices in erasure_targets(self.name, entry or {}):
                by = str(EntryName(self.name, index))
                tx.erasures.order(target, indices, by, self.now)

    def _check_claims(self, tx: Transaction, claims: dict[int, str]) -> None:
        for index in claims:
            if index not in tx.erasures.hidden(self.name, index, index + 1):
                raise MalformedError(
                    f"{self.name}/{index} is withheld and no erasure covers it",
                    code="tombstone-without-erasure",
                    advice="Pull again; if it stays, tell the officers.",
                )
