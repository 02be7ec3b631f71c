"""The batch: what a member signs.

A batch is a header line and 1 to 10,000 entries. The header line is exactly
``{"kind":"batch","note":"..."}``; its note has the text::

    <alliance>/batch/v1
    <origin>
    <count of the entries that follow>
    <base64 RFC 6962 root over their leaves>
    <base64 128-bit random batch id>
    <registry size> <base64 registry root that the writer saw>

The item of a line in every tree is SHA-256 of the line without its newline.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from hub.errors import MalformedError
from hub.tlog.checkpoint import Head
from keys.encoding import from_base64, parse_decimal, to_base64
from keys.errors import EncodingError

__all__ = [
    "MAX_BYTES",
    "MAX_ENTRIES",
    "MAX_LINE",
    "BatchNote",
    "digests_of",
    "is_header",
    "parse_batch_note",
    "parse_header",
    "render_batch_note",
    "render_header",
]

MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 1024 * 1024
MAX_LINE = 16 * 1024
_START = b'{"kind":"batch","note":"'


@dataclass(frozen=True, slots=True)
class BatchNote:
    """The text that a member signs over its entries."""

    origin: str
    count: int
    root: bytes
    batch_id: bytes
    registry: Head


def digests_of(lines: Sequence[bytes]) -> list[bytes]:
    """Return the item of each line."""
    sha256 = hashlib.sha256
    return [sha256(line).digest() for line in lines]


def _title(origin: str) -> str:
    return origin.rpartition("/")[0] + "/batch/v1"


def render_batch_note(note: BatchNote) -> str:
    """Return the text of the note."""
    return (
        f"{_title(note.origin)}\n{note.origin}\n{note.count}\n"
        f"{to_base64(note.root)}\n{to_base64(note.batch_id)}\n"
        f"{note.registry.size} {to_base64(note.registry.root)}\n"
    )


def parse_batch_note(text: str) -> BatchNote:
    """Read the text of a batch's note.

    Raises:
        MalformedError: Not such a text.
    """
    lines = text.split("\n")
    if len(lines) != 7 or lines[6] or lines[0] != _title(lines[1]):
        raise MalformedError("not the note of a batch")
    if not all(lines[1].rpartition("/")[::2]):
        # An origin is an alliance and a feed; without one of them it names nobody.
        raise MalformedError("not the note of a batch")
    size, _, root = lines[5].partition(" ")
    try:
        note = BatchNote(
            lines[1],
            parse_decimal(lines[2]),
            from_base64(lines[3], 32),
            from_base64(lines[4], 16),
            Head(parse_decimal(size), from_base64(root, 32)),
        )
    except EncodingError as error:
        raise MalformedError(f"not the note of a batch: {error}") from None
    if not 1 <= note.count <= MAX_ENTRIES:
        raise MalformedError(f"a batch has 1 to {MAX_ENTRIES} entries")
    return note


def render_header(note: bytes) -> bytes:
    """Return the header line that carries a signed note."""
    body = {"kind": "batch", "note": note.decode()}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def is_header(line: bytes) -> bool:
    """Tell whether a stored line is a header; entries never have its kind."""
    return line.startswith(_START)


def parse_header(line: bytes) -> bytes:
    """Return the note of a header line.

    Raises:
        MalformedError: Not exactly a header line.
    """
    if len(line) <= MAX_LINE and is_header(line):
        try:
            # Only the string is read: whoever sends a header was not checked yet, and
            # nested JSON would exhaust the stack.
            note = str(json.loads(line[len(_START) - 1 : -1])).encode()
        except ValueError:
            note = b""
        if note and render_header(note) == line:
            return note
    raise MalformedError(
        "the first line of a batch is its header",
        code="bad-header",
        advice='Send {"kind":"batch","note":"..."} and nothing else in it.',
    )
