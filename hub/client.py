"""The only outgoing HTTP: one node, asked with signed requests.

Not trusted: the node. Every answer is bounded in time and bytes, redirects are not
followed, and nothing is believed here; callers verify what they get.
"""

from __future__ import annotations

import json
import secrets
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from hub.clock import Clock
from hub.deadline import BoundedTransport, begin
from hub.errors import (
    ClockSkewError,
    ConfigError,
    ConflictError,
    HubError,
    MalformedError,
    NotHomeError,
    QuotaError,
    RateError,
    RefusedError,
    UnavailableError,
)
from hub.evaluation import SignedEvaluation
from keys.ed25519 import Signer
from keys.encoding import parse_decimal
from keys.errors import EncodingError
from keys.requests import sign_request

__all__ = ["Answer", "Client", "Identity", "post_alerts"]

MAX_LINES = 136 * 1024 * 1024
"""Most bytes of an answer that holds lines of a feed."""
MAX_ANSWER = 16 * 1024 * 1024
"""Most bytes of every other answer."""
MAX_SUBMIT = 128 * 1024
"""Most bytes of a witness's answer: a few signature lines."""
DEADLINE = 300.0
"""Seconds that a request may take, all in all."""
_SLOWEST = 64 * 1024  # Bytes a second of a large upload, which has more time.
_PATIENCE = 30.0  # Seconds without any progress.
_HASTE = 120  # Seconds of waiting that a node may ask for.


