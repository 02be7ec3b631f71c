"""Screen a file, or look up one identifier, on this machine."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

import click

from hub.cli.common import emit, hub_of
from hub.cli.estimating import RATE, body_of, rests_of, text_of
from hub.cli.files import Source, file_options, lines_in, rows_of
from hub.cli.fresh import fresh_option, require, require_pulled
from hub.cli.progress import Progress
from hub.cli.results import CsvLines, JsonLines, Table, Writer
from hub.errors import (
    ConfigError,
    MalformedError,
    RefusedError,
    UnavailableError,
)
from hub.estimate import count
from hub.indicators import Listed
from hub.interop.tables import Row
from hub.screening import outlook_of, refs_of, screen
from hub.store.ledger import Ledger
from hub.tokens import Tokenizer
from hub.wiring import Hub
from schemas.entry import BASES
from schemas.identifiers import canonicalise

__all__ = ["COMMANDS"]

_WORTH = 500  # Tokens from which on a measured rate says something.
Result = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What of the results is wanted, and how."""

    exact: bool
    looser: bool
    only_matches: bool
    min_confidence: int
    basis: tuple[str, ...]
    from_row: int
    form: str
    out: Path | None

    def counts(self, listed: Listed) -> bool:
        """Tell whether a report is wanted."""
        right = not self.basis or listed.basis in self.basis
        return right and listed.confidence >= self.min_confidence


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        fresh_option,
        click.option("--estimate", is_flag=True, help="Only say what it would take."),
        click.option(
            "--from-row", type=click.IntRange(0), default=0, help="Go on at this row."
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), help="Write to this file."
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(["table", "csv", "json"]),
            help="How results are written; CSV to a file, a table otherwise.",
        ),
        click.option(
            "--basis",
            multiple=True,
            type=click.Choice(BASES),
            help="Only reports on this basis.",
        ),
        click.option(
            "--min-confidence",
            type=click.IntRange(0, 100),
            default=0,
            help="Only reports that are at least so sure.",
        ),
        click.option("--only-matches", is_flag=True, help="Leave other rows out."),
        click.option(
            "--looser", is_flag=True, help="Looser matches count for the status too."
        ),
        click.option(
            "--exact", is_flag=True, help="Ask for exact tokens only: saves quota."
        ),
    ):
        command = option(command)
    return command


@click.command("screen")
@file_options
@_options
@click.pass_context
def screen_command(
    context: click.Context,
    /,
    source: Source,
    estimate: bool,
    require_fresh: bool,
    form: str | None,
    **more: Any,
) -> None:
    """Match the sellers of a file with the active reports, on this machine."""
    default = "json" if context.obj["json"] else "csv" if more["out"] else "table"
    wanted = Wanted(form=form or default, **more)
    if wanted.exact and wanted.looser:
        raise click.UsageError("--exact asks for no looser matches that could count")
    hub = hub_of(context)
    ledger = hub.ledger()
    tokenizer = hub.tokenizer(ledger)
    rows = (row for row in rows_of(hub, source) if row.number >= wanted.from_row)
    if estimate:
        found = count(tokenizer, rows, looser=not wanted.exact)
        body = body_of(found, rests_of(hub, tokenizer, found), ledger)
        emit(context, body, text_of(body))
        return
    require_pulled(hub)
    require(hub, fresh=require_fresh)
    with Progress("screening", "rows", lines_in(source.file)) as bar:
        run = Run(hub, ledger, tokenizer, wanted, bar)
        with _opened(wanted) as stream:
            run.write(rows, _writer(wanted, stream))
    click.echo(run.summary(), err=wanted.form != "table" and wanted.out is None)
    if run.counted:
        context.exit(3)


@contextmanager
def _opened(wanted: Wanted) -> Iterator[TextIO]:
    """Open the file of ``--out``; a run that goes on adds to it."""
    if wanted.out is None:
        yield sys.stdout
        return
    try:
        mode = "a" if wanted.from_row else "w"
        with wanted.out.open(mode, newline="", encoding="utf-8") as stream:
            yield cast("TextIO", stream)
    except OSError as error:
        raise ConfigError(f"{wanted.out} cannot be written: {error.strerror}") from None


