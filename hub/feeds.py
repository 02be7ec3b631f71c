"""Feeds: a batch becomes lines, tree hashes and a signed checkpoint in one transaction.

:func:`append` stores a batch that a member published here, :func:`append_all` those
that were pulled from elsewhere; only where the checkpoint comes from differs. Nothing
signed leaves the process before the transaction is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.acceptance import LogKeys, check_caught_up, check_registry_batch, log_key
from hub.directory import Directory
from hub.erasure import check_order, record_orders, settle_arrivals, void_closed
from hub.erasure import void_ranges as void_ranges  # noqa: PLC0414 - Known from here.
from hub.errors import (
    ConflictError,
    MalformedError,
    RefusedError,
    UnavailableError,
)
from hub.freezing import check_key
from hub.model import REGISTRY, EntryName, origin_of, parse_time
from hub.sealing import check_not_sealed
from hub.store.base import BatchRow, Store, StoredHead, Transaction
from hub.store.pages import corrupt
from hub.tlog.batch import digests_of
from hub.tlog.checkpoint import Checkpoint, Head, peek_checkpoint, sign_checkpoint
from hub.tlog.merkle import Frontier, leaf_hashes
from hub.verifier import OpenBatch, check_entries, open_header
from keys.ed25519 import Signer
from keys.encoding import from_base64
from keys.errors import KeysError
from schemas.base import SchemaError
from schemas.fast import check_line
from schemas.identifiers import token_class

__all__ = [
    "Receipt",
    "append",
    "append_all",
    "authorise",
    "check_report",
    "delete_due",
    "known_batch",
    "publish",
    "void_ranges",
]

MAX_AHEAD = 300
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a batch stands and the checkpoint over it."""

    feed: str
    first: int
    size: int
    checkpoint: bytes


def authorise(directory: Directory, feed: str, first: int, header: bytes) -> OpenBatch:
    """Decide from the header alone whether a batch may be uploaded.

    Raises:
        RefusedError: Unknown feed, a member that left, a closed or foreign key.
        MalformedError: Not a header of this feed.
    """
    if feed != REGISTRY and feed not in directory.members:
        raise RefusedError(f"there is no feed called {feed}", code="unknown-feed")
    if feed in directory.left:
        raise RefusedError(f"{feed} left the alliance", code="member-left")
    batch = open_header(directory, feed, first, header)
    if batch.void:
        raise RefusedError(
            f"the key {batch.signer} is closed",
            code="closed-key",
            advice="Sign with an open key of this member, or ask the officers.",
        )
    return batch


def publish(
    store: Store,
    current: Callable[[Transaction], Any],
    feed: str,
    lines: Sequence[bytes],
    *,
    signer: LogKeys,
    now: int,
) -> Receipt:
    """Accept a whole batch, durably, or nothing of it.

    The registry names the log key that signs the feed, this batch included: an empty
    node, or one that only mirrored, becomes the home of the registry by a batch whose
    ``home`` entry names one of its log keys and exactly its stored head.

    Args:
        store: The store of the feed's home.
        current: Returns the registry's replay as of a transaction.
        feed: The feed's name.
        lines: The header line and the entries.
        signer: The log key of this home, or all it has, by their public halves.
        now: The home's time.

    Raises:
        MalformedError: Count, root or a line is wrong; the message names the line.
        RefusedError: Not allowed, or the batch id was used for something else.
        NotHomeError: The registry names no log key of this node for the feed.
        ConflictError: A registry batch was signed on top of another state than this.
    """
    digests = digests_of(lines)
    leaves = leaf_hashes(digests)
    with store.read() as tx:
        replay = current(tx)
        known = known_batch(tx, feed, lines[0])
        if known:
            return known
        size = tx.objects.size(feed)
        batch = authorise(replay.directory, feed, size, lines[0])
        _check_registry(tx, batch)
        check_entries(batch, leaves[1:])
        entries = _check_lines(tx, replay.directory, batch, lines[1:], now)
    with store.write() as tx:
        known = known_batch(tx, feed, lines[0])
        if known:
            return known
        replay = current(tx)
        batch = authorise(replay.directory, feed, tx.objects.size(feed), lines[0])
        if feed == REGISTRY:
            key = check_registry_batch(tx, replay, lines, digests, entries, signer)
        else:
            check_not_sealed(tx, replay.directory, feed)
            check_caught_up(tx, replay.directory, feed)
            key = log_key(replay.directory, feed, signer)
        # With the key of after the batch: the registry's freeze ends by such a batch.
        check_key(tx, feed, key.public)
        alliance = replay.directory.alliance
        receipt = append(tx, alliance, batch, lines, digests, leaves=leaves, signer=key)
        numbered = enumerate(entries, batch.first + 1)
        orders = [(i, e) for i, e in numbered if e["kind"] == "erasure"]
        record_orders(tx, batch, orders, now)
        settle_arrivals(tx, replay.directory, feed, batch.first, lines)
        if feed == REGISTRY:
            void_closed(tx, replay.directory, replay.after(lines[1:]))
        return receipt


