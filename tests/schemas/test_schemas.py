"""Entries and configuration: both validators agree, traps are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.base import SchemaError, parse_json_line, render_line
from schemas.config import DEFAULTS, load_config_text
from schemas.entry import MEMBER_SCHEMAS
from schemas.fast import check_line, json_schema, read_line
from schemas.registry import REGISTRY_SCHEMAS

ROOT = Path(__file__).parents[2]
SALT = "AAAAAAAAAAAAAAAAAAAAAA=="
REPORT = {
    "kind": "report",
    "salt": SALT,
    "at": "2026-11-24T08:00:00Z",
    "type": "domain",
    "token": "A" * 43 + "=",
    "key": "open-1",
    "case": "abcdefghijklmnop",
    "basis": "test-purchase",
    "confidence": 50,
    "valid_until": "2027-11-24T08:00:00Z",
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 120),
    st.text(max_size=30),
    st.sampled_from(["", "AA==", SALT, SALT + "\n", "2026-02-30T00:00:00Z", "DE"]),
    st.lists(st.one_of(st.integers(0, 50), st.text(max_size=5)), max_size=3),
)


@given(
    st.sampled_from([*REPORT, "goods", "countries", "note", "evidence", "x"]), VALUES
)
def test_marshmallow_and_the_hot_path_agree(key, value):
    """One field of a good report is replaced by anything; both say the same."""
    entry = {**REPORT, key: value}
    if key == "kind":
        return
    line = render_line(entry)
    try:
        check_line(line)
        fast = True
    except SchemaError:
        fast = False
    try:
        MEMBER_SCHEMAS["report"]().load(json.loads(line))
        slow = True
    except ValidationError:
        slow = False
    assert fast == slow, entry


@given(st.binary(max_size=100))
def test_random_bytes_only_raise_schema_errors(data):
    try:
        parse_json_line(data)
    except SchemaError:
        return


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"a":2}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":NaN}',
        b'{"a":9007199254740993}',
        b"[]",
        b'{"a":"\\u0000"}',
        b'{"a":"\xff"}',
        b"",
        b"{" * 2000,
    ],
)
def test_json_traps_are_refused(line):
    with pytest.raises(SchemaError):
        parse_json_line(line)


def test_pretty_printed_lines_are_accepted_as_they_are():
    assert parse_json_line(b'{ "a" : [1, 2] }') == {"a": [1, 2]}


def test_mirrors_ignore_what_they_do_not_know():
    """Unknown kinds and keys are ignored, invalid known fields are a problem."""
    assert read_line(render_line({**REPORT, "new": 1}))[0] == REPORT
    assert read_line(render_line({**REPORT, "kind": "later"})) == (None, None)
    assert read_line(render_line({**REPORT, "confidence": 101}))[1]


def test_every_kind_has_a_json_schema():
    for kind in MEMBER_SCHEMAS:
        assert json_schema(kind)["$defs"] is not None
    for kind in REGISTRY_SCHEMAS:
        assert json_schema(kind, registry=True)["$defs"] is not None


def test_the_shipped_configuration_is_the_defaults():
    assert load_config_text((ROOT / "config.toml").read_text(), {}) == DEFAULTS


def test_a_wrong_setting_is_named_with_its_neighbour():
    with pytest.raises(SchemaError, match=r"did you mean server\.listen"):
        load_config_text("[server]\nlisen = 'x'\n", {})
    with pytest.raises(SchemaError, match="type int"):
        load_config_text("[server]\nthreads = 'many'\n", {})
    overlaid = load_config_text("", {"HUB__SERVER__THREADS": "8"})
    assert overlaid["server"]["threads"] == 8
