"""Bank accounts: ``iban``, ``bic``, ``bank-account``.

An account that has an IBAN is an ``iban``. Others are written ``country:bank
code:account``, with the zeros in front; a BIC can stand for the bank code. A BIC names
a bank and not a seller, so a column of them is not taken without being told. An account
number that is a card's number is refused like one.
"""

from __future__ import annotations

import re

from stdnum import bic, iban
from stdnum.exceptions import ValidationError
from stdnum.us import rtn

from schemas.identifiers.countries import split_country
from schemas.identifiers.kinds import IdentifierError, IdentifierType, clean, compact

__all__ = ["TYPES"]

_LONGEST_CODE, _LONGEST_ACCOUNT = 15, 34
_BIC_LIKE = re.compile(r"[A-Z]{6}[0-9A-Z]{2}([0-9A-Z]{3})?")


def _iban(text: str, _region: str) -> str:
    value = compact(text).removeprefix("IBAN")
    try:
        return str(iban.validate(value))
    except ValidationError as error:
        raise IdentifierError(f"is not an IBAN: {error}") from None


def _bic(text: str, _region: str) -> str:
    try:
        value = str(bic.validate(compact(text)))
    except ValidationError as error:
        raise IdentifierError(f"is not a BIC: {error}") from None
    # SPEC: ISO 9362: XXX, or nothing, is the head office.
    return value if len(value) == 11 else f"{value}XXX"


def _account(text: str, region: str) -> str:
    country, rest = split_country(text, region, "GB:601613:31926819")
    bank, colon, account = rest.partition(":")
    if not colon:
        raise IdentifierError("should be written country:bank code:account")
    bank, account = compact(bank), compact(account)
    if _BIC_LIKE.fullmatch(bank) and bic.is_valid(bank):
        bank = _bic(bank, "")
    if len(bank) > _LONGEST_CODE or len(account) > _LONGEST_ACCOUNT:
        raise IdentifierError("is longer than the codes of banks and accounts are")
    if country == "US" and not rtn.is_valid(bank):
        raise IdentifierError("has a routing number with a wrong check digit")
    if iban.is_valid(clean(account)):
        raise IdentifierError("holds an IBAN; report it as type iban")
    return f"{country}:{bank}:{account}"


TYPES = (
    IdentifierType(
        "iban",
        "scarce",
        "the accounts of a bank can be tried",
        "upper case, no blanks",
        "mod 97, length and form of the country; `python-stdnum`",
        _iban,
        (
            "iban number",
            "numéro iban",
            "iban-nummer",
            "número iban",
            "numero iban",
            "ibannummer",
            "numer iban",
        ),
        cards=False,
    ),
    IdentifierType(
        "bic",
        "open",
        "a public directory of banks; names no seller",
        "eleven characters, `XXX` for the head office",
        "form and country; `python-stdnum`",
        _bic,
        ("swift", "swift code", "bic code", "bic/swift"),
        by_heading=False,
    ),
    IdentifierType(
        "bank-account",
        "scarce",
        "the accounts of a bank can be tried",
        "`country:bank code:account`",
        "country; US routing numbers: check digit; `python-stdnum`",
        _account,
        ("bank account",),
    ),
)
