"""Problem documents (RFC 9457): the only place that knows HTTP statuses of errors.

``type`` is ``urn:alliance-hub:<slug>``; slugs are stable, titles and details are not.
:data:`SLUGS` holds every slug that a node answers with; the table in docs/protocol.md
is the same, and a test compares them and the slugs that the code raises.
"""

from __future__ import annotations

import json
import logging

from flask import Flask, Response, g
from werkzeug.exceptions import ClientDisconnected, HTTPException

from hub.errors import (
    ClockSkewError,
    ConfigError,
    ConflictError,
    HubError,
    MalformedError,
    MisbehaviourError,
    NotHomeError,
    QuotaError,
    RefusedError,
    UnavailableError,
)
from keys.errors import KeysError

__all__ = ["SLUGS", "install", "problem", "problem_bytes"]

SLUGS = {
    "bad-request": 400,
    "bad-submission": 400,
    "truncated": 400,
    "bad-bearer": 401,
    "bad-request-signature": 401,
    "clock-skew": 401,
    "replayed-nonce": 401,
    "unauthenticated": 401,
    "bad-log-signature": 403,
    "bad-signature": 403,
    "closed-key": 403,
    "frozen": 403,
    "member-left": 403,
    "no-log-key": 403,
    "other-registry": 403,
    "quota-too-small": 403,
    "refused": 403,
    "too-few-officers": 403,
    "not-found": 404,
    "out-of-range": 404,
    "unknown-feed": 404,
    "unknown-origin": 404,
    "unknown-token-key": 404,
    "method-not-allowed": 405,
    "timeout": 408,
    "batch-id-reused": 409,
    "conflict": 409,
    "feed-grew": 409,
    "fork": 409,
    "misbehaviour": 409,
    "repeated-batch": 409,
    "rollback": 409,
    "stale-home": 409,
    "stale-index": 409,
    "stale-proposal": 409,
    "witness-moved": 409,
    "witness-size": 409,
    "too-large": 413,
    "uri-too-long": 414,
    "bad-media-type": 415,
    "expectation-failed": 417,
    "not-home": 421,
    "bad-batch": 422,
    "bad-cosignature": 422,
    "bad-element": 422,
    "bad-evidence": 422,
    "bad-header": 422,
    "bad-line": 422,
    "bad-name": 422,
    "bad-parameter": 422,
    "bad-proof": 422,
    "encoding": 422,
    "invalid-line": 422,
    "malformed": 422,
    "malformed-note": 422,
    "no-evidence": 422,
    "no-home": 422,
    "registry-rule": 422,
    "tombstone-without-erasure": 422,
    "weak-key": 422,
    "wrong-count": 422,
    "wrong-digest": 422,
    "wrong-root": 422,
    "quota-exceeded": 429,
    "rate-limited": 429,
    "headers-too-large": 431,
    "damaged-marks": 500,
    "internal": 500,
    "not-implemented": 501,
    "behind-own-signature": 503,
    "cannot-open": 503,
    "clock-behind": 503,
    "corrupt": 503,
    "disk-failed": 503,
    "disk-full": 503,
    "forked": 503,
    "index-behind": 503,
    "locked": 503,
    "no-request-key": 503,
    "not-caught-up": 503,
    "not-ready": 503,
    "not-stored": 503,
    "read-only": 503,
    "registry-behind": 503,
    "sealed": 503,
    "starting": 503,
    "unavailable": 503,
    "visit-over": 503,
}
"""The status of every slug."""

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (QuotaError, 429),
    (MalformedError, 422),
    (RefusedError, 403),
    (ConflictError, 409),
    (UnavailableError, 503),
    (MisbehaviourError, 409),
    (ConfigError, 500),
    (KeysError, 422),
)
_OF_HTTP = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    408: "timeout",
    413: "too-large",
    414: "uri-too-long",
    415: "bad-media-type",
    417: "expectation-failed",
    429: "rate-limited",
    431: "headers-too-large",
    501: "not-implemented",
    503: "unavailable",
}
_CHALLENGE = 'Signature realm="alliance-hub", Bearer realm="alliance-hub"'
log = logging.getLogger("hub.api")


def problem_bytes(
    status: int, code: str, detail: str, advice: str = "", **more: object
) -> bytes:
    """Return the body of a problem document."""
    body = {
        "type": f"urn:alliance-hub:{code}",
        "title": code.replace("-", " "),
        "status": status,
        "detail": detail,
        **({"advice": advice} if advice else {}),
        **more,
    }
    return json.dumps(body).encode()


def problem(
    status: int, code: str, detail: str, advice: str = "", **more: object
) -> Response:
    """Return a problem document."""
    g.slug = code
    answer = Response(
        problem_bytes(status, code, detail, advice, **more),
        status=status,
        content_type="application/problem+json",
    )
    # A cache that keeps a refusal would keep it beyond its reason.
    answer.headers["Cache-Control"] = "no-store"
    if status == 401:
        answer.headers["WWW-Authenticate"] = _CHALLENGE
    return answer


def slug_of(status: int) -> str:
    """Return the slug of an error that only HTTP knows."""
    return _OF_HTTP.get(status, "bad-request" if status < 500 else "internal")


def _status(error: Exception, code: str) -> int:
    if code in SLUGS:
        return SLUGS[code]
    return next((s for kind, s in _STATUS if isinstance(error, kind)), 500)


def _of_hub(error: Exception) -> Response:
    if not isinstance(error, HubError | KeysError):
        raise AssertionError("only our own errors come here")
    status = _status(error, error.code)
    more: dict[str, object] = {}
    if status == 500 and error.code not in SLUGS:
        # What is wrong with the node's own folder is for its operator alone.
        return _of_bug(error)
    if isinstance(error, NotHomeError):
        more["home"] = error.home
    if isinstance(error, ClockSkewError):
        more["time"] = error.time
    answer = problem(status, error.code, str(error), error.advice, **more)
    if isinstance(error, QuotaError):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _of_http(error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise AssertionError("only HTTP errors come here")
    if isinstance(error, ClientDisconnected):
        advice = "Send it again, byte for byte."
        return problem(400, "truncated", "the body is cut short", advice)
    status = error.code or 500
    answer = problem(status, slug_of(status), error.description or "")
    allow = dict(error.get_headers()).get("Allow")
    if allow:
        answer.headers["Allow"] = allow
    return answer


def _of_bug(error: Exception) -> Response:
    # The traceback goes to the log under the request's id and never to the caller.
    log.error("request %s failed", g.get("request_id"), exc_info=error)
    return problem(500, "internal", f"request {g.get('request_id')} failed here")


def install(app: Flask) -> None:
    """Make every error a problem document."""
    app.register_error_handler(HubError, _of_hub)
    app.register_error_handler(KeysError, _of_hub)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _of_bug)
