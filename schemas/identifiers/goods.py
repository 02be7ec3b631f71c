"""Things that sellers use or send: plates, telephones, containers, parcels.

A parcel that crosses borders by post has one number at all posts (UPU S10) and is
written alone; others are written ``carrier:number``. An air waybill is three digits of
the airline and eight of its own.
"""

from __future__ import annotations

import re

from stdnum import imei, iso6346, luhn
from stdnum.exceptions import ValidationError

from schemas.identifiers.cards import refuse_card
from schemas.identifiers.countries import split_country
from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    ascii_digits,
    clean,
    compact,
    fold_latin,
)
from schemas.identifiers.trade import platform_of

__all__ = ["TYPES"]

_CONTAINER = re.compile("[A-Z]{3}[UJZR][0-9]{7}")
_S10 = re.compile("[A-Z]{2}([0-9]{8})([0-9])[A-Z]{2}")
_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
_AWB = re.compile("([0-9]{3})([0-9]{7})([0-9])")
_BY_STATE = ("AU", "CA", "US")
# Letters on plates that look like Latin ones were chosen to be read as such.
_LOOK_ALIKE = str.maketrans(
    "АВЕКМНОРСТУХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",  # noqa: RUF001 - Cyrillic and Greek are meant.
    "ABEKMHOPCTYXIJSABEZHIKMNOPTYX",
)


def _plate(text: str, region: str) -> str:
    country, rest = split_country(text, region, "DE:B-XY 12")
    state = ""
    if country in _BY_STATE:
        # One plate can be on the road in every state.
        front, colon, rest = rest.partition(":")
        state = f"{compact(front)}:"
        if not colon or not re.fullmatch("[A-Z]{2,3}:", state):
            raise IdentifierError(
                f"names no state; write it as in {country}:XX:ABC 123"
            )
    folded = fold_latin(ascii_digits(rest).upper()).upper().translate(_LOOK_ALIKE)
    value = "".join(c for c in folded if c.isalnum())
    if not 2 <= len(value) <= 12 or not re.search("[0-9A-Z]", value):
        raise IdentifierError("is not a number plate")
    return f"{country}:{state}{value}"


def _imei(text: str, _region: str) -> str:
    # Sixteen digits are an IMEI with a version of software, or a card.
    digits = refuse_card(compact(text))
    try:
        imei.validate(digits)
    except ValidationError as error:
        raise IdentifierError(f"is not an IMEI: {error}") from None
    return digits[:14] + luhn.calc_check_digit(digits[:14])


def _container(text: str, _region: str) -> str:
    value = compact(text)
    if not _CONTAINER.fullmatch(value) or not iso6346.is_valid(value):
        raise IdentifierError("is not a container number with a good check digit")
    return value


def _awb(text: str, _region: str) -> str:
    value = compact(text).removeprefix("AWB")
    found = _AWB.fullmatch(value)
    # SPEC: IATA resolution 600a: the last digit is the serial number modulo 7.
    if not found or int(found[2]) % 7 != int(found[3]):
        raise IdentifierError("is not an air waybill number with a good check digit")
    return value


def _is_s10(value: str) -> bool:
    found = _S10.fullmatch(value)
    if not found:
        return False
    # SPEC: UPU S10: 11 minus the weighted sum modulo 11, where 10 is 0 and 11 is 5.
    rest = (
        11 - sum(w * int(d) for w, d in zip(_S10_WEIGHTS, found[1], strict=True)) % 11
    )
    return int(found[2]) == {10: 0, 11: 5}.get(rest, rest)


def _parcel(text: str, _region: str) -> str:
    carrier, colon, number = clean(text).rpartition(":")
    value = compact(number)
    if _is_s10(value):
        return value
    if not colon:
        raise IdentifierError(
            "should be written carrier:number, as in parcel.example:12345; or it is a "
            "postal number with a wrong check digit"
        )
    if len(value) > 40:
        raise IdentifierError("is longer than parcels' numbers are")
    return f"{platform_of(carrier)[0].name}:{value}"


TYPES = (
    IdentifierType(
        "plate",
        "scarce",
        "the plates of a country can be tried",
        "`country:plate`; in AU, CA, US `country:state:plate`; look-alikes as Latin",
        "country",
        _plate,
        (
            "vehicle plate",
            "number plate",
            "licence plate",
            "license plate",
            "registration plate",
            "plaque d'immatriculation",
            "immatriculation",
            "kennzeichen",
            "kfz-kennzeichen",
            "matrícula",
            "targa",
            "kenteken",
            "numer rejestracyjny",
        ),
    ),
    IdentifierType(
        "imei",
        "scarce",
        "the numbers of a model can be tried",
        "15 digits, the check digit included",
        "check digit; `python-stdnum`",
        _imei,
        ("imei number", "numéro imei", "imei-nummer", "número imei", "numer imei"),
    ),
    IdentifierType(
        "container",
        "scarce",
        "the numbers of an owner can be tried",
        "owner, category, six digits, check digit",
        "check digit (ISO 6346); `python-stdnum`",
        _container,
        (
            "container number",
            "numéro de conteneur",
            "containernummer",
            "número de contenedor",
            "numero container",
            "número do contentor",
            "numer kontenera",
        ),
    ),
    IdentifierType(
        "awb",
        "scarce",
        "the numbers of an airline can be tried",
        "11 digits",
        "check digit, modulo 7",
        _awb,
        ("air waybill", "awb number", "air waybill number", "lta", "luftfrachtbrief"),
    ),
    IdentifierType(
        "parcel",
        "scarce",
        "numbers follow each other",
        "UPU S10 number, or `carrier:number`",
        "check digit of UPU S10",
        _parcel,
    ),
)
