"""Who is asking: signed requests of registered keys, and bearer tokens of this node.

A signature proves a member, auditor or node to every node alike, because the registry
holds the key; there is no password to leak. Bearer tokens are random, stored as their
SHA-256, read-only, expiring and revocable.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from hub.directory import Directory
from hub.errors import ClockSkewError, RefusedError
from hub.model import render_time
from hub.store.base import BearerToken, Store
from keys.encoding import from_base64
from keys.errors import EncodingError, SignatureError
from keys.requests import ClockError, SignedRequest, open_request

__all__ = ["ANONYMOUS", "Caller", "authenticate", "new_bearer"]

_PREFIX = "ahub_"


@dataclass(frozen=True, slots=True)
class Caller:
    """An owner such as ``member/maison``, or nobody; ``writes`` only if signed."""

    owner: str = ""
    writes: bool = False
    signed: SignedRequest | None = None

    @property
    def member(self) -> str:
        """The name after the slash."""
        return self.owner.partition("/")[2]


ANONYMOUS = Caller()


def authenticate(
    directory: Directory,
    store: Store,
    method: str,
    url: str,
    headers: Mapping[str, str],
    now: int,
) -> Caller:
    """Return who sends a request, ``ANONYMOUS`` when it does not say.

    Only a signature that verified takes the store's write lock, to spend its nonce
    durably before anything is answered.

    Raises:
        RefusedError: A signature or bearer token is there and is not good.
    """
    if headers.get("Authorization"):
        return _bearer(directory, store, headers["Authorization"], now)
    if "Signature" not in headers and "Signature-Input" not in headers:
        return ANONYMOUS

    def find(name: str) -> bytes | None:
        key = directory.requester(name)
        return key.public if key else None

    try:
        signed = open_request(method, url, headers, find_key=find, now=now)
    except ClockError as error:
        raise ClockSkewError(
            f"{error}; this node's time is {render_time(now)}", time=now
        ) from None
    except SignatureError as error:
        raise RefusedError(
            str(error),
            code="bad-request-signature",
            advice="Sign for the node's public URL with a registered request key; "
            "a newcomer waits until it is admitted.",
        ) from None
    key = directory.requester(signed.keyid)
    if key is None:
        raise AssertionError("the key was found a moment ago")
    with store.write() as tx:
        tx.node.use_nonce(signed.keyid, signed.nonce, signed.expires, now)
    # If we crash here, then the nonce is spent and nothing was done: the caller signs
    # the request anew.
    return Caller(key.owner, writes=True, signed=signed)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _secret_of(authorization: str) -> str:
    """Return the bearer token of an Authorization field, by either scheme.

    Clients that only know Basic send it as the password, under any name.
    """
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        with suppress(EncodingError, UnicodeDecodeError):
            return from_base64(value.strip()).decode().partition(":")[2]
    return ""


def _bearer(directory: Directory, store: Store, authorization: str, now: int) -> Caller:
    with store.read() as tx:
        token = tx.node.find_bearer(_digest(_secret_of(authorization)))
    if token is None or token.revoked is not None or token.expires <= now:
        raise RefusedError(
            "the bearer token is unknown, expired or revoked",
            code="bad-bearer",
            advice="Ask the node's operator for a new one: hub access new.",
        )
    if not directory.has_access(token.owner):
        raise RefusedError(f"{token.owner} left the alliance", code="bad-bearer")
    return Caller(token.owner)


def new_bearer(
    name: str, owner: str, *, days: int, now: int
) -> tuple[str, BearerToken]:
    """Return a new secret, shown once, and the row that recognises it."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, BearerToken(_digest(secret), name, owner, now, now + days * 86400)
