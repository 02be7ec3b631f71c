"""The hot path: JSON Schemas made from the marshmallow schemas, compiled once.

marshmallow is the one source. apispec turns its schemas into JSON Schema 2020-12, which
jsonschema-rs checks in a microsecond; what JSON Schema cannot say is checked here by
the same functions that marshmallow calls. A valid line never meets marshmallow. An
invalid one does, because its messages say what to do; a test holds both to the same
answer on generated and on mutated entries.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import jsonschema_rs
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, ValidationError

from schemas.base import (
    Entry,
    EntrySchema,
    Problem,
    SchemaError,
    load_json,
    parse_json_line,
    refuse_numbers,
)
from schemas.entry import MEMBER_SCHEMAS
from schemas.registry import REGISTRY_SCHEMAS

__all__ = ["check_line", "first_problem", "json_schema", "read_line"]

_INTEGERS = frozenset({int})
_COMPONENT = "#/components/schemas/"


def _schemas(registry: bool) -> dict[str, type[EntrySchema]]:
    return REGISTRY_SCHEMAS if registry else MEMBER_SCHEMAS


@cache
def json_schema(kind: str, *, registry: bool = False) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind; do not change it.

    Raises:
        KeyError: There is no such kind.
    """
    schema = _schemas(registry)[kind]
    spec = APISpec("entries", "1", "3.1.0", plugins=[MarshmallowPlugin()])
    spec.components.schema("Entry", schema=schema)
    found = _renamed(spec.to_dict()["components"]["schemas"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        **found.pop("Entry"),
        "$defs": found,
    }


def _renamed(node: Any) -> Any:
    """Return a schema whose references point into ``$defs``."""
    if isinstance(node, dict):
        return {
            key: value.replace(_COMPONENT, "#/$defs/")
            if key == "$ref"
            else _renamed(value)
            for key, value in node.items()
        }
    return [_renamed(item) for item in node] if isinstance(node, list) else node


@dataclass(frozen=True, slots=True)
class _Kind:
    """A compiled kind: its validator, and the fields that need another look."""

    schema: EntrySchema
    is_valid: Callable[[Entry], bool]
    integers: tuple[str, ...]
    lists: tuple[str, ...]
    objects: tuple[str, ...]
    rule: Callable[[Entry], Problem]


@cache
def _compiled(kind: str, registry: bool) -> _Kind | None:
    source = _schemas(registry).get(kind)
    if source is None:
        return None
    rules = json_schema(kind, registry=registry)
    numeric = {n: p for n, p in rules["properties"].items() if _has_numbers(p, rules)}
    return _Kind(
        source(),
        jsonschema_rs.validator_for(rules).is_valid,
        tuple(n for n, p in numeric.items() if p.get("type") == "integer"),
        tuple(n for n, p in numeric.items() if "items" in p and _is_flat(p)),
        tuple(n for n, p in numeric.items() if not _is_flat(p)),
        source.rule,
    )


def _is_flat(node: dict[str, Any]) -> bool:
    return bool(node.get("items", node).get("type") == "integer")


def _has_numbers(node: Any, rules: dict[str, Any]) -> bool:
    if not isinstance(node, dict):
        return False
    node = _resolved(node, rules)
    inner = [node.get("items"), *node.get("properties", {}).values()]
    return node.get("type") == "integer" or any(_has_numbers(i, rules) for i in inner)


def _resolved(node: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    name = node.get("$ref")
    return rules["$defs"][name.removeprefix("#/$defs/")] if name else node


def _fits(known: _Kind, entry: Entry) -> bool:
    """Tell whether an entry is valid; the reason is :func:`first_problem`'s to find."""
    if not known.is_valid(entry):
        return False
    # JSON Schema takes 50.0 for an integer. The schema is closed and bounds its
    # integers, so a float can stand only where an integer is due.
    for name in known.integers:
        if name in entry and type(entry[name]) is not int:
            return False
    for name in known.lists:
        if name in entry and not _INTEGERS.issuperset(map(type, entry[name])):
            return False
    return known.rule(entry) is None and (
        not known.objects or _without_floats(entry, known.objects)
    )


def _without_floats(entry: Entry, names: tuple[str, ...]) -> bool:
    try:
        refuse_numbers(entry[name] for name in names if name in entry)
    except SchemaError:
        return False
    return True


def check_line(line: bytes, registry: bool = False) -> Entry:
    """Read a line that is about to be published: strictly, unknown keys refused.

    Raises:
        SchemaError: It is not valid; the error names the field and what is expected.
    """
    entry = load_json(line)
    kind = entry.get("kind")
    known = _compiled(kind, registry) if type(kind) is str else None
    if known is None:
        parse_json_line(line)
        kinds = ", ".join(_schemas(registry))
        raise SchemaError(f"one of {kinds} is expected", "kind")
    if not _fits(known, entry):
        raise _problem(known, parse_json_line(line))
    return entry


def read_line(line: bytes, registry: bool = False) -> tuple[Entry | None, str | None]:
    """Read a line of a mirror: unknown kinds and keys are ignored.

    Returns:
        (entry, None) when it counts; (None, None) for an unknown kind; (None, problem)
        when a known field is invalid: the line is void and a finding.
    """
    try:
        entry = load_json(line)
        kind = entry.get("kind")
        known = _compiled(kind, registry) if type(kind) is str else None
        if known is not None and _fits(known, entry):
            return entry, None
        # Also what is ignored must be JSON that every reader reads alike.
        entry = parse_json_line(line)
        if known is None:
            return None, None
        # A key of a later version is no fault; only what is known must be valid.
        rules = json_schema(str(kind), registry=registry)
        entry = _known_part(entry, rules, rules)
        if _fits(known, entry):
            return entry, None
        raise _problem(known, entry)
    except SchemaError as error:
        return None, str(error)


def _known_part(value: Any, node: dict[str, Any], rules: dict[str, Any]) -> Any:
    """Return a value without the keys that its schema does not know."""
    node = _resolved(node, rules)
    if type(value) is dict and "properties" in node:
        known = node["properties"]
        return {
            key: _known_part(item, known[key], rules)
            for key, item in value.items()
            if key in known
        }
    if type(value) is list and "items" in node:
        return [_known_part(item, node["items"], rules) for item in value]
    return value


def _problem(known: _Kind, entry: Entry) -> SchemaError:
    problem = first_problem(known.schema, entry)
    if problem is None:
        raise AssertionError("both validators say the same")
    return problem


_ADVICE = {
    "Missing data for required field.": "is missing; add it",
    "Field may not be null.": "is null; leave the field out instead",
    "Not a valid string.": "text is expected",
    "Not a valid list.": "a list is expected",
    "Invalid input type.": "an object is expected",
}


def first_problem(schema: Schema, value: Any) -> SchemaError | None:
    """Return what marshmallow says of a value first, or None."""
    try:
        schema.load(value)
    except ValidationError as error:
        path, message = next(_leaves(error.messages, ()))
        if message == "Unknown field.":
            message = "there is no such field" + _nearest(schema, path)
        field = ".".join(str(part) for part in path if part != "_schema")
        return SchemaError(_ADVICE.get(message, message), field[:200])
    return None


def _leaves(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, path)
    else:
        yield path, str(node)


def _nearest(schema: Schema, path: tuple[Any, ...]) -> str:
    """Return a hint at the field that an unknown one was meant to be."""
    names: list[str] = []
    node: Any = schema
    for part in path[:-1]:
        field = getattr(node, "fields", {}).get(part)
        node = getattr(getattr(field, "inner", field), "schema", node)
    names = list(getattr(node, "fields", {}))
    near = difflib.get_close_matches(str(path[-1])[:60], names, 1)
    return f"; did you mean {near[0]}?" if near else "; leave it out"