def _writer(wanted: Wanted, stream: TextIO) -> Writer:
    if wanted.form == "json":
        return JsonLines(stream)
    if wanted.form == "csv":
        # Whoever goes on has the heading already.
        return CsvLines(stream, heading=not (wanted.from_row and wanted.out))
    width = shutil.get_terminal_size().columns if stream.isatty() else None
    return Table(stream, width)


class Run:
    """One run over a file: what it wrote, and how it can be gone on with."""

    def __init__(
        self,
        hub: Hub,
        ledger: Ledger,
        tokenizer: Tokenizer,
        wanted: Wanted,
        bar: Progress,
    ):
        self._hub, self._ledger, self._tokenizer = hub, ledger, tokenizer
        self._wanted, self._bar = wanted, bar
        self._last: int | None = None
        self.rows = self.exact = self.loose = 0

    @property
    def counted(self) -> int:
        """How many rows decide the status."""
        return self.exact + (self.loose if self._wanted.looser else 0)

    def write(self, rows: Iterator[Row], writer: Writer) -> None:
        """Screen rows and write the results.

        Raises:
            HubError: It stopped in the middle; the advice says how to go on.
        """
        try:
            for result in self._results(rows):
                self._take(result, writer)
        except (RefusedError, UnavailableError) as error:
            writer.close()
            error.advice = f"{error.advice} {self._how_to_go_on()}".strip()
            raise
        except KeyboardInterrupt:
            writer.close()
            click.echo(f"hub: {self._how_to_go_on()}", err=True)
            raise
        finally:
            if self._tokenizer.asked >= _WORTH:
                self._ledger.put(RATE, self._tokenizer.rate)
        writer.close()

    def _results(self, rows: Iterator[Row]) -> Iterator[Result]:
        hub = self._hub
        return screen(
            hub.store,
            hub.registry.directory,
            self._tokenizer,
            outlook_of(hub.directory(), hub.clock.now()),
            rows,
            looser=not self._wanted.exact,
            counts=self._wanted.counts,
            refs=refs_of(self._ledger, hub.name),
        )

    def _take(self, result: Result, writer: Writer) -> None:
        self.rows += 1
        self.exact += result["match"] == "exact"
        self.loose += result["match"] not in ("exact", None)
        if result["match"] or not self._wanted.only_matches:
            if self._wanted.out is None:
                self._bar.clear()
            writer.write(result)
        self._last = result["row"]
        self._bar.advance()

    def _how_to_go_on(self) -> str:
        if self._last is None:
            return "No row was screened; run it again."
        return (
            f"The rows up to {self._last} are done and stand; go on with --from-row "
            f"{self._last + 1}, or run it again: tokens that were asked for are cached."
        )

    def summary(self) -> str:
        """Return how many rows match, for a person."""
        text = f"{self.exact} of {self.rows} rows match."
        if self.loose:
            text += f" {self.loose} more match loosely only, by a site or a mailbox."
        return text


@click.command()
@click.option("--type", "kind", required=True)
@click.pass_context
def lookup(context: click.Context, kind: str) -> None:
    """Look up one identifier, read from standard input."""
    hub = hub_of(context)
    try:
        value = canonicalise(kind, sys.stdin.readline(), hub.config["client"]["region"])
    except ValueError as error:
        raise MalformedError(f"the identifier {error}") from None
    require_pulled(hub)
    ledger = hub.ledger()
    form = "json" if context.obj["json"] else "table"
    wanted = Wanted(False, False, False, 0, (), 0, form, None)
    run = Run(hub, ledger, hub.tokenizer(ledger), wanted, Progress("asking", "rows"))
    run.write(iter([Row(1, [(kind, value)])]), _writer(wanted, sys.stdout))
    if run.counted:
        context.exit(3)


COMMANDS = (screen_command, lookup)
