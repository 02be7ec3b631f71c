"""Sellers (``platform:id``) and companies' numbers (``country:number``)."""

from __future__ import annotations

import re

from stdnum.fr import siret

from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    clean,
    compact,
    refuse_card,
)

__all__ = ["TYPES"]


def _platform_id(text: str, _region: str) -> str:
    platform, _, name = clean(text).partition(":")
    platform = platform.strip().lower()
    if not name.strip() or not re.fullmatch(r"[a-z0-9.-]{1,64}", platform):
        raise IdentifierError("should be written platform:id")
    return f"{platform}:{refuse_card(name.strip())}"


def _handle(text: str, _region: str) -> str:
    platform, _, name = _platform_id(text, "").partition(":")
    handle = name.casefold().lstrip("@").strip()
    if not handle:
        raise IdentifierError("has no name behind the platform")
    return f"{platform}:{handle}"


def _number(text: str, _region: str) -> str:
    country, _, number = clean(text).partition(":")
    if not re.fullmatch("[A-Za-z]{2}", country):
        raise IdentifierError("should be written country:number, as in FR:123456789")
    digits = compact(number)
    # Every French establishment's number passes the check of card numbers too.
    if country.upper() != "FR" or not siret.is_valid(digits):
        refuse_card(digits)
    return f"{country.upper()}:{digits}"


TYPES = (
    IdentifierType(
        "seller", "open", _platform_id, ("seller id", "marketplace seller", "shop id")
    ),
    IdentifierType("listing", "open", _platform_id, ("listing id", "item", "asin")),
    IdentifierType("handle", "open", _handle, ("social handle", "account name")),
    IdentifierType("company", "open", _number, ("company id", "company number")),
    IdentifierType("licence", "scarce", _number, ("license", "licence number")),
    IdentifierType("tax", "scarce", _number, ("tax number", "tax id")),
    IdentifierType("plate", "scarce", _number, ("vehicle plate", "number plate")),
)
