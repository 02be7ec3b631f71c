"""Numbers of companies: VAT, EORI, LEI, USCC, registers, tax offices, licences.

``company``, ``tax`` and ``licence`` are written ``country:scheme:number``. The scheme
can be left out where :mod:`schemas.identifiers.schemes` has the country: it is then the
one whose check the number passes. Where it has none, a number without a scheme gets the
scheme ``other``, and nothing is verified. A number that has a type of its own is
refused with that type's name, so that one number has one form. Numbers of persons'
identity documents are refused.
"""

from __future__ import annotations

import re

from stdnum import lei
from stdnum.ch import uid
from stdnum.cn import uscc
from stdnum.eu import vat
from stdnum.exceptions import ValidationError
from stdnum.fr import siret
from stdnum.gb import vat as gb_vat
from stdnum.no import mva

from schemas.identifiers.cards import refuse_card
from schemas.identifiers.countries import CODES, country_code, split_country
from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    Variants,
    compact,
)
from schemas.identifiers.schemes import COMPANY, PERSONAL, TAX, Schemes, checked

__all__ = ["TYPES"]

_LEI = re.compile("[0-9A-Z]{18}[0-9]{2}")
_SCHEME = re.compile("[a-z0-9-]{1,32}")
_EORI = re.compile("[A-Z]{2}[0-9A-Z]{1,15}")
_SWISS = re.compile("(CHE[0-9]{9})(?:MWST|TVA|IVA|TPV|HR|RC)?")

# VAT numbers that hold a number of another type: that type, its scheme, its place.
_WITHIN_VAT = {
    "BE": ("company", "kbo", slice(2, None)),
    "CH": ("company", "uid", slice(0, None)),
    "DK": ("company", "cvr", slice(2, None)),
    "ES": ("tax", "nif", slice(2, None)),
    "FI": ("company", "ytunnus", slice(2, None)),
    "FR": ("company", "siren", slice(4, None)),
    "NO": ("company", "orgnr", slice(2, -3)),
    "PL": ("tax", "nip", slice(2, None)),
    "PT": ("tax", "nif", slice(2, None)),
    "SE": ("company", "orgnr", slice(2, -2)),
}


def _lei(text: str, _region: str) -> str:
    value = compact(text)
    if not _LEI.fullmatch(value) or not lei.is_valid(value):
        raise IdentifierError("is not an LEI: twenty characters with two check digits")
    return value


def _uscc(text: str, _region: str) -> str:
    value = compact(text).removeprefix("CN")
    if not uscc.is_valid(value):
        raise IdentifierError("is not a unified social credit code: wrong check digit")
    return value


def _vat(text: str, region: str) -> str:
    value = compact(text)
    if not value[:2].isalpha() and region:
        value = country_code(region) + value
    # SPEC: Greece is EL in VAT numbers and GR elsewhere. A number of Northern Ireland
    # is one of the United Kingdom under another name.
    value = {"GR": "EL", "XI": "GB"}.get(value[:2], value[:2]) + value[2:]
    try:
        if value.startswith("CHE"):
            return str(uid.validate(_SWISS.sub(r"\1", value)))
        if value.startswith("NO"):
            return f"NO{mva.validate(value[2:].removesuffix('MVA') + 'MVA')}"
        if value.startswith("GB"):
            return f"GB{gb_vat.validate(value[2:])}"
        return str(vat.validate(value))
    except ValidationError as error:
        raise IdentifierError(
            f"is not a VAT number of the EU, GB, CH or NO, country first: {error}"
        ) from None


def _of_vat(value: str) -> Variants:
    country = value[:2]
    if country not in _WITHIN_VAT:
        return []
    kind, scheme, place = _WITHIN_VAT[country]
    schemes = COMPANY if kind == "company" else TAX
    number = checked(schemes[country][scheme], value[place])
    return [(kind, f"{country}:{scheme}:{number}")] if number else []


def _eori(text: str, region: str) -> str:
    value = compact(text)
    if not value[:2].isalpha() and region:
        value = country_code(region) + refuse_card(value)
    value = {"EL": "GR", "XI": "GB"}.get(value[:2], value[:2]) + value[2:]
    if not _EORI.fullmatch(value) or value[:2] not in CODES:
        raise IdentifierError("is not an EORI number: country and up to 15 characters")
    return value


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
    check, name = PERSONAL.get(country, ("", ""))
    named = bool(name) and scheme == name
    if named or (country == "CN" and checked(check, value)):
        raise IdentifierError("is a person's identity number; those are never shared")
    own = {"vat": "vat", "lei": "lei", "eori": "eori", "uscc": "uscc"}.get(scheme)
    own = "uscc" if country == "CN" and uscc.is_valid(value) else own
    if own:
        raise IdentifierError(f"has a type of its own; report it as type {own}")


def _company(text: str, region: str) -> str:
    example = "FR:siren:123456782"
    country, rest = split_country(text, region, example)
    if country == "GB" and (short := re.fullmatch("(?:crn:)?([0-9]{1,7})", rest)):
        # Companies House writes eight digits, and spreadsheets drop the zeros.
        rest = f"crn:{short[1]:0>8}"
    return _number(f"{country}:{rest}", "", COMPANY, example)


def _of_company(value: str) -> Variants:
    country, scheme, number = value.split(":")
    if (country, scheme) == ("FR", "siret"):
        return [("company", f"FR:siren:{siret.to_siren(number)}")]
    return []


def _tax(text: str, region: str) -> str:
    return _number(text, region, TAX, "PL:nip:1234567802")


def _licence(text: str, region: str) -> str:
    return _number(text, region, {}, "GB:scrap-metal:A123")


TYPES = (
    IdentifierType(
        "vat",
        "scarce",
        "the numbers of a country can be tried",
        "country and number, upper case; Greece `EL`, Northern Ireland `GB`",
        "check digits (EU, GB, CH, NO); `python-stdnum`",
        _vat,
        (
            "vat number",
            "vat id",
            "vatin",
            "numéro de tva",
            "tva",
            "tva intracommunautaire",
            "ust-id",
            "ust-idnr",
            "ust-id-nr",
            "umsatzsteuer-id",
            "número de iva",
            "partita iva",
            "btw-nummer",
            "btw nummer",
            "numer vat",
        ),
        _of_vat,
    ),
    IdentifierType(
        "eori",
        "scarce",
        "the numbers of a country can be tried",
        "country and up to 15 characters",
        "form",
        _eori,
        ("eori number", "numéro eori", "eori-nummer", "numer eori"),
        cards=False,
    ),
    IdentifierType(
        "lei",
        "open",
        "a public register",
        "20 characters, upper case",
        "check digits; `python-stdnum`",
        _lei,
        ("lei code",),
        cards=False,
    ),
    IdentifierType(
        "uscc",
        "open",
        "a public register",
        "18 characters, upper case",
        "check digit; `python-stdnum`",
        _uscc,
        (
            "unified social credit code",
            "social credit code",
            "统一社会信用代码",
            "社会信用代码",
        ),
        cards=False,
    ),
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
            "registration number",
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
        (
            "license",
            "licence number",
            "license number",
            "numéro de licence",
            "lizenznummer",
            "número de licencia",
            "numero di licenza",
            "licentienummer",
            "número de licença",
            "numer licencji",
        ),
        cards=False,
    ),
)
