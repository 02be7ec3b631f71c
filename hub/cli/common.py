"""What the commands share: the hub of the folder, and printing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from hub.errors import ConfigError
from hub.wiring import Hub, build_hub

__all__ = ["emit", "folder_of", "hub_of", "table", "write_config"]


def folder_of(context: click.Context) -> Path:
    """Return the folder that the command works in."""
    return Path(context.obj["folder"])


def hub_of(context: click.Context) -> Hub:
    """Return the hub of the folder."""
    return build_hub(folder_of(context))


def emit(context: click.Context, body: dict[str, Any], text: Iterable[str]) -> None:
    """Print JSON when asked, else lines for a person."""
    if context.obj["json"]:
        click.echo(json.dumps(body))
        return
    for line in text:
        click.echo(line)


def table(rows: list[list[str]]) -> list[str]:
    """Return rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def write_config(folder: Path, sections: dict[str, dict[str, Any]]) -> None:
    """Write a new config.toml.

    Raises:
        ConfigError: There is one already.
    """
    path = folder / "config.toml"
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{k} = {json.dumps(v)}" for k, v in values.items()]
        lines.append("")
    try:
        with path.open("x") as file:
            file.write("\n".join(lines))
    except FileExistsError:
        raise ConfigError(
            f"{path} exists already", advice="Use another folder with --dir."
        ) from None
