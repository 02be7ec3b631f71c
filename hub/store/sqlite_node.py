"""What this node alone knows, in SQLite: nonces, quotas, sync state, reads, leases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.errors import ConflictError, RefusedError
from hub.store.quota import BUCKET, admit, bucket_of, left
from hub.store.records import DAY, GRACE, MEMORY, BearerToken, Limit, ReadRow
from hub.store.session import Session

__all__ = ["SqliteNodeState"]


class SqliteNodeState:
    """The ``NodeState`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: Session):
        self._session = session

    def use_nonce(self, key: str, nonce: str, expires: int, now: int) -> None:
        """Spend a nonce until ``expires``; all workers share the memory of it.

        Raises:
            RefusedError: Spent before (code ``replayed-nonce``).
        """
        self.forget_nonces(now)
        added = self._session.run(
            "INSERT INTO nonces (key, nonce, expires) VALUES (?1, ?2, ?3)"
            " ON CONFLICT DO UPDATE SET expires = ?3 WHERE expires < ?4",
            (key, nonce, expires, now),
        )
        if not added:
            raise RefusedError(
                "This signed request was already used.",
                code="replayed-nonce",
                advice="Sign each request anew, with a fresh nonce.",
            )

    def forget_nonces(self, now: int) -> int:
        """Drop the nonces that expired two hours ago; return how many there were."""
        return self._session.run("DELETE FROM nonces WHERE expires < ?", (now - GRACE,))

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
        widest = max((limit.seconds for limit in limits), default=DAY)
        used = self._session.rows(
            "SELECT bucket, count FROM usage WHERE member = ? AND class = ?"
            " AND bucket >= ? ORDER BY bucket",
            (member, token_class, bucket_of(now - widest)),
        )
        who = (member, token_class, body_digest)
        if self._session.row(
            "SELECT 1 FROM charges WHERE member = ? AND class = ? AND body = ?"
            " AND at > ?",
            (*who, now - DAY),
        ):
            return left(used, limits, now)
        rest = admit(used, count, limits, now)
        self._forget(now, widest)
        self._session.run(
            "INSERT OR REPLACE INTO charges (member, class, body, at)"
            " VALUES (?, ?, ?, ?)",
            (*who, now),
        )
        # If we crash here, then the body is free but its use is not counted: both
        # rows are of one transaction, and the answer leaves after its commit.
        self._session.run(
            "INSERT INTO usage (member, class, bucket, count) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (member, token_class, bucket_of(now), count),
        )
        return rest

    def _forget(self, now: int, widest: int) -> None:
        """Drop what no window can reach, so that the tables stay small."""
        self._session.run("DELETE FROM charges WHERE at <= ?", (now - DAY,))
        self._session.run(
            "DELETE FROM usage WHERE bucket < ?",
            (bucket_of(now - max(widest, DAY) - MEMORY),),
        )

    def usage(self, member: str, now: int) -> dict[str, int]:
        """Return the elements charged in the last 24 hours, by class."""
        return dict(
            self._session.rows(
                "SELECT class, sum(count) FROM usage"
                " WHERE member = ?1 AND (bucket + 1) * ?2 > ?3 AND bucket * ?2 <= ?4"
                " GROUP BY class ORDER BY class",
                (member, BUCKET, now - DAY, now + DAY),
            )
        )

    def add_bearer(self, token: BearerToken) -> None:
        """Add a bearer token.

        Raises:
            ConflictError: The name or the digest is taken.
        """
        added = self._session.run(
            "INSERT INTO bearer_tokens (digest, name, owner, created, expires, revoked)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                token.digest,
                token.name,
                token.owner,
                token.created,
                token.expires,
                token.revoked,
            ),
        )
        if not added:
            raise ConflictError(f"There is already a token named {token.name}.")

    def find_bearer(self, digest: bytes) -> BearerToken | None:
        """Return the token with that SHA-256, expired and revoked ones too."""
        row = self._session.row(
            "SELECT digest, name, owner, created, expires, revoked"
            " FROM bearer_tokens WHERE digest = ?",
            (digest,),
        )
        return BearerToken(*row) if row else None

    def list_bearers(self) -> list[BearerToken]:
        """Return all bearer tokens by name."""
        rows = self._session.rows(
            "SELECT digest, name, owner, created, expires, revoked"
            " FROM bearer_tokens ORDER BY name"
        )
        return [BearerToken(*row) for row in rows]

    def revoke_bearer(self, name: str, at: int) -> None:
        """Revoke a bearer token; the first time counts.

        Raises:
            RefusedError: There is none of that name (code ``unknown-token``).
        """
        changed = self._session.run(
            "UPDATE bearer_tokens SET revoked = coalesce(revoked, ?) WHERE name = ?",
            (at, name),
        )
        if not changed:
            raise RefusedError(
                f"There is no bearer token named {name}.",
                code="unknown-token",
                advice="List them with `hub access list`.",
            )

    def get_sync(self, peer: str) -> dict[str, str]:
        """Return everything noted about a peer."""
        return dict(
            self._session.rows(
                "SELECT key, value FROM sync_state WHERE peer = ? ORDER BY key",
                (peer,),
            )
        )

    def set_sync(self, peer: str, values: Mapping[str, str]) -> None:
        """Note values about a peer; keys that are not named stay as they are."""
        self._session.many(
            "INSERT OR REPLACE INTO sync_state (peer, key, value) VALUES (?, ?, ?)",
            ((peer, key, value) for key, value in values.items()),
        )

    def add_read(self, read: ReadRow) -> None:
        """Log who read what."""
        self._session.run(
            "INSERT INTO reads (at, who, what, start, stop) VALUES (?, ?, ?, ?, ?)",
            (read.at, read.who, read.what, read.start, read.stop),
        )

    def list_reads(
        self, since: int = 0, who: str | None = None, limit: int = 1000
    ) -> list[ReadRow]:
        """Return at most ``limit`` reads from ``since`` on, oldest first."""
        rows = self._session.rows(
            "SELECT at, who, what, start, stop FROM reads"
            " WHERE at >= ?1 AND (?2 IS NULL OR who = ?2) ORDER BY at, id LIMIT ?3",
            (since, who, limit),
        )
        return [ReadRow(*row) for row in rows]

    def forget_reads(self, before: int) -> int:
        """Drop the log of reads before a time and return how many there were."""
        return self._session.run("DELETE FROM reads WHERE at < ?", (before,))

    def get_meta(self, key: str) -> str | None:
        """Return a setting of this store, such as the name of the alliance."""
        row = self._session.row("SELECT value FROM meta WHERE key = ?", (key,))
        return str(row[0]) if row else None

    def set_meta(self, key: str, value: str) -> None:
        """Keep a setting of this store."""
        self._session.run(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value)
        )

    def lease(self, name: str, owner: str, until: int, now: int) -> None:
        """Take or renew the lease of a job, by compare-and-swap.

        Raises:
            ConflictError: Somebody else holds it beyond ``now``.
        """
        changed = self._session.run(
            "INSERT INTO leases (name, owner, until) VALUES (?1, ?2, ?3)"
            " ON CONFLICT DO UPDATE SET owner = ?2, until = ?3"
            " WHERE owner = ?2 OR until <= ?4 OR until - ?4 > 2 * (?3 - ?4)",
            (name, owner, until, now),
        )
        if not changed:
            raise ConflictError(f"Another worker holds the lease of {name}.")

    def release(self, name: str, owner: str) -> None:
        """Give a lease back early; without effect unless ``owner`` holds it."""
        self._session.run(
            "DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner)
        )
