"""The configuration of a folder: ``config.toml`` with an overlay from the environment.

``HUB__SERVER__LISTEN`` overrides ``[server] listen``, and so on for every key.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hub.errors import ConfigError
from schemas.base import SchemaError
from schemas.config import load_config_text

__all__ = ["load_config"]

Config = dict[str, dict[str, Any]]


def load_config(folder: Path) -> Config:
    """Read the configuration of a folder.

    Raises:
        ConfigError: No such file, or a key or value that is not known.
    """
    path = folder / "config.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no config.toml in {folder}",
            advice="Name the folder with --dir, or make one: hub init, hub join.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    try:
        config: Config = load_config_text(text, os.environ)
    except SchemaError as error:
        raise ConfigError(f"{path}: {error}") from None
    return config
