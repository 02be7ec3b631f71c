"""The configuration: every key of ``config.toml`` with its default.

A key that is not here is refused with the nearest one that is.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from typing import Any

from schemas.base import SchemaError

__all__ = ["DEFAULTS", "load_config_text"]

Config = dict[str, dict[str, Any]]

DEFAULTS: Config = {
    "alliance": {"name": "", "pin": "pin.json"},
    "self": {"role": "", "name": ""},
    "client": {"hubs": [], "region": ""},
    "server": {
        "listen": "127.0.0.1:8750",
        "public_url": "",
        "threads": 40,
        "behind_proxy": False,
        "tls_cert": "",
        "tls_key": "",
    },
    "storage": {"path": "hub.db"},
    "worker": {"pull_minutes": 15, "jitter_seconds": 60},
    "alerts": {"file": "", "command": "", "webhook": ""},
}
_PREFIX = "HUB__"


def load_config_text(text: str, environ: Mapping[str, str]) -> Config:
    """Read the configuration with the overlay of the environment.

    Raises:
        SchemaError: Not TOML, an unknown key, or a value of another type.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"not TOML: {error}") from None
    config = {section: dict(values) for section, values in DEFAULTS.items()}
    for section, values in given.items():
        if not isinstance(values, dict):
            raise SchemaError("settings stand in a section", section)
        for key, value in values.items():
            _set(config, section, key, value)
    for name, value in environ.items():
        if name.startswith(_PREFIX) and name.count("__") == 2:
            _, section, key = name.lower().split("__")
            _set(config, section, key, _of_text(section, key, value))
    return config


def _set(config: Config, section: str, key: str, value: Any) -> None:
    name = f"{section}.{key}"
    if key not in DEFAULTS.get(section, {}):
        known = [f"{s}.{k}" for s, keys in DEFAULTS.items() for k in keys]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SchemaError(f"there is no such setting{hint}", name)
    expected = type(DEFAULTS[section][key])
    if type(value) is not expected:
        raise SchemaError(f"should be of type {expected.__name__}", name)
    config[section][key] = value


def _of_text(section: str, key: str, text: str) -> Any:
    default = DEFAULTS.get(section, {}).get(key, "")
    if isinstance(default, bool):
        return text.lower() in ("1", "true", "yes")
    if isinstance(default, int):
        return int(text) if text.isdecimal() else text
    if isinstance(default, list):
        return text.split(",")
    return text
