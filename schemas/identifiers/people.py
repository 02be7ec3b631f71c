"""Names and addresses: ``person``, ``company-name``, ``address``, ``premises``.

A name alone accuses everybody who bears it, so it goes with a second attribute in
front: the year of birth (``1980:Jane Doe``) or country and postcode (``FR:75001:Jane
Doe``). Case, marks on Latin letters and punctuation are folded, and words are sorted,
because forms differ in which name they put first; of companies the legal form is
dropped. Nothing is romanised: a name in two scripts is two names.

An address is ``country:postcode:house number:street``; ``premises`` is the same without
the street, which is what different spellings of a street have in common.

No column is taken for one of them without being told, because their parts are usually
in columns of their own.
"""

from __future__ import annotations

import re

from schemas.identifiers.countries import postcode, split_country
from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    Variants,
    clean,
    compact,
    words,
)

__all__ = ["TYPES"]

_YEAR = re.compile("(?:19|20)[0-9]{2}")
_HOUSE = re.compile(r"0*([1-9][0-9]{0,4}[A-Z]{0,6}(?:-[0-9]{1,5}[A-Z]{0,6})?)")
_GERMAN_STREET = re.compile("str(?:asse)?$")
_GERMAN = ("AT", "CH", "DE", "LI", "LU")

# Legal forms, wherever in a name they stand, since words are sorted.
_NAMES_OF_FORMS = (
    "ab ag aps as asa bv co company corp corporation doo eirl ek ev eurl gbr gmbh inc "
    "incorporated jsc kft kg kgaa kk limited llc llp lp ltd ltda lda mbh nv oe ohg ood "
    "oy oyj pjsc plc pt pte pty pvt sa sagl sapa sarl sas sasu sc sci scrl se sgps sia "
    "sl slu snc soe spa spol sprl spzoo srl srls sro ug uab unlimited zrt "
    "ооо оао зао пао ао ип тоо тов"  # noqa: RUF001 - Cyrillic is meant.
)
_FORMS = frozenset(_NAMES_OF_FORMS.split())
_POLISH = re.compile(r"\bsp(?:olka)? z oo\b")
_EASTERN = re.compile(
    "^(?:株式会社|有限会社|合同会社)+|(?:股份有限公司|有限责任公司|有限公司|株式会社|有限会社|合同会社)+$"
)


def _parts(text: str, count: int, example: str) -> list[str]:
    parts = [p.strip() for p in clean(text).split(":", count - 1)]
    if len(parts) != count or not all(parts):
        raise IdentifierError(f"should be written as in {example}")
    return parts


def _place(text: str, region: str, example: str) -> tuple[str, str]:
    """Return ``country:postcode`` and what follows."""
    country, rest = split_country(text, region, example)
    code, more = _parts(rest, 2, example)
    return f"{country}:{postcode(country, code)}", more


def _person(text: str, region: str) -> str:
    example = "1980:Jane Doe or FR:75001:Jane Doe"
    front, _, more = clean(text).partition(":")
    if _YEAR.fullmatch(front.strip()) and ":" not in more:
        place, name = front.strip(), more
    else:
        place, name = _place(text, region, example)
    found = words(name)
    if len(found) < 2 and found[0].isascii():
        raise IdentifierError("has one word for a name; write first and last name")
    return f"{place}:{' '.join(sorted(found))}"


def _company_name(text: str, region: str) -> str:
    place, name = _place(text, region, "FR:75001:Maison Example SARL")
    return f"{place}:{' '.join(sorted(_without_form(words(name))))}"


def _without_form(found: list[str]) -> list[str]:
    text = _POLISH.sub("spzoo", " ".join(found))
    kept = [_EASTERN.sub("", w) for w in text.split() if w not in _FORMS]
    return [w for w in kept if w] or found


def _house(text: str) -> str:
    value = re.sub(r"\s*[-/–]\s*", "-", clean(text))  # noqa: RUF001 - Both dashes.
    value = re.sub("-(?=[A-Za-z])", "", value)
    found = _HOUSE.fullmatch("-".join(compact(p) for p in value.split("-")))
    if not found:
        raise IdentifierError("has no house number, as in 12, 12B or 12-14")
    return found[1]


def _address(text: str, region: str) -> str:
    example = "GB:SW1A 1AA:12:High Street"
    place, more = _place(text, region, example)
    house, street = _parts(more, 2, example)
    name = "".join(words(street))
    if place[:2] in _GERMAN:
        name = _GERMAN_STREET.sub("str", name)
    return f"{place}:{_house(house)}:{name}"


def _premises(text: str, region: str) -> str:
    place, house = _place(text, region, "GB:SW1A 1AA:12")
    return f"{place}:{_house(house)}"


def _of_address(value: str) -> Variants:
    return [("premises", value.rpartition(":")[0])]


TYPES = (
    IdentifierType(
        "person",
        "scarce",
        "personal; names can be tried",
        "`year of birth:words` or `country:postcode:words`, sorted",
        "two words; postcode",
        _person,
        by_heading=False,
    ),
    IdentifierType(
        "company-name",
        "open",
        "public registers",
        "`country:postcode:words`, sorted, no legal form",
        "postcode",
        _company_name,
        by_heading=False,
    ),
    IdentifierType(
        "address",
        "scarce",
        "the addresses of a country are on sale",
        "`country:postcode:house number:street`",
        "postcode, house number",
        _address,
        looser=_of_address,
        by_heading=False,
    ),
    IdentifierType(
        "premises",
        "scarce",
        "as `address`",
        "`country:postcode:house number`",
        "postcode, house number",
        _premises,
        by_heading=False,
    ),
)
