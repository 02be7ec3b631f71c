"""The errors of the ``keys`` package.

::

    KeysError                 base: .code, .advice
    ├── EncodingError         not canonical decimal, hex or base64
    ├── NoteError             not a signed note, key name or verifier key
    ├── SignatureError        a signature does not verify, or none of ours is there
    ├── WeakKeyError          a public key under which signatures prove nothing
    ├── KeyFileError          a private key file is missing, open to others, or locked
    └── TokenError            token arithmetic
        ├── ElementError      not a canonical group element or scalar, or the identity
        └── EvaluationError   a proof does not show that the right key was used
"""

from __future__ import annotations

__all__ = [
    "ElementError",
    "EncodingError",
    "EvaluationError",
    "KeyFileError",
    "KeysError",
    "NoteError",
    "SignatureError",
    "TokenError",
    "WeakKeyError",
]


class KeysError(Exception):
    """Base of the errors of this package.

    Args:
        message: What is wrong, for a person.
        advice: One sentence that says what to do about it.
    """

    code = "keys"

    def __init__(self, message: str, advice: str = ""):
        super().__init__(message)
        self.advice = advice


class EncodingError(KeysError):
    """Not canonical decimal, hexadecimal or base64."""

    code = "encoding"


class NoteError(KeysError):
    """Not a signed note, key name or verifier key."""

    code = "malformed-note"


class SignatureError(KeysError):
    """A signature does not verify, or none by a known key is there."""

    code = "bad-signature"


class WeakKeyError(KeysError):
    """A public key under which signatures prove nothing."""

    code = "weak-key"


class KeyFileError(KeysError):
    """A private key file is missing, readable by others, or locked."""

    code = "key-file"


class TokenError(KeysError):
    """Base of the errors of token arithmetic."""

    code = "token"


class ElementError(TokenError):
    """Not a canonical group element or scalar, or the identity."""

    code = "bad-element"


class EvaluationError(TokenError):
    """The proof does not show that the evaluation used the expected key."""

    code = "bad-evaluation"
