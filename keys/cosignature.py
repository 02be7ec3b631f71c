"""Timestamped cosignatures of checkpoints (C2SP tlog-cosignature v1.0.1, Ed25519).

The body of the signature line is a big-endian 64-bit time in POSIX seconds and the
signature over::

    cosignature/v1
    time <decimal seconds>
    <whole checkpoint text>

It says: at that time this was the largest consistent tree of this origin that the
cosigner had seen. It does not commit to the cosigner's name, so a key has one role.
"""

from __future__ import annotations

from keys.ed25519 import Signer, verifier_for
from keys.errors import KeysError, SignatureError
from keys.note import COSIGNATURE_V1, Signature, VerifierKey, encode_text

__all__ = ["check_cosignature", "cosign"]

_BODY = 8 + 64
# SPEC: tlog-cosignature: seconds are at most 2^63 - 1.
_MAX_TIME = 2**63 - 1


def _message(text: str, time: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % time + encode_text(text)


def cosign(text: str, *, time: int, name: str, signer: Signer) -> Signature:
    """Return a cosignature of a checkpoint text at ``time`` (POSIX seconds).

    Raises:
        NoteError: Not the text of a note, or not a key name.
    """
    if not 0 <= time <= _MAX_TIME:
        raise AssertionError("the time of a cosignature is in POSIX seconds")
    key = VerifierKey(name, COSIGNATURE_V1, signer.public)
    body = time.to_bytes(8, "big") + signer.sign(_message(text, time))
    return Signature(name, key.key_id, body)


def check_cosignature(text: str, signature: Signature, vkey: VerifierKey) -> int:
    """Verify a cosignature and return its time in POSIX seconds.

    Raises:
        SignatureError: Another key's line, another form, a weak key, or it does not
            verify.
    """
    if (signature.name, signature.key_id) != (vkey.name, vkey.key_id):
        raise SignatureError("the cosignature is by another key")
    if vkey.kind != COSIGNATURE_V1 or len(signature.body) != _BODY:
        raise SignatureError("not a cosignature/v1")
    time = int.from_bytes(signature.body[:8], "big")
    if time > _MAX_TIME:
        raise SignatureError("the time of the cosignature is out of range")
    try:
        verifier_for(vkey.public).verify(signature.body[8:], _message(text, time))
    except KeysError as error:
        raise SignatureError(f"{vkey.name}: {error}") from None
    return time
