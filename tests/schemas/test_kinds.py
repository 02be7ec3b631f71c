"""Rules that hold for the schemas of all kinds, and what their errors say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields

from schemas import fast
from schemas.base import MAX_INTEGER, EntrySchema, SchemaError, Text, render_line
from schemas.entry import KINDS, MEMBER_SCHEMAS, Evidence, Reference
from schemas.fast import check_line, json_schema, read_line
from schemas.registry import REGISTRY_SCHEMAS, Share

_spec = importlib.util.spec_from_file_location(
    "schemas_examples", Path(__file__).with_name("test_entry.py")
)
examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(examples)
entry_of = examples.entry_of

SCHEMAS = {
    **{(kind, False): schema for kind, schema in MEMBER_SCHEMAS.items()},
    **{(kind, True): schema for kind, schema in REGISTRY_SCHEMAS.items()},
}
ALL = list(SCHEMAS)


def parts(node):
    """Yield every subschema of a JSON Schema."""
    if isinstance(node, dict):
        if "type" in node and isinstance(node["type"], str):
            yield node
        for value in node.values():
            yield from parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from parts(value)


@pytest.mark.parametrize(("kind", "registry"), ALL)
def test_every_schema_is_closed_and_bounded(kind, registry):
    """So a float or a control character has nowhere to hide, nor a whole database."""
    for part in parts(json_schema(kind, registry=registry)):
        if part["type"] == "object":
            assert part["additionalProperties"] is False, part
        elif part["type"] == "integer":
            assert -MAX_INTEGER <= part["minimum"] <= part["maximum"] <= MAX_INTEGER
        elif part["type"] == "array":
            assert part["maxItems"] <= 1000, part
        else:
            assert part["type"] == "string", part
            assert "enum" in part or part["pattern"].startswith("^(?:"), part


@pytest.mark.parametrize(
    "schema", [*SCHEMAS.values(), Evidence, Reference, Share], ids=lambda s: s.__name__
)
def test_every_field_is_described(schema):
    """The docstrings are the specification of the format."""
    required, _, optional = schema.__doc__.partition("Optional:")
    for name, field in schema().fields.items():
        if name in ("kind", "salt", "at"):
            continue
        named = f"{name}:" if issubclass(schema, EntrySchema) else f"``{name}``"
        assert named in schema.__doc__, name
        if field.required:
            assert named in required, name
        elif name not in ("case", "entry", "token", "type", "key", "index"):
            # Those are required in one form of their kind, and said to be.
            assert named in optional or "Optional" not in schema.__doc__, name


def test_the_kinds_are_those_of_the_design():
    assert KINDS == ("report", "withdrawal", "dispute", "action", "erasure")
    assert not {"batch", "tombstone"} & {*MEMBER_SCHEMAS, *REGISTRY_SCHEMAS}


def plain(schema):
    """Return a strategy of mostly valid values for a marshmallow schema."""
    known = {}
    for name, field in schema.fields.items():
        value = of_field(field)
        known[name] = value if field.required else st.one_of(value, st.just(...))
    return st.fixed_dictionaries(known).map(
        lambda found: {k: v for k, v in found.items() if v is not ...}
    )


def of_field(field):
    if isinstance(field, fields.Nested):
        return plain(field.schema)
    if isinstance(field, fields.List):
        return st.lists(of_field(field.inner), max_size=3)
    if isinstance(field, fields.Integer):
        check = field.validate
        return st.integers(check.min, check.max)
    if isinstance(field, Text):
        return st.one_of(st.text(max_size=12), st.sampled_from(["a.example", "x@y.zz"]))
    check = field.validate
    if hasattr(check, "choices"):
        return st.sampled_from(check.choices)
    return st.from_regex(check.regex, fullmatch=True)


STRATEGIES = {which: plain(schema()) for which, schema in SCHEMAS.items()}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, 50.0, 2**53, -1, "", "\n", [], {}, [None], "2026-02-29"]),
    st.text(max_size=4),
)


def paths(value, here=()):
    """Yield the way to every place in a JSON value."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*here, key)
        if isinstance(item, dict | list):
            yield from paths(item, (*here, key))


def mutate(entry, data):
    """Change one place: replace, drop, add a key, or append a character."""
    *way, last = data.draw(st.sampled_from(list(paths(entry))))
    place = entry
    for step in way:
        place = place[step]
    how = data.draw(st.sampled_from(["odd", "drop", "add", "grow", "float"]))
    if how == "odd":
        place[last] = data.draw(ODD)
    elif how == "drop":
        del place[last]
    elif how == "add" and isinstance(place, dict):
        place[data.draw(st.text(max_size=5))] = data.draw(ODD)
    elif how == "grow" and isinstance(place[last], str):
        place[last] += data.draw(st.sampled_from(["\n", " ", "a", "=", "\u0000", "é"]))
    elif how == "float" and isinstance(place[last], int):
        place[last] = float(place[last])


def answers(entry, *, registry):
    """Return what the hot path and marshmallow alone say of an entry."""
    line = json.dumps(entry).encode()
    try:
        fast_says = check_line(line, registry=registry) == entry
    except SchemaError:
        fast_says = False
    try:
        schema = SCHEMAS[entry["kind"], registry]()
        slow_says = schema.load(json.loads(line)) == entry
    except ValidationError:
        slow_says = False
    return fast_says, slow_says


