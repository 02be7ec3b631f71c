"""New folders: whole or not at all, and never over another one."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.errors import ConfigError
from hub.store.sqlite import SqliteStore
from schemas.base import SchemaError
from schemas.config import load_config_text

__all__ = ["check_unused", "new_folder", "remember_hub", "write_config"]

_NO_HUB = re.compile(r"^hubs = \[\]$", re.MULTILINE)


def check_unused(folder: Path) -> None:
    """Refuse a folder that is somebody's already.

    Raises:
        ConfigError: It has a configuration or private keys.
    """
    for name in ("config.toml", "private", "hub.db"):
        if (folder / name).exists():
            raise ConfigError(
                f"{folder / name} exists already: the folder is in use",
                code="folder-in-use",
                advice="Use another folder with --dir.",
            )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a place to write to that becomes ``folder`` when the block ends well.

    Raises:
        ConfigError: The folder is in use, or cannot be written.
    """
    check_unused(folder)
    target = folder.absolute()
    staged = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        staged.mkdir(parents=True)
        yield staged
        target.mkdir(exist_ok=True)
        # If we crash here, then config.toml, which makes it a folder of the hub, is
        # not there yet; a second attempt says that private/ is in the way.
        for path in sorted(staged.iterdir(), key=lambda p: p.name == "config.toml"):
            path.rename(target / path.name)
    except OSError as error:
        raise ConfigError(f"{target} cannot be made: {error}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def write_config(folder: Path, sections: dict[str, dict[str, Any]]) -> None:
    """Write config.toml, and the empty database, into a folder that is being made.

    Raises:
        ConfigError: A value is not one that the configuration takes.
    """
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{k} = {json.dumps(v)}" for k, v in values.items()]
        lines.append("")
    text = "\n".join(lines)
    try:
        # What is misspelt is found now, and not when the folder is used.
        load_config_text(text, {})
    except SchemaError as error:
        raise ConfigError(str(error), advice="Give another value.") from None
    (folder / "config.toml").write_text(text)
    SqliteStore(folder / "hub.db", create=True).close()


def remember_hub(folder: Path, url: str) -> None:
    """Fill in ``hubs`` of a configuration that names none yet."""
    path = folder / "config.toml"
    text = path.read_text()
    if _NO_HUB.search(text):
        fresh = path.with_suffix(".new")
        fresh.write_text(_NO_HUB.sub(f"hubs = {json.dumps([url])}", text, count=1))
        # If we crash here, then the URL is asked for once more.
        fresh.replace(path)
