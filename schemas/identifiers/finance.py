"""Accounts and companies: ``iban``, ``bank-account``, ``vat``, ``lei``, ``wallet``."""

from __future__ import annotations

import re

import base58
from stdnum import iban, lei
from stdnum.eu import vat
from stdnum.exceptions import ValidationError

from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    clean,
    compact,
    refuse_card,
)

__all__ = ["TYPES"]

_HEX = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_BECH32 = re.compile(r"(bc1|ltc1|tb1)[02-9ac-hj-np-z]{11,87}\Z")


def _checked(module: object, what: str, text: str) -> str:
    try:
        return str(module.validate(compact(text)))  # type: ignore[attr-defined]
    except ValidationError as error:
        raise IdentifierError(f"is not {what}: {error}") from None


def _iban(text: str, _region: str) -> str:
    return _checked(iban, "an IBAN", text)


def _vat(text: str, _region: str) -> str:
    return _checked(vat, "an EU VAT number", text)


def _lei(text: str, _region: str) -> str:
    return _checked(lei, "an LEI", text)


def _account(text: str, _region: str) -> str:
    parts = clean(text).split(":")
    if len(parts) != 3 or not re.fullmatch("[A-Za-z]{2}", parts[0]):
        raise IdentifierError("should be written country:bank:account")
    refuse_card(compact(parts[2]))
    return ":".join(compact(p) for p in parts)


def _wallet(text: str, _region: str) -> str:
    value = clean(text)
    if _HEX.match(value):
        return value.lower()
    if _BECH32.match(value.lower()) and value in (value.lower(), value.upper()):
        return value.lower()
    try:
        base58.b58decode_check(value)
    except ValueError:
        if re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{90,110}", value):
            return value
        raise IdentifierError("is not a wallet address with a good checksum") from None
    return value


TYPES = (
    IdentifierType("iban", "scarce", _iban, ("account", "konto", "iban number")),
    IdentifierType("bank-account", "scarce", _account, ("bank account",)),
    IdentifierType("vat", "scarce", _vat, ("vat number", "vat id", "ust-id", "tva")),
    IdentifierType("lei", "open", _lei, ("lei code",)),
    IdentifierType(
        "wallet", "open", _wallet, ("crypto", "crypto address", "wallet address")
    ),
)
