"""Feeds over HTTP: publish a batch; read heads, tiles, lines and proofs."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress

from flask import Response, request
from flask_smorest import Blueprint

from hub.api import serving
from hub.api.bodies import expect, read_line, read_rest
from hub.api.described import (
    FEED,
    NDJSON,
    OCTETS,
    READER,
    TEXT,
    body,
    field,
    query,
    raw,
    said,
)
from hub.api.federation import cosigned
from hub.conviction import note_successor
from hub.directory import Directory
from hub.errors import HubError, MalformedError, NotHomeError, RefusedError
from hub.feeds import Receipt as Stored
from hub.feeds import authorise, known_batch, publish
from hub.freezing import check_not_frozen, is_frozen
from hub.model import REGISTRY, origin_of, render_tombstone
from hub.peer import MAX_ANSWER
from hub.proving import tlog_proof
from hub.store.base import ReadRow, StoredHead, Transaction
from hub.tlog.batch import MAX_BYTES, MAX_ENTRIES, MAX_LINE
from hub.tlog.checkpoint import Checkpoint, open_checkpoint
from hub.tlog.tiles import TILE, parse_tile_path, render_bundle, width_at
from hub.witness import keep_shown, lines_of, others, quorum, shown_sizes
from keys.encoding import from_base64, parse_decimal
from keys.errors import EncodingError, KeysError
from schemas.api import Checkpoints, Heads, Receipt

__all__ = ["blueprint"]

blueprint = Blueprint("feeds", __name__, url_prefix="/v1/feeds", description=__doc__)
FOREVER = "public, max-age=31536000, immutable"
_OWN_FOREVER = "private, max-age=31536000, immutable"
_CALLER = "Signature, Authorization"
_PAGE = 100  # Checkpoints that are read at once.
_PATIENCE = 5.0  # Seconds that a publisher waits for cosignatures.


@blueprint.route("")
@blueprint.response(
    200,
    Heads,
    description="All heads that the caller may see; one ETag over them.",
    headers=said(ETag="Of the whole answer.", Cache_Control="no-cache"),
)
@blueprint.alt_response(304, description="Nothing changed since that ETag.")
@blueprint.doc(parameters=[field("If-None-Match", "The ETag of an earlier answer.")])
def list_heads() -> Response:
    """All heads with their signed checkpoints."""
    node = serving()
    with node.hub.store.read() as tx:
        directory = node.hub.registry.directory(tx)
        feeds = [feed for feed in tx.heads.all() if node.shows_log(feed)]
        shown = {feed: node.shown(tx, feed) for feed in feeds}
        listed = [
            {
                "feed": feed,
                "size": head.size,
                "checkpoint": head.checkpoint.decode(),
                "cosignatures": [c.decode() for c in lines_of(tx, feed, head.size)],
                "frozen": is_frozen(tx, directory, feed),
            }
            for feed, head in shown.items()
            if head is not None
        ]
        evidence = [row.name for row in tx.federation.evidence()]
    body = json.dumps({"feeds": listed, "evidence": evidence})
    answer = Response(body, content_type="application/json")
    answer.set_etag(hashlib.sha256(body.encode()).hexdigest()[:32])
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["Vary"] = _CALLER
    answer.make_conditional(request)
    return answer


@blueprint.route("/<feed>/batches", methods=["POST"], parameters=[FEED])
@blueprint.response(
    200, Receipt, description="The receipt, with the quorum's cosignatures."
)
@blueprint.alt_response(
    202,
    schema=Receipt,
    description="Stored, while the quorum is awaited.",
    headers=said(Location="Where the receipt will be."),
    success=True,
)
@blueprint.doc(
    parameters=[
        field("Hub-Newest-Checkpoint", "The newest one that the writer has, base64."),
        field("Content-Digest", "RFC 9530, sha-256 or sha-512; compared if given."),
    ],
    requestBody=body(
        NDJSON,
        "A header line, which is signed and authorises, then 1 to 10,000 entries.",
    ),
)
def post_batch(feed: str) -> Response:
    """Publish a batch: a header line, then its entries, one a line."""
    node = serving()
    node.count_batch()
    expect(NDJSON, MAX_BYTES)
    header = read_line(MAX_LINE + 1)
    directory = node.directory()
    home = directory.home(feed)
    # A registry batch may name this node as its new home, so it is read first.
    if feed != REGISTRY and home is not None and home.node != node.hub.name:
        url = directory.nodes[home.node]
        raise NotHomeError(f"the home of {feed} is {home.node}", home=url)
    line = header.removesuffix(b"\n")
    with node.hub.store.read() as tx:
        if feed != REGISTRY:
            check_not_frozen(tx, directory, feed)
        node.check_started()
        node.check_not_behind(tx, feed, _newest_seen(feed, directory.alliance))
        known = known_batch(tx, feed, line)
        if known:
            # Even if its key is closed by now: the receipt was given, and holds.
            return _receipt(known)
        authorise(directory, feed, tx.objects.size(feed), line)
    lines = _read_lines(header)
    shown = shown_sizes(node.hub.store, directory) if feed == REGISTRY else {}
    now = node.hub.clock.now()
    try:
        receipt = publish(
            node.hub.store,
            node.hub.registry.current,
            feed,
            lines,
            signer=node.log_keys(feed),
            now=now,
        )
    except HubError:
        if feed == REGISTRY:
            # Refused or not: officers who signed two successors convicted themselves.
            note_successor(node.hub.store, node.directory(), lines, now)
        raise
    if feed == REGISTRY:
        keep_shown(node.hub.store, shown, directory, node.directory())
    return _receipt(receipt)


def _receipt(receipt: Stored) -> Response:
    """Show a stored batch to the peers, and answer with what they cosigned in time."""
    node, feed = serving(), receipt.feed
    node.marks.note_log(feed, receipt.size)
    with node.hub.store.read() as tx:
        # The quorum is that of the registry with this batch in it.
        directory = node.hub.registry.directory(tx)
        needed = quorum(directory, feed)
        newest = tx.heads.get(feed)
        found = _covered(tx, directory, receipt)
    if found.size > receipt.size:
        # It was overtaken, and peers cosigned what overtook it.
        return _answer(found, needed)
    # Peers cosign no head below one that they hold, so they are shown the newest.
    note = newest.checkpoint if newest else receipt.checkpoint
    if node.federation is not None:
        if feed == REGISTRY:
            node.federation.follow_homes()
        patience = _PATIENCE if needed else 0
        node.federation.announce(feed, note, want=needed, wait=patience)
    return _answer(receipt, needed)


@blueprint.route("/<feed>/receipts/<int:first>", parameters=[FEED])
@blueprint.response(200, Receipt, description="The receipt of the batch at an index.")
@blueprint.alt_response(202, schema=Receipt, description="Its quorum is awaited.")
def get_receipt(feed: str, first: int) -> Response:
    """The receipt of the batch whose header is at an index."""
    node = serving()
    node.check_log(feed)
    with node.hub.store.read() as tx:
        head, newest = node.shown(tx, feed), tx.heads.get(feed)
        # An index may be larger than any number that a store can be asked for.
        there = newest is not None and first < newest.size
        batch = tx.batches.at(feed, first) if there else None
        if batch is None or head is None or batch.first != first:
            raise RefusedError("there is no such batch", code="not-found")
        if batch.stop > head.size:
            raise RefusedError("the batch waits for its quorum", code="not-found")
        needed = quorum(node.hub.registry.directory(tx), feed)
        size, checkpoint = tx.heads.checkpoints(feed, batch.stop, 1)[0]
    return _answer(Stored(feed, first, size, checkpoint), needed)


def _covered(tx: Transaction, directory: Directory, own: Stored) -> Stored:
    """Return the receipt at the first head that has its quorum, else ``own``.

    A witness that holds a later head cosigns no earlier one, and every head above the
    batch is over it.
    """
    feed, needed = own.feed, quorum(directory, own.feed)
    counted = set(others(directory, feed))
    if not needed or tx.federation.vouched(feed, counted, needed) < own.size:
        return own
    size = own.size
    while notes := tx.heads.checkpoints(feed, size, _PAGE):
        for size, note in notes:
            rows = tx.heads.cosignatures(feed, size)
            if len(counted & {row.node for row in rows}) >= needed:
                return Stored(feed, own.first, size, note)
        size += 1
    return own


def _answer(receipt: Stored, needed: int) -> Response:
    """Return a receipt: 200 with the quorum, else 202 with the address of it."""
    node, feed = serving(), receipt.feed
    with node.hub.store.read() as tx:
        directory = node.hub.registry.directory(tx)
        receipt = _covered(tx, directory, receipt)
        rows = tx.heads.cosignatures(feed, receipt.size)
    counted = {row.node for row in rows} & set(others(directory, feed))
    body = {
        "feed": receipt.feed,
        "first": receipt.first,
        "size": receipt.size,
        "checkpoint": receipt.checkpoint.decode(),
        "cosignatures": [row.line.decode() for row in rows],
        "quorum": needed,
    }
    whole = len(counted) >= needed
    answer = Response(
        json.dumps(body),
        status=200 if whole else 202,
        content_type="application/json",
    )
    if not whole:
        answer.headers["Location"] = f"/v1/feeds/{feed}/receipts/{receipt.first}"
    return answer


def _newest_seen(feed: str, alliance: str) -> Checkpoint | None:
    """Return the checkpoint that the client sent along, if it is ours."""
    sent, origin = (
        request.headers.get("Hub-Newest-Checkpoint"),
        origin_of(alliance, feed),
    )
    if not sent:
        return None
    for public in serving().log_keys(feed):
        with suppress(KeysError, MalformedError):
            return open_checkpoint(from_base64(sent), origin, public)
    return None


def _read_lines(header: bytes) -> list[bytes]:
    body = read_rest(MAX_BYTES, header)
    if not body.endswith(b"\n"):
        raise MalformedError(
            "the body does not end with a newline",
            code="truncated",
            advice="Send the batch again, byte for byte.",
        )
    lines = body[:-1].split(b"\n")
    if len(lines) > MAX_ENTRIES + 1:
        raise MalformedError(f"a batch has at most {MAX_ENTRIES} entries")
    return lines


def _head_size(tx: Transaction, feed: str) -> int:
    serving().check_log(feed)
    head: StoredHead | None = serving().shown(tx, feed)
    if head is None:
        raise RefusedError(f"there is no feed called {feed}", code="unknown-feed")
    return head.size


@blueprint.route("/<feed>/checkpoint", parameters=[FEED])
@blueprint.response(
    200, **raw(TEXT, "A signed note (C2SP tlog-checkpoint).", Cache_Control="no-cache")
)
def get_checkpoint(feed: str) -> Response:
    """The newest checkpoint (C2SP tlog-tiles)."""
    with serving().hub.store.read() as tx:
        size = _head_size(tx, feed)
        note = tx.heads.checkpoints(feed, size, 1)[0][1]
        note = cosigned(note, lines_of(tx, feed, size))
    return _changing(note)


@blueprint.route("/<feed>/tile/<path:rest>", parameters=[FEED])
@blueprint.response(
    200, **raw(OCTETS, "Hashes, or a bundle of items.", Cache_Control=FOREVER)
)
def get_tile(feed: str, rest: str) -> Response:
    """A tile of hashes or a bundle of items (C2SP tlog-tiles)."""
    try:
        tile = parse_tile_path(f"tile/{rest}")
    except MalformedError as error:
        raise RefusedError(str(error), code="not-found") from None
    with serving().hub.store.read() as tx:
        size = _head_size(tx, feed)
        if not 0 < tile.width <= width_at(size, tile):
            raise RefusedError("the log has no such tile yet", code="not-found")
        first = tile.index * TILE
        if tile.level is None:
            found = render_bundle(tx.objects.digests(feed, first, first + tile.width))
        else:
            reader = tx.objects.hash_reader(feed, size)
            found = b"".join(reader.read(8 * tile.level, first, tile.width))
    answer = Response(found, content_type=OCTETS)
    shared = serving().hub.config["server"]["public_log"]
    answer.headers["Cache-Control"] = FOREVER if shared else _OWN_FOREVER
    return answer


def _changing(text: bytes) -> Response:
    """Return a text that is another one when the feed has grown."""
    answer = Response(text, content_type=TEXT)
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["Vary"] = _CALLER
    return answer


def _number(name: str, default: int) -> int:
    given = request.args.getlist(name) or [str(default)]
    if len(given) > 1:
        raise MalformedError(f"{name}: say it once", code="bad-parameter")
    try:
        return parse_decimal(given[0])
    except EncodingError as error:
        raise MalformedError(f"{name}: {error}", code="bad-parameter") from None


@blueprint.route("/<feed>/entries", parameters=[FEED])
@blueprint.response(
    200,
    **raw(
        NDJSON,
        "Lines, at most 100,000; tombstones in the place of erased ones.",
        Content_Encoding="gzip if it is accepted",
        Cache_Control="private, no-cache",
    ),
)
@blueprint.doc(
    security=READER,
    parameters=[
        query("from", "The first index.", default=0),
        query("to", "The index after the last; the end of the feed by default."),
    ],
)
def get_entries(feed: str) -> Response:
    """The lines of [from, to)."""
    node = serving()
    caller = node.reader(feed)
    with node.hub.store.read() as tx:
        size = _head_size(tx, feed)
        start, stop = _number("from", 0), min(_number("to", size), size)
        if start >= stop:
            raise RefusedError(f"{feed} ends at {size}", code="out-of-range")
        stop = min(stop, start + 100_000)
        hidden = tx.erasures.hidden(feed, start, stop)
        packed = not hidden and "gzip" in request.headers.get("Accept-Encoding", "")
        found = _pages if packed else _shown
        parts, stop = _bounded(found(tx, feed, start, stop, hidden), start)
        body = b"".join(parts)
    if feed != REGISTRY:
        with node.hub.store.write() as tx:
            row = ReadRow(node.hub.clock.now(), caller.owner, feed, start, stop)
            tx.node.add_read(row)
    answer = Response(body, content_type=NDJSON)
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    elif "gzip" in request.headers.get("Accept-Encoding", ""):
        answer.set_data(gzip.compress(body, 1))
        answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers["Vary"] = f"Accept-Encoding, {_CALLER}"
    return answer


def _bounded(
    found: Iterator[tuple[int, bytes, int]], start: int
) -> tuple[list[bytes], int]:
    """Return what an answer may hold of (end, bytes, decoded size), and its end."""
    parts: list[bytes] = []
    total, stop = 0, start
    for end, part, size in found:
        total += size
        if parts and total > MAX_ANSWER:
            break
        parts.append(part)
        stop = end
    return parts, stop


def _pages(
    tx: Transaction, feed: str, start: int, stop: int, _hidden: dict[int, str]
) -> Iterator[tuple[int, bytes, int]]:
    for page in tx.objects.pages(feed, start, stop):
        # A gzip member ends with the size of what it holds.
        size = int.from_bytes(page.gzip[-4:], "little")
        yield page.first + page.count, page.gzip, size


def _shown(
    tx: Transaction, feed: str, start: int, stop: int, hidden: dict[int, str]
) -> Iterator[tuple[int, bytes, int]]:
    for line in tx.objects.lines(feed, start, stop):
        by, raw = hidden.get(line.index), line.raw
        if by is not None or raw is None:
            raw = render_tombstone(line.index, line.digest, by or "")
        yield line.index + 1, raw + b"\n", len(raw) + 1


@blueprint.route("/<feed>/checkpoints", parameters=[FEED])
@blueprint.response(200, Checkpoints, description="Signed checkpoints by size.")
@blueprint.doc(
    parameters=[
        query("from", "The smallest size.", default=0),
        query("limit", "How many, at most.", minimum=1, maximum=1000, default=1000),
    ]
)
def get_checkpoints(feed: str) -> Response:
    """Every checkpoint of size ``from`` or more, at most 1000."""
    limit = _number("limit", 1000)
    if not 1 <= limit <= 1000:
        raise MalformedError("limit: 1 to 1000", code="bad-parameter")
    with serving().hub.store.read() as tx:
        size = _head_size(tx, feed)
        found = tx.heads.checkpoints(feed, _number("from", 0), limit)
        notes = [(s, raw) for s, raw in found if s <= size]
    body = json.dumps({"checkpoints": [raw.decode() for _, raw in notes]})
    return Response(body, content_type="application/json")


@blueprint.route("/<feed>/proof/<int:index>", parameters=[FEED])
@blueprint.response(200, **raw(TEXT, "A C2SP tlog-proof.", Cache_Control="no-cache"))
def get_proof(feed: str, index: int) -> Response:
    """The proof that an entry is in the feed's newest checkpoint."""
    with serving().hub.store.read() as tx:
        size = _head_size(tx, feed)
        if index >= size:
            raise RefusedError(f"{feed} ends at {size}", code="out-of-range")
        found = tlog_proof(tx, feed, index, size)
    return _changing(found)
