"""What the commands share: the hub of the folder, and printing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from hub.wiring import Hub, build_hub

__all__ = ["emit", "folder_of", "hub_of", "table"]


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
