"""Cosignatures: a node's statement that it holds all of a feed up to a head.

A cosignature says: at that time this was the largest consistent tree of the feed that
the node had seen, and it holds everything below. So a node cosigns only checkpoints
that it verified and stored. Its witness key never goes back, neither in size nor in
time: the state is compared and swapped in one transaction, and noted beside the key
before the signature leaves (:mod:`hub.marks`). A feed with a proven fork is frozen and
not cosigned until the officers name a new log key for it.

Trusted: the own store and key. Not trusted: whoever brings lines; each is verified
under the registry's witness keys, and its text is the checkpoint that is stored here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from hub.directory import Directory
from hub.errors import ConflictError, MalformedError, UnavailableError
from hub.freezing import check_not_frozen
from hub.marks import Marks
from hub.model import origin_of
from hub.store.base import Store, StoredHead, Transaction, Witnessed
from hub.tlog.checkpoint import Head, open_checkpoint
from hub.tlog.merkle import Frontier
from keys.cosignature import check_cosignature
from keys.cosignature import cosign as make_line
from keys.ed25519 import Signer
from keys.errors import KeysError
from keys.note import (
    Signature,
    VerifierKey,
    parse_note,
    parse_signature,
)

__all__ = [
    "FRESH",
    "REFRESH",
    "Aged",
    "SizeConflictError",
    "Witness",
    "aged_quorums",
    "check_old",
    "keep",
    "keep_shown",
    "lines_of",
    "others",
    "quorum",
    "quorum_age",
    "shown_sizes",
    "visible",
]

FRESH = 3600
"""Seconds after which a head is cosigned again, to tell silence from age."""
REFRESH = 60
"""The same for whoever asks: anybody can, and each answer is written to the disk."""


def others(directory: Directory, feed: str) -> list[str]:
    """Return the nodes whose cosignatures count for a feed: all but its home."""
    home = directory.home(feed)
    return [name for name in directory.nodes if home is None or name != home.node]


def quorum(directory: Directory, feed: str) -> int:
    """Return how many other nodes must cosign; 0 when the home is alone."""
    return directory.policy.quorum if others(directory, feed) else 0


@dataclass(frozen=True, slots=True)
class Aged:
    """A head whose quorum was not renewed for too long, or was never there.

    Args:
        feed: The feed.
        size: The size of its head.
        age: Seconds since the q-th newest cosignature; None when there are fewer.
        needed: How many other nodes the policy asks for.
    """

    feed: str
    size: int
    age: int | None
    needed: int

    def __str__(self) -> str:
        """Say it to a person."""
        head = f"{self.feed} at {self.size}"
        if self.age is None:
            return f"{head} was never cosigned by {self.needed} other nodes"
        hours = self.age // 3600
        return f"{head} was last cosigned by {self.needed} other nodes {hours} h ago"


_AHEAD = 300  # Seconds by which the clock of an honest node may be ahead.


def quorum_age(newest: Mapping[str, int], needed: int, now: int) -> int | None:
    """Return the age of the q-th newest cosignature of a head, None without so many.

    Args:
        newest: For each node that counts, when it last cosigned the head.
        needed: How many must have, at least 1.
        now: The time here.
    """
    # A witness that dates its line ahead would seem fresh for as long as it likes.
    times = sorted((t for t in newest.values() if t <= now + _AHEAD), reverse=True)
    return max(now - times[needed - 1], 0) if len(times) >= needed else None


def aged_quorums(
    tx: Transaction,
    directory: Directory,
    now: int,
    feeds: Collection[str] | None = None,
) -> list[Aged]:
    """Return the heads whose quorum is older than the policy's hours, by name.

    Nothing but what is stored is asked. Where the policy asks for no quorum, nothing
    ages.

    Args:
        tx: A snapshot of a mirror or of a node's store.
        directory: The registry as of it.
        now: The time here.
        feeds: Which to look at; None for all.
    """
    found, most = [], directory.policy.fresh_hours * 3600
    for feed, head in tx.heads.all().items():
        needed = quorum(directory, feed)
        if not needed or (feeds is not None and feed not in feeds):
            continue
        counted = set(others(directory, feed))
        newest: dict[str, int] = {}
        for row in tx.heads.cosignatures(feed, head.size):
            if row.node in counted:
                newest[row.node] = max(row.time, newest.get(row.node, 0))
        age = quorum_age(newest, needed, now)
        if age is None or age > most:
            found.append(Aged(feed, head.size, age, needed))
    return found


def visible(tx: Transaction, directory: Directory, feed: str) -> StoredHead | None:
    """Return the newest head that everybody may see: the one that the quorum cosigned.

    Nodes, and whoever published a batch, see the newest one. What was shown before the
    officers asked for a larger quorum stays visible.
    """
    head = tx.heads.get(feed)
    if head is None:
        return None
    size = _visible_size(tx, directory, feed, head.size)
    if size == head.size:
        return head
    return _stored(tx, feed, size) if size else None


def _visible_size(tx: Transaction, directory: Directory, feed: str, size: int) -> int:
    needed = quorum(directory, feed)
    if not needed:
        return size
    vouched = tx.federation.vouched(feed, others(directory, feed), needed)
    return max(vouched, min(_shown(tx, feed), size))


def _shown(tx: Transaction, feed: str) -> int:
    return int(tx.node.get_meta(f"shown {feed}") or "0")


def shown_sizes(store: Store, directory: Directory) -> dict[str, int]:
    """Return the size of each feed's newest visible head, 0 for none."""
    with store.read() as tx:
        return {
            feed: _visible_size(tx, directory, feed, head.size)
            for feed, head in tx.heads.all().items()
        }


