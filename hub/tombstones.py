"""Lines that a peer withholds: each needs an order that has them erased.

A tombstone names its order. It is believed when that order is stored here, stands in
what arrives with it, or stands later in the same feed: then the peer shows the order's
line with a proof to a checkpoint that the home signed, so that a feed can be mirrored
piece by piece. An order above what the peer shows, or in a registry that is newer than
ours, makes the caller pull again. A line under an order that is void now is a loss,
unless a peer still has it: nobody misbehaved, and the pull goes on.

Not trusted: the peer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.directory import Directory
from hub.erasure import record_orders, settle_arrivals, targets_of, void_ranges
from hub.errors import HubError, MalformedError, UnavailableError
from hub.findings import Finding
from hub.model import REGISTRY, EntryName, origin_of
from hub.peer import Peer
from hub.store.base import Store, Transaction
from hub.tlog.batch import digests_of
from hub.tlog.checkpoint import open_checkpoint, peek_checkpoint
from hub.tlog.proof import check_proof, parse_proof
from hub.verifier import OpenBatch
from keys.encoding import from_base64
from keys.errors import EncodingError, KeysError
from schemas.fast import read_line

__all__ = [
    "ORDER_AHEAD",
    "Arrived",
    "foresee",
    "losses",
    "parse_sent",
    "refill",
    "settle",
]

ORDER_AHEAD = "order-above-head"
"""The code of the error that asks the caller to pull again."""

_ASKED = 1000  # Lost lines that one pull asks for.
_REPORT = b'{"kind":"report",'
_TOMBSTONE = b'{"kind":"tombstone"'


@dataclass
class Arrived:
    """What a peer sent of a feed from ``first`` on.

    Args:
        feed: The feed.
        first: The index of the first line.
        lines: The lines, None where a tombstone stands.
        digests: The item of every line; a tombstone's is what it claims.
        claims: For each withheld line the entry that is said to order it.
        foreseen: Those of the claims that the peer proved by a later entry.
    """

    feed: str
    first: int
    lines: list[bytes | None]
    digests: list[bytes]
    claims: dict[int, str] = field(default_factory=dict)
    foreseen: dict[int, str] = field(default_factory=dict)

    @property
    def stop(self) -> int:
        """The index after the last line."""
        return self.first + len(self.lines)

    def orders(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the erasure entries among the lines."""
        for index, line in enumerate(self.lines, self.first):
            # A key that stands twice voids a line, so what begins as a report is no
            # erasure. JSON hides a word behind an escape and nowhere else.
            if line is None or line.startswith(_REPORT):
                continue
            if b"erasure" not in line and b"\\" not in line:
                continue
            entry, _ = read_line(line, registry=self.feed == REGISTRY)
            if entry and entry["kind"] == "erasure":
                yield index, entry


def parse_sent(feed: str, first: int, sent: Sequence[bytes]) -> Arrived:
    """Tell lines from tombstones.

    Raises:
        MalformedError: A tombstone is not one.
    """
    arrived = Arrived(feed, first, list(sent), digests_of(sent))
    withheld = [n for n, line in enumerate(sent) if line.startswith(_TOMBSTONE)]
    for place in withheld:
        try:
            body = json.loads(sent[place])
            arrived.digests[place] = from_base64(body["digest"], 32)
            arrived.claims[first + place] = str(EntryName.parse(body["by"]))
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            EncodingError,
            MalformedError,
        ):
            raise MalformedError("a tombstone is malformed") from None
        arrived.lines[place] = None
    return arrived


def _withheld(feed: str, index: int) -> MalformedError:
    return MalformedError(
        f"{feed}/{index} is withheld and no erasure covers it",
        code="tombstone-without-erasure",
        advice="Pull from another node; if it stays, tell the officers.",
    )


def foresee(
    arrived: Arrived, registry_size: int, directory: Directory, peer: Peer
) -> None:
    """Let the peer prove the orders that lie above what it sent.

    Args:
        arrived: What it sent; gets what was proved.
        registry_size: How much of the registry is stored here.
        directory: Names the log key of the feed.
        peer: Who sent it.

    Raises:
        MalformedError: A later entry is no order for the line.
        UnavailableError: The order lies above what the peer shows (``ORDER_AHEAD``).
    """
    shown: dict[int, Sequence[int]] = {}
    for index, claim in arrived.claims.items():
        by = EntryName.parse(claim)
        if by.feed == REGISTRY and by.index >= registry_size:
            raise _ahead(arrived.feed, index, by)
        if by.feed != arrived.feed or by.index < arrived.stop:
            continue
        if by.index not in shown:
            shown[by.index] = _indices(arrived, index, by, directory, peer)
        if index not in shown[by.index]:
            raise _withheld(arrived.feed, index)
        arrived.foreseen[index] = claim


def _ahead(feed: str, index: int, by: EntryName) -> UnavailableError:
    return UnavailableError(
        f"{feed}/{index} is withheld under {by}, which is not here yet",
        code=ORDER_AHEAD,
        advice="Pull again.",
    )


