"""Card numbers are refused under every type; numbers that only look long are not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from schemas.identifiers import TYPES, IdentifierError, canonicalise
from schemas.identifiers.cards import is_card, refuse_card

# Numbers that payment services publish for tests; no card has them.
CARDS = [
    "4111111111111111",
    "4222222222222",
    "4000000000000000006",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "30569309025904",
    "38520000023237",
    "6011111111111117",
    "3530111333300000",
    "6200000000000005",
    "6304000000000000",
]
# Where a type has room for one: how it would be written there.
PLACES = {
    "url": "shop.example/pay/{}/x",
    "email": "{}@shop.example",
    "mailbox": "{}@shop.example",
    "phone": "{}",
    "bank-account": "US:012345672:{}",
    "company": "LU:number:{}",
    "tax": "LU:number:{}",
    "licence": "GB:number:{}",
    "seller": "market.example:{}",
    "listing": "market.example:{}",
    "handle": "social.example:{}",
    "imei": "{}",
    "parcel": "parcel.example:{}",
    "person": "1980:Jane {}",
    "company-name": "FR:75001:Example {}",
    "address": "GB:SW1A 1AA:12:Street {}",
}


def grouped(number, mark):
    return mark.join(number[i : i + 4] for i in range(0, len(number), 4))


@pytest.mark.parametrize("kind", sorted(PLACES))
@pytest.mark.parametrize("number", CARDS)
def test_a_card_number_is_refused_wherever_there_is_room_for_one(kind, number):
    forms = [number, number.translate({48 + i: 0xFF10 + i for i in range(10)})]
    if kind not in ("email", "mailbox", "url", "address", "person", "company-name"):
        forms += [grouped(number, " "), grouped(number, "-")]
    for form in forms:
        with pytest.raises(IdentifierError):
            canonicalise(kind, PLACES[kind].format(form), "GB")


@pytest.mark.parametrize("kind", sorted(TYPES))
@given(number=st.sampled_from(CARDS), mark=st.sampled_from(["", " ", "-", "."]))
def test_a_card_number_alone_is_nothing(kind, number, mark):
    """Whatever column somebody takes for it."""
    for region in ("", "GB", "US", "DE", "CN", "FR"):
        with pytest.raises(IdentifierError):
            canonicalise(kind, grouped(number, mark), region)


@pytest.mark.parametrize(
    "text",
    [
        "x 4111 1111 1111 1111 y",
        "4111-1111-1111-1111 12/27",
        "4111 1111 1111 1111 12 27",
        "2024-01-02 4111 1111 1111 1111",
        "2024-01-02 4111111111111111",
        "shop4111111111111111x",
        "3782 822463 10005",
        "3056 930902 5904",
        "4111_1111_1111_1111",
        "٤" + "١" * 15,  # noqa: RUF001 - Arabic digits are meant.
        "４" + "１" * 15,  # noqa: RUF001 - Full-width digits are meant.
    ],
)
def test_it_is_found_in_the_middle_of_a_text(text):
    with pytest.raises(IdentifierError, match="card number"):
        refuse_card(text)


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # A wrong check digit.
        "411111111111116",  # No Visa has 15 digits.
        "1005006000000000",  # Listings of large platforms start like airline cards.
        "100000000000003",
        "1234567890123456788",
        "8944000000000000001",  # The number of a SIM.
        "2024-01-02 03:04:05",
        "35000000000000",  # The number of a telephone.
        "350000000000006",
        "646180000000000002",  # A Mexican account of a bank whose code is like a card's.
        "00340000000000000009",  # The number of a pallet, 20 digits.
        "41111111111111111111",
        "192.168.100.200 192",
        "",
    ],
)
def test_what_only_looks_long_passes(text):
    assert refuse_card(text) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("company", "FR:36000000400018"),
        ("eori", "FR36000000400018"),
        ("iban", "NO4586011100769"),
        ("imei", "350000000000006"),
        ("phone", "+49 3056 930902 590"),
        ("wallet", "0x4111111111111111abcdefabcdefabcdefabcdef"),
        ("uscc", "91110000ABCDEFGH1T"),
        ("domain", "4111111111111111.example"),
        ("url", "4111111111111111.example/x"),
    ],
)
def test_what_proves_itself_to_be_something_else_passes(kind, text):
    """A check digit of its own, or a form in which nobody writes a card's number."""
    assert canonicalise(kind, text)


def test_few_numbers_are_refused_by_chance():
    """Of long numbers without meaning about one in thirty, and none of those with 1."""
    rng = random.Random(1)  # noqa: S311 - A sample, no secret.
    sizes = [rng.randrange(13, 20) for _ in range(20_000)]
    numbers = [str(rng.randrange(10 ** (n - 1), 10**n)) for n in sizes]
    found = [n for n in numbers if is_card(n)]
    assert all(luhn.is_valid(n) for n in found)
    assert len(found) < len(numbers) / 30
    assert not any(n.startswith("1") for n in found)
