"""The file that a command reads, and the options that say how."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hub.errors import ConfigError, MalformedError
from hub.interop.tables import Options, Row, read_rows
from hub.wiring import Hub
from schemas.identifiers import TYPES

__all__ = ["Source", "file_options", "lines_in", "rows_of"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and how the options of the command say to read it."""

    file: Path
    columns: tuple[str, ...]
    kind: str | None
    ref: str | None
    region: str | None


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a file, bundled as ``source``."""

    @functools.wraps(command)
    def bundled(**more: Any) -> Any:
        names = ("file", "columns", "kind", "ref", "region")
        return command(source=Source(**{n: more.pop(n) for n in names}), **more)

    return _with_options(bundled)


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--region", help="Country of national phone numbers."),
        click.option("--ref", help="The column with your own case numbers."),
        click.option("--type", "kind", help="What a list of one a line holds."),
        click.option("--column", "columns", multiple=True, help="NAME=type"),
    ):
        command = option(command)
    return click.argument("file", type=click.Path(path_type=Path))(command)


def rows_of(hub: Hub, source: Source) -> Iterator[Row]:
    """Yield the rows of a file.

    Raises:
        ConfigError: It cannot be read.
        MalformedError: An option names no type or column.
    """
    pairs = dict(c.rpartition("=")[::2] for c in source.columns)
    wrong = [t for t in pairs.values() if t not in TYPES]
    if wrong:
        raise MalformedError(
            f"{wrong[0]} is not an identifier type",
            advice=f"Use one of {', '.join(sorted(TYPES))}.",
        )
    region = source.region or hub.config["client"]["region"]
    options = Options(source.kind, pairs, region, source.ref)
    try:
        with source.file.open("rb") as stream:
            yield from read_rows(stream, source.file.name, options)
    except OSError as error:
        raise ConfigError(f"{source.file} cannot be read: {error.strerror}") from None


def lines_in(path: Path) -> int | None:
    """Return about how many rows a file has, or None when that takes reading it."""
    try:
        if path.suffix.lower() == ".xlsx" or not path.is_file():
            return None
        with path.open("rb") as stream:
            parts = iter(functools.partial(stream.read, 1 << 20), b"")
            return sum(part.count(b"\n") for part in parts)
    except OSError:
        return None
