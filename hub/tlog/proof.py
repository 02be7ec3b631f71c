"""Inclusion proofs as files (C2SP tlog-proof).

The form::

    c2sp.org/tlog-proof@v1
    extra <base64>            (optional, not authenticated)
    index <decimal>
    <base64 hash>             (0 to 63 of them, the leaf's sibling first)
    <empty line>
    <signed checkpoint>
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.errors import MalformedError
from hub.tlog.checkpoint import Head
from hub.tlog.merkle import check_inclusion, leaf_hash
from keys.encoding import from_base64, parse_decimal, to_base64
from keys.errors import EncodingError

__all__ = ["TlogProof", "check_proof", "parse_proof", "render_proof"]

_TITLE = "c2sp.org/tlog-proof@v1"
_MAX_HASHES = 63


@dataclass(frozen=True, slots=True)
class TlogProof:
    """An index, its path and the checkpoint note that it leads to."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def render_proof(proof: TlogProof) -> bytes:
    """Return the bytes of the proof file."""
    extra = [] if proof.extra is None else [f"extra {to_base64(proof.extra)}"]
    lines = [_TITLE, *extra, f"index {proof.index}", *map(to_base64, proof.hashes)]
    return ("\n".join(lines) + "\n\n").encode() + proof.checkpoint


def parse_proof(raw: bytes) -> TlogProof:
    """Read a proof file; the checkpoint in it is not verified.

    Raises:
        MalformedError: Not a proof file.
    """
    head, _, checkpoint = raw.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        extra = None
        if len(lines) > 1 and lines[1].startswith("extra "):
            extra = from_base64(lines.pop(1)[6:])
        if not checkpoint or lines[0] != _TITLE or not lines[1].startswith("index "):
            raise MalformedError("not a tlog-proof")
        if len(lines) > 2 + _MAX_HASHES:
            raise MalformedError(f"a tlog-proof has at most {_MAX_HASHES} hashes")
        hashes = tuple(from_base64(line, 32) for line in lines[2:])
        return TlogProof(parse_decimal(lines[1][6:]), hashes, checkpoint, extra)
    except (EncodingError, UnicodeDecodeError, IndexError):
        raise MalformedError("not a tlog-proof") from None


def check_proof(proof: TlogProof, item: bytes, head: Head) -> None:
    """Check that ``item`` is in the tree of an already verified head.

    Raises:
        ProofError: It is not.
    """
    check_inclusion(leaf_hash(item), proof.index, head.size, proof.hashes, head.root)
