"""Country codes and postcodes: what is needed to see that one was mistyped.

The codes are ISO 3166-1 alpha-2 and XK (Kosovo); UK and EL are read as GB and GR.
"""

from __future__ import annotations

import re

from schemas.identifiers.kinds import IdentifierError, clean, compact

__all__ = ["country_code", "postcode", "split_country"]

_CODES = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM "
    "BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX "
    "CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG "
    "GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR "
    "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV "
    "LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE "
    "NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO "
    "RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF "
    "TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF "
    "WS XK YE YT ZA ZM ZW"
)
CODES = frozenset(_CODES.split())
_OTHER_NAMES = {"UK": "GB", "EL": "GR"}

# Where all postcodes are digits, how many: a spreadsheet drops the zeros in front.
_DIGITS = {
    n: frozenset(codes.split())
    for n, codes in {
        4: "AT AU BE BG CH CY DK HU LI LU LV NO NZ PH SI ZA",
        5: "CZ DE EE ES FI FR GR HR IT KR LT MA MC MX MY PL SE SK SM TH TR UA US VA",
        6: "CN IN KG KZ RO RU SG",
        7: "CL IL JP PT",
        8: "BR",
    }.items()
}
_FORMS = {
    "GB": re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]?[0-9][A-Z]{2}"),
    "NL": re.compile(r"[1-9][0-9]{3}[A-Z]{2}"),
    "CA": re.compile(r"[A-Z][0-9][A-Z][0-9][A-Z][0-9]"),
    "IE": re.compile(r"[A-Z][0-9][0-9W][A-Z0-9]{4}"),
}
_FORMS |= {c: re.compile(f"[0-9]{{{n}}}") for n, many in _DIGITS.items() for c in many}


def country_code(text: str) -> str:
    """Return the two-letter code of a country.

    Raises:
        IdentifierError: There is no such code.
    """
    value = clean(text).upper()
    value = _OTHER_NAMES.get(value, value)
    if value not in CODES:
        raise IdentifierError(f"{text[:20]} is not a two-letter country code")
    return value


def split_country(text: str, region: str, example: str) -> tuple[str, str]:
    """Return the country in front of a number, or else the region, and the rest.

    Args:
        text: As in ``FR:123``, or ``123`` when there is a region.
        region: The country of those that name none.
        example: How it should look, for the message.

    Raises:
        IdentifierError: No country, or nothing after it.
    """
    front, colon, rest = clean(text).partition(":")
    if not colon or len(front.strip()) != 2:
        if not region:
            raise IdentifierError(
                f"should be written as in {example}; or give --region for all of them"
            )
        front, rest = region, clean(text)
    if not rest.strip():
        raise IdentifierError(f"should be written as in {example}")
    return country_code(front), rest.strip()


def postcode(country: str, text: str) -> str:
    """Return a postcode in upper-case letters and digits.

    Raises:
        IdentifierError: The country has no such postcodes.
    """
    value = compact(text)
    if country == "US" and len(value) == 9:
        # The four digits behind name a part of a street and are seldom known.
        value = value[:5]
    form = _FORMS.get(country)
    if len(value) > 12 or (form and not form.fullmatch(value)):
        raise IdentifierError(f"{text[:20]} is not a postcode of {country}")
    return value
