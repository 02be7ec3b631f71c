r"""What a witness is asked with (C2SP tlog-witness v1.0.0, ``add-checkpoint``).

The body of the request is::

    old <size that the asker believes to be cosigned last>
    <base64 hash>                  (0 to 63 lines: a consistency proof from that size)
    <empty line>
    <signed checkpoint>

>>> body = render_submission(Submission(0, (), b"a\n0\n\n\u2014 x AAAAAAA=\n"))
>>> parse_submission(body).old
0
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.errors import MalformedError
from keys.encoding import from_base64, parse_decimal, to_base64
from keys.errors import EncodingError

__all__ = ["MAX_BYTES", "Submission", "parse_submission", "render_submission"]

# A checkpoint is small, but it may carry the lines of many cosigners.
MAX_BYTES = 128 * 1024
_MAX_HASHES = 63


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint to cosign, and the proof that it extends the tree of ``old``."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


def render_submission(submission: Submission) -> bytes:
    """Return the body of the request."""
    lines = [f"old {submission.old}", *map(to_base64, submission.proof)]
    return ("\n".join(lines) + "\n\n").encode() + submission.checkpoint


def parse_submission(raw: bytes) -> Submission:
    """Read the body of a request; the checkpoint in it is not verified.

    Raises:
        MalformedError: Not such a body (``bad-submission``).
    """
    head, _, checkpoint = raw.partition(b"\n\n")
    problem = MalformedError(
        "the body is not old, hashes, an empty line and a checkpoint",
        code="bad-submission",
        advice="Send what C2SP tlog-witness describes for add-checkpoint.",
    )
    lines = head.split(b"\n")
    whole = bool(checkpoint) and lines[0].startswith(b"old ")
    if not whole or len(raw) > MAX_BYTES or len(lines) > 1 + _MAX_HASHES:
        raise problem
    try:
        proof = tuple(from_base64(line, 32) for line in lines[1:])
        return Submission(parse_decimal(lines[0][4:]), proof, checkpoint)
    except EncodingError:
        raise problem from None
