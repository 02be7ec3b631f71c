"""What the commands share: the hub of the folder, and printing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from hub.wiring import Hub, build_hub

__all__ = ["emit", "emit_stream", "folder_of", "hub_of", "table"]


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


def emit_stream(body: dict[str, Any]) -> None:
    """Print one JSON object whose iterators become arrays, piece by piece."""
    click.echo("{", nl=False)
    for place, (name, value) in enumerate(body.items()):
        click.echo(f"{', ' if place else ''}{json.dumps(name)}: ", nl=False)
        if not isinstance(value, Iterator):
            click.echo(json.dumps(value), nl=False)
            continue
        click.echo("[", nl=False)
        for number, item in enumerate(value):
            click.echo(f"{', ' if number else ''}{json.dumps(item)}", nl=False)
        click.echo("]", nl=False)
    click.echo("}")


def table(rows: list[list[str]]) -> list[str]:
    """Return rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
