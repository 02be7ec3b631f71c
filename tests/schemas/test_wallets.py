"""Crypto addresses: the vectors of the standards, and what is and is not verified."""

from __future__ import annotations

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import IdentifierError, canonicalise

# BIP 350, "Test vectors for v0-v16 native segregated witness addresses".
VALID = [
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
    "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
    "BC1SW50QGDZ25J",
    "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
    "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
    "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
]
INVALID = [
    "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
    "tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf",
    "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
    "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47",
    "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
    "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
    "bc1pw5dgrnzv",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
    "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",
    "bc1gmk9yu",
]
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
MONERO = (
    "41fKEPxoWUp1Ajszg3RAw21Ajszg3RAw21Ajszg3RAw21Ajszg3RAw21Ajszg3RAw21Ajszg3RAw21Aj"
    "szg3RAw219yGVFX"
)


@pytest.mark.parametrize("address", VALID)
def test_addresses_of_the_standard(address):
    assert canonicalise("wallet", address) == address.lower()


@pytest.mark.parametrize("address", INVALID)
def test_addresses_that_the_standard_calls_invalid(address):
    with pytest.raises(IdentifierError):
        canonicalise("wallet", address)


@given(st.sampled_from(VALID), st.data())
def test_a_changed_character_of_bech32_is_noticed(address, data):
    address = address.lower()
    place = data.draw(st.integers(address.index("1") + 1, len(address) - 1))
    other = data.draw(st.sampled_from(sorted(set(BECH32) - {address[place]})))
    with pytest.raises(IdentifierError):
        canonicalise("wallet", address[:place] + other + address[place + 1 :])


@given(st.binary(min_size=20, max_size=20), st.sampled_from([b"\0", b"\5", b"0", b"A"]))
def test_base58check_is_verified(payload, version):
    """Version bytes of Bitcoin, its scripts, Litecoin and Tron."""
    address = base58.b58encode_check(version + payload).decode()
    assert canonicalise("wallet", address) == address
    for place in range(len(address)):
        other = "2" if address[place] != "2" else "3"
        with pytest.raises(IdentifierError):
            canonicalise("wallet", address[:place] + other + address[place + 1 :])


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"\x80" + bytes(31) + b"\1", "private or extended key"),
        (b"\x80" + bytes(31) + b"\1\1", "private or extended key"),
        (b"\x04\x88\xad\xe4" + bytes(74), "private or extended key"),
        (b"\0" + bytes(24), "has not the length"),
    ],
)
def test_what_passes_the_checksum_and_is_no_address_is_refused(payload, why):
    """Nobody wants to hand out a private key by a slip."""
    with pytest.raises(IdentifierError, match=why):
        canonicalise("wallet", base58.b58encode_check(payload).decode())


def test_forms_without_a_checksum_that_can_be_verified():
    """They are accepted with a letter changed, as the documents say."""
    evm = "0x52908400098527886E0F7030069857D2E4169EE7"
    assert canonicalise("wallet", evm.replace("E0F", "e0F")) == evm.lower()
    changed = MONERO[:-1] + "Y"
    assert canonicalise("wallet", changed) == changed
    assert canonicalise("wallet", "1" * 32) == "1" * 32


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("z" * 95, "too large"),
        ("1" * 95, "no such network"),
        ("1" * 31, "checksum is wrong"),
        ("ab" * 32, "checksum is wrong"),
        ("0b" * 32, "known form"),
        ("0x" + "g" * 40, "known form"),
        ("r", "known form"),
    ],
)
def test_near_misses(address, why):
    with pytest.raises(IdentifierError, match=why):
        canonicalise("wallet", address)


def test_the_chain_in_front_does_not_matter():
    """One EVM address is one owner's on all chains, and people name chains freely."""
    address = "0x52908400098527886e0f7030069857d2e4169ee7"
    for front in ("eth:", "ETH: ", "bsc:", "ethereum:", "USDT ERC20: "):
        assert canonicalise("wallet", front + address) == address
