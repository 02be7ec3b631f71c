"""Following the officers' ``home`` entries: what a new home leaves out goes aside.

A ``home`` entry names the head from which a feed goes on. After a planned move that is
the head that everybody has. After a fork it lies below: heads above it under the
earlier log key are void, and their lines are set aside, kept but part of no feed. A
mirror that holds another history than the named one sets all of it aside and pulls the
feed anew. Nobody is convicted for what is void.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.directory import Directory
from hub.marks import Marks
from hub.parties import Home
from hub.registry import Registry
from hub.store.base import Store, Transaction, Witnessed
from hub.tlog.checkpoint import open_checkpoint
from hub.tlog.merkle import Frontier
from keys.errors import KeysError

__all__ = ["Cut", "drop", "follow_homes"]


@dataclass(frozen=True, slots=True)
class Cut:
    """A feed that was cut: its size before and after, and how many lines went aside."""

    feed: str
    before: int
    after: int


def follow_homes(
    store: Store, registry: Registry, now: int, marks: Marks | None = None
) -> list[Cut]:
    """Set aside what the registry's homes leave out; return what was cut.

    If we crash in between, then the same is found and done again.

    Args:
        store: A node's store, or a mirror.
        registry: Gives its directory.
        now: The time here.
        marks: What this node's keys signed last; None where nothing is signed.
    """
    with store.read() as tx:
        directory = registry.directory(tx)
        due = [feed for feed in directory.homes if _place(tx, directory, feed)]
    cuts = []
    for feed in due:
        with store.write() as tx:
            place = _place(tx, directory, feed)
            if place is None:
                continue
            before = tx.objects.size(feed)
            _cut(tx, feed, place.size, now)
        # If we crash here, then the marks are ahead of the database, and this node
        # signs nothing of the feed until it comes here again.
        cuts.append(Cut(feed, before, place.size))
    if marks is not None:
        _lower_marks(directory, marks)
    return cuts


@dataclass(frozen=True, slots=True)
class _Place:
    """The size down to which a feed is to be cut."""

    size: int


def _place(tx: Transaction, directory: Directory, feed: str) -> _Place | None:
    """Return where a feed is to be cut, None when it fits its home."""
    home, size = directory.home(feed), tx.objects.size(feed)
    if home is None or not home.size or size < home.size:
        return None
    reader = tx.objects.hash_reader(feed, home.size)
    if Frontier.of_hashes(home.size, reader).root() != home.root:
        return _Place(0)
    if size == home.size or _continues(tx, directory, feed, home):
        return None
    notes = [s for s, _ in _notes(tx, feed) if s <= home.size]
    return _Place(max(notes, default=0))


def _continues(tx: Transaction, directory: Directory, feed: str, home: Home) -> bool:
    """Tell whether what is stored above a home's head is signed by that home."""
    head = tx.heads.get(feed)
    if head is None or head.size <= home.size:
        return False
    try:
        open_checkpoint(head.checkpoint, f"{directory.alliance}/{feed}", home.public)
    except KeysError:
        return False
    return True


def _notes(tx: Transaction, feed: str) -> list[tuple[int, bytes]]:
    notes: list[tuple[int, bytes]] = []
    while found := tx.heads.checkpoints(feed, notes[-1][0] + 1 if notes else 0, 1000):
        notes += found
    return notes


def _cut(tx: Transaction, feed: str, size: int, now: int) -> None:
    """Set aside what stands above a size, and forget what followed from it."""
    tx.federation.set_aside(feed, size, now)
    tx.index.clear()
    # SPEC: design, Federation: a witness key never goes back, except to the size that
    # an officers' home entry names; its time does not go back even then.
    last = tx.federation.witnessed(feed)
    if last is not None and last.size > size:
        root = Frontier().root()
        if size:
            reader = tx.objects.hash_reader(feed, size)
            root = Frontier.of_hashes(size, reader).root()
        tx.federation.witness(feed, last, Witnessed(size, root, last.time))


def drop(store: Store, feed: str, now: int) -> None:
    """Set aside all of a feed that is another history than the officers' choice."""
    with store.write() as tx:
        _cut(tx, feed, 0, now)


def _lower_marks(directory: Directory, marks: Marks) -> None:
    """Lower the marks of feeds that go on under a new log key, once for each key.

    What was signed above under the earlier key is void. The key is noted with the mark,
    so that a database which loses what the new key signed is still noticed.
    """
    for feed, homes in directory.homes.items():
        home = homes[-1]
        if home.public not in {h.public for h in homes[:-1]} and len(homes) > 1:
            marks.start(feed, home.size, home.public)
