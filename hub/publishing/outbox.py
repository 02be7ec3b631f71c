"""The outbox: a signed batch is journalled, sent, and settled by its receipt.

What was journalled is sent again byte for byte until the receipt is there, by whichever
run comes next. A batch that the hub refuses for good is forgotten only after the own
feed was searched for it: its receipt may have been lost, and to sign the same entries
again would publish them twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hub.directory import Directory
from hub.errors import ConflictError, HubError, RefusedError, UnavailableError
from hub.model import origin_of
from hub.publishing.batches import Piece, make_batch
from hub.store.journal import Change, Waiting
from hub.store.ledger import Ledger
from hub.tlog.checkpoint import Head, open_checkpoint, peek_checkpoint
from keys.encoding import from_base64, to_base64
from keys.errors import KeysError
from keys.note import NoteSigner

__all__ = ["Home", "Outbox", "Posted", "RefusedBatchError"]

_FINAL = frozenset(
    {
        "bad-header",
        "bad-signature",
        "batch-id-reused",
        "closed-key",
        "invalid-line",
        "too-large",
        "wrong-count",
        "wrong-root",
    }
)
"""Codes with which the hub says that these bytes will never be accepted."""

_TRIES = 3


class Home(Protocol):
    """The node that orders the feed."""

    def publish(
        self, feed: str, body: bytes, *, newest: str | None = None
    ) -> dict[str, Any]:
        """Send a batch and return the receipt's fields."""
        ...


class RefusedBatchError(RefusedError):
    """The hub refused a batch for good: nothing of it is published.

    Args:
        error: What the hub said.
        about: What the batch was for.
        changes: What it would have changed.
    """

    def __init__(self, error: HubError, about: str, changes: Sequence[Change]):
        rows = [c.number for c in changes if c.number is not None]
        which = f", rows {_spans(rows)}" if rows else ""
        super().__init__(
            f"the hub refused a batch of {about}{which}: {error}",
            code=error.code,
            advice=error.advice,
        )
        self.rows = frozenset(rows)
        self.about = about
        self.reason = str(error)


def _spans(numbers: Sequence[int]) -> str:
    """Return numbers as in ``2-5, 9``; of many spans only the first ones."""
    spans: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    texts = [f"{a}-{b}" if b > a else str(a) for a, b in spans]
    more = f" and {len(texts) - 20} more spans" if len(texts) > 20 else ""
    return ", ".join(texts[:20]) + more