def keep_shown(
    store: Store, shown: dict[str, int], before: Directory, after: Directory
) -> None:
    """Remember what everybody saw when a larger quorum is asked for.

    A head that was shown must not vanish: whoever holds it would think that it was
    rolled back.

    Args:
        store: The store.
        shown: What :func:`shown_sizes` returned before the registry changed.
        before: The directory then.
        after: The directory now.
    """
    if after.policy.quorum <= before.policy.quorum:
        return
    with store.write() as tx:
        for feed, size in shown.items():
            tx.node.set_meta(f"shown {feed}", str(max(size, _shown(tx, feed))))


def _stored(tx: Transaction, feed: str, size: int) -> StoredHead:
    """Return the head of a size whose checkpoint is stored."""
    note = tx.heads.checkpoints(feed, size, 1)[0][1]
    reader = tx.objects.hash_reader(feed, size)
    return StoredHead(size, Frontier.of_hashes(size, reader).root(), note)


def lines_of(tx: Transaction, feed: str, size: int) -> list[bytes]:
    """Return the kept signature lines for the checkpoint of a size."""
    return [row.line for row in tx.heads.cosignatures(feed, size)]


def keep(
    tx: Transaction,
    directory: Directory,
    feed: str,
    size: int,
    lines: Iterable[bytes],
    *,
    found: Callable[[str, int, int], None] = lambda _node, _size, _time: None,
) -> int:
    """Keep the cosignatures of a stored checkpoint that verify; return how many.

    Lines of unknown keys are left out. Without the checkpoint here nothing is kept.

    Args:
        tx: A transaction that may write.
        directory: Holds the witness keys.
        feed: The feed.
        size: The size of the checkpoint that the lines belong to.
        lines: Signature lines.
        found: Is told of each one that verified.

    Raises:
        MalformedError: A line of a known witness does not verify.
    """
    notes = tx.heads.checkpoints(feed, size, 1)
    if not notes or notes[0][0] != size:
        return 0
    text = parse_note(notes[0][1]).text
    kept = 0
    for raw in lines:
        line = _parse(raw)
        known = _witness_of(directory, line)
        if known is None:
            continue
        node, vkey = known
        try:
            time = check_cosignature(text, line, vkey)
        except KeysError as error:
            raise MalformedError(
                f"a cosignature of {node} for {feed} at {size} fails: {error}",
                code="bad-cosignature",
            ) from None
        tx.heads.add_cosignature(feed, size, node, time, line.render().encode())
        found(node, size, time)
        kept += 1
    return kept


def _witness_of(
    directory: Directory, line: Signature
) -> tuple[str, VerifierKey] | None:
    """Return the node and the key of a line, None when it does not count."""
    # SPEC: tlog-cosignature: the body begins with the time, which says whether a key
    # that was closed since still counts.
    time = int.from_bytes(line.body[:8], "big")
    for vkey, node in directory.cosigners(time).items():
        if (vkey.name, vkey.key_id) == (line.name, line.key_id):
            return node, vkey
    return None


def _parse(raw: bytes) -> Signature:
    try:
        return parse_signature(raw.decode().removesuffix("\n"))
    except (KeysError, UnicodeDecodeError):
        raise MalformedError("not a signature line", code="bad-cosignature") from None


