"""Identifier types and their canonical forms, one file a family.

A canonical form is what is hashed, so two members that mean one thing must write one
text. :data:`VERSION` names the set of rules; :func:`self_test` compares them with the
table that ships, so that an engineer can see whether a client's libraries agree, and
:data:`DATA_VERSIONS` names the libraries whose data the rules depend on.

An identifier has one exact form; :func:`variants` gives the looser ones, each under its
own type. Classes: ``scarce`` types can be enumerated and have tight quotas, ``open``
ones have loose quotas. Card numbers are refused under every type.

A new type is one entry in the ``TYPES`` of its family, and its rows in
``selftest.json``: a good one, a bad one, its looser forms and a token.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from importlib import resources
from typing import Any

from schemas.identifiers import (
    company,
    finance,
    goods,
    mail,
    people,
    phone,
    registers,
    trade,
    wallet,
    web,
)
from schemas.identifiers.cards import refuse_card
from schemas.identifiers.kinds import IdentifierError, IdentifierType, bounded
from schemas.identifiers.versions import DATA_VERSIONS, installed_versions

__all__ = [
    "COLUMN_NAMES",
    "DATA_VERSIONS",
    "TEST_KEY",
    "TYPES",
    "VERSION",
    "IdentifierError",
    "IdentifierType",
    "canonicalise",
    "installed_versions",
    "self_test",
    "self_test_tokens",
    "token_class",
    "variants",
]

VERSION = 1
# Seed and info of the key of the tokens in the table (RFC 9497 section 3.2.1).
# Everybody has it, so it protects nothing.
TEST_KEY = (bytes.fromhex("a3" * 32), b"alliance hub self-test")
FAMILIES = (web, mail, phone, finance, wallet, registers, company, trade, goods, people)
TYPES: dict[str, IdentifierType] = {t.name: t for f in FAMILIES for t in f.TYPES}


def _spellings(heading: str) -> set[str]:
    """Return a heading with and without marks and punctuation, as people write it."""
    letters = unicodedata.normalize("NFD", heading)
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    words = (re.sub(r"[\W_]+", " ", h).strip() for h in (heading, plain))
    return {heading, plain, *words}


# Headings, case folded, of columns that are taken for a type without being told.
COLUMN_NAMES: dict[str, str] = {
    spelling: t.name
    for t in TYPES.values()
    if t.by_heading
    for heading in (t.name, *t.columns)
    for spelling in _spellings(heading)
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
        region: Two-letter country of numbers that name none.

    Raises:
        IdentifierError: It is not one; the message says why.
    """
    found = _type(kind)
    # A letter becomes nine characters in the path of a page.
    value = bounded(found.canonical(text, region))
    return refuse_card(value) if found.cards else value


def variants(kind: str, canonical: str) -> list[tuple[str, str]]:
    """Return the looser (type, canonical form) of an identifier."""
    return _type(kind).looser(canonical)


def _table() -> dict[str, list[Any]]:
    table = resources.files("schemas.identifiers").joinpath("selftest.json")
    found: dict[str, list[Any]] = json.loads(table.read_text(encoding="utf-8"))
    return found


def self_test() -> int:
    """Compare the rules with the table that ships; return the number of rows.

    Raises:
        IdentifierError: A row gives another result here.
    """
    table = _table()
    for kind, text, region, expected in table["forms"]:
        try:
            found: str | None = canonicalise(kind, text, region)
        except IdentifierError:
            found = None
        if found != expected:
            raise IdentifierError(f"{kind} {text!r} gives {found!r}, not {expected!r}")
    for kind, canonical, expected in table["variants"]:
        looser = [list(v) for v in variants(kind, canonical)]
        if looser != expected:
            raise IdentifierError(f"{kind} {canonical!r} has {looser}, not {expected}")
    return len(table["forms"]) + len(table["variants"])


def self_test_tokens(token: Callable[[str, str], str]) -> int:
    """Compare tokens with the table that ships; return the number of rows.

    Args:
        token: (type, canonical form) to the token under the test key, in base64.

    Raises:
        IdentifierError: A token is another one here.
    """
    rows = _table()["tokens"]
    for kind, canonical, expected in rows:
        found = token(kind, canonical)
        if found != expected:
            raise IdentifierError(f"{kind} {canonical!r} has token {found}")
    return len(rows)
