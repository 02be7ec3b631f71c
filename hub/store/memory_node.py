"""What this node alone knows, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hub.errors import ConflictError, RefusedError
from hub.store.memory_state import MemorySession
from hub.store.quota import BUCKET, admit, bucket_of, left
from hub.store.records import DAY, GRACE, MEMORY, BearerToken, Limit, ReadRow

__all__ = ["MemoryNodeState"]


class MemoryNodeState:
    """The ``NodeState`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: MemorySession):
        self._session = session

    def use_nonce(self, key: str, nonce: str, expires: int, now: int) -> None:
        """Spend a nonce until ``expires``; all workers share the memory of it.

        Raises:
            RefusedError: Spent before (code ``replayed-nonce``).
        """
        self.forget_nonces(now)
        nonces = self._session.own_node().nonces
        if nonces.get((key, nonce), now - 1) >= now:
            raise RefusedError(
                "This signed request was already used.",
                code="replayed-nonce",
                advice="Sign each request anew, with a fresh nonce.",
            )
        nonces[key, nonce] = expires

    def forget_nonces(self, now: int) -> int:
        """Drop the nonces that expired two hours ago; return how many there were."""
        nonces = self._session.own_node().nonces
        expired = [spent for spent, until in nonces.items() if until < now - GRACE]
        for spent in expired:
            del nonces[spent]
        return len(expired)

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

        Raises:
            QuotaError: Not now; says when the same request can succeed.
            RefusedError: Never: it alone exceeds a limit (``quota-too-small``).
        """
        node = self._session.own_node()
        used = sorted(
            (key[2], spent)
            for key, spent in node.usage.items()
            if key[:2] == (member, token_class)
        )
        who = (member, token_class, body_digest)
        if node.charges.get(who, now - DAY) > now - DAY:
            return left(used, limits, now)
        rest = admit(used, count, limits, now)
        self._forget(now, max(limit.seconds for limit in limits))
        node.charges[who] = now
        place = (member, token_class, bucket_of(now))
        node.usage[place] = node.usage.get(place, 0) + count
        return rest

    def _forget(self, now: int, widest: int) -> None:
        """Drop what no window can reach, so that the tables stay small."""
        node = self._session.own_node()
        for body in [body for body, at in node.charges.items() if at <= now - DAY]:
            del node.charges[body]
        oldest = bucket_of(now - max(widest, DAY) - MEMORY)
        for key in [key for key in node.usage if key[2] < oldest]:
            del node.usage[key]

    def usage(self, member: str, now: int) -> dict[str, int]:
        """Return the elements charged in the last 24 hours, by class."""
        found: dict[str, int] = {}
        for (who, token_class, bucket), count in self._session.node().usage.items():
            recent = (bucket + 1) * BUCKET > now - DAY and bucket * BUCKET <= now + DAY
            if who == member and recent:
                found[token_class] = found.get(token_class, 0) + count
        return dict(sorted(found.items()))

    def add_bearer(self, token: BearerToken) -> None:
        """Add a bearer token.

        Raises:
            ConflictError: The name or the digest is taken.
        """
        bearers = self._session.own_node().bearers
        if token.name in bearers or self.find_bearer(token.digest):
            raise ConflictError(f"There is already a token named {token.name}.")
        bearers[token.name] = token

    def find_bearer(self, digest: bytes) -> BearerToken | None:
        """Return the token with that SHA-256, expired and revoked ones too."""
        bearers = self._session.node().bearers.values()
        return next((token for token in bearers if token.digest == digest), None)

    def list_bearers(self) -> list[BearerToken]:
        """Return all bearer tokens by name."""
        return [token for _, token in sorted(self._session.node().bearers.items())]

    def revoke_bearer(self, name: str, at: int) -> None:
        """Revoke a bearer token; the first time counts.

        Raises:
            RefusedError: There is none of that name (code ``unknown-token``).
        """
        bearers = self._session.own_node().bearers
        if name not in bearers:
            raise RefusedError(
                f"There is no bearer token named {name}.",
                code="unknown-token",
                advice="List them with `hub access list`.",
            )
        if bearers[name].revoked is None:
            bearers[name] = replace(bearers[name], revoked=at)

    def get_sync(self, peer: str) -> dict[str, str]:
        """Return everything noted about a peer."""
        noted = sorted(self._session.node().sync.items())
        return {key: value for (who, key), value in noted if who == peer}

    def set_sync(self, peer: str, values: Mapping[str, str]) -> None:
        """Note values about a peer; keys that are not named stay as they are."""
        self._session.own_node().sync.update(
            {(peer, key): value for key, value in values.items()}
        )

    def add_read(self, read: ReadRow) -> None:
        """Log who read what."""
        self._session.own_node().reads.append(read)

    def list_reads(
        self, since: int = 0, who: str | None = None, limit: int = 1000
    ) -> list[ReadRow]:
        """Return at most ``limit`` reads from ``since`` on, oldest first."""
        reads = sorted(self._session.node().reads, key=lambda read: read.at)
        late = [read for read in reads if read.at >= since]
        return [read for read in late if who in {None, read.who}][:limit]

    def forget_reads(self, before: int) -> int:
        """Drop the log of reads before a time and return how many there were."""
        reads = self._session.own_node().reads
        kept = [read for read in reads if read.at >= before]
        dropped = len(reads) - len(kept)
        reads[:] = kept
        return dropped

    def get_meta(self, key: str) -> str | None:
        """Return a setting of this store, such as the name of the alliance."""
        return self._session.node().meta.get(key)

    def set_meta(self, key: str, value: str) -> None:
        """Keep a setting of this store."""
        self._session.own_node().meta[key] = value

    def lease(self, name: str, owner: str, until: int, now: int) -> None:
        """Take or renew the lease of a job, by compare-and-swap.

        Raises:
            ConflictError: Somebody else holds it beyond ``now``.
        """
        leases = self._session.own_node().leases
        holder, expires = leases.get(name, (owner, 0))
        plausible = now < expires <= now + 2 * (until - now)
        if holder != owner and plausible:
            raise ConflictError(f"Another worker holds the lease of {name}.")
        leases[name] = (owner, until)

    def release(self, name: str, owner: str) -> None:
        """Give a lease back early; without effect unless ``owner`` holds it."""
        leases = self._session.own_node().leases
        if name in leases and leases[name][0] == owner:
            del leases[name]
