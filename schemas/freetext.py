"""Free text must not carry an identifier: identifiers never travel, tokens do.

:func:`find_identifier` finds what is easily recognised: mail addresses, links and host
names, IBANs, and eight digits with little between them, as telephone and account
numbers have. It stops slips, not intent: whoever wants to smuggle a number can spell
it. What people write all the time passes: days, prices, names of files.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["find_identifier"]

_MAIL = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
_LINK = re.compile(r"[a-z]:/|\bwww\.|[a-z0-9]\.[a-z]{2,}/", re.IGNORECASE)
# A host name: the search starts at a dot, which is rare, and looks ahead. A sentence
# that ends without a blank behind it is taken for one only if no capital follows.
_HOST = re.compile(
    r"(?<=[a-zA-Z0-9])\.(?!(?:pdf|jpe?g|png|gif|docx?|xlsx?|csv|txt|eml|html?)\b)"
    r"(?:[a-z]{2,63}|xn--[a-z0-9-]+)(?![A-Za-z0-9])"
)
_NUMBER = re.compile(r"\d(?:[ ()./-]{0,3}\d){7}")
# The search starts at digits, which are rare, and looks back from there. The second
# group of four holds a digit in every country's form, and seldom in a sentence.
_IBAN = re.compile(
    r"\d\d(?<=\b[A-Za-z]{2}\d\d)[ -]?[A-Za-z0-9]{4}"
    r"[ -]?(?=[A-Za-z]{0,3}\d)[A-Za-z0-9]{4}[ -]?[A-Za-z0-9]{3}"
)
_DAY = re.compile(
    r"(?<![\d.-])(?:(?:19|20)\d\d([-./])[01]?\d\1[0-3]?\d"
    r"|[0-3]?\d([-./])[01]?\d\2(?:19|20)\d\d)(?![\d-])"
)


def find_identifier(text: str) -> str | None:
    """Return what kind of identifier a text looks to hold, or None."""
    if not text.isascii():
        # Full-width and other variant forms are read as what they look like.
        text = unicodedata.normalize("NFKC", text)
    if "@" in text and _MAIL.search(text):
        return "a mail address"
    if "." in text and (_LINK.search(text) or _HOST.search(text)):
        return "a link or host name"
    if ":/" in text and _LINK.search(text):
        return "a link or host name"
    if _IBAN.search(text):
        return "an IBAN"
    if _NUMBER.search(text) and _NUMBER.search(_DAY.sub("day", text)):
        return "a telephone or account number"
    return None
