"""Signed HTTP requests (RFC 9421 with Ed25519, RFC 9530 Content-Digest).

Covered: ``@method``, ``@target-uri`` (of the node's public URL) and ``content-digest``;
parameters ``created``, ``expires`` (at most five minutes later), ``nonce`` (1 to 128
characters), ``keyid`` and the tag ``alliance-hub``. The header is verified before a
body is read; :func:`check_body` then compares the body with the signed digest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass

from http_message_signatures.digests import ContentDigest
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from keys._httpsig import content_digest, request_message, seal, unseal
from keys.ed25519 import Signer
from keys.errors import SignatureError

__all__ = [
    "ClockError",
    "SignedRequest",
    "check_body",
    "check_digest",
    "content_digest",
    "open_request",
    "sign_request",
]

LIFETIME = 300
MAX_NONCE = 128
COVERED = ("@method", "@target-uri", "content-digest")


class ClockError(SignatureError):
    """The request was signed at a time that is not now."""

    code = "clock-skew"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """Who signed a request, its nonce, and until when it could be replayed."""

    keyid: str
    nonce: str
    expires: int
    content_digest: str


def sign_request(
    method: str,
    url: str,
    headers: MutableMapping[str, str],
    body: bytes,
    *,
    keyid: str,
    signer: Signer,
    now: int,
    nonce: str,
) -> None:
    """Add Content-Digest, Signature-Input and Signature to ``headers``."""
    headers["Content-Digest"] = content_digest(body)
    seal(
        request_message(method, url, headers),
        COVERED,
        keyid=keyid,
        signer=signer,
        created=now,
        expires=now + LIFETIME,
        nonce=nonce,
    )


def open_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    find_key: Callable[[str], bytes | None],
    now: int,
) -> SignedRequest:
    """Verify the signature over a request's header.

    Raises:
        ClockError: Signed more than five minutes ago or ahead.
        SignatureError: No signature, an unknown key, or it does not verify.
    """
    if "Signature-Input" not in headers or "Signature" not in headers:
        raise SignatureError("the request is not signed")
    message = request_message(method, url, dict(headers))
    parameters = unseal(message, COVERED, find_key)
    created, expires = parameters.get("created"), parameters.get("expires")
    nonce = parameters.get("nonce", "")
    if not isinstance(created, int) or not isinstance(expires, int):
        raise SignatureError("a request's signature says created and expires")
    if not 0 < expires - created <= LIFETIME:
        raise SignatureError(f"a request's signature lasts 1 to {LIFETIME} seconds")
    if not 1 <= len(nonce) <= MAX_NONCE:
        raise SignatureError(f"a request's nonce has 1 to {MAX_NONCE} characters")
    # SPEC: RFC 9421 section 3.2: a verifier determines that a signature is within its
    # time. Its nonce is remembered until `expires`, so nothing is accepted after it.
    if abs(created - now) > LIFETIME or now > expires:
        raise ClockError("the request was signed at another time than now")
    return SignedRequest(
        str(parameters["keyid"]), nonce, expires, str(headers["Content-Digest"])
    )


def check_body(signed: SignedRequest, body: bytes) -> None:
    """Compare a body with the digest that the signature covers.

    Raises:
        SignatureError: It is another body.
    """
    if signed.content_digest != content_digest(body):
        raise SignatureError("the body is not the one that was signed")


def check_digest(field: str, body: bytes) -> None:
    """Compare a body with its Content-Digest field (RFC 9530).

    Raises:
        SignatureError: It is another body, or no field with SHA-256 or SHA-512 alone.
    """
    try:
        ContentDigest.verify(field, body)
    except (HTTPMessageSignaturesException, ValueError) as error:
        raise SignatureError(str(error)) from None
