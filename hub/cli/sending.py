"""What the commands that publish share: the outbox, its turn, and its journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from hub.cli.common import hub_of
from hub.errors import ConflictError, RefusedError, UnavailableError
from hub.indexing import caught_up
from hub.publishing import Outbox, Piece, RefusedBatchError, packed
from hub.store import locks
from hub.store.base import Transaction
from hub.store.ledger import Ledger
from hub.wiring import Hub
from keys.note import NoteSigner

__all__ = ["Sending", "outbox_of", "refresh", "resume", "sending", "turn"]

LOCK = "publish.lock"
_PATIENCE = 3.0
"""Seconds: a short command holds the lock while it sends what waits."""


def outbox_of(hub: Hub, ledger: Ledger) -> Outbox:
    """Return the outbox of this member, with the newest registry.

    Raises:
        RefusedError: No member, or not admitted yet.
    """
    refresh(hub)
    directory = hub.directory()
    if hub.name not in directory.members:
        raise RefusedError(
            f"{hub.name} is not admitted yet",
            code="not-admitted",
            advice="Send request.json to an officer of the alliance.",
        )
    with hub.store.read() as tx:
        head = hub.registry.current(tx).head

    def find(batch: bytes) -> int | None:
        refresh(hub)
        with hub.store.read() as tx:
            row = tx.batches.find(hub.name, batch)
        return row.first if row else None

    def mirrored() -> bytes | None:
        with hub.store.read() as tx:
            head = tx.heads.get(hub.name)
        return head.checkpoint if head else None

    key = hub.identity("publish")
    signer = NoteSigner(key.keyid, key.signer)
    client = hub.home_client(hub.name)
    return Outbox(hub.name, signer, ledger, client, directory, head, find, mirrored)


def refresh(hub: Hub) -> None:
    """Pull what the hub has.

    Raises:
        RefusedError: This folder is no member's.
    """
    if hub.role != "member":
        raise RefusedError(f"{hub.name} is no member and publishes nothing")
    hub.pull()


@contextmanager
def turn(hub: Hub) -> Iterator[None]:
    """Be the only process of this folder that publishes a file.

    Raises:
        ConflictError: Another one does.
    """
    try:
        with locks.turn(hub.folder / LOCK, _PATIENCE):
            yield
    except UnavailableError as error:
        if error.code != "locked" or LOCK not in error.message:
            raise
        raise ConflictError(
            f"another hub publish is at work in {hub.folder}",
            code="already-publishing",
            advice="Run it again when that one has ended.",
        ) from None


def resume(outbox: Outbox) -> tuple[int, dict[str, Any] | None]:
    """Send what earlier runs left; return how many batches, and the last receipt."""

    def refused(error: RefusedBatchError) -> None:
        click.echo(f"hub: {error}", err=True)
        click.echo("     Nothing of it is published; publish it again.", err=True)

    posted = outbox.resume(refused)
    return len(posted), posted[-1].receipt if posted else None


@dataclass(frozen=True)
class Sending:
    """A member's folder that was brought up to date and is about to say something."""

    hub: Hub
    ledger: Ledger
    outbox: Outbox
    now: int

    @contextmanager
    def mirror(self) -> Iterator[Transaction]:
        """Open a snapshot of the mirror in which the index is as far as the heads."""
        with caught_up(self.hub.store, self.hub.registry.directory) as tx:
            yield tx

    def send(self, pieces: Sequence[Piece], about: str) -> dict[str, Any] | None:
        """Send pieces; return the receipt of the last batch, None for no pieces.

        Raises:
            ConflictError: A case is on its way to the hub by another process.
        """
        cases = {c.case for piece in pieces for c in piece.changes}
        if waiting := self.ledger.journal.holds(sorted(cases)):
            raise ConflictError(
                f"another process is publishing {len(waiting)} of these cases now",
                code="on-its-way",
                advice="Run it again when hub publish has ended.",
            )
        receipt = None
        for batch in packed(pieces):
            receipt = self.outbox.post(batch, about).receipt
        return receipt


def sending(context: click.Context) -> Sending:
    """Bring a member's folder up to date, and send what earlier runs left."""
    hub = hub_of(context)
    ledger = hub.ledger()
    outbox = outbox_of(hub, ledger)
    with locks.try_lock(hub.folder / LOCK) as held:
        # Whoever publishes a file now has sent what waited, and sends its own.
        if held and resume(outbox)[0]:
            refresh(hub)
    return Sending(hub, ledger, outbox, hub.clock.now())
