"""Numbers in a register, at a tax office, of a licence.

``company``, ``tax`` and ``licence`` are written ``country:scheme:number``. The scheme
can be left out where :mod:`schemas.identifiers.schemes` has the country: it is then the
one whose check the number passes. Where it has none, a number without a scheme gets the
scheme ``other``, and nothing is verified. A number that has a type of its own is
refused with that type's name, so that one number has one form. Numbers of persons'
identity documents are refused.
"""

from __future__ import annotations

import re

from stdnum.cn import uscc
from stdnum.de import handelsregisternummer
from stdnum.exceptions import ValidationError
from stdnum.fr import siret

from schemas.identifiers.cards import refuse_card
from schemas.identifiers.countries import split_country
from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    Variants,
    compact,
)
from schemas.identifiers.schemes import COMPANY, PERSONAL, TAX, Schemes, checked

__all__ = ["TYPES"]

_SCHEME = re.compile("[a-z0-9-]{1,32}")
# In front of a court's name; the register behind it; another scheme than ``hr``.
_COURT = re.compile("(?:amtsgericht|registergericht|ag) ", re.IGNORECASE)
_REGISTER = re.compile(r" (?=(?:HRA|HRB|PR|GnR|VR|GsR) [0-9])", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"(?!hr\s*:)[a-z0-9-]+\s*:", re.IGNORECASE)


def _number(text: str, region: str, schemes: Schemes, example: str) -> str:
    country, rest = split_country(text, region, example)
    scheme, colon, number = rest.rpartition(":")
    scheme = scheme.strip().lower()
    value = compact(number)
    if len(value) > 40 or (colon and not _SCHEME.fullmatch(scheme)):
        raise IdentifierError(f"should be written as in {example}")
    _refuse_other_types(country, scheme, value)
    known = schemes.get(country, {})
    if not scheme and known:
        return _recognised(country, known, value)
    if scheme in known:
        found = checked(known[scheme], value)
        if found is None:
            raise IdentifierError(f"is not a number of {country}:{scheme}")
        return f"{country}:{scheme}:{found}"
    # Some schemes' check digits are those of cards, so only what has none is looked at.
    return f"{country}:{scheme or 'other'}:{refuse_card(value)}"


def _recognised(country: str, known: dict[str, str], value: str) -> str:
    found = {s: checked(check, value) for s, check in known.items()}
    good = [(s, number) for s, number in found.items() if number]
    if len(good) != 1:
        names = " or ".join(f"{country}:{s}" for s in known)
        why = "could be several" if good else "has no good check digit"
        raise IdentifierError(f"{why}; write it as {names}, or with another scheme")
    return f"{country}:{good[0][0]}:{good[0][1]}"


def _refuse_other_types(country: str, scheme: str, value: str) -> None:
    personal = PERSONAL.get(country, {})
    # China's are of a form that nothing else has, so they need not be named.
    if scheme in personal or (country == "CN" and checked(personal["ric"], value)):
        raise IdentifierError("is a person's identity number; those are never shared")
    own = {"vat": "vat", "lei": "lei", "eori": "eori", "uscc": "uscc"}.get(scheme)
    own = "uscc" if country == "CN" and uscc.is_valid(value) else own
    if own:
        raise IdentifierError(f"has a type of its own; report it as type {own}")


def _company(text: str, region: str) -> str:
    example = "FR:siren:123456782"
    country, rest = split_country(text, region, example)
    if country == "DE" and not _OTHER_SCHEME.match(rest):
        return f"DE:hr:{_german(rest)}"
    if country == "US" and not re.match("[A-Za-z]{2} ?:", rest):
        raise IdentifierError("names no state; registers are states': US:de:12345")
    if country == "GB" and (short := re.fullmatch("(?:crn:)?([0-9]{1,7})", rest)):
        # Companies House writes eight digits, and spreadsheets drop the zeros.
        rest = f"crn:{short[1]:0>8}"
    return _number(f"{country}:{rest}", "", COMPANY, example)


def _german(text: str) -> str:
    # Every court numbers its own companies, so without a court a number is many.
    value = re.sub(r"^\s*hr\s*:", "", text, flags=re.IGNORECASE).replace(",", " ")
    value = " ".join(_COURT.sub("", value.strip()).split())
    try:
        court, number = _REGISTER.split(
            handelsregisternummer.validate(value), maxsplit=1
        )
    except ValidationError:
        raise IdentifierError(
            "is not court, register and number, as in DE:hr:Berlin HRB 12345"
        ) from None
    return f"{court} {number.upper()}"


def _of_company(value: str) -> Variants:
    country, scheme, number = value.split(":")
    if (country, scheme) == ("FR", "siret"):
        return [("company", f"FR:siren:{siret.to_siren(number)}")]
    return []


def _tax(text: str, region: str) -> str:
    return _number(text, region, TAX, "PL:nip:1234567802")


def _licence(text: str, region: str) -> str:
    example = "GB:scrap-metal:A123"
    country, rest = split_country(text, region, example)
    if ":" not in rest:
        # Numbers of several kinds of licences meet each other in every country.
        raise IdentifierError(f"names no kind of licence; write it as in {example}")
    return _number(f"{country}:{rest}", "", {}, example)


TYPES = (
    IdentifierType(
        "company",
        "open",
        "public registers",
        "`country:scheme:number`",
        "check digit where the scheme has one; `python-stdnum`",
        _company,
        (
            "company id",
            "company number",
            "company registration number",
            "siren",
            "siret",
            "numéro siren",
            "numéro siret",
            "handelsregisternummer",
            "kvk-nummer",
            "kvk nummer",
            "regon",
            "krs",
            "cnpj",
        ),
        _of_company,
        cards=False,
    ),
    IdentifierType(
        "tax",
        "scarce",
        "the numbers of a country can be tried; some are persons'",
        "`country:scheme:number`",
        "check digit where the scheme has one; `python-stdnum`",
        _tax,
        (
            "tax number",
            "tax id",
            "tin",
            "numéro fiscal",
            "steuernummer",
            "número fiscal",
            "número de identificación fiscal",
            "codice fiscale",
            "fiscaal nummer",
            "número de contribuinte",
            "nip",
            "numer nip",
        ),
        cards=False,
    ),
    IdentifierType(
        "licence",
        "scarce",
        "short numbers, some of them persons'",
        "`country:scheme:number`",
        "form",
        _licence,
        cards=False,
    ),
)
