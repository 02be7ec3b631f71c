"""Problem documents (RFC 9457): the only place that knows HTTP statuses of errors.

``type`` is ``urn:alliance-hub:<slug>``; slugs are stable, titles and details are not.
"""

from __future__ import annotations

import json
import logging

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from hub.errors import (
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

__all__ = ["install", "problem"]

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
_BY_CODE = {
    "unauthenticated": 401,
    "bad-request-signature": 401,
    "bad-bearer": 401,
    "clock-skew": 401,
    "replayed-nonce": 401,
    "unknown-feed": 404,
    "unknown-token-key": 404,
    "not-found": 404,
    "out-of-range": 404,
    "not-home": 421,
    "too-large": 413,
    "batch-id-reused": 409,
    "truncated": 400,
}
log = logging.getLogger("hub.api")


def problem(
    status: int, code: str, detail: str, advice: str = "", **more: object
) -> Response:
    """Return a problem document."""
    body = {
        "type": f"urn:alliance-hub:{code}",
        "title": code.replace("-", " "),
        "status": status,
        "detail": detail,
        **({"advice": advice} if advice else {}),
        **more,
    }
    return Response(
        json.dumps(body), status=status, content_type="application/problem+json"
    )


def _status(error: Exception, code: str) -> int:
    if code in _BY_CODE:
        return _BY_CODE[code]
    return next((s for kind, s in _STATUS if isinstance(error, kind)), 500)


def _of_hub(error: Exception) -> Response:
    if not isinstance(error, HubError | KeysError):
        raise AssertionError("only our own errors come here")
    more = {"home": error.home} if isinstance(error, NotHomeError) else {}
    status = _status(error, error.code)
    answer = problem(status, error.code, str(error), error.advice, **more)
    if isinstance(error, QuotaError):
        answer.headers["Retry-After"] = str(error.retry_after)
    if answer.status_code == 401:
        answer.headers["WWW-Authenticate"] = 'Signature, Bearer realm="alliance-hub"'
    return answer


def _of_http(error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise AssertionError("only HTTP errors come here")
    status = error.code or 500
    code = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(
        status, f"http-{status}"
    )
    answer = problem(status, code, error.description or "")
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
    # The path is logged without its query; neither holds an identifier.
    app.after_request(_log)


def _log(answer: Response) -> Response:
    answer.headers["X-Request-Id"] = g.get("request_id", "")
    line = {
        "request": g.get("request_id"),
        "method": request.method,
        "path": request.path,
        "status": answer.status_code,
        "who": getattr(g.get("caller"), "owner", ""),
    }
    log.info("%s", json.dumps(line))
    return answer
