"""The hot path: JSON Schemas made from the marshmallow schemas, compiled once.

marshmallow is the one source; a test compares both on generated entries.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, ValidationError, fields

from schemas.base import SchemaError, check_time, parse_json_line
from schemas.entry import MEMBER_SCHEMAS, check_rules
from schemas.registry import REGISTRY_SCHEMAS

__all__ = ["check_line", "json_schema", "read_line"]

Entry = dict[str, Any]
_TIMES = ("at", "valid_until", "first_seen", "last_seen", "until", "when")


@cache
def json_schema(kind: str, *, registry: bool = False) -> dict[str, Any]:
    """Return the JSON Schema of a kind."""
    schemas = REGISTRY_SCHEMAS if registry else MEMBER_SCHEMAS
    spec = APISpec("entries", "1", "3.1.0", plugins=[MarshmallowPlugin()])
    spec.components.schema("Entry", schema=schemas[kind])
    found: dict[str, Any] = spec.to_dict()["components"]
    return {"$ref": "#/components/schemas/Entry", "components": found}


@cache
def _validator(kind: str, registry: bool) -> Any:
    schemas = REGISTRY_SCHEMAS if registry else MEMBER_SCHEMAS
    if kind not in schemas:
        return None
    return jsonschema_rs.validator_for(json_schema(kind, registry=registry))


def _problem(entry: Entry, validator: Any) -> SchemaError | None:
    if not validator.is_valid(entry):
        error = next(iter(validator.iter_errors(entry)))
        field = ".".join(str(part) for part in error.instance_path)
        return SchemaError(str(error.message)[:300], field)
    for name in _TIMES:
        if name in entry:
            try:
                check_time(entry[name])
            except ValidationError:
                return SchemaError("no such time", name)
    found = check_rules(entry)
    return SchemaError(found[1], found[0]) if found else None


def check_line(line: bytes, *, registry: bool = False) -> Entry:
    """Read a line that is about to be published: strictly, unknown keys refused.

    Raises:
        SchemaError: It is not valid; the error names the field.
    """
    entry = parse_json_line(line)
    kind = entry.get("kind")
    validator = _validator(kind, registry) if isinstance(kind, str) else None
    if validator is None:
        raise SchemaError("not a kind of entry that can be published", "kind")
    problem = _problem(entry, validator)
    if problem:
        raise problem
    return entry


def read_line(
    line: bytes, *, registry: bool = False
) -> tuple[Entry | None, str | None]:
    """Read a line of a mirror: unknown kinds and keys are ignored.

    Returns:
        (entry, None) when it counts; (None, None) for an unknown kind; (None, problem)
        when a known field is invalid: the line is void and a finding.
    """
    try:
        entry = parse_json_line(line)
    except SchemaError as error:
        return None, str(error)
    kind = entry.get("kind")
    validator = _validator(kind, registry) if isinstance(kind, str) else None
    if validator is None:
        return None, None
    problem = _problem(entry, validator)
    if problem:
        # A key of a later version is no fault; only what is known must be valid.
        entry = _known(_schema(kind, registry), entry)
        problem = _problem(entry, validator)
    return (None, str(problem)) if problem else (entry, None)


@cache
def _schema(kind: str, registry: bool) -> Schema:
    schemas = REGISTRY_SCHEMAS if registry else MEMBER_SCHEMAS
    return schemas[kind]()


def _known(schema: Schema, value: Any) -> Any:
    """Return a value without the keys that a schema does not know, at any depth."""
    if not isinstance(value, dict):
        return value
    return {
        key: _known_in(schema.fields[key], item)
        for key, item in value.items()
        if key in schema.fields
    }


def _known_in(field: fields.Field[Any], value: Any) -> Any:
    if isinstance(field, fields.Nested):
        return _known(field.schema, value)
    if isinstance(field, fields.List) and isinstance(value, list):
        return [_known_in(field.inner, item) for item in value]
    return value
