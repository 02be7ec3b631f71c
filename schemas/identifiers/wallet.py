"""Crypto addresses: ``wallet``.

The address alone is the canonical form. A chain in front is dropped: an address says by
itself what family it is of, and writers differ in what they call the chain; one EVM
address serves many chains, and is one owner's on all of them.

==================  ============================================  ====================
family              canonical form                                verified
==================  ============================================  ====================
EVM                 ``0x`` and 40 hex digits, lower case          form only
Bitcoin, Litecoin   bech32, bech32m: lower case                   checksum, program
Cardano, Cosmos     bech32: lower case                            checksum
base58check         as it is (Bitcoin, Litecoin, Tron, Zcash, …)  checksum, length
Monero              as it is                                      form, network
Solana              as it is: 32 bytes in base58                  length
==================  ============================================  ====================

What is not verified: the checksum in the case of EVM addresses (EIP-55) and that of
Monero need Keccak-256, which no library in use offers; Solana has none. Addresses that
many customers of an exchange share, told apart by a memo (XRP, Stellar, TON), are not
taken, and neither are cash addresses of Bitcoin Cash. Private and extended keys pass
the checksum of base58check and are refused by their length.
"""

from __future__ import annotations

import re

import base58
from stdnum.bitcoin import bech32_checksum

from schemas.identifiers.kinds import IdentifierError, IdentifierType, clean

__all__ = ["TYPES"]

_CHAIN = re.compile(r"([A-Za-z][A-Za-z0-9 -]{1,19}):(?://)?", re.ASCII)
_TAIL = re.compile(r"[?@].*\Z")
_EVM = re.compile(r"0[xX][0-9a-fA-F]{40}")
_BECH32 = re.compile(
    r"(bc|tb|ltc|tltc|addr|stake|cosmos|osmo)1([02-9ac-hj-np-z]{6,200})"
)
_SEGWIT = ("bc", "tb", "ltc", "tltc")
_ALPHABET = {c: n for n, c in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{25,112}")

# SPEC: BIP 173: the checksum's constant is 1; BIP 350: 0x2bc830a3 from version 1 on.
_BECH32_CONSTANT, _BECH32M_CONSTANT = 1, 0x2BC830A3

# SPEC: Monero writes blocks of 8 bytes as 11 characters, and a last one of 5 bytes as 7
# (addresses, 69 bytes) or 77 = 9 * 8 + 5 (integrated ones).
_BLOCK, _LAST = (11, 8), (7, 5)
_MONERO_LENGTHS = (95, 106)
_MONERO_NETWORKS = (18, 19, 42, 24, 25, 36, 53, 54, 63)


def _wallet(text: str, _region: str) -> str:
    value = clean(text)
    if chain := _CHAIN.match(value):
        value = value[chain.end() :].strip()
    value = _TAIL.sub("", value)
    if _EVM.fullmatch(value):
        return value.lower()
    bech32 = _BECH32.fullmatch(value.lower())
    if bech32 and value in (value.lower(), value.upper()):
        _check_bech32(bech32[1], bech32[2])
        return value.lower()
    if not _BASE58.fullmatch(value):
        raise IdentifierError("is not a wallet address of a known form")
    if len(value) in _MONERO_LENGTHS:
        _check_monero(value)
    else:
        _check_base58(value)
    return value


def _check_bech32(prefix: str, data: str) -> None:
    values = [_ALPHABET[c] for c in data]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    checksum = bech32_checksum(expanded + values)
    expected = _BECH32_CONSTANT
    if prefix in _SEGWIT:
        _check_program(values[0], values[1:-6])
        expected = _BECH32M_CONSTANT if values[0] else _BECH32_CONSTANT
    if checksum != expected:
        raise IdentifierError("is not a wallet address: its checksum is wrong")


def _check_program(version: int, program: list[int]) -> None:
    # SPEC: BIP 173: versions 0 to 16, programs of 2 to 40 bytes, 20 or 32 in version 0,
    # and at most four zero bits of padding.
    size, padding = divmod(5 * len(program), 8)
    sizes = (20, 32) if version == 0 else range(2, 41)
    if (
        version > 16
        or size not in sizes
        or padding > 4
        or program[-1] & ((1 << padding) - 1)
    ):
        raise IdentifierError("is not a wallet address: its program has no such length")


def _check_base58(value: str) -> None:
    try:
        payload = base58.b58decode_check(value)
    except ValueError:
        # Without a checksum in it, it can only be one of those that have none.
        if len(base58.b58decode(value)) == 32:
            return
        raise IdentifierError(
            "is not a wallet address: its checksum is wrong"
        ) from None
    if len(payload) in (33, 34, 78):
        raise IdentifierError("is a private or extended key; never give it to anybody")
    if len(payload) not in (21, 22):
        raise IdentifierError("is not a wallet address: it has not the length of one")


def _check_monero(value: str) -> None:
    blocks = [value[i : i + 11] for i in range(0, len(value), 11)]
    decoded = []
    for block in blocks:
        size = _BLOCK[1] if len(block) == _BLOCK[0] else _LAST[1]
        number = int.from_bytes(base58.b58decode(block), "big")
        if number >> (8 * size):
            raise IdentifierError("is not a wallet address: a block of it is too large")
        decoded.append(number.to_bytes(size, "big"))
    if decoded[0][0] not in _MONERO_NETWORKS:
        raise IdentifierError("is not a wallet address: no such network")


TYPES = (
    IdentifierType(
        "wallet",
        "open",
        "public on its chain, and too many to list",
        "the address; hex and bech32 in lower case",
        "checksums of bech32, bech32m, base58check, not of EVM and Monero; "
        "`python-stdnum`, `base58`",
        _wallet,
        (
            "crypto",
            "crypto address",
            "wallet address",
            "crypto wallet",
            "bitcoin address",
            "btc address",
            "eth address",
            "adresse crypto",
            "krypto-adresse",
            "dirección cripto",
            "indirizzo crypto",
            "endereço cripto",
            "adres krypto",
        ),
        cards=False,
    ),
)
