"""Identifier types and their canonical forms, one file a family.

A canonical form is what is hashed, so two members that mean one thing must write one
text. :data:`VERSION` names the set of rules; :func:`self_test` compares them with the
table that ships, so that an engineer can see whether a client's libraries agree.

An identifier has one exact form; :func:`variants` gives the looser ones, each under its
own type. Classes: ``scarce`` types can be enumerated and have tight quotas, ``open``
ones have loose quotas.
"""

from __future__ import annotations

import json
from importlib import resources

from schemas.identifiers import finance, mail, phone, trade, web
from schemas.identifiers.kinds import IdentifierError, IdentifierType

__all__ = [
    "COLUMN_NAMES",
    "TYPES",
    "VERSION",
    "IdentifierError",
    "canonicalise",
    "self_test",
    "token_class",
    "variants",
]

VERSION = 1
TYPES: dict[str, IdentifierType] = {
    t.name: t for family in (web, mail, phone, finance, trade) for t in family.TYPES
}
COLUMN_NAMES: dict[str, str] = {
    name: t.name for t in TYPES.values() for name in (t.name, *t.columns)
}


def _type(kind: str) -> IdentifierType:
    try:
        return TYPES[kind]
    except KeyError:
        raise IdentifierError(f"{kind} is not an identifier type") from None


def token_class(kind: str) -> str:
    """Return ``scarce`` or ``open``.

    Raises:
        IdentifierError: No such type.
    """
    return _type(kind).token_class


def canonicalise(kind: str, text: str, region: str = "") -> str:
    """Return the canonical form of an identifier.

    Args:
        kind: The identifier type.
        text: The identifier as somebody wrote it.
        region: Two-letter country of national telephone numbers.

    Raises:
        IdentifierError: It is not one; the message says why.
    """
    return _type(kind).canonical(text, region)


def variants(kind: str, canonical: str) -> list[tuple[str, str]]:
    """Return the looser (type, canonical form) of an identifier."""
    return _type(kind).looser(canonical)


def self_test() -> int:
    """Compare the rules with the table that ships; return the number of rows.

    Raises:
        IdentifierError: A row gives another result here.
    """
    table = resources.files("schemas.identifiers").joinpath("selftest.json")
    rows = json.loads(table.read_text(encoding="utf-8"))
    for kind, text, region, expected in rows:
        try:
            found: str | None = canonicalise(kind, text, region)
        except IdentifierError:
            found = None
        if found != expected:
            raise IdentifierError(f"{kind} {text!r} gives {found!r}, not {expected!r}")
    return len(rows)
