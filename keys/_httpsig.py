"""What signed requests and signed answers share: RFC 9421 through its library.

The library is trusted for the signature base and for structured fields. Its own check
of times is switched off, as it asks the machine's clock with a tolerance of seconds;
the callers compare ``created`` and ``expires`` with the clock that they were given.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from keys.ed25519 import Signer, check_public
from keys.errors import KeysError, SignatureError

__all__ = [
    "TAG",
    "answer_message",
    "content_digest",
    "request_message",
    "seal",
    "unseal",
]

TAG = "alliance-hub"
_LABEL = "hub"


def content_digest(body: bytes) -> str:
    """Return the Content-Digest field of a body (RFC 9530)."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return f"sha-256=:{digest}:"


def request_message(method: str, url: str, headers: Mapping[str, str]) -> Any:
    """Return a request in the form that the library reads."""
    return SimpleNamespace(method=method, url=url, headers=headers)


def answer_message(status: int, headers: Mapping[str, str], request: Any) -> Any:
    """Return an answer to a request in the form that the library reads."""
    return SimpleNamespace(status_code=status, headers=headers, request=request)


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
        public = self._find(key_id)
        if public is None:
            raise SignatureError(f"no open request key is called {key_id}")
        check_public(public)
        return Ed25519PublicKey.from_public_bytes(public)

    def resolve_private_key(self, key_id: str) -> bytes:  # noqa: ARG002 - The same.
        """Never called: this resolver only verifies."""
        raise AssertionError("a verifier signs nothing")


class _Verifier(HTTPMessageVerifier):
    """The library's verifier without its clock."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Leave the times to the caller, who has a clock."""


def seal(
    message: Any,
    covered: Sequence[str],
    *,
    keyid: str,
    signer: Signer,
    created: int,
    expires: int | None = None,
    nonce: str | None = None,
) -> None:
    """Add Signature-Input and Signature to the headers of a message."""
    if not isinstance(message.headers, MutableMapping):
        raise AssertionError("a signature is added to headers that can be changed")
    HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519, key_resolver=_Private(signer)
    ).sign(
        message,
        key_id=keyid,
        created=datetime.fromtimestamp(created, UTC),
        expires=None if expires is None else datetime.fromtimestamp(expires, UTC),
        nonce=nonce,
        label=_LABEL,
        tag=TAG,
        covered_component_ids=tuple(covered),
        use_existing_digest=True,
    )


def unseal(
    message: Any, covered: Sequence[str], find_key: Callable[[str], bytes | None]
) -> dict[str, Any]:
    """Verify the one signature of ours on a message; return its parameters.

    Raises:
        SignatureError: None, more than one, an unknown key, something that must be
            covered is not, or it does not verify.
    """
    verifier = _Verifier(
        signature_algorithm=algorithms.ED25519, key_resolver=_Public(find_key)
    )
    try:
        results = verifier.verify(
            message, max_age=None, expect_tag=TAG, require_components=tuple(covered)
        )
    except (HTTPMessageSignaturesException, KeysError, ValueError) as error:
        reason = str(error) or "it does not verify"
        raise SignatureError(f"the HTTP signature fails: {reason}") from None
    if len(results) != 1:
        raise SignatureError("a message carries one signature of an alliance")
    return dict(results[0].parameters)