def _check_registry(tx: Transaction, batch: OpenBatch) -> None:
    """Check that the writer saw the registry that this home has.

    Raises:
        UnavailableError: It saw a longer one: this home fell behind.
        RefusedError: It saw another one.
    """
    if batch.feed == REGISTRY:
        return  # Its replay wants exactly the present head.
    seen, size = batch.note.registry, tx.objects.size(REGISTRY)
    if seen.size > size:
        raise UnavailableError(
            f"the batch was signed at registry size {seen.size}, this node has {size}",
            code="registry-behind",
            advice="The operator restores the rest: hub restore --from-mirror.",
        )
    root = Frontier().root()
    if seen.size:
        reader = tx.objects.hash_reader(REGISTRY, seen.size)
        root = Frontier.of_hashes(seen.size, reader).root()
    # Heads end where batches end, so nobody saw one inside a batch.
    inside = tx.batches.at(REGISTRY, seen.size)
    if root != seen.root or (inside and inside.first != seen.size):
        raise RefusedError(
            f"the batch was signed under another registry of size {seen.size}",
            code="other-registry",
            advice="Keep your mirror and tell the officers of the alliance.",
        )


def known_batch(tx: Transaction, feed: str, header: bytes) -> Receipt | None:
    """Return the receipt of a batch that is stored already, as it was given then.

    Raises:
        MalformedError: Not a header.
        RefusedError: The id stands for another batch.
    """
    from hub.tlog.batch import parse_batch_note, parse_header  # noqa: PLC0415
    from keys.note import parse_note  # noqa: PLC0415

    try:
        note = parse_batch_note(parse_note(parse_header(header)).text)
    except KeysError as error:
        raise MalformedError(str(error), code="bad-header") from None
    row = tx.batches.find(feed, note.batch_id)
    if row is None:
        return None
    if tx.objects.digests(feed, row.first, row.first + 1)[0] != digests_of([header])[0]:
        raise RefusedError(
            "the batch id was used for another batch",
            code="batch-id-reused",
            advice="Sign the batch again with a new random id.",
        )
    size, checkpoint = tx.heads.checkpoints(feed, row.stop, 1)[0]
    return Receipt(feed, row.first, size, checkpoint)


def append(
    tx: Transaction,
    alliance: str,
    batch: OpenBatch,
    lines: Sequence[bytes | None],
    digests: Sequence[bytes],
    *,
    leaves: Sequence[bytes] | None = None,
    signer: Signer | None = None,
) -> Receipt:
    """Store a verified batch behind the last one.

    Args:
        tx: What stores it.
        alliance: The alliance's name.
        batch: What its header says.
        lines: The header and the entries, None where a tombstone stands.
        digests: Their items.
        leaves: The leaf hashes of the items, if the caller has them.
        signer: Makes the new checkpoint; without it the head stays where it was.

    Raises:
        ConflictError: Somebody appended meanwhile.
    """
    old = tx.heads.get(batch.feed)
    frontier = _extend(tx, [batch], lines, digests, leaves or leaf_hashes(digests))
    if signer is None:
        return Receipt(batch.feed, batch.first, frontier.size, b"")
    origin = origin_of(alliance, batch.feed)
    tree = Checkpoint(origin, frontier.size, frontier.root())
    head = StoredHead(tree.size, tree.root, sign_checkpoint(tree, signer))
    tx.heads.replace(batch.feed, old.size if old else None, head)
    return Receipt(batch.feed, batch.first, head.size, head.checkpoint)


def append_all(
    tx: Transaction,
    batches: Sequence[OpenBatch],
    lines: Sequence[bytes | None],
    digests: Sequence[bytes],
    leaves: Sequence[bytes],
    checkpoint: bytes,
) -> None:
    """Store verified batches that lead from the stored head to another one.

    Args:
        tx: What stores them; it must not commit if this raises.
        batches: What their headers say.
        lines: All their lines, None where a tombstone stands.
        digests: Their items.
        leaves: The leaf hashes of the items.
        checkpoint: The home's, its signature verified.

    Raises:
        ConflictError: Somebody appended meanwhile.
        MalformedError: The lines do not lead to the checkpoint (``wrong-root``).
    """
    feed = batches[0].feed
    old = tx.heads.get(feed)
    frontier = _extend(tx, batches, lines, digests, leaves)
    head = StoredHead(frontier.size, frontier.root(), checkpoint)
    if peek_checkpoint(checkpoint).head != Head(head.size, head.root):
        raise MalformedError(
            f"the lines of {feed} do not lead to its checkpoint",
            code="wrong-root",
            advice="Pull from another node, and tell the operator of this one.",
        )
    tx.heads.replace(feed, old.size if old else None, head)


