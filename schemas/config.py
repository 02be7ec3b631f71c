"""The configuration: every key of ``config.toml`` with its type, range and default.

A key that is not here is refused with the nearest one that is, and a value that is
not understood is refused too: what an operator wrote is never silently dropped.

Empty text means "not set". The environment overlays the file:
``HUB__SERVER__THREADS=8`` is ``[server] threads``. There, numbers are decimal, booleans
``true`` or ``false``, and lists comma-separated.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from schemas.base import ALLIANCE, NAME, URL, FullMatch, SchemaError, StrictSchema

__all__ = ["DEFAULTS", "ConfigSchema", "load_config_text", "overlay"]

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


def _form(pattern: str, expected: str) -> fields.String:
    """Return a setting that is empty, or of a form."""
    check = FullMatch(f"(?:{pattern})?", error=f"should be {expected}")
    return fields.String(load_default="", validate=check, error_messages=_wrong("str"))


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


def _path(default: str) -> fields.String:
    check = validate.Length(min=1, error="should be the path of a file")
    return fields.String(
        load_default=default, validate=check, error_messages=_wrong("str")
    )


def _check_listen(value: str) -> None:
    host, _, port = value.rpartition(":")
    number = int(port) if re.fullmatch("[0-9]{1,5}", port) else 65536
    if not value.startswith("unix:/") and (not host or number > 65535):
        raise ValidationError("should be like 127.0.0.1:8750, with any port for 0")


class Alliance(StrictSchema):
    """The alliance and the pin file."""

    name = _form(ALLIANCE, "a name such as alliance.example")
    pin = _path("pin.json")


class Self(StrictSchema):
    """Who this folder belongs to."""

    role = _text("", "member", "auditor", "node", "officer")
    name = _form(NAME, "1 to 32 of a-z, 0-9 and -")


class Client(StrictSchema):
    """Whom to ask."""

    hubs = fields.List(
        _form(f"{URL}/?", "a URL such as https://node1.alliance.example"),
        load_default=list,
        error_messages=_wrong("list"),
    )
    region = _form("[A-Za-z]{2}", "a country of two letters such as FR")
    ca = _text()


class Publish(StrictSchema):
    """What is not published unasked."""

    allow_lists = fields.List(
        _path(""), load_default=list, error_messages=_wrong("list")
    )


class Server(StrictSchema):
    """How a node is served."""

    listen = fields.String(
        load_default="127.0.0.1:8750",
        validate=_check_listen,
        error_messages=_wrong("str"),
    )
    # Callers sign for it, so it has one form: no slash at the end.
    public_url = _form(URL, "a URL without a path, such as https://node1.example")
    threads = _number(40, 1, 1000)
    behind_proxy = _Flag(load_default=False)
    # Of one caller; 0 is no limit.
    rate_per_minute = _number(6000, 0, 1_000_000)
    publish_per_minute = _number(1200, 0, 1_000_000)
    public_log = _Flag(load_default=True)
    keep_reads_days = _number(90, 1, 3650)
    tls_cert = _text()
    tls_key = _text()

    @validates_schema
    def _check_tls(self, data: dict[str, Any], **_more: Any) -> None:
        for one, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
            if data[one] and not data[other]:
                raise ValidationError(f"goes with {one}: set both", other)


class Storage(StrictSchema):
    """Where the database is."""

    path = _path("hub.db")
    floor_mb = _number(64, 0, 1_000_000)


class Worker(StrictSchema):
    """How often the worker works."""

    pull_minutes = _number(15, 1, 7 * 24 * 60)
    jitter_seconds = _number(60, 0, 3600)
    scrub_hours = _number(168, 0, 24 * 366)
    # Warnings; 0 gives none.
    expiring_days = _number(14, 0, 365)
    stale_hours = _number(24, 0, 365 * 24)


class Federation(StrictSchema):
    """How often a node syncs with each of its peers."""

    sync_seconds = _number(60, 1, 24 * 3600)
    jitter_seconds = _number(10, 0, 3600)


class Alerts(StrictSchema):
    """Where alerts go."""

    file = _text()
    command = _text()
    webhook = _form("https?://[!-~]+", "a URL such as https://alerts.example/hub")
    webhook_secret = _text()


ConfigSchema: type[Schema] = StrictSchema.from_dict(
    {
        name: fields.Nested(
            section, load_default=lambda section=section: section().load({})
        )
        for name, section in {
            "alliance": Alliance,
            "self": Self,
            "client": Client,
            "publish": Publish,
            "server": Server,
            "storage": Storage,
            "worker": Worker,
            "federation": Federation,
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
    try:
        config: Config = ConfigSchema().load(overlay(given, environ))
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


def overlay(given: Mapping[str, Any], environ: Mapping[str, str]) -> Config:
    """Return sections with what ``HUB__SECTION__KEY`` of the environment says instead.

    Raises:
        SchemaError: A variable names no setting.
    """
    result = {section: dict(values) for section, values in given.items()}
    for name, text in sorted(environ.items()):
        if not name.startswith(_PREFIX):
            continue
        section, _, key = name.removeprefix(_PREFIX).lower().partition("__")
        _check_names(section, {key: text})
        value = _of_text(DEFAULTS[section][key], text)
        result.setdefault(section, {})[key] = value
    return result


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
