"""Proof that whoever enrols a public key holds the private one.

The holder signs::

    <alliance>/enrol/v1
    <owner, for example member/maison>
    <roles, separated by commas>
    <base64 public key>

An X25519 key (``seal``) signs nothing: the owner's request key signs in its place.
Every field is printable ASCII without spaces, and no role has a comma, so that a proof
for one owner and its roles cannot be read as a proof for others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from keys.ed25519 import Signer, verifier_for
from keys.encoding import to_base64
from keys.errors import EncodingError
from keys.x25519 import check_sealing

__all__ = ["check_possession", "enrolment_text", "prove_possession"]

_FIELD = re.compile(r"[!-~]+")
_ROLE = re.compile(r"[!-+\--~]+")


def enrolment_text(
    alliance: str, owner: str, roles: Sequence[str], public: bytes
) -> str:
    """Return the text that the holder of a key signs.

    Raises:
        EncodingError: A field is empty or has a space, newline or (a role) comma.
    """
    fields = all(_FIELD.fullmatch(field) for field in (alliance, owner))
    if not fields or not roles or not all(_ROLE.fullmatch(role) for role in roles):
        raise EncodingError(
            "an enrolment names an alliance, an owner and roles, without spaces"
        )
    key = to_base64(public)
    return f"{alliance}/enrol/v1\n{owner}\n{','.join(roles)}\n{key}\n"


def prove_possession(
    alliance: str,
    owner: str,
    roles: Sequence[str],
    signer: Signer,
    *,
    public: bytes | None = None,
) -> bytes:
    """Return the 64-byte proof for the signer's public key, or for ``public``.

    Raises:
        EncodingError: A field is empty or has a space, newline or (a role) comma.
    """
    text = enrolment_text(alliance, owner, roles, public or signer.public)
    return signer.sign(text.encode())


def check_possession(
    alliance: str,
    owner: str,
    roles: Sequence[str],
    public: bytes,
    proof: bytes,
    *,
    voucher: bytes | None = None,
) -> None:
    """Check a public key and the proof that its owner holds the private half.

    Args:
        alliance: The alliance.
        owner: Whose key it is.
        roles: What the key is for.
        public: 32 bytes, Ed25519; X25519 with a voucher.
        proof: 64 bytes.
        voucher: The request key that signs in the place of a key that cannot sign.

    Raises:
        WeakKeyError: The key has a low order or is not canonical.
        SignatureError: The proof does not verify.
        EncodingError: The key does not have 32 bytes, or a field cannot be enrolled.
    """
    if voucher is not None:
        check_sealing(public)
    text = enrolment_text(alliance, owner, roles, public)
    verifier_for(voucher or public).verify(proof, text.encode())
