r"""The payload of a page: the lines of up to 256 entries as one gzip member.

Each line is followed by a newline; an erased line is empty, which no entry can be::

    {"kind":"report",...}\n
    \n                          the second line was erased
    {"kind":"report",...}\n

Level 3 was chosen by measurement on lines of 440 bytes (random token, salt and case):
2.3 µs and 89 bytes a line, against 2.1 µs and 93 bytes at level 1 and 3.9 µs and
84 bytes at level 6. Compare contents, never gzip bytes: another zlib makes others.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from hub.errors import MalformedError, UnavailableError
from hub.store.records import SLOT

__all__ = [
    "check_digests",
    "check_lines",
    "check_range",
    "check_slot",
    "corrupt",
    "cut",
    "pack",
    "unpack",
]

_LEVEL = 3
_DIGESTS = frozenset({32})
_GZIP = 31  # zlib's window bits for the gzip container.


def cut(first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut ``[first, stop)`` at the multiples of 256."""
    while first < stop:
        end = min(stop, first - first % SLOT + SLOT)
        yield first, end
        first = end


def pack(lines: Sequence[bytes | None]) -> bytes:
    """Compress lines, None standing for an erased one, into one gzip member."""
    text = b"\n".join([line or b"" for line in lines]) + b"\n"
    engine = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return engine.compress(text) + engine.flush()


def unpack(member: bytes, count: int) -> list[bytes | None]:
    """Return the lines of one gzip member, None for an erased one.

    Raises:
        UnavailableError: The stored bytes are damaged (code ``corrupt``).
    """
    try:
        parts = zlib.decompress(member, _GZIP).split(b"\n")
    except zlib.error as error:
        raise corrupt("a page does not unpack") from error
    if len(parts) != count + 1 or parts.pop():
        raise corrupt("a page holds another number of lines")
    return [part or None for part in parts]


def corrupt(what: str) -> UnavailableError:
    """Return the error that says that stored bytes are damaged."""
    return UnavailableError(
        f"The store is damaged: {what}.",
        code="corrupt",
        advice="Stop the hub and restore a backup with `hub restore`.",
    )


def check_range(start: int, stop: int, size: int) -> None:
    """Check that ``[start, stop)`` lies within ``[0, size]``.

    Raises:
        MalformedError: It does not (code ``out-of-range``).
    """
    if not 0 <= start <= stop <= size:
        raise MalformedError(
            f"Entries {start} to {stop} are not within the {size} stored ones.",
            code="out-of-range",
        )


def check_slot(first: int, count: int) -> None:
    """Check that a run of entries is a slot, or the beginning of one.

    Raises:
        MalformedError: It is not (code ``out-of-range``).
    """
    if first % SLOT or not 0 < count <= SLOT:
        raise MalformedError(
            f"{count} entries from {first} are no slot of {SLOT}.", code="out-of-range"
        )


def check_lines(lines: Sequence[bytes | None], digests: Sequence[bytes]) -> None:
    """Check that lines can be stored: one digest each, not empty, no newline.

    Raises:
        MalformedError: A line is empty or holds a newline (code ``bad-line``).
    """
    if len(lines) != len(digests):
        raise AssertionError("every line has one digest")
    # Looked for in many lines at once, as it is never found.
    parts = (lines[at : at + SLOT] for at in range(0, len(lines), SLOT))
    if b"" in lines or any(b"\n" in b"".join(filter(None, part)) for part in parts):
        raise MalformedError("A line is empty or holds a newline.", code="bad-line")
    if not _DIGESTS.issuperset(map(len, digests)):
        raise AssertionError("a digest has 32 bytes")


def check_digests(lines: Mapping[int, bytes], digest: Callable[[int], bytes]) -> None:
    """Check that lines are those whose digests are stored.

    Raises:
        MalformedError: One is not (code ``wrong-digest``).
    """
    for index, line in lines.items():
        if hashlib.sha256(line).digest() != digest(index):
            raise MalformedError(
                f"The line is not entry {index} that was hashed.", code="wrong-digest"
            )
