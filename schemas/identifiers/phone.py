"""Telephone numbers in E.164; national ones need a region.

A number must have a length that its country has (``is_possible``); whether it is
assigned is not asked, since plans change faster than libraries. Extensions and the
parameters of ``tel:`` are dropped. Letters are refused, although keypads have them:
"0800 call now" would be the number of a stranger.

Two countries have rules of their own, because both forms are in use for one telephone:
Mexico's 1 after +52 (and 01, 044, 045 before national numbers) ended in 2019 and is
dropped, as is Argentina's 9 of mobile telephones after +54.
"""

from __future__ import annotations

import re

import phonenumbers

from schemas.identifiers.cards import is_card
from schemas.identifiers.countries import country_code
from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    ascii_digits,
    clean,
)

__all__ = ["TYPES"]

_MANGLED = re.compile(r"[0-9][.,]?[0-9]*[eE]\+?[0-9]+|\+?[0-9]{6,}\.0")
_NUMBER = re.compile(
    r"[+(]{0,2}[0-9][0-9 ().,/‐‑‒–—―−·~-]*"  # noqa: RUF001 - Dashes people type.
)
_EXTENSION = re.compile(
    r"[\s,;]*(?:;ext=|(?:ext|extn|extension|poste|durchwahl|доб|x|#)[.:\s]*)"
    r"[0-9]{1,9}\Z",
    re.IGNORECASE,
)
_URI = re.compile(r"(?:tel|callto|whatsapp|sms):", re.IGNORECASE)
_PHONE_CONTEXT = re.compile(r";phone-context=(\+[0-9.()-]+)", re.IGNORECASE)
_WHATSAPP = re.compile(
    r"(?:https?://)?(?:wa\.me/|api\.whatsapp\.com/send/?\?(?:[^#]*&)?phone=)"
    r"(?:\+|%2B)?([0-9]{7,15})(?:[/?&#].*)?",
    re.IGNORECASE,
)
_MEXICO, _ARGENTINA = 52, 54


def _phone(text: str, region: str) -> str:
    value = _number_in(ascii_digits(clean(text)))
    if not value.startswith(("+", "(+")):
        if not region:
            raise IdentifierError("has no +country code; give --region")
        if is_card("".join(c for c in value if c.isdigit())):
            raise IdentifierError(
                "looks like it holds a card number; those are never shared"
            )
    found, doubtful = _parsed(value, country_code(region) if region else None)
    if doubtful and _parsed(found, None)[0] != found:
        # A zero too many in front is dropped, and then what is left is another number.
        raise IdentifierError(
            "is not a telephone number: its first digits are in doubt"
        )
    return found


def _parsed(value: str, region: str | None) -> tuple[str, bool]:
    """Return E.164, and whether reading that again could give something else."""
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException as error:
        why = str(error).partition(") ")[2]
        raise IdentifierError(f"is not a telephone number: {why}") from None
    number.extension = None
    _join_forms(number)
    possible = phonenumbers.is_possible_number_with_reason(number)
    # A number that is possible within its town only would name one in every town.
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise IdentifierError("has too few or too many digits for a telephone number")
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    own_rules = number.country_code in (_MEXICO, _ARGENTINA)
    return str(found), own_rules or bool(number.italian_leading_zero)


def _number_in(value: str) -> str:
    """Return the number alone: no scheme, no parameters, no extension.

    Raises:
        IdentifierError: There is something else beside it.
    """
    if _MANGLED.fullmatch(value):
        raise IdentifierError(
            "was mangled by a spreadsheet; format the column as text and export again"
        )
    if whatsapp := _WHATSAPP.fullmatch(value):
        return f"+{whatsapp[1]}"
    if uri := _URI.match(value):
        value = value[uri.end() :].removeprefix("//").strip()
        # SPEC: RFC 3966 section 5.1.4: a local number is to be read after its context.
        context = _PHONE_CONTEXT.search(value)
        value = value.partition(";")[0]
        if context and not value.startswith("+"):
            value = f"{context[1]} {value}"
    value = _EXTENSION.sub("", value)
    if not _NUMBER.fullmatch(value):
        raise IdentifierError("should have digits only, one number in a cell")
    return value


def _join_forms(number: phonenumbers.PhoneNumber) -> None:
    national = str(number.national_number)
    if number.country_code == _MEXICO:
        old = re.fullmatch(r"(?:1|4[45])([0-9]{10})", national)
    elif number.country_code == _ARGENTINA:
        old = re.fullmatch(r"9([0-9]{10})", national)
    else:
        return
    if old:
        number.national_number = int(old[1])
        number.italian_leading_zero = None
        number.number_of_leading_zeros = None


TYPES = (
    IdentifierType(
        "phone",
        "scarce",
        "all numbers of a country can be tried",
        "E.164; no extension",
        "length; `phonenumbers`",
        _phone,
        (
            "telephone",
            "tel",
            "mobile",
            "phone number",
            "telephone number",
            "mobile number",
            "cell",
            "cell phone",
            "whatsapp",
            "whatsapp number",
            "téléphone",
            "numéro de téléphone",
            "portable",
            "telefon",
            "telefonnummer",
            "handy",
            "handynummer",
            "mobil",
            "teléfono",
            "móvil",
            "celular",
            "telefono",
            "numero di telefono",
            "cellulare",
            "telefoonnummer",
            "mobiel",
            "telefone",
            "telemóvel",
            "numer telefonu",
            "komórka",
        ),
        cards=False,
    ),
)
