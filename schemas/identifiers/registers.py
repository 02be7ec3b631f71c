"""Numbers that mean one thing everywhere: ``vat``, ``eori``, ``lei``, ``uscc``.

VAT numbers are those of the EU, Great Britain, Switzerland and Norway, country first.
Some hold the number of a company or a tax number, which is then the looser form.
"""

from __future__ import annotations

import re

from stdnum import lei
from stdnum.ch import uid
from stdnum.cn import uscc
from stdnum.eu import vat
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as gb_vat
from stdnum.no import mva

from schemas.identifiers.cards import refuse_card
from schemas.identifiers.countries import CODES, country_code
from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    Variants,
    compact,
)
from schemas.identifiers.schemes import COMPANY, TAX, checked

__all__ = ["TYPES"]

_LEI = re.compile("[0-9A-Z]{18}[0-9]{2}")
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
)