@dataclass(frozen=True, slots=True)
class Identity:
    """The name and key with which requests are signed."""

    keyid: str
    signer: Signer


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a request, whatever it says; names of fields are lower-case.

    ``tls`` is the protocol's version and ``tls_ends`` the second at which the
    certificate ends; both are None without TLS.
    """

    status: int
    fields: Mapping[str, str]
    body: bytes
    tls: str | None = None
    tls_ends: int | None = None


class Client:
    """Talks to the node at ``url``.

    Args:
        url: The node's public URL, without a path.
        clock: Dates the signatures.
        identity: Signs requests, or says what signs the next one; None asks as nobody.
        transport: Replaces the network in tests.
        deadline: Seconds that a request may take, beside the time of a large upload.
        ca: PEM file of the authorities to trust instead of the system's.

    Raises:
        ConfigError: ``ca`` is no such file.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        identity: Identity | Callable[[], Identity] | None = None,
        transport: httpx2.BaseTransport | None = None,
        deadline: float = DEADLINE,
        ca: Path | None = None,
    ):
        self.url = url.rstrip("/")
        self._clock = clock
        self._identity = identity
        self._deadline = deadline
        self._wait: Callable[[float], None] = time.sleep
        self._http = httpx2.Client(
            timeout=_PATIENCE,
            follow_redirects=False,
            transport=transport or _network(ca),
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def heads(self, etag: str = "") -> tuple[dict[str, Any] | None, str]:
        """Return all heads and their ETag; None when ``etag`` still holds."""
        headers = {"If-None-Match": etag} if etag else {}
        status, answer, raw = self._ask("GET", "/v1/feeds", headers=headers)
        if status == 304:
            if not etag:
                # Whoever says so to a stranger withholds everything.
                raise MalformedError("the node has nothing new since nothing")
            return None, etag
        return self._json(raw), answer.get("ETag", "")

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the JSON object at a path."""
        return self._json(self._ask("GET", path)[2])

    def get_bytes(self, path: str) -> bytes:
        """Return what is at a path."""
        return self._ask("GET", path)[2]

    def lines(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return lines of [start, stop), tombstones in their places.

        A node may send fewer than asked, but those of one batch at least.
        """
        path = f"/v1/feeds/{feed}/entries?from={start}&to={stop}"
        wanted = {"Accept-Encoding": "gzip"}
        raw = self._ask("GET", path, headers=wanted, limit=MAX_LINES)[2]
        if not raw.endswith(b"\n"):
            raise MalformedError("the node's answer is cut short", code="truncated")
        # A list of empty lines would take many times the memory of the answer.
        if raw.count(b"\n") > stop - start:
            raise MalformedError("the node sent more lines than asked")
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

    def submit(self, body: bytes) -> tuple[int, bytes]:
        """Ask a witness to cosign (C2SP tlog-witness); return status and answer.

        Raises:
            UnavailableError: It does not answer, or cannot now.
        """
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        path = "/v1/witness/add-checkpoint"
        status, _, raw = self._send("POST", path, body, headers, MAX_SUBMIT)
        if status == 429 or status >= 500:
            raise UnavailableError(f"{self.url} cannot cosign now: {status}")
        return status, raw

    def evaluate(self, node: str, key: str, elements: bytes) -> SignedEvaluation:
        """Return what the node answers to blinded elements, with its signature."""
        path = f"/v1/tokens/{key}"
        headers = {"Content-Type": "application/octet-stream"}
        _, fields, answer = self._ask("POST", path, elements, headers)
        signature = fields.get("Signature-Input", ""), fields.get("Signature", "")
        return SignedEvaluation(
            node, key, self.url + path, elements, answer, *signature
        )

    def probe(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return whatever is answered, errors too, to look at what stands in between.

        Raises:
            UnavailableError: Nothing is answered, or not within the limits.
        """
        seen: list[Any] = []
        status, fields, raw = self._send(method, path, body, headers, look=seen.append)
        stream = seen[0].extensions.get("network_stream")
        tls = stream.get_extra_info("ssl_object") if stream else None
        return Answer(
            status,
            {name.lower(): value for name, value in fields.items()},
            raw,
            tls.version() if tls else None,
            _ends(tls.getpeercert()) if tls else None,
        )

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
        limit: int = MAX_ANSWER,
    ) -> tuple[int, httpx2.Headers, bytes]:
        waited = 0
        while True:
            status, fields, raw = self._send(method, path, body, headers, limit)
            if status < 300 or status == 304:
                return status, fields, raw
            error = _problem(self.url, status, fields, raw)
            if isinstance(error, ClockSkewError):
                error.advice = self._clock_advice(error.time)
            if not isinstance(error, RateError):
                raise error
            # The node takes so many requests a minute, and this was one too many.
            waited += error.retry_after
            if waited > _HASTE:
                raise error
            self._wait(error.retry_after)

    def _clock_advice(self, time: int) -> str:
        wrong = self._clock.now() - time
        way = "ahead of" if wrong > 0 else "behind"
        return f"The clock here is {abs(wrong)} seconds {way} the node's: set it."

    def _send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        limit: int = MAX_ANSWER,
        look: Callable[[httpx2.Response], object] = lambda _answer: None,
    ) -> tuple[int, httpx2.Headers, bytes]:
        url = self.url + path
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        identity = self._identity() if callable(self._identity) else self._identity
        if identity:
            sign_request(
                method,
                url,
                sent,
                body,
                keyid=identity.keyid,
                signer=identity.signer,
                now=self._clock.now(),
                nonce=secrets.token_urlsafe(16),
            )
        time_left = begin(self._deadline + len(body) / _SLOWEST)
        try:
            with self._http.stream(method, url, content=body, headers=sent) as answer:
                look(answer)
                raw = b"".join(_bounded(answer, limit, time_left))
                status, fields = answer.status_code, answer.headers
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise UnavailableError(
                f"{self.url} cannot be reached: {str(error) or type(error).__name__}",
                advice="Check the address and the network, then try again.",
            ) from None
        return status, fields, raw


def _ends(certificate: Any) -> int | None:
    """Return the second at which a certificate ends, if it says so."""
    end = dict(certificate or {}).get("notAfter")
    return int(ssl.cert_time_to_seconds(end)) if end else None


def _network(ca: Path | None) -> BoundedTransport:
    try:
        return BoundedTransport(ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"client.ca: {ca} holds no certificates: {error}",
            advice="Name a PEM file, or nothing for the system's authorities.",
        ) from None


def post_alerts(url: str, lines: bytes, headers: Mapping[str, str]) -> None:
    """Send alerts, as JSON lines, to the webhook of the configuration.

    Raises:
        UnavailableError: It does not accept them.
    """
    headers = {"Content-Type": "application/x-ndjson", **headers}
    try:
        begin(_PATIENCE)
        http = httpx2.Client(transport=BoundedTransport(), timeout=_PATIENCE)
        with http, http.stream("POST", url, content=lines, headers=headers) as answer:
            # What it says is nobody's business, however long it is.
            status = answer.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UnavailableError(
            f"the webhook cannot be reached: {str(error) or type(error).__name__}"
        ) from None
    if not 200 <= status < 300:
        raise UnavailableError(f"the webhook answered {status}")


def _bounded(
    answer: httpx2.Response, limit: int, time_left: Callable[[], float]
) -> Iterator[bytes]:
    """Yield the decoded body, within the limits of bytes and time."""
    packed = answer.headers.get("Content-Encoding") == "gzip"
    gunzip, received, total = _Gunzip(), 0, 0
    for data in answer.iter_raw():
        received += len(data)
        for part in gunzip.parts(data) if packed else (data,):
            total += len(part)
            if max(total, received) > limit or time_left() <= 0:
                raise UnavailableError(
                    "the node's answer is too long or too slow",
                    advice="Try again, or ask another node.",
                )
            yield part
    if packed:
        gunzip.check_end()


class _Gunzip:
    """Decodes a body of one or several gzip members, as stored pages are."""

    def __init__(self) -> None:
        self._member: Any = None

    def parts(self, data: bytes) -> Iterator[bytes]:
        """Yield what some more bytes hold, in parts of at most 1 MiB."""
        while data:
            self._member = self._member or zlib.decompressobj(31)
            try:
                part = self._member.decompress(data, 1 << 20)
            except zlib.error:
                raise MalformedError(
                    "the node's answer is no gzip", code="bad-encoding"
                ) from None
            data = self._member.unconsumed_tail or self._member.unused_data
            if self._member.eof:
                self._member = None
            yield part

    def check_end(self) -> None:
        """Check that no member is cut.

        Raises:
            MalformedError: One is.
        """
        if self._member is not None:
            raise MalformedError("the node's answer is cut short", code="truncated")


def _problem(url: str, status: int, fields: httpx2.Headers, raw: bytes) -> HubError:
    try:
        body = json.loads(raw)
        code = str(body["type"]).rpartition(":")[2]
        message, advice = _plain(body["detail"]), _plain(body.get("advice", ""))
    except (ValueError, KeyError, TypeError, RecursionError):
        code, message, advice = f"http-{status}", f"{url} answered {status}", ""
    if status == 429:
        kind = RateError if code == "rate-limited" else QuotaError
        return kind(message, retry_after=_seconds(fields.get("Retry-After", "")))
    if code == "clock-skew" and type(body.get("time")) is int:
        return ClockSkewError(message, time=body["time"])
    if code == "not-home":
        return NotHomeError(message, home=_plain(body.get("home", "")), advice=advice)
    kinds: dict[int, type[HubError]] = {
        400: MalformedError,
        409: ConflictError,
        413: MalformedError,
        415: MalformedError,
        422: MalformedError,
    }
    other = UnavailableError if status >= 500 else kinds.get(status, RefusedError)
    return other(message, code=code, advice=advice)


def _plain(value: object) -> str:
    """Return what a node says, without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(value)[:1000])


def _seconds(value: str) -> int:
    """Return the seconds of a Retry-After, a minute if it does not say them."""
    try:
        return min(max(parse_decimal(value), 1), 7 * 86400)
    except EncodingError:
        return 60
