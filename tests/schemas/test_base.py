"""Forms that every schema is made of: strict lines, days that exist, one base64."""

from __future__ import annotations

import base64
import doctest
import importlib
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.base import (
    MAX_LINE,
    Base64,
    Number,
    SchemaError,
    Text,
    Time,
    Word,
    parse_json_line,
)
from schemas.fast import json_schema
from schemas.freetext import find_identifier


def takes(field, value):
    try:
        field.deserialize(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", ["base", "entry", "registry"])
def test_the_examples_in_the_documents_run(name):
    """A module that specifies a format shows a line of it."""
    found = doctest.testmod(importlib.import_module(f"schemas.{name}"))
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"a":1,"a":2}', "a: the key occurs twice"),
        (b'{"a":1,"\\u0061":2}', "a: the key occurs twice"),
        (b'{"b":[{"a":1,"a":1}]}', "a: the key occurs twice"),
        (b'{"a":50.0}', "50.0 is not an integer"),
        (b'{"a":5e1}', "5e1 is not an integer"),
        (b'{"a": [{"b": -0.0}]}', "-0.0 is not an integer"),
        (b'{"a":1e999}', "1e999 is not an integer"),
        (b'{"a": NaN}', "NaN is not an integer"),
        (b'{"a":9007199254740993}', "beyond 2^53"),
        (b'{"a":-9007199254740993}', "beyond 2^53"),
        (b'{"a":123456789012345678901234567890}', "beyond 2^53"),
        (b"[]", "a JSON object"),
        (b"1", "a JSON object"),
        (b"null", "a JSON object"),
        (b'{"a":"\\u0000"}', "NUL"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "not JSON"),
        (b'{"a":1}\n', "raw control character"),
        (b'{"a":1}\r', "raw control character"),
        (b'{"a":\t1}', "raw control character"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a":1}{}', "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a":' + b"[" * 33 + b"]" * 33 + b"}", "nested deeper"),
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper"),
        (b'{ "a":' + b"[" * 33 + b"]" * 33 + b"}", "nested deeper"),
        (b'{"a":"' + b"x" * MAX_LINE + b'"}', "at most 16384 bytes"),
    ],
)
def test_traps_of_json_are_refused_and_named(line, says):
    """What two readers could read differently is no entry."""
    with pytest.raises(SchemaError) as caught:
        parse_json_line(line)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{ "a" : [1, 2] }', {"a": [1, 2]}),
        (b'{"a":9007199254740992}', {"a": 2**53}),
        (b'{"a":-9007199254740992}', {"a": -(2**53)}),
        (b'{"a":-0}', {"a": 0}),
        (b'{"a":"\\u00e9\\/\\ud83d\\ude00"}', {"a": "é/😀"}),
        (b'{"a":"\\\\u0000"}', {"a": "\\u0000"}),
        (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", ...),
        (b'{"a":"' + b"x" * (MAX_LINE - 8) + b'"}', ...),
    ],
)
def test_a_line_is_taken_as_it_is_compact_or_not(line, value):
    found = parse_json_line(line)
    assert value is ... or found == value


def test_every_day_that_exists_is_one_and_no_other():
    """The pattern of a time knows the months and the leap years."""
    field = Time(day=True)
    day = date(1970, 1, 1)
    while day.year < 2101:
        text = day.isoformat()
        assert takes(field, text), text
        following = day + timedelta(1)
        if following.month != day.month:
            for number in range(day.day + 1, 33):
                wrong = f"{text[:8]}{number:02}"
                assert not takes(field, wrong), wrong
        day = following
    for year in (*range(2100, 10_000, 100), 2396, 2398, 9996):
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        assert takes(field, f"{year}-02-29") == leap, year


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001 - Hypothesis wants naive ones.
def test_every_second_that_exists_is_one(moment):
    text = moment.replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert takes(Time(), text)
    assert takes(Time(day=True), text)
    assert not takes(Time(), text[:10])