def _extend(
    tx: Transaction,
    batches: Sequence[OpenBatch],
    lines: Sequence[bytes | None],
    digests: Sequence[bytes],
    leaves: Sequence[bytes],
) -> Frontier:
    """Store lines, tree hashes and places of batches; return the new tree."""
    feed, first = batches[0].feed, batches[0].first
    if tx.objects.size(feed) != first:
        raise ConflictError(f"{feed} grew meanwhile", code="feed-grew")
    before = Frontier()
    if first:
        before = Frontier.of_hashes(first, tx.objects.hash_reader(feed, first))
    head = tx.heads.get(feed)
    if head is not None and head.size == first and before.root() != head.root:
        # To sign on top of it would be another history, and convict this node.
        raise corrupt(f"the tree hashes of {feed} do not lead to its head")
    frontier, nodes = before.extend_with_nodes(leaves)
    tx.objects.append(feed, first, lines, digests, nodes)
    for batch in batches:
        note = batch.note
        row = BatchRow(note.batch_id, batch.first, note.count, batch.public)
        tx.batches.add(feed, row)
    return frontier


def _check_lines(
    tx: Transaction,
    directory: Directory,
    batch: OpenBatch,
    lines: Sequence[bytes],
    now: int,
) -> list[Entry]:
    entries: list[Entry] = []
    registry = batch.feed == REGISTRY
    for number, line in enumerate(lines, 2):
        try:
            entry = check_line(line, registry=registry)
            _check_entry(tx, directory, batch, entry, now)
        except (SchemaError, MalformedError) as error:
            raise MalformedError(
                f"line {number}: {error}",
                code="invalid-line",
                advice="Mend the line, then sign and send the batch again.",
            ) from None
        entries.append(entry)
    return entries


def _check_entry(
    tx: Transaction, directory: Directory, batch: OpenBatch, entry: Entry, now: int
) -> None:
    if parse_time(entry["at"]) > now + MAX_AHEAD:
        raise MalformedError("at: the time lies more than five minutes ahead")
    rules = _ENTRY_RULES if batch.feed != REGISTRY else _OFFICERS_RULES
    rule = rules.get(entry["kind"])
    if rule:
        rule(tx, directory, batch, entry)


def check_report(directory: Directory, entry: Entry) -> None:
    """Check what a report needs of the registry: its token key, and how long it lasts.

    Raises:
        MalformedError: The message names the field.
    """
    key = directory.token_keys.get(entry["key"])
    if key is None or key.name in directory.retired:
        raise MalformedError(f"key: {entry['key']} is not an active token key")
    if key.token_class != token_class(entry["type"]):
        raise MalformedError(
            f"key: {entry['type']} belongs under a {token_class(entry['type'])} key"
        )
    days = directory.policy.valid_days.get(entry["basis"], 730)
    start, end = parse_time(entry["at"]), parse_time(entry["valid_until"])
    if not start < end <= start + days * 86400:
        raise MalformedError(
            f"valid_until: at most {days} days after at for this basis"
        )


def _check_report(
    _tx: Transaction, directory: Directory, _batch: OpenBatch, entry: Entry
) -> None:
    check_report(directory, entry)


def _check_withdrawal(
    _tx: Transaction, _directory: Directory, batch: OpenBatch, entry: Entry
) -> None:
    if "entry" in entry:
        name = EntryName.parse(entry["entry"])
        if name.feed != batch.feed or name.index >= batch.end:
            raise MalformedError("entry: names no earlier entry of this feed")


def _check_dispute(
    tx: Transaction, _directory: Directory, batch: OpenBatch, entry: Entry
) -> None:
    reference = entry["report"]
    feed, index = reference["feed"], reference["entry"]
    if feed == batch.feed:
        raise MalformedError("report: withdraw one's own reports instead")
    if index >= tx.objects.size(feed):
        raise MalformedError(f"report: there is no entry {feed}/{index}")
    if tx.objects.digests(feed, index, index + 1)[0] != from_base64(
        reference["digest"], 32
    ):
        raise MalformedError(f"report: the digest is not that of {feed}/{index}")


def _check_erasure(
    tx: Transaction, _directory: Directory, batch: OpenBatch, entry: Entry
) -> None:
    check_order(tx, batch, entry)


_ENTRY_RULES = {
    "report": _check_report,
    "withdrawal": _check_withdrawal,
    "dispute": _check_dispute,
    "erasure": _check_erasure,
}
# What else officers may write is decided by the replay of the registry.
_OFFICERS_RULES = {"erasure": _check_erasure}


def delete_due(store: Store, now: int) -> int:
    """Delete the lines whose erasure was ordered 72 hours ago; return how many."""
    with store.write() as tx:
        by_feed: dict[str, list[int]] = {}
        tx.erasures.restart(now)
        for order in tx.erasures.due(now):
            by_feed.setdefault(order.feed, []).append(order.index)
        for feed, named in by_feed.items():
            # An order of the registry may be here before the lines that it names.
            size = tx.objects.size(feed)
            indices = by_feed[feed] = [i for i in named if i < size]
            tx.objects.erase(feed, indices)
            tx.index.forget(feed, indices)
            tx.erasures.mark_deleted(feed, indices)
        return sum(map(len, by_feed.values()))
