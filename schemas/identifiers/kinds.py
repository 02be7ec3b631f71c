"""What an identifier type is, and the cleaning that all of them share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "IdentifierError",
    "IdentifierType",
    "Variants",
    "ascii_digits",
    "bounded",
    "clean",
    "compact",
    "fold_latin",
    "refang",
    "words",
]

Variants = list[tuple[str, str]]

# An identifier that is longer than this is a mistake, and all work stays bounded.
_LONGEST = 2000
# Blanks, and what invisible marks telephones and chat programs copy along: they mean
# nothing at the ends of a text. Inside it they are refused.
_EDGES = (
    "".join(c for c in map(chr, range(0x3001)) if c.isspace())
    + "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    + "\u2060\u2066\u2067\u2068\u2069\ufeff"
)
# Control, format, surrogate, private and unassigned characters, and line separators.
# What is unassigned in one version of Python would be folded by a later one.
_REFUSED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_SEPARATORS = frozenset(" .,-/_·()‐‑‒–—―−")  # noqa: RUF001 - Dashes people type.
_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i"}  # noqa: RUF001 - It is meant.
    | {"Æ": "AE", "Œ": "OE", "Ø": "O", "Đ": "D", "Ð": "D", "Þ": "TH", "Ł": "L"}
)
_APOSTROPHES = str.maketrans("", "", ".'’‘`´ʼ")  # noqa: RUF001 - They are meant.


class IdentifierError(ValueError):
    """The text is not an identifier of the type; the message says why."""


def _none(_canonical: str) -> Variants:
    return []


@dataclass(frozen=True, slots=True)
class IdentifierType:
    """A type of identifier.

    Args:
        name: As it stands in reports and is hashed; never changes.
        token_class: ``scarce`` or ``open``.
        why: Why that class.
        form: The canonical form, in a few words.
        checked: What is verified, and by which library.
        canonical: (text, region) to the canonical form, or IdentifierError.
        columns: Headings under which people keep it, lower-case, in their languages.
        looser: A canonical form to (type, canonical form) of what it belongs to.
        cards: Whether card numbers are looked for. Not where the type's own check
            digits or its form leave no room for one, and chance would refuse others.
        by_heading: Whether a column is taken for it without being told. Not where that
            would accuse others, or where one column of a usual table is not enough.
    """

    name: str
    token_class: str
    why: str
    form: str
    checked: str
    canonical: Callable[[str, str], str]
    columns: tuple[str, ...] = ()
    looser: Callable[[str], Variants] = _none
    cards: bool = True
    by_heading: bool = True


def clean(text: str) -> str:
    """Return NFKC without blanks and invisible marks at its ends.

    Raises:
        IdentifierError: Empty, too long, or with control characters.
    """
    value = bounded(text).strip(_EDGES)
    if not value.isascii():
        value = unicodedata.normalize("NFKC", value).strip(_EDGES)
    if not value:
        raise IdentifierError("is empty")
    # One character can become eighteen.
    bounded(value)
    if not value.isprintable() and any(
        unicodedata.category(c) in _REFUSED for c in value
    ):
        raise IdentifierError("holds control characters, or some that mean nothing")
    return value


def bounded(text: str) -> str:
    """Return a text that is not longer than identifiers are.

    Raises:
        IdentifierError: It is.
    """
    if len(text) > _LONGEST:
        raise IdentifierError(f"has more than {_LONGEST} characters")
    return text


def ascii_digits(text: str) -> str:
    """Return a text with the digits of other scripts as 0 to 9."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c, c)) for c in text)


def compact(text: str) -> str:
    """Return upper-case letters and digits only.

    Raises:
        IdentifierError: Nothing is left, or other letters are in it.
    """
    value = ascii_digits(clean(text))
    value = "".join(c for c in value if c not in _SEPARATORS)
    if not value or not value.isascii() or not value.isalnum():
        raise IdentifierError("should have letters A to Z and digits only")
    return value.upper()


def fold_latin(text: str) -> str:
    """Return a text whose Latin letters have no marks; other scripts stay as they are.

    In other scripts a mark makes another letter, so that dropping it would make one
    name of two.
    """
    if text.isascii():
        return text
    kept, base = [], ""
    for c in unicodedata.normalize("NFD", text):
        if not unicodedata.combining(c):
            base = c
        elif base.isascii():
            continue
        kept.append(c)
    folded = unicodedata.normalize("NFC", "".join(kept).translate(_LETTERS))
    return unicodedata.normalize("NFKC", folded)


def words(text: str) -> list[str]:
    """Return the words of a name: case, Latin marks and punctuation folded.

    Raises:
        IdentifierError: There are none.
    """
    value = clean(text).translate(_APOSTROPHES).casefold()
    value = fold_latin(unicodedata.normalize("NFKC", value)).casefold()
    # Marks of other scripts belong to their letters.
    plain = "".join(
        c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in value
    )
    found = [w for w in plain.split() if any(map(str.isalnum, w))]
    if not found:
        raise IdentifierError("has no name in it")
    return found


def refang(text: str) -> str:
    """Return a text with plain dots and scheme, if they were made unclickable."""
    if "[" in text or "(" in text:
        text = re.sub(r"\[(?:\.|dot)\]|\(\.\)", ".", text, flags=re.IGNORECASE)
        text = re.sub(r"\[(?:@|at)\]", "@", text, flags=re.IGNORECASE)
    return re.sub(r"\Ahxxp", "http", text, flags=re.IGNORECASE)