@dataclass(frozen=True, slots=True)
class Posted:
    """A batch with its receipt.

    Args:
        first: The index of its first entry.
        receipt: Its fields, as they are shown.
        pieces: What stands in it, in order, if this process packed it.
    """

    first: int
    receipt: dict[str, Any]
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True)
class Outbox:
    """Sends the batches of one member.

    Args:
        feed: The member's name.
        signer: Its publish key under its note name.
        ledger: What only the member knows.
        home: Takes the batches.
        directory: As of ``registry``.
        registry: The registry's head that this member saw.
        find: Pulls the own feed and returns the index of the header of a batch, by
            its id, or None when the feed does not hold it.
        mirrored: Returns the newest checkpoint of the own feed that was pulled.
    """

    feed: str
    signer: NoteSigner
    ledger: Ledger
    home: Home
    directory: Directory
    registry: Head
    find: Callable[[bytes], int | None]
    mirrored: Callable[[], bytes | None] = lambda: None

    def resume(self, refused: Callable[[RefusedBatchError], None]) -> list[Posted]:
        """Send what earlier runs left in the journal.

        Args:
            refused: Is told of each batch that the hub refused for good; the others
                are sent all the same.
        """
        posted = []
        for waiting in self.ledger.journal.waiting():
            try:
                found = self._deliver(waiting)
            except RefusedBatchError as error:
                refused(error)
                continue
            if found is not None:
                posted.append(found)
        return posted

    def post(
        self,
        pieces: list[Piece],
        about: str,
        fits: Callable[[Piece], bool] = lambda _piece: True,
    ) -> Posted:
        """Sign, journal and send, as one batch, those pieces that still fit.

        Args:
            pieces: At least one, and no more than fit a batch.
            about: What it is for, should it be refused in a later run.
            fits: Asked in the transaction that journals, so that what another process
                noted is seen.

        Raises:
            RefusedBatchError: The hub refused it for good; the ledger is as before.
            HubError: It was not delivered; the next run sends the same bytes.
        """
        with self.ledger.transaction():
            pieces = [piece for piece in pieces if fits(piece)]
            if not pieces:
                return Posted(0, {}, ())
            waiting = self._journal(pieces, about)
        # If we crash here, then the batch is sent by the next run.
        posted = self._deliver(waiting) or self._by_another(waiting, pieces)
        return replace(posted, pieces=tuple(pieces))

    def _by_another(self, waiting: Waiting, pieces: Iterable[Piece]) -> Posted:
        """Return what another process that resumed the journal made of a batch.

        Raises:
            ConflictError: It was refused there, and that process says why.
        """
        found = self._search(waiting.batch, 1 + sum(len(p.lines) for p in pieces))
        if found is None:
            raise ConflictError(
                "another process sent the batch meanwhile, and the hub refused it",
                code="refused-meanwhile",
                advice="Run the command again.",
            )
        return found

    def _journal(self, pieces: Iterable[Piece], about: str) -> Waiting:
        lines: list[bytes] = []
        changes: list[Change] = []
        for piece in pieces:
            changes += [c.moved(len(lines)) for c in piece.changes]
            lines += piece.lines
        origin = origin_of(self.directory.alliance, self.feed)
        batch, body = make_batch(origin, lines, self.registry, self.signer)
        self.ledger.journal.add(batch, self.feed, body, about, changes)
        return Waiting(batch, self.feed, about)

    def _deliver(self, waiting: Waiting) -> Posted | None:
        """Send a journalled batch; None when another process settled it meanwhile."""
        body = self.ledger.journal.body(waiting.batch)
        if body is None:
            return None
        try:
            posted = self._send(waiting, body)
        except HubError as error:
            if error.code not in _FINAL:
                raise
            found = self._search(waiting.batch, body.count(b"\n"))
            if found is None:
                changes = self.ledger.journal.changes(waiting.batch)
                self.ledger.journal.drop(waiting.batch)
                # If we crash here, then the rows are new or changed as before, and
                # the next run signs them again.
                raise RefusedBatchError(error, waiting.about, changes) from None
            posted = found
        # If we crash here, then the same bytes are sent again and get the same answer.
        self.ledger.journal.settle(waiting.batch, posted.first)
        return posted

    def _send(self, waiting: Waiting, body: bytes) -> Posted:
        newest = self._newest()
        for left in reversed(range(_TRIES)):
            try:
                answer = self.home.publish(waiting.feed, body, newest=newest)
                break
            except ConflictError as error:
                # Another writer of this member was faster; the place is still free.
                if not left or error.code in _FINAL:
                    raise
        raw = str(answer["checkpoint"]).encode()
        self._check(waiting, body, answer, raw)
        self.ledger.put("newest", to_base64(raw))
        receipt = {
            "feed": waiting.feed,
            "first": answer["first"],
            "size": answer["size"],
            "witnessed": len(answer["cosignatures"]),
        }
        return Posted(answer["first"] + 1, receipt)

    def _newest(self) -> str | None:
        """Return the newest checkpoint that this member saw of its feed, in base64.

        A home that lost its tail must not sign another one, whether this folder or
        another writer of the member has the receipt.
        """
        kept: str | None = self.ledger.get("newest")
        pulled = self.mirrored()
        if pulled is None:
            return kept
        size = peek_checkpoint(from_base64(kept)).size if kept else 0
        return to_base64(pulled) if peek_checkpoint(pulled).size > size else kept

    def _check(
        self, waiting: Waiting, body: bytes, answer: dict[str, Any], raw: bytes
    ) -> None:
        """Refuse to settle for anything but this batch's signed checkpoint."""
        try:
            public = self.directory.log_public(waiting.feed, answer["size"])
            if public is None:
                raise UnavailableError(f"the registry names no home for {self.feed}")
            origin = origin_of(self.directory.alliance, waiting.feed)
            size = open_checkpoint(raw, origin, public).size
        except KeysError as error:
            raise _no_receipt(str(error)) from None
        except HubError as error:
            raise _no_receipt(error.message) from None
        end = answer["first"] + body.count(b"\n")
        if size != answer["size"] or size < end:
            raise _no_receipt("it is not over this batch")
        # A home that was restored from a mirror may lack the checkpoint that ended
        # with this batch, and answers with a later one.
        if size > end and self.find(waiting.batch) != answer["first"]:
            raise _no_receipt("the batch is not where it says")

    def _search(self, batch: bytes, count: int) -> Posted | None:
        """Look for a batch of so many lines in the own feed."""
        header = self.find(batch)
        if header is None:
            return None
        receipt = {
            "feed": self.feed,
            "first": header,
            "size": header + count,
            "witnessed": 0,
        }
        return Posted(header + 1, receipt)


def _no_receipt(why: str) -> UnavailableError:
    return UnavailableError(
        f"the hub's answer is no receipt: {why}",
        code="no-receipt",
        advice="Run the command again; the batch is journalled.",
    )
