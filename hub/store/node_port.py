"""The port to what a node alone knows; ``hub.store.base`` has the common promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from hub.store.records import BearerToken, Limit, ReadRow

__all__ = ["NodeState"]


class NodeState(Protocol):
    """What this node alone knows: lost, it cannot be rebuilt from the feeds."""

    def use_nonce(self, key: str, nonce: str, expires: int, now: int) -> None:
        """Spend a nonce until ``expires``; all workers share the memory of it.

        It is remembered two hours longer, in case the clock is set back.

        Raises:
            RefusedError: Spent before (code ``replayed-nonce``).
        """
        ...

    def forget_nonces(self, now: int) -> int:
        """Drop the nonces that expired two hours ago; return how many there were.

        What has expired is refused for its age, so its nonce need not be known, unless
        the clock is set back.
        """
        ...

    def charge(
        self,
        member: str,
        token_class: str,
        count: int,
        *,
        limits: Sequence[Limit],
        now: int,
        body_digest: bytes,
    ) -> int:
        """Charge ``count`` elements and return what is left under the tightest limit.

        Exact to the element: in any window of a limit no more than its count is
        ever granted (use older than that is forgotten by the minute). The same
        ``body_digest`` of the same member and class is free for 24 hours.

        Raises:
            QuotaError: Not now; says when the same request can succeed.
            RefusedError: Never: it alone exceeds a limit (``quota-too-small``).
        """
        ...

    def usage(self, member: str, now: int) -> dict[str, int]:
        """Return the elements charged in the last 24 hours, by class."""
        ...

    def add_bearer(self, token: BearerToken) -> None:
        """Add a bearer token.

        Raises:
            ConflictError: The name or the digest is taken.
        """
        ...

    def find_bearer(self, digest: bytes) -> BearerToken | None:
        """Return the token with that SHA-256, expired and revoked ones too."""
        ...

    def list_bearers(self) -> list[BearerToken]:
        """Return all bearer tokens by name."""
        ...

    def revoke_bearer(self, name: str, at: int) -> None:
        """Revoke a bearer token; the first time counts.

        Raises:
            RefusedError: There is none of that name (code ``unknown-token``).
        """
        ...

    def get_sync(self, peer: str) -> dict[str, str]:
        """Return everything noted about a peer."""
        ...

    def set_sync(self, peer: str, values: Mapping[str, str]) -> None:
        """Note values about a peer; keys that are not named stay as they are."""
        ...

    def add_read(self, read: ReadRow) -> None:
        """Log who read what."""
        ...

    def list_reads(
        self, since: int = 0, who: str | None = None, limit: int = 1000
    ) -> list[ReadRow]:
        """Return at most ``limit`` reads from ``since`` on, oldest first."""
        ...

    def forget_reads(self, before: int) -> int:
        """Drop the log of reads before a time and return how many there were."""
        ...

    def get_meta(self, key: str) -> str | None:
        """Return a setting of this store, such as the name of the alliance."""
        ...

    def set_meta(self, key: str, value: str) -> None:
        """Keep a setting of this store."""
        ...

    def lease(self, name: str, owner: str, until: int, now: int) -> None:
        """Take or renew the lease of a job, by compare-and-swap.

        A lease of more than twice the time that is asked for now was taken before the
        clock was set back, and is void: its holder renews it, or is gone.

        Raises:
            ConflictError: Somebody else holds it beyond ``now``.
        """
        ...

    def release(self, name: str, owner: str) -> None:
        """Give a lease back early; without effect unless ``owner`` holds it."""
        ...