def _indices(
    arrived: Arrived, index: int, by: EntryName, directory: Directory, peer: Peer
) -> Sequence[int]:
    """Return what a later entry of the feed orders to be erased, as the home signed."""
    path = f"/v1/feeds/{by.feed}/proof/{by.index}"
    try:
        lines = peer.lines(by.feed, by.index, by.index + 1)
        proof = parse_proof(peer.get_bytes(path))
    except HubError:
        # The peer shows less than it acts on; a newer head will hold the order.
        raise _ahead(arrived.feed, index, by) from None
    try:
        size = peek_checkpoint(proof.checkpoint).size
        public = directory.log_public(by.feed, size) or b""
        origin = origin_of(directory.alliance, by.feed)
        head = open_checkpoint(proof.checkpoint, origin, public).head
    except KeysError as error:
        raise MalformedError(str(error), code=error.code) from None
    if len(lines) != 1 or proof.index != by.index:
        raise _withheld(arrived.feed, index)
    check_proof(proof, digests_of(lines)[0], head)
    entry, _ = read_line(lines[0])
    if not entry or entry["kind"] != "erasure":
        raise _withheld(arrived.feed, index)
    return targets_of(by.feed, entry)[1]


def settle(
    tx: Transaction,
    directory: Directory,
    arrived: Arrived,
    batches: Sequence[OpenBatch],
    now: int,
) -> list[Finding]:
    """Store the orders that arrived and judge what is withheld.

    Args:
        tx: The transaction that stored the lines; it must not commit if this raises.
        directory: The registry with what arrived.
        arrived: What arrived.
        batches: Its batches.
        now: This machine's time.

    Returns:
        Findings about orders that are ignored.

    Raises:
        MalformedError: A line is withheld and no order covers it, or an order that the
            peer had shown is not where it was shown.
    """
    feed = arrived.feed
    for index, by in arrived.foreseen.items():
        tx.erasures.order(feed, [index], by, now)
    found, orders = [], list(arrived.orders())
    for batch in batches:
        mine = [(i, e) for i, e in orders if batch.first < i < batch.end]
        if mine:
            found += record_orders(tx, batch, mine, now)
    found += settle_arrivals(tx, directory, feed, arrived.first, arrived.lines)
    _check_foreseen(tx, arrived, dict(orders))
    _check_claims(tx, directory, arrived)
    return found


def _check_foreseen(
    tx: Transaction, arrived: Arrived, orders: Mapping[int, Mapping[str, Any]]
) -> None:
    """Check that orders which were foreseen for this range stand in it."""
    if arrived.feed == REGISTRY:
        return
    for order in tx.erasures.orders(arrived.feed, 0, arrived.stop):
        by = EntryName.parse(order.by)
        here = by.feed == arrived.feed and arrived.first <= by.index < arrived.stop
        if here and order.index not in orders.get(by.index, {"indices": ()})["indices"]:
            raise _withheld(arrived.feed, order.index)


def _check_claims(tx: Transaction, directory: Directory, arrived: Arrived) -> None:
    if not arrived.claims:
        return
    feed = arrived.feed
    hidden = tx.erasures.hidden(feed, arrived.first, arrived.stop)
    spans = void_ranges(tx, directory, feed)
    for index, claim in arrived.claims.items():
        if index in hidden:
            continue
        by = EntryName.parse(claim)
        void = by.feed == feed and any(by.index in span for span in spans)
        orders = tx.erasures.orders(feed, index, index + 1)
        if not void or claim not in {order.by for order in orders}:
            raise _withheld(feed, index)
    # The lines are not here, so nothing of them is left to be deleted.
    tx.erasures.mark_deleted(feed, list(arrived.claims))


def losses(tx: Transaction, feed: str) -> dict[str, str]:
    """Return the lines of a feed that were deleted under orders which are all void."""
    standing: set[int] = set()
    lost: dict[int, str] = {}
    for order in tx.erasures.orders(feed, 0, tx.objects.size(feed)):
        if not order.voided:
            standing.add(order.index)
        elif order.deleted:
            lost.setdefault(order.index, order.by)
    return {f"{feed}/{i}": by for i, by in lost.items() if i not in standing}


def refill(store: Store, feed: str, lost: Mapping[str, str], peer: Peer) -> list[str]:
    """Ask a peer for lost lines that it may still have; return those that are back.

    A line that came as a tombstone under an order that is void now is nowhere here,
    but whoever held it then shows it again.

    Args:
        store: Where they are lost.
        feed: The feed.
        lost: Names of lines of it (:func:`losses`).
        peer: Whom to ask.
    """
    found: dict[int, bytes] = {}
    for name in list(lost)[:_ASKED]:
        index = EntryName.parse(name).index
        try:
            lines = peer.lines(feed, index, index + 1)
        except HubError:
            # What this peer does not answer, the next one may.
            break
        if len(lines) == 1 and not lines[0].startswith(_TOMBSTONE):
            found[index] = lines[0]
    if not found:
        return []
    with store.write() as tx:
        good = {
            index: raw
            for index, raw in found.items()
            if digests_of([raw]) == tx.objects.digests(feed, index, index + 1)
        }
        tx.objects.refill(feed, good)
        tx.erasures.mark_refilled(feed, list(good))
        # What is derived went past them without them.
        tx.index.clear()
    return [f"{feed}/{index}" for index in good]
