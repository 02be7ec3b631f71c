"""What OpenAPI says of the routes; the shapes of JSON come from ``schemas/api.py``.

A route says with these pieces what it takes and gives; whatever fails is a problem
document, which is the default answer of each.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_smorest import Api

from schemas.api import Problem
from schemas.base import NAME, TOKEN_KEY

__all__ = [
    "FEED",
    "KEY",
    "NDJSON",
    "OCTETS",
    "PUBLIC",
    "READER",
    "SIGNED",
    "TEXT",
    "DescribedApi",
    "body",
    "field",
    "path",
    "query",
    "raw",
    "said",
]

NDJSON = "application/x-ndjson"
OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"

PUBLIC: list[dict[str, list[str]]] = [{}]
SIGNED: list[dict[str, list[str]]] = [{"signature": []}]
READER: list[dict[str, list[str]]] = [
    {"signature": []},
    {"bearer": []},
    {"basic": []},
]
_SCHEMES: dict[str, dict[str, str]] = {
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": "An HTTP message signature (RFC 9421, Ed25519) by a request key "
        "that the registry holds, with Signature-Input and Content-Digest; "
        "docs/protocol.md has the components, the parameters and a vector.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A read-only token of this node: hub access new.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The same token as the password, under any name.",
    },
}


def path(name: str, pattern: str, description: str) -> dict[str, Any]:
    """Return the description of a part of a path."""
    return {
        "in": "path",
        "name": name,
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": f"^{pattern}$"},
    }


def query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Return the description of a number in a query."""
    number = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1, **schema}
    return {"in": "query", "name": name, "description": description, "schema": number}


def field(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Return the description of a field of a request's header."""
    shape = {"type": "string", **schema}
    return {"in": "header", "name": name, "description": description, "schema": shape}


def raw(media: str, description: str, **headers: str) -> dict[str, Any]:
    """Return what a route's answer is said to be when it is no JSON.

    Args:
        media: The media type.
        description: What the body is.
        headers: Fields of the answer and what they say, with ``_`` for ``-``.
    """
    return {
        "schema": _shape(media),
        "content_type": media,
        "description": description,
        "headers": said(**headers),
    }


def said(**headers: str) -> dict[str, Any]:
    """Return the description of fields of an answer."""
    return {
        name.replace("_", "-"): {"description": text, "schema": {"type": "string"}}
        for name, text in headers.items()
    }


def _shape(media: str) -> dict[str, Any]:
    # SPEC: OpenAPI 3.1 section 4.8.14: binary data in its own encoding has no type.
    return {} if media in (OCTETS, NDJSON) else {"type": "string"}


def body(media: str, description: str, **schema: Any) -> dict[str, Any]:
    """Return what a route is said to take."""
    return {
        "required": True,
        "description": description,
        "content": {media: {"schema": {**_shape(media), **schema}}},
    }


FEED = path("feed", NAME, "The name of a member, or `registry`.")
KEY = path("key", TOKEN_KEY, "The name of a token key, such as open-1.")


class DescribedApi(Api):  # type: ignore[misc]
    """The document of all routes.

    Args:
        app: The application.
        url: The node's public URL.
    """

    ERROR_SCHEMA = Problem

    def __init__(self, app: Flask, url: str):
        info = {
            "description": "Signed, hashed indicators of counterfeit sellers. Errors "
            "are problem documents (RFC 9457) whose `type` is stable.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        }
        options = {"info": info, "servers": [{"url": url}], "security": PUBLIC}
        super().__init__(app, spec_kwargs=options)
        for name, scheme in _SCHEMES.items():
            self.spec.components.security_scheme(name, scheme)

    def _register_responses(self) -> None:
        """Describe every error at once; the library would as JSON, status by status."""
        problem = {
            "description": "What went wrong.",
            "content": {"application/problem+json": {"schema": Problem}},
        }
        self.spec.components.response("DEFAULT_ERROR", problem, lazy=True)
