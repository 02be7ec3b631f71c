"""Bodies of requests: of the right type, not too long, whole, and as they were signed.

What is too long by its own account is refused without reading it. What is sent in
chunks, without saying how long it is, is refused where it passes the limit. A body that
ends early (the connection was cut) is never taken for a shorter one.
"""

from __future__ import annotations

from flask import g, request

from hub.errors import MalformedError, RefusedError
from keys.errors import SignatureError
from keys.requests import check_body, check_digest

__all__ = ["bound", "expect", "read_line", "read_rest"]

_PART = 1 << 20


def expect(media_type: str, limit: int) -> None:
    """Refuse a request by its header: another media type, encoded, or too long.

    Raises:
        MalformedError: As the codes say: ``bad-media-type``, ``too-large``.
    """
    if request.mimetype != media_type or request.headers.get("Content-Encoding"):
        raise MalformedError(
            f"send {media_type}, without an encoding",
            code="bad-media-type",
            advice=f"Set Content-Type to {media_type} and Content-Encoding to nothing.",
        )
    bound(limit)


def bound(limit: int) -> None:
    """Refuse a request that is too long by its own account, of whatever media type.

    Raises:
        MalformedError: It is (code ``too-large``).
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    # One more than the limit, so that we see that it is passed, in our own words.
    request.max_content_length = limit + 1


def _too_large(limit: int) -> MalformedError:
    return MalformedError(f"send at most {limit} bytes", code="too-large")


def read_line(limit: int) -> bytes:
    """Return the first line of the body with its newline, cut at ``limit`` bytes."""
    return request.stream.readline(limit)


def read_rest(limit: int, start: bytes = b"") -> bytes:
    """Return the whole body, whose beginning was read before.

    Args:
        limit: Most bytes of the whole.
        start: What :func:`read_line` returned.

    Raises:
        MalformedError: Too long, cut short, or not what Content-Digest says.
        RefusedError: Not the body that was signed.
    """
    parts, size = [start], len(start)
    while size <= limit and (part := request.stream.read(_PART)):
        parts.append(part)
        size += len(part)
    if size > limit:
        raise _too_large(limit)
    body = b"".join(parts)
    if request.content_length not in (None, len(body)):
        raise MalformedError(
            "the body is cut short",
            code="truncated",
            advice="Send it again, byte for byte.",
        )
    _check(body)
    return body


def _check(body: bytes) -> None:
    signed, digest = g.caller.signed, request.headers.get("Content-Digest")
    try:
        if signed:
            check_body(signed, body)
    except SignatureError as error:
        raise RefusedError(str(error), code="bad-request-signature") from None
    try:
        if digest:
            check_digest(digest, body)
    except SignatureError as error:
        raise MalformedError(
            str(error), code="wrong-digest", advice="Send it again, byte for byte."
        ) from None
