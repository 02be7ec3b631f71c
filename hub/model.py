"""The nouns that everything shares: feeds, entry names, times. Pure.

An entry is named ``<feed>/<index>``, a feed's origin is ``<alliance>/<feed>``, and the
registry is the feed called ``registry``. Times in entries are RFC 3339, UTC, in whole
seconds: ``2026-11-24T08:00:00Z``.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from hub.errors import MalformedError
from keys.encoding import parse_decimal, to_base64
from keys.errors import EncodingError

__all__ = [
    "REGISTRY",
    "RESERVED",
    "EntryName",
    "check_feed",
    "check_name",
    "new_case_id",
    "new_salt",
    "origin_of",
    "parse_time",
    "render_time",
    "render_tombstone",
]

REGISTRY = "registry"
RESERVED = frozenset({"registry", "member", "auditor", "node", "officer", "batch"})
_NAME = re.compile(r"[a-z0-9-]{1,32}\Z")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
Rng = Callable[[int], bytes]


def check_name(name: str) -> str:
    """Return a name of a member, auditor, node or officer.

    Raises:
        MalformedError: Another alphabet, too long, or reserved.
    """
    if not _NAME.match(name) or name in RESERVED:
        raise MalformedError(
            f"not a name: {name[:40]!r}",
            code="bad-name",
            advice="Use 1 to 32 of a-z, 0-9 and -, and none of the reserved words.",
        )
    return name


def origin_of(alliance: str, feed: str) -> str:
    """Return the origin line of a feed's checkpoints."""
    return f"{alliance}/{feed}"


def check_feed(name: object) -> str:
    """Return the name of a feed: the registry, or a member's.

    Raises:
        MalformedError: Not a name.
    """
    if not isinstance(name, str):
        raise MalformedError("not the name of a feed", code="bad-name")
    return name if name == REGISTRY else check_name(name)


@dataclass(frozen=True, slots=True, order=True)
class EntryName:
    """The place of an entry: a feed and an index from 0."""

    feed: str
    index: int

    @classmethod
    def parse(cls, text: str) -> EntryName:
        """Read ``maison/1234``.

        Raises:
            MalformedError: Not an entry name.
        """
        feed, _, index = text.partition("/")
        try:
            return cls(check_feed(feed), parse_decimal(index))
        except (EncodingError, MalformedError):
            raise MalformedError(
                f"not an entry name: {text[:60]!r}",
                advice="Entries are named like maison/1234.",
            ) from None

    def __str__(self) -> str:
        return f"{self.feed}/{self.index}"


@lru_cache(maxsize=8192)
def parse_time(text: str) -> int:
    """Return POSIX seconds of an RFC 3339 time or of a date (its first second).

    Raises:
        MalformedError: Another form.
    """
    full = text + "T00:00:00Z" if len(text) == 10 else text
    try:
        # Reads more forms than ours, and thirty times as fast as ``strptime``.
        moment = datetime.fromisoformat(full)
    except ValueError:
        raise MalformedError(f"not a UTC time: {text[:40]!r}") from None
    # Rendered as ``render_time`` would, but for years below 1000, which it shortens.
    if full[:1] == "0" or moment.isoformat() != f"{full[:-1]}+00:00" or full[-1] != "Z":
        raise MalformedError(f"not a UTC time: {text[:40]!r}")
    return int(moment.timestamp())


def render_time(seconds: int) -> str:
    """Return the RFC 3339 form of POSIX seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)


def new_case_id(rng: Rng = secrets.token_bytes) -> str:
    """Return a case identifier of 80 random bits."""
    return base64.b32encode(rng(10)).decode("ascii").lower()


def new_salt(rng: Rng = secrets.token_bytes) -> str:
    """Return 128 random bits in base64."""
    return to_base64(rng(16))


def render_tombstone(index: int, digest: bytes, by: str) -> bytes:
    """Return what is served in the place of an erased line, without a newline.

    Args:
        index: Where the line stood.
        digest: The item of the log, which stays.
        by: The entry that ordered it, empty when nobody did.
    """
    body = {"kind": "tombstone", "index": index, "digest": to_base64(digest), "by": by}
    return json.dumps(body, separators=(",", ":")).encode()
