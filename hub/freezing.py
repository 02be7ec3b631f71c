"""A frozen feed: its present log key is known to have signed two histories of it.

Nobody stores or cosigns anything above its own head, and the home accepts no batch,
until a ``home`` entry of the officers names another log key.
"""

from __future__ import annotations

from hub.directory import Directory
from hub.errors import RefusedError
from hub.store.base import Transaction

__all__ = ["check_key", "check_not_frozen", "fork_name", "is_frozen"]


def fork_name(feed: str, public: bytes) -> str:
    """Return the name of the fact that a log key signed two histories of a feed."""
    return f"fork/{feed}/{public.hex()}"


def is_frozen(tx: Transaction, directory: Directory, feed: str) -> bool:
    """Tell whether the present log key of a feed is known to have forked it."""
    home = directory.home(feed)
    return home is not None and _is_convicted(tx, feed, home.public)


def _is_convicted(tx: Transaction, feed: str, public: bytes) -> bool:
    name = fork_name(feed, public)
    return any(row.name == name for row in tx.federation.evidence(feed))


def check_key(tx: Transaction, feed: str, public: bytes) -> None:
    """Refuse to sign a feed with a key that is known to have forked it.

    Raises:
        RefusedError: It is (code ``frozen``).
    """
    if _is_convicted(tx, feed, public):
        raise _frozen(feed)


def _frozen(feed: str) -> RefusedError:
    return RefusedError(
        f"{feed} is frozen: its home signed two histories",
        code="frozen",
        advice="The officers decide with a home entry how it goes on.",
    )


def check_not_frozen(tx: Transaction, directory: Directory, feed: str) -> None:
    """Refuse what would extend a feed whose present log key signed two histories.

    Raises:
        RefusedError: The feed is frozen (code ``frozen``).
    """
    if is_frozen(tx, directory, feed):
        raise _frozen(feed)
