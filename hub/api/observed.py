"""What the node says of each request: one line in the log, and the request's id.

The line has method, path, status, duration, caller and bytes. The path is without its
query. When a request is refused, its path is whatever somebody typed: then the line has
the route with the feed's name only if there is such a feed, or nothing.
"""

from __future__ import annotations

import logging
import secrets
import time

from flask import Flask, Response, g, request

from hub.api import serving
from hub.errors import HubError
from hub.logs import bind_request, request_id_of, unbind_request
from hub.model import REGISTRY

__all__ = ["install"]

log = logging.getLogger("hub.request")


def install(app: Flask) -> None:
    """Log every request; call it before other functions are run before a request."""
    app.before_request(_begin)
    app.after_request(_log)
    app.teardown_request(_forget)


def _begin() -> None:
    g.started = time.perf_counter()
    sent = request.headers.get("X-Request-Id")
    g.request_id = request_id_of(sent, secrets.token_hex(8))
    bind_request(g.request_id)


def _forget(_error: BaseException | None) -> None:
    unbind_request()


def _path(status: int) -> str:
    rule = request.url_rule
    if rule is None:
        return ""
    if status < 400:
        return request.path
    feed = (request.view_args or {}).get("feed")
    return rule.rule.replace("<feed>", feed) if feed and _known(feed) else rule.rule


def _known(feed: str) -> bool:
    try:
        return feed == REGISTRY or feed in serving().directory().members
    except HubError:
        # The store cannot be read, which may be what is being answered.
        return False


def _log(answer: Response) -> Response:
    answer.headers["X-Request-Id"] = g.request_id
    log.info(
        "answered",
        extra={
            "method": request.method if request.url_rule else "",
            "path": _path(answer.status_code),
            "status": answer.status_code,
            "ms": round((time.perf_counter() - g.started) * 1000, 1),
            "caller": getattr(g.get("caller"), "owner", ""),
            "received": request.content_length or 0,
            "sent": answer.content_length or 0,
            "slug": g.get("slug", ""),
        },
    )
    return answer