@dataclass(frozen=True)
class Witness:
    """This node's witness key and its state.

    Args:
        node: The node's name.
        key_name: The name that it cosigns under.
        signer: The key.
        store: Where state and cosignatures are kept.
        marks: The state once more, beside the key.
    """

    node: str
    key_name: str
    signer: Signer
    store: Store
    marks: Marks

    def cosign(
        self,
        directory: Directory,
        feed: str,
        size: int,
        now: int,
        *,
        after: int = FRESH,
    ) -> bytes:
        """Cosign the stored checkpoint of a size; return the signature line.

        The same head is cosigned anew only ``after`` so many seconds; before, the line
        is the one that was made then.

        Raises:
            RefusedError: The feed is frozen.
            ConflictError: A larger head was cosigned already (``witness-size``).
            UnavailableError: The checkpoint is not here, the clock went back, or the
                database is older than the key's last signature.
        """
        with self.store.write() as tx:
            check_not_frozen(tx, directory, feed)
            head = self._head(tx, feed, size)
            _check_signed(directory, feed, head)
            last = tx.federation.witnessed(feed)
            self._check_forward(feed, head, last, now)
            if last and last.size == size and now - last.time < after:
                own = self._own(tx, feed, size, last.time)
                if own:
                    return own
            text = parse_note(head.checkpoint).text
            line = make_line(text, time=now, name=self.key_name, signer=self.signer)
            raw = line.render().encode()
            tx.federation.witness(feed, last, Witnessed(size, head.root, now))
            tx.heads.add_cosignature(feed, size, self.node, now, raw)
        # If we crash here, then the state is stored and nobody has the signature; the
        # same head is cosigned again with a later time.
        self.marks.note_witness(feed, size, now)
        return raw

    def _own(self, tx: Transaction, feed: str, size: int, time: int) -> bytes | None:
        rows = tx.heads.cosignatures(feed, size)
        mine = [r.line for r in rows if (r.node, r.time) == (self.node, time)]
        return mine[0] if mine else None

    @staticmethod
    def _head(tx: Transaction, feed: str, size: int) -> StoredHead:
        notes = tx.heads.checkpoints(feed, size, 1)
        if not notes or notes[0][0] != size or tx.objects.size(feed) < size:
            raise UnavailableError(
                f"{feed} at {size} is not stored here",
                code="not-stored",
                advice="Ask again in a moment.",
            )
        return _stored(tx, feed, size)

    def _check_forward(
        self,
        feed: str,
        head: StoredHead,
        last: Witnessed | None,
        now: int,
    ) -> None:
        # SPEC: design, Federation: a witness key never goes back in size or time. When
        # a home entry cuts the feed, state and marks are lowered then, and only then.
        known = last or Witnessed(0, b"", 0)
        size, time = self.marks.witnessed(feed)
        if now < max(known.time, time):
            raise UnavailableError(
                f"this node's clock is behind its last cosignature of {feed}",
                code="clock-behind",
                advice="Set the clock of the node.",
            )
        if size > max(known.size, head.size):
            raise UnavailableError(
                f"this node cosigned {feed} at {size} and its database ends before",
                code="behind-own-signature",
                advice="It catches up from its peers, or hub restore --from-mirror.",
            )
        if head.size < known.size:
            raise SizeConflictError(feed, known.size)
        if head.size == known.size and head.root != known.root:
            raise AssertionError("one store has one tree")


def _check_signed(directory: Directory, feed: str, head: StoredHead) -> None:
    """Refuse a stored head that became void when the officers cut the feed.

    Raises:
        UnavailableError: Its home at that size did not sign it.
    """
    public = directory.log_public(feed, head.size) or b""
    try:
        open_checkpoint(head.checkpoint, origin_of(directory.alliance, feed), public)
    except (KeysError, MalformedError):
        raise UnavailableError(
            f"{feed} at {head.size} is not signed by its present home",
            code="not-stored",
            advice="It is set aside with the next sync.",
        ) from None


class SizeConflictError(ConflictError):
    """The witness cosigned another size; carries that size for the asker."""

    default_code = "witness-size"

    def __init__(self, feed: str, size: int):
        super().__init__(f"{feed} was cosigned at {size}")
        self.size = size


def check_old(last: Witnessed | None, feed: str, old: int) -> Head | None:
    """Check that the asker knows what was cosigned last; return that head.

    Raises:
        SizeConflictError: It was another size.
    """
    size = last.size if last else 0
    if old != size:
        raise SizeConflictError(feed, size)
    return Head(last.size, last.root) if last and last.size else None
