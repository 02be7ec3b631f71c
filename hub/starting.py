"""The start of a node: it compares heads with its peers before it signs anything.

A node whose disk was lost or restored would otherwise sign a second history before it
learns of the first. Each start has a random name in the store; a sync notes at the peer
that it was compared since. The gate opens when enough peers were, and stays open until
the next start. A node that cannot reach them waits a minute, and then goes on only when
nothing that its keys signed is ahead of its database.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from hub.clock import Clock
from hub.directory import Directory
from hub.errors import ConfigError, HubError, MalformedError, UnavailableError
from hub.marks import Marks
from hub.model import origin_of
from hub.registry import Registry
from hub.store.base import Store, Transaction
from hub.tlog.checkpoint import open_checkpoint, peek_checkpoint
from keys.errors import KeysError

__all__ = ["Gate", "note_compared"]

PATIENCE = 60
"""Seconds after which a node that reaches too few peers may go on by itself."""


def _note(peer: str) -> str:
    return f"compared {peer}"


def note_compared(tx: Transaction, peer: str) -> None:
    """Note that heads were compared with a peer since this node started."""
    tx.node.set_sync(_note(peer), {"start": tx.node.get_meta("start") or ""})


@dataclass
class Gate:
    """Tells whether this node may sign.

    Args:
        name: This node's name.
        store: Where starts and comparisons are noted.
        registry: Gives the directory.
        marks: What this node's keys signed last.
        clock: Tells how long the node waits.
    """

    name: str
    store: Store
    registry: Registry
    marks: Marks
    clock: Clock
    _open: bool = field(default=False, init=False)

    def begin(self) -> None:
        """Note that the node starts: what was compared before does not count."""
        self._open = False
        with self.store.write() as tx:
            tx.node.set_meta("start", secrets.token_hex(8))
            tx.node.set_meta("started", str(self.clock.now()))
        self.raise_marks()

    def raise_marks(self) -> None:
        """Raise the marks to what the database holds: a crash came before them, say."""
        # No feed is cut, and its mark lowered, while we hold the turn to write.
        with self.store.write() as tx, suppress(ConfigError, UnavailableError):
            # A mark that cannot be written now withholds every signature later on.
            directory = self.registry.directory(tx)
            for feed in tx.heads.all():
                home = directory.home(feed)
                if home is not None and home.node == self.name:
                    self.marks.note_log(feed, tx.objects.size(feed))
                last = tx.federation.witnessed(feed)
                if last is not None:
                    self.marks.note_witness(feed, last.size, last.time)

    def is_level(self, shown: Mapping[str, bytes]) -> bool:
        """Tell whether this node holds all that a peer shows of its own feeds.

        What our log key signed above that raises the mark at once: whatever becomes of
        the visit, this node signs nothing of the feed until it has caught up.

        Args:
            shown: The checkpoint that the peer shows, by feed.
        """
        with self.store.read() as tx:
            directory = self.registry.directory(tx)
            homes = {feed: directory.home(feed) for feed in shown}
            own = [f for f, h in homes.items() if h is not None and h.node == self.name]
            sizes = {feed: tx.objects.size(feed) for feed in own}
        ahead = [f for f in own if self._is_ahead(directory, f, shown[f], sizes[f])]
        return not ahead

    def _is_ahead(
        self, directory: Directory, feed: str, checkpoint: bytes, size: int
    ) -> bool:
        try:
            claimed = peek_checkpoint(checkpoint)
        except (HubError, KeysError):
            # It shows nothing that could be compared.
            return True
        if claimed.size <= size:
            return False
        public = directory.log_public(feed, claimed.size)
        with suppress(MalformedError, KeysError):
            # Whoever shows what we did not sign raises no mark, but proves nothing
            # either: the peer does not count.
            if public is not None:
                open_checkpoint(checkpoint, origin_of(directory.alliance, feed), public)
                self.marks.note_log(feed, claimed.size)
        return True

    def is_open(self) -> bool:
        """Tell whether enough peers were compared, or need not be."""
        if not self._open:
            with self.store.read() as tx:
                self._open = self._decide(tx, self.registry.directory(tx))
        return self._open

    def check(self) -> None:
        """Refuse to sign while the gate is closed.

        Raises:
            UnavailableError: Too few peers were compared yet (code ``starting``).
        """
        if not self.is_open():
            raise UnavailableError(
                f"{self.name} has just started and compares heads with its peers",
                code="starting",
                advice="Send it again in a minute; the batch is journalled.",
            )

    def _decide(self, tx: Transaction, directory: Directory) -> bool:
        peers = [name for name in directory.nodes if name != self.name]
        start = tx.node.get_meta("start")
        if not peers or start is None:
            return True
        # SPEC: design, Start: min(n, n - q + 1) answers of n peers, so that whoever
        # the quorum was made of, one of them is among those that answered.
        needed = min(len(peers), len(peers) - directory.policy.quorum + 1)
        compared = sum(
            tx.node.get_sync(_note(peer)).get("start") == start for peer in peers
        )
        if compared >= needed:
            return True
        waited = self.clock.now() - int(tx.node.get_meta("started") or "0")
        return waited >= PATIENCE and not self._is_behind(tx)

    def _is_behind(self, tx: Transaction) -> bool:
        signed = self.marks.log_sizes()
        return any(tx.objects.size(feed) < size for feed, size in signed.items())
