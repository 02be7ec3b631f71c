r"""Strict decimal, hexadecimal and base64; the only home of base64 decoding.

Python's own readers accept too much: ``int("1_0")`` is 10, and ``b64decode`` accepts
stray characters and non-zero trailing bits. Each parser here therefore renders what it
read and refuses any input that differs from that.

>>> from_base64("AA==")
b'\x00'
>>> parse_decimal("1_0")
Traceback (most recent call last):
...
keys.errors.EncodingError: not a canonical decimal number: '1_0'
"""

from __future__ import annotations

import base64
import binascii
import re

from keys.errors import EncodingError

__all__ = [
    "from_base64",
    "from_checked_base64",
    "from_hex",
    "parse_decimal",
    "to_base64",
    "to_hex",
]

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
MAX_INTEGER = 2**63 - 1


def _text(value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise EncodingError("not ASCII") from None


def parse_decimal(value: str | bytes, maximum: int = MAX_INTEGER) -> int:
    """Read a decimal number without sign, leading zero or separator.

    Raises:
        EncodingError: It is written in another way, or exceeds ``maximum``.
    """
    text = _text(value)
    if not _DECIMAL.match(text):
        raise EncodingError(f"not a canonical decimal number: {text[:40]!r}")
    number = int(text)
    if number > maximum:
        raise EncodingError(f"number above {maximum}")
    return number


def to_base64(data: bytes) -> str:
    """Return padded base64 (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(value: str | bytes, size: int | None = None) -> bytes:
    """Read padded, canonical base64, of exactly ``size`` bytes if given.

    Raises:
        EncodingError: Another alphabet, stray bits, or another length.
    """
    text = _text(value)
    try:
        # What is rendered again below needs no closer look here.
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise EncodingError("not base64") from None
    if to_base64(data) != text:
        raise EncodingError("not canonical base64")
    if size is not None and len(data) != size:
        raise EncodingError(f"expected {size} bytes of base64, got {len(data)}")
    return data


def from_checked_base64(text: str) -> bytes:
    """Decode base64 that a pattern or a schema found canonical already.

    A third of the work of :func:`from_base64`, for whoever reads a million tokens; for
    any other text the answer is meaningless.
    """
    return binascii.a2b_base64(text)


def to_hex(data: bytes) -> str:
    """Return lower-case hexadecimal."""
    return data.hex()


def from_hex(value: str | bytes, size: int | None = None) -> bytes:
    """Read lower-case hexadecimal, of exactly ``size`` bytes if given.

    Raises:
        EncodingError: Upper case, blanks, or another length.
    """
    text = _text(value)
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise EncodingError("not hexadecimal") from None
    if data.hex() != text:
        raise EncodingError("not lower-case hexadecimal")
    if size is not None and len(data) != size:
        raise EncodingError(f"expected {size} bytes of hexadecimal, got {len(data)}")
    return data
