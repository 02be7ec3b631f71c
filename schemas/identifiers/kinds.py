"""What an identifier type is, and the cleaning that all of them share."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from stdnum import luhn

__all__ = ["IdentifierError", "IdentifierType", "clean", "compact", "refuse_card"]


class IdentifierError(ValueError):
    """The text is not an identifier of the type; the message says why."""


def _none(_canonical: str) -> list[tuple[str, str]]:
    return []


@dataclass(frozen=True)
class IdentifierType:
    """A type: its class, canonical form, looser forms and usual column names."""

    name: str
    token_class: str
    canonical: Callable[[str, str], str]
    columns: tuple[str, ...] = ()
    looser: Callable[[str], list[tuple[str, str]]] = _none


def clean(text: str) -> str:
    """Return NFKC without surrounding blanks.

    Raises:
        IdentifierError: Empty, too long, or with control characters.
    """
    value = unicodedata.normalize("NFKC", text).strip()
    if not value or len(value) > 2000:
        raise IdentifierError("is empty or too long")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in value):
        raise IdentifierError("holds control characters")
    return value


def compact(text: str) -> str:
    """Return upper-case letters and digits only.

    Raises:
        IdentifierError: Nothing is left, or other letters are in it.
    """
    value = "".join(c for c in clean(text).upper() if c not in " .-/_")
    if not value or not value.isascii() or not value.isalnum():
        raise IdentifierError("should have letters and digits only")
    return value


def refuse_card(value: str) -> str:
    """Return the value unless it looks like a payment card's number.

    Raises:
        IdentifierError: It does; card numbers are never shared.
    """
    digits = "".join(c for c in value if c.isdigit())
    if 13 <= len(digits) <= 19 and digits == value.strip() and luhn.is_valid(digits):
        raise IdentifierError("looks like a card number; those are never shared")
    return value
