"""Signed HTTP requests (RFC 9421 with Ed25519, RFC 9530 Content-Digest).

Covered: ``@method``, ``@target-uri`` (of the node's public URL) and ``content-digest``;
parameters ``created``, ``expires`` (at most five minutes later), ``nonce``, ``keyid``
and the tag ``alliance-hub``. The header is verified before a body is read;
:func:`check_body` then compares the body with the signed digest.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace

from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from keys.ed25519 import Signer, check_public
from keys.errors import KeysError, SignatureError

__all__ = ["ClockError", "SignedRequest", "check_body", "open_request", "sign_request"]

TAG = "alliance-hub"
LIFETIME = 300
COVERED = ("@method", "@target-uri", "content-digest")
_CREATED = re.compile(r";created=([0-9]{1,12})(?:;|\Z)")


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


def content_digest(body: bytes) -> str:
    """Return the Content-Digest field of a body (RFC 9530)."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return f"sha-256=:{digest}:"


class _Private(HTTPSignatureKeyResolver):
    def __init__(self, signer: Signer):
        self._signer = signer

    def resolve_private_key(self, key_id: str) -> object:  # noqa: ARG002 - The library names it.
        """Return the key object that the library signs with."""
        return self._signer._key  # noqa: SLF001 - Within the home of the keys.

    def resolve_public_key(self, key_id: str) -> bytes:  # noqa: ARG002 - The same.
        """Never called: this resolver only signs."""
        raise AssertionError("a signer verifies nothing")


class _Public(HTTPSignatureKeyResolver):
    def __init__(self, find: Callable[[str], bytes | None]):
        self._find = find

    def resolve_public_key(self, key_id: str) -> object:
        """Return the key object that the library verifies with."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PublicKey,
        )

        public = self._find(key_id)
        if public is None:
            raise SignatureError(f"no open request key is called {key_id}")
        check_public(public)
        return Ed25519PublicKey.from_public_bytes(public)

    def resolve_private_key(self, key_id: str) -> bytes:  # noqa: ARG002 - The same.
        """Never called: this resolver only verifies."""
        raise AssertionError("a verifier signs nothing")


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
    message = SimpleNamespace(method=method, url=url, headers=headers)
    HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519, key_resolver=_Private(signer)
    ).sign(
        message,
        key_id=keyid,
        created=datetime.fromtimestamp(now, UTC),
        expires=datetime.fromtimestamp(now + LIFETIME, UTC),
        nonce=nonce,
        label="hub",
        tag=TAG,
        covered_component_ids=COVERED,
        use_existing_digest=True,
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
    _check_created(headers.get("Signature-Input", ""), now)
    message = SimpleNamespace(method=method, url=url, headers=dict(headers))
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ED25519, key_resolver=_Public(find_key)
    )
    try:
        results = verifier.verify(
            message, max_age=None, expect_tag=TAG, require_components=COVERED
        )
    except (HTTPMessageSignaturesException, KeysError, ValueError) as error:
        raise SignatureError(f"the request's signature fails: {error}") from None
    if len(results) != 1:
        raise SignatureError("a request carries one signature")
    parameters = results[0].parameters
    created, expires = (int(parameters.get(k, 0)) for k in ("created", "expires"))
    if not 0 < expires - created <= LIFETIME or now > expires:
        raise ClockError("the request's signature expired or lasts too long")
    return SignedRequest(
        str(parameters["keyid"]),
        str(parameters.get("nonce", "")),
        expires,
        str(headers.get("Content-Digest", "")),
    )


def _check_created(field: str, now: int) -> None:
    match = _CREATED.search(field)
    if match is None:
        raise SignatureError("the request is not signed")
    if abs(int(match[1]) - now) > LIFETIME:
        raise ClockError("the request was signed at another time than now")


def check_body(signed: SignedRequest, body: bytes) -> None:
    """Compare a body with the digest that the signature covers.

    Raises:
        SignatureError: It is another body.
    """
    if signed.content_digest != content_digest(body):
        raise SignatureError("the body is not the one that was signed")
