"""The configuration: every key of ``config.toml`` with its type, range and default.

A key that is not here is refused with the nearest one that is, and a value that is
not understood is refused too: what an operator wrote is never silently dropped.

The environment overlays the file: ``HUB__SERVER__THREADS=8`` is ``[server] threads``.
There, numbers are decimal, booleans ``true`` or ``false``, and lists comma-separated.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from schemas.base import SchemaError

__all__ = ["DEFAULTS", "ConfigSchema", "load_config_text"]

Config = dict[str, dict[str, Any]]

_PREFIX = "HUB__"


def _wrong(kind: str) -> dict[str, Any]:
    return {"invalid": f"should be of type {kind}"}


def _text(default: str = "", *choices: str) -> fields.String:
    one_of = "should be one of {choices}"
    check = validate.OneOf((default, *choices), error=one_of) if choices else None
    return fields.String(
        load_default=default, validate=check, error_messages=_wrong("str")
    )


def _number(default: int, low: int, high: int) -> fields.Integer:
    return fields.Integer(
        strict=True,
        load_default=default,
        validate=validate.Range(low, high, error="should be {min} to {max}"),
        error_messages=_wrong("int"),
    )


class _Flag(fields.Boolean):
    """True or false, and not 1, "yes" or whatever else might have been meant."""

    def _deserialize(self, value: Any, *_args: Any, **_more: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("should be of type bool")
        return value


class _Section(Schema):
    class Meta:
        """Unknown keys are refused."""

        unknown = RAISE


class Alliance(_Section):
    """The alliance and the pin file."""

    name = _text()
    pin = _text("pin.json")


class Self(_Section):
    """Who this folder belongs to."""

    role = _text("", "member", "auditor", "node")
    name = _text()


class Client(_Section):
    """Whom to ask."""

    hubs = fields.List(
        _text(),
        load_default=list,
        error_messages=_wrong("list"),
    )
    region = _text()


class Server(_Section):
    """How a node is served."""

    listen = _text("127.0.0.1:8750")
    public_url = _text()
    threads = _number(40, 1, 1000)
    behind_proxy = _Flag(load_default=False)
    tls_cert = _text()
    tls_key = _text()


class Storage(_Section):
    """Where the database is."""

    path = _text("hub.db")


class Worker(_Section):
    """How often the worker works."""

    pull_minutes = _number(15, 1, 7 * 24 * 60)
    jitter_seconds = _number(60, 0, 3600)


class Alerts(_Section):
    """Where alerts go."""

    file = _text()
    command = _text()
    webhook = _text()


ConfigSchema: type[Schema] = _Section.from_dict(
    {
        name: fields.Nested(
            section, load_default=lambda section=section: section().load({})
        )
        for name, section in {
            "alliance": Alliance,
            "self": Self,
            "client": Client,
            "server": Server,
            "storage": Storage,
            "worker": Worker,
            "alerts": Alerts,
        }.items()
    },
    name="ConfigSchema",
)
DEFAULTS: Config = ConfigSchema().load({})


def load_config_text(text: str, environ: Mapping[str, str]) -> Config:
    """Read the configuration with the overlay of the environment.

    Raises:
        SchemaError: Not TOML, an unknown key, or a value of another type or range.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"not TOML: {error}") from None
    for section, values in given.items():
        if not isinstance(values, dict):
            raise SchemaError("settings stand in a section", section)
        _check_names(section, values)
    for section, key, value in _overlay(environ):
        given.setdefault(section, {})[key] = value
    try:
        config: Config = ConfigSchema().load(given)
    except ValidationError as error:
        raise _first(error.messages) from None
    return config


def _check_names(section: str, keys: Mapping[str, Any]) -> None:
    """Refuse a section or a key that does not exist, and name the nearest one."""
    if section not in DEFAULTS:
        raise _unknown(section, list(DEFAULTS))
    for key in keys:
        if key not in DEFAULTS[section]:
            known = [f"{s}.{k}" for s, found in DEFAULTS.items() for k in found]
            raise _unknown(f"{section}.{key}", known)


def _unknown(name: str, known: list[str]) -> SchemaError:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return SchemaError(f"there is no such setting{hint}", name)


def _overlay(environ: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    for name, text in sorted(environ.items()):
        if not name.startswith(_PREFIX):
            continue
        section, _, key = name.removeprefix(_PREFIX).lower().partition("__")
        _check_names(section, {key: text})
        yield section, key, _of_text(DEFAULTS[section][key], text)


def _of_text(default: Any, text: str) -> Any:
    """Read a variable as its setting's type; what is no such text stays text."""
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(default, int):
        # int() also takes blanks, underscores and digits of other scripts.
        return int(text) if re.fullmatch("-?[0-9]{1,15}", text) else text
    if isinstance(default, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _first(messages: Any) -> SchemaError:
    """Return the first problem of marshmallow's tree as one line."""
    path: list[str] = []
    found = messages
    while isinstance(found, dict):
        key, found = next(iter(found.items()))
        path.append(str(key))
    message = found[0] if isinstance(found, list) else found
    return SchemaError(str(message), ".".join(path))
