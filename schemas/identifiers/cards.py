"""Finds payment card numbers, which are never shared, whatever type they are put under.

A card number is 13 to 19 digits in a range of a card scheme, of a length that the
scheme uses, with a good Luhn digit. All three are asked, because one number in ten
passes Luhn by chance: an establishment's number, a listing's, a parcel's. The ranges
are those of the schemes that bind their merchants to PCI DSS, of UnionPay, and of
national debit schemes; airline cards (first digit 1) are not among them, since account
numbers of large platforms start like them.

Digits may be grouped by single blanks, dots, hyphens or underscores. The digits of a
longer run are looked at too when they are grouped as on a card.
"""

from __future__ import annotations

import re

from stdnum import luhn

from schemas.identifiers.kinds import IdentifierError, ascii_digits

__all__ = ["is_card", "refuse_card"]

# By length: Visa, Diners Club, American Express; Mastercard, JCB, Discover, RuPay, Mir,
# national debit schemes; and those that issue long numbers, UnionPay and Maestro.
_DINERS = "30[0-5]|3095|3[689]"
_LONG = "62|8[12]|50(?:1[89]|20|38)|5612|5893|6304|67(?:59|6[1-3]|67)"
_LONGEST = f"35(?:2[89]|[3-8])|6011|64[4-9]|65|506[01]|220[0-5]|9704|{_LONG}"
_RANGES = {
    13: "4",
    14: _DINERS,
    15: "3[47]",
    16: "4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|60|508|509|5067|63[6-9]|9792"
    f"|{_DINERS}|{_LONGEST}",
    17: _LONG,
    18: _LONG,
    19: f"4|{_LONGEST}",
}
_PREFIXES = {length: re.compile(ranges) for length, ranges in _RANGES.items()}

# What most texts lack, so that they cost one search.
_MANY = re.compile(r"[0-9](?:[ ._-]?[0-9]){12}")
_RUN = re.compile(r"[0-9]+")
_GROUPED = re.compile(r"(?<![0-9])[0-9]+(?:[ ._-][0-9]+)*")
_AS_ON_A_CARD = re.compile(
    r"(?<![0-9])(?:[0-9]{4}([ ._-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|[0-9]{4}([ ._-])[0-9]{6}\2[0-9]{4,5})(?![0-9])"
)
_SEPARATORS = str.maketrans("", "", " ._-")


def is_card(digits: str) -> bool:
    """Tell whether a text of digits alone is a card number."""
    ranges = _PREFIXES.get(len(digits))
    return bool(ranges and ranges.match(digits) and luhn.is_valid(digits))


def refuse_card(text: str) -> str:
    """Return the text unless there is a card number in it.

    Raises:
        IdentifierError: There is.
    """
    value = ascii_digits(text)
    if _MANY.search(value):
        found = {
            m[0] for p in (_RUN, _GROUPED, _AS_ON_A_CARD) for m in p.finditer(value)
        }
        if any(is_card(digits.translate(_SEPARATORS)) for digits in found):
            raise IdentifierError(
                "looks like it holds a card number; those are never shared"
            )
    return text
