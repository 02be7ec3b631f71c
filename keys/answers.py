"""Signed HTTP answers: what a node answered, to which request, for anybody to check.

Covered (RFC 9421 section 2.4): ``@status`` and ``content-digest`` of the answer;
``@method``, ``@target-uri`` and ``content-digest`` of the request, each with ``req``.
Parameters: ``created``, ``keyid`` and the tag ``alliance-hub``. There is no
``expires``: an answer that convicts a node does so for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keys._httpsig import (
    answer_message,
    content_digest,
    request_message,
    seal,
    unseal,
)
from keys.ed25519 import Signer
from keys.errors import SignatureError

__all__ = ["Exchange", "open_answer", "sign_answer"]

COVERED = (
    '"@status"',
    '"content-digest"',
    '"@method";req',
    '"@target-uri";req',
    '"content-digest";req',
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer, as far as the signature speaks of them.

    Args:
        method: The request's method.
        url: The request's whole URL, of the node's public URL.
        request: The request's body.
        status: The answer's status.
        answer: The answer's body, as it was sent.
    """

    method: str
    url: str
    request: bytes
    status: int
    answer: bytes


def sign_answer(
    exchange: Exchange, *, keyid: str, signer: Signer, now: int
) -> dict[str, str]:
    """Return the fields Content-Digest, Signature-Input and Signature of an answer."""
    headers = {"Content-Digest": content_digest(exchange.answer)}
    message = _message(exchange, headers)
    seal(message, COVERED, keyid=keyid, signer=signer, created=now)
    return headers


def open_answer(
    exchange: Exchange,
    headers: Mapping[str, str],
    find_key: Callable[[str], bytes | None],
) -> int:
    """Verify that a node gave this answer to this request.

    Args:
        exchange: What was asked and answered.
        headers: The answer's ``Signature-Input`` and ``Signature``; others are
            ignored, as the digests are computed from the bodies.
        find_key: Returns the request key that has a name.

    Returns:
        When it was signed, according to the node.

    Raises:
        SignatureError: Not signed, by another key, or it does not verify.
    """
    found = {k.lower(): v for k, v in headers.items()}
    if "signature-input" not in found or "signature" not in found:
        raise SignatureError("the answer is not signed")
    fields = {
        "Content-Digest": content_digest(exchange.answer),
        "Signature-Input": found["signature-input"],
        "Signature": found["signature"],
    }
    parameters = unseal(_message(exchange, fields), COVERED, find_key)
    created = parameters.get("created")
    if not isinstance(created, int):
        raise SignatureError("the answer's signature does not say when it was made")
    return created


def _message(exchange: Exchange, headers: Mapping[str, str]) -> object:
    asked = {"Content-Digest": content_digest(exchange.request)}
    request = request_message(exchange.method, exchange.url, asked)
    return answer_message(exchange.status, headers, request)
