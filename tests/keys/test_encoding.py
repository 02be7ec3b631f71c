"""Strict decimal, hexadecimal and base64."""

from __future__ import annotations

import base64
import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

import keys.encoding
import keys.note
from keys.encoding import (
    from_base64,
    from_checked_base64,
    from_hex,
    parse_decimal,
    to_base64,
    to_hex,
)
from keys.errors import EncodingError

INPUTS = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60),
    st.text("0123456789abcdefABCDEF+/=-_ \n", max_size=60),
)


@pytest.mark.parametrize(
    "text",
    ["1_0", " 7", "7 ", "+1", "-1", "01", "00", "", "٣", "7\n", "0x1", "1e3", "9" * 20],
)
def test_decimals_are_canonical(text):
    """What ``int`` would forgive is refused, as str and as bytes."""
    for value in (text, text.encode()):
        with pytest.raises(EncodingError):
            parse_decimal(value)


def test_decimals_end_at_the_maximum():
    """The default maximum is 2^63 - 1; a caller may set a lower one, inclusively."""
    assert parse_decimal(str(2**63 - 1)) == 2**63 - 1
    with pytest.raises(EncodingError):
        parse_decimal(str(2**63))
    assert parse_decimal(b"5", 5) == 5
    with pytest.raises(EncodingError):
        parse_decimal("6", 5)


@given(st.integers(0, 2**63 - 1))
def test_decimals_go_round(number):
    """Parsing what was rendered gives the number."""
    assert parse_decimal(str(number)) == parse_decimal(b"%d" % number) == number


@pytest.mark.parametrize(
    "text",
    [
        "AB==",  # Its trailing bits are not zero.
        "AAB=",  # The same, in the second form of padding.
        "AA",
        "AA=",
        "AA===",
        "AA==AA==",
        "A A=",
        " AA==",
        "AA==\n",
        "_-==",
        "AA==!",
        "ÄÖ==",
        "=",
    ],
)
def test_base64_is_canonical(text):
    """Padding, alphabet and trailing bits are exact, as str and as bytes."""
    for value in (text, text.encode()):
        with pytest.raises(EncodingError):
            from_base64(value)


@given(st.binary(max_size=200))
def test_base64_goes_round(data):
    """Of all spellings of the same bytes exactly one is accepted."""
    assert from_base64(to_base64(data), len(data)) == data
    assert from_base64(to_base64(data).encode()) == data
    with pytest.raises(EncodingError):
        from_base64(to_base64(data), len(data) + 1)


@pytest.mark.parametrize("text", ["AA", "aA", "a", "0xaa", "a a", "aa ", "aa\n", "ää"])
def test_hex_is_lower_case(text):
    """Upper case, blanks and odd lengths are refused."""
    for value in (text, text.encode()):
        with pytest.raises(EncodingError):
            from_hex(value)


@given(st.binary(max_size=200))
def test_hex_goes_round(data):
    """Parsing what was rendered gives the bytes, and the size is exact."""
    assert from_hex(to_hex(data), len(data)) == data
    assert from_hex(to_hex(data).encode()) == data
    with pytest.raises(EncodingError):
        from_hex(to_hex(data), len(data) + 1)


@given(INPUTS)
def test_what_is_accepted_is_what_would_be_written(value):
    """Each parser either raises EncodingError or its result renders as the input."""
    renders = (
        (parse_decimal, str),
        (from_base64, lambda d: base64.b64encode(d).decode()),
        (from_hex, bytes.hex),
    )
    text = value if isinstance(value, str) else value.decode("latin-1")
    for parse, render in renders:
        try:
            assert render(parse(value)) == text
        except EncodingError:
            continue


@pytest.mark.parametrize("module", [keys.encoding, keys.note])
def test_the_examples_in_the_docstrings_are_true(module):
    """A format's docstring shows it, and the example runs."""
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@given(st.binary(max_size=80))
def test_checked_base64_is_decoded_like_any_other(data):
    text = to_base64(data)
    assert from_checked_base64(text) == from_base64(text) == data
