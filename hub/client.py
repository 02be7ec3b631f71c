"""The only outgoing HTTP: one node, asked with signed requests.

Not trusted: the node. Every answer is bounded in time and bytes, redirects are not
followed, and nothing is believed here; callers verify what they get.
"""

from __future__ import annotations

import json
import secrets
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from hub.clock import Clock
from hub.errors import (
    ConflictError,
    HubError,
    MalformedError,
    QuotaError,
    RefusedError,
    UnavailableError,
)
from keys.ed25519 import Signer
from keys.requests import sign_request

__all__ = ["Client", "Identity", "post_alerts"]

MAX_ANSWER = 256 * 1024 * 1024
DEADLINE = 300.0


@dataclass(frozen=True, slots=True)
class Identity:
    """The name and key with which requests are signed."""

    keyid: str
    signer: Signer


class Client:
    """Talks to the node at ``url``.

    Args:
        url: The node's public URL, without a path.
        clock: Dates the signatures.
        identity: Signs requests; None asks as nobody.
        transport: Replaces the network in tests.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        identity: Identity | None = None,
        transport: httpx2.BaseTransport | None = None,
    ):
        self.url = url.rstrip("/")
        self._clock = clock
        self._identity = identity
        self._http = httpx2.Client(
            timeout=30, follow_redirects=False, transport=transport, trust_env=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def heads(self, etag: str = "") -> tuple[dict[str, Any] | None, str]:
        """Return all heads and their ETag; None when ``etag`` still holds."""
        headers = {"If-None-Match": etag} if etag else {}
        status, answer, raw = self._ask("GET", "/v1/feeds", headers=headers)
        if status == 304:
            return None, etag
        return self._json(raw), answer.get("ETag", "")

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the JSON object at a path."""
        return self._json(self._ask("GET", path)[2])

    def get_bytes(self, path: str) -> bytes:
        """Return what is at a path."""
        return self._ask("GET", path)[2]

    def lines(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return the lines of [start, stop), tombstones in their places."""
        path = f"/v1/feeds/{feed}/entries?from={start}&to={stop}"
        raw = self._ask("GET", path, headers={"Accept-Encoding": "gzip"})[2]
        if not raw.endswith(b"\n"):
            raise MalformedError("the node's answer is cut short", code="truncated")
        return raw[:-1].split(b"\n")

    def publish(
        self, feed: str, body: bytes, *, newest: str | None = None
    ) -> dict[str, Any]:
        """Send a batch; ``newest`` is the newest checkpoint that this client knows."""
        headers = {"Content-Type": "application/x-ndjson"}
        if newest:
            headers["Hub-Newest-Checkpoint"] = newest
        path = f"/v1/feeds/{feed}/batches"
        answer = self._json(self._ask("POST", path, body, headers)[2])
        shape = {"feed": str, "first": int, "size": int, "checkpoint": str}
        shape["cosignatures"] = list
        if any(type(answer.get(k)) is not kind for k, kind in shape.items()):
            raise UnavailableError(
                f"{self.url} answered with something that is no receipt",
                advice="Run the command again; the batch is journalled.",
            )
        return answer

    def evaluate(self, key: str, elements: bytes) -> bytes:
        """Return proof and evaluated elements."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._ask("POST", f"/v1/tokens/{key}", elements, headers)[2]

    @staticmethod
    def _json(raw: bytes) -> dict[str, Any]:
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            raise MalformedError("the node's answer is not JSON") from None
        if not isinstance(value, dict):
            raise MalformedError("the node's answer is not a JSON object")
        return value

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, httpx2.Headers, bytes]:
        url = self.url + path
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        if self._identity:
            sign_request(
                method,
                url,
                sent,
                body,
                keyid=self._identity.keyid,
                signer=self._identity.signer,
                now=self._clock.now(),
                nonce=secrets.token_urlsafe(16),
            )
        try:
            with self._http.stream(method, url, content=body, headers=sent) as answer:
                raw = b"".join(_bounded(answer))
                status, fields = answer.status_code, answer.headers
        except httpx2.HTTPError as error:
            raise UnavailableError(
                f"{self.url} cannot be reached: {error}",
                advice="Check the address and the network, then try again.",
            ) from None
        if status >= 300 and status != 304:
            raise _problem(self.url, status, fields, raw)
        return status, fields, raw


def post_alerts(url: str, lines: bytes) -> None:
    """Send alerts, as JSON lines, to the webhook of the configuration.

    Raises:
        UnavailableError: It does not accept them.
    """
    try:
        headers = {"Content-Type": "application/x-ndjson"}
        answer = httpx2.post(url, content=lines, headers=headers, timeout=30)
        answer.raise_for_status()
    except httpx2.HTTPError as error:
        raise UnavailableError(
            f"the webhook did not take the alerts: {error}"
        ) from None


def _bounded(answer: httpx2.Response) -> Iterator[bytes]:
    """Yield the decoded body, within the limits of bytes and time.

    A body of several gzip members, as stored pages are, is decoded member by member.
    """
    end = time.monotonic() + DEADLINE
    packed = answer.headers.get("Content-Encoding") == "gzip"
    decoder, total = zlib.decompressobj(31), 0
    for received in answer.iter_raw():
        data = received
        while data:
            if packed:
                part = decoder.decompress(data, 1 << 20)
                data = decoder.unconsumed_tail or decoder.unused_data
                if decoder.eof:
                    decoder = zlib.decompressobj(31)
            else:
                part, data = data, b""
            total += len(part)
            if total > MAX_ANSWER or time.monotonic() > end:
                raise UnavailableError("the node's answer is too long or too slow")
            yield part


def _problem(url: str, status: int, fields: httpx2.Headers, raw: bytes) -> HubError:
    try:
        body = json.loads(raw)
        code = str(body["type"]).rpartition(":")[2]
        message, advice = str(body["detail"]), str(body.get("advice", ""))
    except (ValueError, KeyError, TypeError, RecursionError):
        code, message, advice = f"http-{status}", f"{url} answered {status}", ""
    if status == 429:
        return QuotaError(message, retry_after=int(fields.get("Retry-After", "60")))
    kinds: dict[int, type[HubError]] = {
        400: MalformedError,
        409: ConflictError,
        413: MalformedError,
        422: MalformedError,
    }
    kind = UnavailableError if status >= 500 else kinds.get(status, RefusedError)
    return kind(message, code=code, advice=advice)
