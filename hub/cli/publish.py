"""Publish a file of counterfeit sellers."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit_stream, hub_of
from hub.cli.files import Source, file_options, lines_in, rows_of
from hub.cli.progress import Progress
from hub.cli.published import (
    counted,
    published_body,
    published_text,
    rehearsed_body,
    rehearsed_text,
)
from hub.cli.rejected import Rejected, Spool
from hub.cli.sending import outbox_of, refresh, resume, turn
from hub.errors import (
    ConfigError,
    HubError,
)
from hub.interop.tables import Row
from hub.interop.warninglists import guard, parse_warning_list
from hub.publishing import Outcome, Published, Publisher
from hub.publishing.rehearsal import Rehearsal
from hub.publishing.rows import Job
from hub.wiring import Hub
from hub.witness import quorum
from schemas.entry import REASONS

__all__ = ["COMMANDS"]


class _Sink:
    """Keeps what became of rows, and shows how far it is."""

    def __init__(self, feed: str, bar: Progress, *, keep: bool):
        self.rows = Spool()
        self.rejects = Rejected()
        self.bar = bar
        self._feed, self._keep = feed, keep

    def published(self, rows: list[Published]) -> None:
        """Take rows whose batch has its receipt."""
        for row in rows if self._keep else ():
            entries = range(row.first, row.first + row.count)
            names = [f"{self._feed}/{index}" for index in entries]
            found = {"row": row.number, "case": row.case, "entries": names}
            self.rows.add({**found, "status": str(row.verdict)})

    def rejected(self, row: Row, reason: str) -> None:
        """Take a row that was not published, and why."""
        self.rejects.add(row, reason)

    def progress(self, number: int) -> None:
        """Take up to which row all is done."""
        self.bar.advance(number - self.bar.done)


def _options(command: Any) -> Any:
    for option in (
        click.option(
            "--as-site", is_flag=True, help="Publish registrable domains too."
        ),
        click.option(
            "--list", "of_list", help="The list that the file is an edition of."
        ),
        click.option(
            "--replace", is_flag=True, help="Withdraw what the list lacks now."
        ),
        click.option(
            "--reason",
            type=click.Choice(REASONS),
            default="resolved",
            show_default=True,
            help="Of withdrawals by --replace.",
        ),
        click.option(
            "--allow-list",
            "allow_lists",
            multiple=True,
            type=click.Path(path_type=Path),
            help="A MISP warning list; what it holds is not published.",
        ),
        click.option("--force", is_flag=True, help="Neither guard nor safety stop."),
        click.option("--again", is_flag=True, help="Withdrawn and erased cases too."),
        click.option("--dry-run", is_flag=True, help="Show what would be sent."),
    ):
        command = option(command)
    return command


def _job(hub: Hub, source: Source, options: dict[str, Any]) -> Job:
    own = [hub.folder / p for p in hub.config["publish"]["allow_lists"]]
    lists = [_allow_list(path) for path in (*own, *options["allow_lists"])]
    given = options["of_list"]
    more = {} if options["force"] else {"guard": guard(lists)}
    return Job(
        source.file.name,
        given or (source.ref.casefold() if source.ref else source.file.name),
        named=given is not None,
        as_site=options["as_site"],
        again=options["again"],
        replace=options["replace"],
        reason=options["reason"],
        force=options["force"],
        **more,
    )


def _allow_list(path: Path) -> Any:
    try:
        return parse_warning_list(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except HubError as error:
        raise ConfigError(f"{path}: {error}") from None


@click.command()
@file_options
@_options
@click.pass_context
def publish(
    context: click.Context, /, source: Source, *, dry_run: bool, **options: Any
) -> None:
    """Publish the counterfeit sellers of a file; one row is one case."""
    hub = hub_of(context)
    job = _job(hub, source, options)
    as_json = context.obj["json"]
    done = _rehearse if dry_run else _publish
    # Scripts get JSON and no bar, even at a terminal.
    stream = io.StringIO() if as_json else None
    with Progress("publishing", "rows", lines_in(source.file), stream) as bar:
        sink = _Sink(hub.name, bar, keep=as_json)
        outcome = done(context, hub, source, job, sink)
    if outcome.stopped:
        raise outcome.stopped
    if sink.rejects.count:
        context.exit(4)


def _publish(
    context: click.Context, hub: Hub, source: Source, job: Job, sink: _Sink
) -> Outcome:
    ledger = hub.ledger()
    with turn(hub):
        outbox = outbox_of(hub, ledger)
        batches, receipt = resume(outbox)
        publisher = Publisher(
            ledger,
            outbox.directory,
            hub.tokenizer(ledger),
            outbox,
            hub.clock.now(),
        )
        outcome = publisher.publish(rows_of(hub, source), job, sink)
    sink.bar.clear()
    if outcome.stopped and not (outcome.counts or batches):
        # Nothing was read, so there is nothing to tell but the reason.
        raise outcome.stopped
    outcome.receipt = outcome.receipt or receipt
    place = sink.rejects.write(source.file, hub.folder, ledger)
    waiting = len(ledger.journal.waiting())
    if context.obj["json"]:
        emit_stream(
            {
                "member": hub.name,
                "rows": iter(sink.rows),
                "rejected": sink.rejects.listed(),
                **published_body(outcome, batches, waiting),
            }
        )
        return outcome
    needed = quorum(outbox.directory, hub.name)
    for line in published_text(outcome, job, batches, waiting, needed):
        click.echo(line)
    if place:
        for reason in sink.rejects.first:
            click.echo(reason)
        if more := sink.rejects.count - len(sink.rejects.first):
            click.echo(f"and {counted(more, 'more row')}")
        click.echo(f"Rejected: {counted(sink.rejects.count, 'row')}, see {place}.")
    return outcome


def _rehearse(
    context: click.Context, hub: Hub, source: Source, job: Job, sink: _Sink
) -> Outcome:
    try:
        refresh(hub)
    except HubError as error:
        click.echo(f"hub: {error}; going by what was pulled before.", err=True)
    own = hub.ledger()
    with tempfile.TemporaryDirectory(dir=hub.folder, prefix=".rehearsal-") as name:
        ledger = own.copy(Path(name) / "ledger.db")
        tokenizer = hub.tokenizer(ledger)
        rehearsal = Rehearsal(ledger, tokenizer)
        publisher = Publisher(
            ledger, hub.directory(), rehearsal, rehearsal, hub.clock.now()
        )
        outcome = publisher.publish(rows_of(hub, source), job, sink)
        ledger.close()
    sink.bar.clear()
    if outcome.stopped and not outcome.counts:
        raise outcome.stopped
    _show_rehearsal(context, hub, job, sink, outcome, rehearsal)
    return outcome


def _quota_left(hub: Hub) -> dict[str, int] | None:
    try:
        found = hub.client().get_json("/v1/usage")
        return {c: int(v["quota"]) - int(v["used"]) for c, v in found.items()}
    except (HubError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _show_rehearsal(
    context: click.Context,
    hub: Hub,
    job: Job,
    sink: _Sink,
    outcome: Outcome,
    found: Rehearsal,
) -> None:
    left = _quota_left(hub)
    if context.obj["json"]:
        emit_stream(
            {
                "member": hub.name,
                "dry_run": True,
                "rejected": sink.rejects.listed(),
                **rehearsed_body(outcome, found, left),
            }
        )
        return
    for reason in sink.rejects.first:
        click.echo(reason)
    for line in rehearsed_text(outcome, job, found, left):
        click.echo(line)
    click.echo(f"Rows to reject: {sink.rejects.count}. Nothing was sent.")


COMMANDS = (publish,)