@pytest.mark.parametrize(
    "text",
    [
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T08:60:00Z",
        "2026-11-24T08:00:60Z",
        "2026-11-24T08:00:00z",
        "2026-11-24T08:00:00.0Z",
        "2026-11-24T08:00:00+00:00",
        "2026-11-24 08:00:00Z",
        "2026-11-24T08:00:00Z\n",
        "２026-11-24T08:00:00Z",  # noqa: RUF001 - The trap itself.
        "2026-1-2T08:00:00Z",
        "2026-13-01T08:00:00Z",
        "2026-00-01T08:00:00Z",
    ],
)
def test_a_time_has_one_form(text):
    assert not takes(Time(), text)


@pytest.mark.parametrize("size", [16, 32, 64, 33])
def test_base64_has_one_form_for_each_value(size):
    """Of all last characters only those without stray bits pass."""
    text = base64.b64encode(bytes(range(size))).decode()
    field = Base64(size)
    assert takes(field, text)
    pad = len(text) - len(text.rstrip("="))
    last = len(text) - pad - 1
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_= \n"
    for letter in alphabet:
        changed = text[:last] + letter + text[last + 1 :]
        try:
            raw = base64.b64decode(changed, validate=True)
            canonical = base64.b64encode(raw).decode() == changed and len(raw) == size
        except ValueError:
            canonical = False
        assert takes(field, changed) == canonical, changed
    for wrong in (
        text[:-1],
        text + "=",
        text + "\n",
        " " + text,
        text[4:],
        "AAAA" + text,
    ):
        assert not takes(field, wrong)


@pytest.mark.parametrize("value", [True, 50.0, "50", None, [50], 101, -1, 2**60])
def test_a_number_is_an_integer_in_its_range(value):
    assert not takes(Number(0, 100), value)
    assert takes(Number(0, 100), 50)


def test_a_word_matches_as_a_whole():
    field = Word("a|bc", "a or bc")
    assert takes(field, "a")
    assert takes(field, "bc")
    for wrong in ("a\n", "ab", "xbc", "ac", ""):
        assert not takes(field, wrong)


@pytest.mark.parametrize(
    "text", ["a\x00", "a\x1b[31m", "a\x7f", "a\x85", "a\u2028", "a\u202eb", "a\u2066b"]
)
def test_text_neither_commands_a_terminal_nor_reorders_a_page(text):
    assert not takes(Text(0, 10), text)
    assert not takes(Text(0, 10, lines=True), text)


def test_only_a_note_has_lines():
    assert takes(Text(0, 10, lines=True), "a\n\tb")
    assert not takes(Text(0, 10), "a\nb")
    assert takes(Text(0, 3), "é漢😀")
    assert not takes(Text(0, 3), "four")


@pytest.mark.parametrize(
    ("note", "kind"),
    [
        ("sold by cheap-bags.shop since May", "host"),
        ("see münchen-taschen.example", "host"),
        ("see cheap-bags.co.uk.", "host"),
        ("SEE CHEAP-BAGS.SHOP", "host"),
        ("www.täschen.example", "host"),
        ("voir täschen.example", "host"),
        ("app://open", "link"),
        ("see xn--mnchen-3ya.xn--p1ai", "host"),
        ("pays MT84 MALT 0110 0001 2345 MTLC AST0 01S", "IBAN"),
        ("pays NO93 8601 1117 947", "IBAN"),
        ("pays sc18sscb11010000000000001497usd", "IBAN"),
        ("call 06.12.19.85.33", "telephone"),
        ("from 2026-11-24 on 0199001234", "telephone"),
    ],
)
def test_notes_with_identifiers_say_which(note, kind):
    assert kind in find_identifier(note)


@pytest.mark.parametrize(
    "note",
    [
        "Seized 24.11.2026 and 3.2.2026, offered 2026/11/24.",
        "From 2026-01-01 to 2026-03-31, again 01/04/2026.",
        "See invoice.pdf and photo-2.jpeg.",
        "Sold.Then removed. No.5 and No. 7, e.g. i.e. etc.",
        "1 250.00 EUR, 3.500.000 pieces, 12.5 %",
        "Claims EU27 must have more labels",
        "Ends with dots... and more",
    ],
)
def test_ordinary_notes_pass(note):
    assert find_identifier(note) is None


def test_json_schema_is_self_contained():
    """References point into the schema itself, and none of it needs OpenAPI."""
    text = str(json_schema("report")) + str(json_schema("token-key", registry=True))
    assert "components" not in text
    assert "#/$defs/" in text
