"""The seal of a feed that is about to move: its home accepts no more batches of it.

Sealing and publishing are transactions of one store, so the head that a seal returns is
the last one of this home.
"""

from __future__ import annotations

from collections.abc import Callable

from hub.directory import Directory
from hub.errors import RefusedError, UnavailableError
from hub.store.base import Store, Transaction
from hub.tlog.checkpoint import Head

__all__ = ["check_not_sealed", "seal", "unseal"]


def _seal_key(feed: str) -> str:
    return f"sealed {feed}"


def seal(
    store: Store, directory_of: Callable[[Transaction], Directory], node: str, feed: str
) -> Head:
    """Accept no more batches of a feed, and return the head that it ends with.

    A planned move names exactly this head. The seal ends when the feed has another
    home, or by :func:`unseal`.

    Raises:
        RefusedError: This node is not the home of the feed, or it is empty.
    """
    with store.write() as tx:
        directory = directory_of(tx)
        home, head = directory.home(feed), tx.heads.get(feed)
        if home is None or home.node != node or head is None:
            raise RefusedError(
                f"{node} is not the home of a feed {feed} that has entries",
                code="not-sealed",
                advice="Seal a feed at the node that the registry names as its home.",
            )
        tx.node.set_meta(_seal_key(feed), home.public.hex())
        return Head(head.size, head.root)


def unseal(store: Store, feed: str) -> None:
    """Accept batches of a feed again; without effect when it is not sealed."""
    with store.write() as tx:
        tx.node.set_meta(_seal_key(feed), "")


def check_not_sealed(tx: Transaction, directory: Directory, feed: str) -> None:
    """Refuse what would extend a feed that is about to move.

    Raises:
        UnavailableError: It is sealed (code ``sealed``).
    """
    home = directory.home(feed)
    sealed = tx.node.get_meta(_seal_key(feed))
    if sealed and home is not None and sealed == home.public.hex():
        raise UnavailableError(
            f"{feed} is about to move to another node",
            code="sealed",
            advice="Send the batch again in a few minutes.",
        )
