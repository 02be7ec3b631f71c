"""The expression for plain reports never says yes where the schema says no."""

from __future__ import annotations

import importlib.util
import json
import string
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import plain
from schemas.base import MAX_LINE, render_line
from schemas.entry import BASES, TLP
from schemas.fast import json_schema, read_line
from schemas.plain import PlainReport, plain_report

_spec = importlib.util.spec_from_file_location(
    "schemas_examples", Path(__file__).with_name("test_entry.py")
)
examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(examples)
TOKEN = examples.TOKEN

REQUIRED = {
    "kind": "report",
    "salt": "A" * 22 + "==",
    "at": "2026-11-24T08:00:00Z",
    "type": "domain",
    "token": TOKEN,
    "key": "open-1",
    "case": "abcdefghijklmnop",
    "basis": "test-purchase",
    "confidence": 50,
    "valid_until": "2027-11-24T08:00:00Z",
}
OPTIONAL = {
    "goods": [18, 25],
    "brands": ["Maison Exemple"],
    "marketplaces": ["market.example"],
    "countries": ["FR"],
    "first_seen": "2026-11-01",
    "last_seen": "2026-11-02T10:00:00Z",
    "tlp": "amber",
}
FULL = {**REQUIRED, **OPTIONAL}
SHORT = st.text(alphabet=string.printable + 'é"\\\u2028', max_size=12)
VALUES = {
    "goods": st.lists(st.integers(-1, 50), max_size=50),
    "brands": st.lists(SHORT, max_size=4),
    "marketplaces": st.lists(SHORT, max_size=4),
    "countries": st.lists(st.sampled_from(["FR", "DE", "fr", "F"]), max_size=3),
    "confidence": st.one_of(st.integers(-5, 105), st.floats(0, 100), st.booleans()),
    "tlp": st.sampled_from([*TLP, "red"]),
    "basis": st.sampled_from([*BASES, "hearsay"]),
    "type": st.sampled_from(["domain", "phone", "Domain", "", "a" * 33, 'a"']),
    "key": st.sampled_from(["open-1", "scarce-12", "open-0", "open", "other-1"]),
    "first_seen": st.sampled_from(["2028-02-29", "2027-02-29", "2026-11-24T08:00:00Z"]),
    "note": st.sampled_from(["", "seen at a fair", "a@b.example"]),
    "evidence": st.just([{"sha256": "0" * 64, "media_type": "text/html"}]),
}


def agrees(line):
    """Check that a match is what the schema reads; return whether it matched."""
    found = plain_report(line)
    if found is None:
        return False
    entry, problem = read_line(line)
    assert problem is None
    assert entry is not None
    goods = entry.get("goods")
    assert found == PlainReport(
        entry["type"],
        entry["token"],
        entry["key"],
        entry["case"],
        entry["basis"],
        str(entry["confidence"]),
        entry["valid_until"],
        None if goods is None else ",".join(map(str, goods)),
        entry.get("first_seen"),
        entry.get("last_seen"),
    )
    return True


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_a_match_is_a_valid_report(changes):
    """Whatever stands in its fields; what it yields is what the schema reads."""
    agrees(render_line({**FULL, **changes}))


@given(st.data())
def test_harmed_lines_match_only_if_they_are_still_valid(data):
    """Bytes dropped, doubled, replaced or moved from anywhere to anywhere."""
    line = render_line(FULL)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(line) - 1))
        upto = data.draw(st.integers(at, min(at + 30, len(line))))
        put = data.draw(
            st.one_of(
                st.binary(max_size=3),
                st.sampled_from([b'","', b'"', b"\\", b"\n", b" ", b",", b"5.0", b"0"]),
                st.integers(0, len(line)).map(lambda n, line=line: line[n : n + 20]),
            )
        )
        line = line[:at] + put + line[upto:]
    agrees(line)


@given(st.permutations(list(FULL)), st.integers(0, len(FULL)))
@example(list(FULL), len(FULL))
def test_another_order_is_not_plain_and_fields_stand_once(order, kept):
    line = render_line({name: FULL[name] for name in order[:kept]})
    agrees(line)
    twice = line[:-1] + b"," + line[1:]
    assert not agrees(twice)


@given(st.sets(st.sampled_from(list(OPTIONAL))))
def test_what_members_write_is_plain(left_out):
    """Reports without a note, in the order of the schema: else all would be slow."""
    entry = {name: value for name, value in FULL.items() if name not in left_out}
    assert agrees(render_line(entry))


@pytest.mark.parametrize("name", list(REQUIRED))
def test_no_required_field_may_be_missing(name):
    entry = {key: value for key, value in FULL.items() if key != name}
    assert plain_report(render_line(entry)) is None


def test_every_number_of_a_range_is_there_and_no_other():
    for number in range(-2, 120):
        for name in ("confidence", "goods"):
            value = [number] if name == "goods" else number
            line = render_line({**FULL, name: value})
            low, high = (0, 100) if name == "confidence" else (1, 45)
            assert agrees(line) == (low <= number <= high)
        blank = render_line(FULL).replace(b":50,", b":%s," % f"{number:03}".encode())
        assert agrees(blank) == (number == 100)


def test_lists_end_where_the_schema_ends_them():
    for name, value, most in [
        ("goods", 1, 45),
        ("brands", "x", 50),
        ("marketplaces", "x", 50),
        ("countries", "FR", 250),
    ]:
        assert agrees(render_line({**REQUIRED, name: [value] * most}))
        assert not agrees(render_line({**REQUIRED, name: [value] * (most + 1)}))
        assert agrees(render_line({**REQUIRED, name: []}))
    for size, plainly in [(1, True), (100, True), (101, False), (0, False)]:
        assert agrees(render_line({**REQUIRED, "brands": ["x" * size]})) == plainly


def test_the_longest_plain_line_fits():
    """The lists are bounded so tightly that no line is too long."""
    full = {
        **FULL,
        "brands": ["x" * 100] * 50,
        "marketplaces": ["x" * 100] * 50,
        "countries": ["FR"] * 250,
        "goods": [45] * 45,
    }
    line = render_line(full)
    assert len(line) <= MAX_LINE
    assert agrees(line)


def test_a_field_that_a_rule_looks_at_is_never_plain():
    """A note may hold an identifier, and the expression cannot tell."""
    assert plain_report(render_line({**REQUIRED, "note": ""})) is None


@pytest.mark.parametrize(
    "pattern", ["^(?:[!-~]*)$", "^(?:.)$", "^(?:[^a])$", '^(?:")$', "^(?:[A-z])$", ""]
)
def test_patterns_that_might_match_a_quote_are_not_used(pattern):
    assert plain._text({"type": "string", "pattern": pattern}) is None


def test_all_fields_with_a_known_form_are_used():
    """A field left out by accident would make the reports that have it slow."""
    fields = set(json_schema("report")["properties"])
    pattern = plain._fullmatch().__self__.pattern
    used = {name for name in fields if f'"{name}":' in pattern}
    assert fields - used == {"note", "evidence"}
    assert json.loads(render_line(FULL)).keys() == used
