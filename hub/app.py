"""The Flask application of a node."""

from __future__ import annotations

from contextlib import suppress

from flask import Flask, Response, request
from flask_smorest import Api

from hub.api import alliance, errors, federation, feeds, metrics
from hub.api.context import Serving
from hub.tlog.batch import MAX_BYTES

__all__ = ["create_app"]

_PART = 64 * 1024


def create_app(serving: Serving) -> Flask:
    """Return the WSGI application that serves a hub; starts nothing else."""
    app = Flask("hub")
    app.config.update(
        API_TITLE="Alliance Hub",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        MAX_CONTENT_LENGTH=MAX_BYTES + 1,
    )
    # A URL has one form: two slashes are an unknown path and not a redirect.
    app.url_map.merge_slashes = False
    app.extensions["hub"] = serving
    app.before_request(serving.begin)
    api = Api(app)
    blueprints = (
        feeds.blueprint,
        alliance.blueprint,
        federation.blueprint,
        metrics.blueprint,
        alliance.health,
    )
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    errors.install(app)
    app.after_request(_drain)
    return app


def _drain(answer: Response) -> Response:
    """Read what is left of an upload that was answered early.

    A server that closes a connection with unread bytes resets it, and the reset
    overtakes the answer: the caller would learn that the network failed instead of
    why it was refused. Nothing is kept, and no more is read than a batch may have.
    """
    if answer.status_code == 413:
        # What is too long is not read.
        return answer
    body, left = request.environ["wsgi.input"], MAX_BYTES
    # A caller that hung up gets no answer anyway.
    with suppress(OSError):
        while left > 0 and (part := body.read(min(left, _PART))):
            left -= len(part)
    return answer
