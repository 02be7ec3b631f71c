"""Checkpoints (C2SP tlog-checkpoint v1.0.0): the signed head of a feed.

The text is the origin, the size in decimal and the root in base64, one a line; further
lines are read and kept but never written. There is no time in a checkpoint; time comes
from cosignatures. Our logs sign under the origin itself as key name.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.errors import MalformedError
from hub.tlog.merkle import EMPTY_ROOT
from keys.ed25519 import Signer
from keys.encoding import from_base64, parse_decimal, to_base64
from keys.errors import EncodingError
from keys.note import ED25519, NoteSigner, VerifierKey, open_note, parse_note, sign_note

__all__ = [
    "EMPTY",
    "Checkpoint",
    "Head",
    "open_checkpoint",
    "parse_checkpoint",
    "peek_checkpoint",
    "render_checkpoint",
    "sign_checkpoint",
]


@dataclass(frozen=True, slots=True)
class Head:
    """The size and the root of a tree."""

    size: int
    root: bytes


EMPTY = Head(0, EMPTY_ROOT)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A head with the origin of its log."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def head(self) -> Head:
        """The size and the root alone."""
        return Head(self.size, self.root)


def render_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text of the note."""
    lines = (checkpoint.origin, str(checkpoint.size), to_base64(checkpoint.root))
    return "".join(f"{line}\n" for line in lines + checkpoint.extensions)


def parse_checkpoint(text: str, *, any_empty: bool = False) -> Checkpoint:
    """Read the text of a checkpoint note.

    Args:
        text: The text.
        any_empty: Take any root of an empty tree: the caller says what is wrong.

    Raises:
        MalformedError: Not a checkpoint.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise MalformedError("a checkpoint has an origin, a size and a root")
    try:
        size, root = parse_decimal(lines[1]), from_base64(lines[2], 32)
    except EncodingError as error:
        raise MalformedError(f"not a checkpoint: {error}") from None
    if size == 0 and root != EMPTY_ROOT and not any_empty:
        raise MalformedError("the root of an empty tree is SHA-256 of nothing")
    return Checkpoint(lines[0], size, root, tuple(lines[3:-1]))


def peek_checkpoint(raw: bytes, *, any_empty: bool = False) -> Checkpoint:
    """Read a checkpoint note without verifying it; as :func:`parse_checkpoint`.

    Raises:
        MalformedError: Not a checkpoint.
        NoteError: Not a note.
    """
    return parse_checkpoint(parse_note(raw).text, any_empty=any_empty)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return the note, signed under the origin as key name."""
    named = NoteSigner(checkpoint.origin, signer)
    return sign_note(render_checkpoint(checkpoint), named)


def open_checkpoint(
    raw: bytes, origin: str, public: bytes, *, any_empty: bool = False
) -> Checkpoint:
    """Verify a checkpoint of ``origin`` under its log key.

    ``any_empty`` is that of :func:`parse_checkpoint`.

    Raises:
        MalformedError: Not a checkpoint of this origin.
        NoteError: Not a note.
        SignatureError: The log did not sign it.
    """
    note = open_note(raw, [VerifierKey(origin, ED25519, public)])
    checkpoint = parse_checkpoint(note.text, any_empty=any_empty)
    if checkpoint.origin != origin:
        raise MalformedError(f"the checkpoint is of {checkpoint.origin}, not {origin}")
    return checkpoint
