"""The Flask application of a node."""

from __future__ import annotations

from flask import Flask

from hub.api import alliance, errors, federation, feeds, metrics, observed
from hub.api.context import Serving
from hub.api.described import DescribedApi
from hub.tlog.batch import MAX_BYTES

__all__ = ["create_app"]


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
    observed.install(app)
    app.before_request(serving.begin)
    api = DescribedApi(app, serving.public_url)
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
    return app
