"""Telephone numbers in E.164; national ones need a region."""

from __future__ import annotations

import re

import phonenumbers

from schemas.identifiers.kinds import IdentifierError, IdentifierType, clean

__all__ = ["TYPES"]

_SCIENTIFIC = re.compile(r"[0-9][.,]?[0-9]*[eE]\+?[0-9]+\Z")


def _phone(text: str, region: str) -> str:
    value = clean(text).removeprefix("tel:")
    if _SCIENTIFIC.match(value):
        raise IdentifierError(
            "was mangled by a spreadsheet; format the column as text and export again"
        )
    if not value.startswith("+") and not region:
        raise IdentifierError("has no +country code; give --region")
    try:
        number = phonenumbers.parse(value, region.upper() or None)
    except phonenumbers.NumberParseException as error:
        raise IdentifierError(f"is not a telephone number: {error}") from None
    if not phonenumbers.is_possible_number(number):
        raise IdentifierError("has too few or too many digits for a telephone number")
    number.extension = None
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return str(found)


TYPES = (
    IdentifierType(
        "phone",
        "scarce",
        _phone,
        ("telephone", "tel", "mobile", "phone number", "whatsapp", "telefon"),
    ),
)
