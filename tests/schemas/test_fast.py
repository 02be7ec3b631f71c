"""The hot path says what marshmallow says, and mirrors survive what is new."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.base import SchemaError, parse_json_line, render_line
from schemas.entry import MEMBER_SCHEMAS
from schemas.fast import check_line, read_line
from schemas.registry import REGISTRY_SCHEMAS

_spec = importlib.util.spec_from_file_location(
    "schemas_examples", Path(__file__).with_name("test_entry.py")
)
examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(examples)
KINDS, entry_of, LONG = examples.KINDS, examples.entry_of, examples.LONG

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 120),
    st.integers(-(2**53), 2**53),
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            "AA==",
            "A" * 22 + "==",
            "A" * 22 + "==\n",
            "A" * 43 + "=",
            LONG,
            "DE",
            "2026-02-30",
            "2026-02-28",
            "2026-02-30T00:00:00Z",
            "2026-02-28T00:00:00Z",
            "maison/3",
            "maison",
            "member/maison",
            "open-1",
            "open",
            "red",
            "amber",
            "abcdefghijklmnop",
            "mail a@b.example",
            "call 0199001234",
            "٣",
            "1\n",
        ]
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["sha256", "feed", "x", "open", "test-purchase", "é"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def both(entry, *, registry):
    """Return whether the hot path and marshmallow take an entry."""
    schemas = REGISTRY_SCHEMAS if registry else MEMBER_SCHEMAS
    line = render_line(entry)
    try:
        check_line(line, registry=registry)
        fast = True
    except SchemaError:
        fast = False
    try:
        schemas[entry["kind"]]().load(json.loads(line))
        slow = True
    except ValidationError:
        slow = False
    return fast, slow


def test_no_kind_is_left_out():
    """What is compared below is every schema of both feeds."""
    assert set(KINDS) == {(False, kind) for kind in MEMBER_SCHEMAS} | {
        (True, kind) for kind in REGISTRY_SCHEMAS
    }


@pytest.mark.parametrize(("registry", "kind"), KINDS)
@given(data=st.data())
def test_both_agree_when_a_field_is_replaced_or_dropped(registry, kind, data):
    """At the top or one level down, with anything JSON can say without floats."""
    entry = entry_of(kind, registry=registry)
    names = sorted(
        set((REGISTRY_SCHEMAS if registry else MEMBER_SCHEMAS)[kind]().fields)
        - {"kind"}
    )
    name = data.draw(st.sampled_from([*names, "extra"]))
    how = data.draw(st.sampled_from(["replace", "drop", "inside"]))
    inner = entry.get(name)
    if how == "drop":
        entry.pop(name, None)
    elif how == "inside" and isinstance(inner, list) and inner:
        first = inner[0]
        if isinstance(first, dict):
            key = data.draw(st.sampled_from([*first, "extra"]))
            entry[name] = [{**first, key: data.draw(VALUES)}]
        else:
            entry[name] = [*inner, data.draw(VALUES)]
    elif how == "inside" and isinstance(inner, dict):
        key = data.draw(st.sampled_from([*inner, "extra"]))
        entry[name] = {**inner, key: data.draw(VALUES)}
    else:
        entry[name] = data.draw(VALUES)
    fast, slow = both(entry, registry=registry)
    assert fast == slow, entry


@pytest.mark.parametrize(("registry", "kind"), KINDS)
def test_every_kind_passes_both_ways(registry, kind):
    entry = entry_of(kind, registry=registry)
    assert both(entry, registry=registry) == (True, True)
    assert read_line(render_line(entry), registry=registry) == (entry, None)


@pytest.mark.parametrize("kind", ["batch", "tombstone", "later", "", None, 1, [], {}])
@pytest.mark.parametrize("registry", [False, True])
def test_other_kinds_are_not_published(kind, registry):
    line = render_line({**entry_of("report"), "kind": kind})
    with pytest.raises(SchemaError) as caught:
        check_line(line, registry=registry)
    assert caught.value.field == "kind"
    assert read_line(line, registry=registry) == (None, None)


def test_kinds_stay_in_their_feed():
    """A member cannot write the registry's kinds, nor officers a report."""
    with pytest.raises(SchemaError):
        check_line(render_line(entry_of("grant", registry=True)))
    with pytest.raises(SchemaError):
        check_line(render_line(entry_of("report")), registry=True)


def test_errors_name_the_field():
    for changes, field in [
        ({"confidence": 101}, "confidence"),
        ({"at": "2026-02-30T00:00:00Z"}, "at"),
        ({"note": "a@b.example"}, "note"),
        ({"evidence": [{"sha256": "x"}]}, "evidence.0.sha256"),
    ]:
        with pytest.raises(SchemaError) as caught:
            check_line(render_line(entry_of("report", **changes)))
        assert caught.value.field == field
        assert str(caught.value) == f"{field}: {caught.value.message}"


def test_mirrors_drop_unknown_keys_at_any_depth():
    """A later version's keys make no entry void, wherever they stand."""
    good = entry_of("report")
    later = {**good, "new": {"deep": [1]}}
    later["evidence"] = [{**good["evidence"][0], "size": 5}]
    assert read_line(render_line(later)) == (good, None)
    dispute = entry_of("dispute")
    later = {**dispute, "report": {**dispute["report"], "root": "x"}}
    assert read_line(render_line(later)) == (dispute, None)


def test_mirrors_say_what_is_wrong_with_a_known_field():
    """Also when unknown keys stand beside it."""
    for more in ({}, {"new": 1}):
        line = render_line(entry_of("report", confidence=101, **more))
        entry, problem = read_line(line)
        assert entry is None
        assert problem.startswith("confidence: ")


@pytest.mark.parametrize("depth", [100, 253, 254, 255, 900, 1000, 1023, 1024, 5000])
@pytest.mark.parametrize("tail", [b"", b',"b":"\\u0000"', b',"b": 1'])
def test_deep_lines_are_refused_and_nothing_else_happens(depth, tail):
    """One published line must not stop every mirror."""
    line = b'{"kind":"report","a":' + b"[" * depth + b"]" * depth + tail + b"}"
    with pytest.raises(SchemaError):
        check_line(line)
    assert read_line(line)[0] is None


def test_an_escaped_backslash_is_no_nul():
    entry = {"a": "\\u0000"}
    assert parse_json_line(render_line(entry)) == entry
    for text in (b'{"a":"\\u0000"}', b'{"a":"\\\\\\u0000"}', b'{"\\u0000":1}'):
        with pytest.raises(SchemaError):
            parse_json_line(text)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_what_is_rendered_is_parsed_again(entry):
    """But for NUL characters, which are refused."""
    line = render_line(entry)
    try:
        assert parse_json_line(line) == entry
    except SchemaError:
        assert b"\\u0000" in line


@given(st.binary(max_size=60))
def test_readers_raise_nothing_else(data):
    assert read_line(data)[0] is None
    with pytest.raises(SchemaError):
        check_line(data)
