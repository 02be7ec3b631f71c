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
_LINK = re.compile(r":/(?<=[A-Za-z]:/)")
# A host name: the search starts at a dot, which is rare, and looks around. A sentence
# that ends without a blank before the next one is none, since a capital follows.
_HOST = re.compile(
    r"\.(?<=[^\W_]\.)(?!(?:pdf|jpe?g|png|gif|docx?|xlsx?|csv|txt|eml|html?)\b)"
    r"(?:[a-z]{2,63}|[A-Z]{2,63}|xn--[a-z0-9-]+)(?![^\W_])"
)
_NUMBER = re.compile(r"[0-9](?:[ ()./-]{0,3}[0-9]){7}")
# The search starts at digits, which are rare, and looks back from there. The second
# group of four holds a digit in every country's form, and seldom in a sentence.
_IBAN = re.compile(
    r"[0-9]{2}(?<=\b[A-Za-z]{2}[0-9]{2})[ -]?[A-Za-z0-9]{4}"
    r"[ -]?(?=[A-Za-z]{0,3}[0-9])[A-Za-z0-9]{4}[ -]?[A-Za-z0-9]{3}"
)
_DAY = re.compile(
    r"(?<![0-9.-])(?:(?:19|20)[0-9]{2}([-./])[01]?[0-9]\1[0-3]?[0-9]"
    r"|[0-3]?[0-9]([-./])[01]?[0-9]\2(?:19|20)[0-9]{2})(?![0-9-])"
)
_DIGIT = re.compile(r"\d")


def find_identifier(text: str) -> str | None:
    """Return what kind of identifier a text looks to hold, or None."""
    if not text.isascii():
        # Full-width forms and digits of other scripts are read as what they mean.
        text = unicodedata.normalize("NFKC", text)
        text = _DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), text)
    if "@" in text and _MAIL.search(text):
        return "a mail address"
    if _LINK.search(text) or _HOST.search(text) or "www." in text.lower():
        return "a link or host name"
    if _IBAN.search(text):
        return "an IBAN"
    if _NUMBER.search(text) and _NUMBER.search(_DAY.sub("day", text)):
        return "a telephone or account number"
    return None
