"""The hub over HTTP: Flask blueprints, one file for each group of routes.

Routes translate; rules live below. Fetch what they need with :func:`serving`.
"""

from __future__ import annotations

from typing import Any, cast

from flask import current_app

__all__ = ["serving"]


def serving() -> Any:
    """Return the :class:`hub.api.context.Serving` of the running application."""
    return cast("Any", current_app.extensions["hub"])