@given(st.sampled_from(ALL), st.data())
def test_both_validators_agree_on_generated_entries(which, data):
    """Generated from the schemas themselves, whole or with one place changed."""
    kind, registry = which
    entry = data.draw(STRATEGIES[which])
    if data.draw(st.booleans()):
        mutate(entry, data)
        if entry.get("kind") != kind:
            return
    fast_says, slow_says = answers(entry, registry=registry)
    assert fast_says == slow_says, entry


@given(st.sampled_from(ALL), st.data())
def test_a_compact_line_and_a_spacious_one_are_judged_alike(which, data):
    """How a line is written does not decide whether it is valid."""
    entry, registry = data.draw(STRATEGIES[which]), which[1]
    mutate(entry, data)
    results = []
    for line in (render_line(entry), json.dumps(entry).encode()):
        found = read_line(line, registry=registry)
        try:
            results.append((found, check_line(line, registry=registry)))
        except SchemaError as error:
            results.append((found, str(error)))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (entry_of("report", confidense=5), "confidense: there is no such field; did"),
        (entry_of("report", zzzzzz=5), "zzzzzz: there is no such field; leave it out"),
        (entry_of("report", token=...), "token: is missing; add it"),
        (entry_of("report", goods=None), "goods: is null; leave the field out"),
        (entry_of("report", goods=18), "goods: a list is expected"),
        (entry_of("report", goods=[18, 46]), "goods.1: an integer from 1 to 45"),
        (entry_of("report", goods=[18.0]), "18.0 is not an integer"),
        (entry_of("report", confidence=50.0), "50.0 is not an integer"),
        (entry_of("report", token="AA=="), "token: padded base64 of 32 bytes"),
        (entry_of("report", note="a@b.example"), "note: looks like it holds a mail"),
        (entry_of("report", brands=["\u001b[31m"]), "brands.0: text without control"),
        (entry_of("report", basis="hearsay"), "basis: one of court-judgment, customs"),
        (entry_of("report", case="x" * 16, tlp=5), "tlp: text is expected"),
        (entry_of("report", at="2026-02-29T00:00:00Z"), "at: a UTC time such as 2026-"),
        (
            entry_of("report", evidence=[{"sha256": "0" * 64, "mediatype": "a/b"}]),
            "evidence.0.media_type: is missing",
        ),
        (
            entry_of(
                "report",
                evidence=[{"sha256": "0" * 64, "media_type": "a/b", "mediatype": 1}],
            ),
            "evidence.0.mediatype: there is no such field; did you mean media_type?",
        ),
        (entry_of("dispute", report="maison/3"), "report: an object is expected"),
        (entry_of("withdrawal", entry="maison/1"), "case: give exactly one of case"),
        (entry_of("action", type=...), "type: goes with a token"),
        ({"kind": "rumour"}, "kind: one of report, withdrawal, dispute"),
        ({}, "kind: one of report, withdrawal, dispute"),
    ],
)
def test_errors_name_the_field_and_say_what_to_do(entry, says):
    with pytest.raises(SchemaError) as caught:
        check_line(render_line(entry))
    assert str(caught.value).startswith(says)


def test_a_members_key_is_closed_at_an_index():
    """Without one, all that the member ever signed would be void."""
    entry = entry_of("key-closed", registry=True, owner="member/maison", index=...)
    with pytest.raises(SchemaError, match="index: say from which index"):
        check_line(render_line(entry), registry=True)


@pytest.mark.parametrize(
    "name", ["registry", "member", "batch", "Maison", "a" * 33, ""]
)
def test_members_bear_no_reserved_words(name):
    with pytest.raises(SchemaError, match="name: a name of"):
        check_line(render_line(entry_of("member", registry=True, name=name)), True)


@pytest.mark.parametrize(
    "url", ["https://node1.alliance.example", "http://127.0.0.1:8750", "http://[::1]:1"]
)
def test_urls_of_nodes(url):
    line = render_line(entry_of("node", registry=True, url=url))
    assert check_line(line, registry=True)["url"] == url
    for wrong in (
        url + "/",
        url + "/x",
        url + " ",
        "ftp" + url,
        url + "?a",
        url + "\n",
    ):
        with pytest.raises(SchemaError, match="url: a URL such as"):
            check_line(render_line(entry_of("node", registry=True, url=wrong)), True)


def test_a_newer_policy_does_not_stop_an_older_node():
    """A basis of a later version is ignored by a mirror, not a finding."""
    later = entry_of(
        "policy", registry=True, valid_days={"test-purchase": 365, "oracle": 1}
    )
    found, problem = read_line(render_line(later), registry=True)
    assert problem is None
    assert found["valid_days"] == {"test-purchase": 365}


def test_a_disagreement_of_the_validators_is_a_fault_of_ours(monkeypatch):
    class Quiet(Schema):
        pass

    line = render_line(entry_of("report", confidence=101))
    monkeypatch.setattr(fast, "first_problem", lambda *_args: None)
    with pytest.raises(AssertionError, match="both validators say the same"):
        check_line(line)
