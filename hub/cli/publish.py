"""Publish a file of counterfeit sellers."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, hub_of
from hub.cli.files import Source, file_options, rows_of
from hub.errors import RefusedError
from hub.interop.tables import Row
from hub.publishing import Publisher
from hub.store.ledger import Ledger
from hub.wiring import Hub
from keys.note import NoteSigner

__all__ = ["COMMANDS", "publisher_of"]


def publisher_of(hub: Hub, ledger: Ledger) -> Publisher:
    """Return the publisher of this member, with the newest registry.

    Raises:
        RefusedError: No member, or not admitted yet.
    """
    if hub.role != "member":
        raise RefusedError(f"{hub.name} is no member and publishes nothing")
    hub.pull()
    directory = hub.directory()
    if hub.name not in directory.members:
        raise RefusedError(
            f"{hub.name} is not admitted yet",
            code="not-admitted",
            advice="Send request.json to an officer of the alliance.",
        )
    with hub.store.read() as tx:
        head = hub.registry.current(tx).head
    key = hub.identity("publish")
    signer = NoteSigner(key.keyid, key.signer)
    client = hub.home_client(hub.name)
    return Publisher(hub.name, signer, ledger, client, directory, head, hub.clock.now())


@click.command()
@file_options
@click.option("--as-site", is_flag=True, help="Publish the registrable domain too.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent.")
@click.pass_context
def publish(
    context: click.Context,
    source: Source,
    as_site: bool,
    dry_run: bool,
) -> None:
    """Publish the counterfeit sellers of a file; one row is one case."""
    hub = hub_of(context)
    rows = rows_of(hub, source)
    if dry_run:
        _dry_run(context, rows)
        return
    ledger = hub.ledger()
    publisher = publisher_of(hub, ledger)
    outcome = publisher.publish(rows, hub.tokenizer(ledger), as_site=as_site)
    body = {
        "member": hub.name,
        "rows": outcome.rows,
        "rejected": outcome.rejected,
        "unchanged": outcome.unchanged,
        "receipt": outcome.receipt,
    }
    done = f"Published {len(outcome.rows)} cases in {outcome.entries} entries"
    text = [f"{done}; {outcome.unchanged} rows were published before."]
    if outcome.rejected:
        place = _write_rejected(source.file, outcome.rejected)
        text.append(f"{len(outcome.rejected)} rows were rejected: see {place}.")
    emit(context, body, text)
    if outcome.rejected:
        context.exit(4)


def _dry_run(context: click.Context, rows: Iterator[Row]) -> None:
    good = bad = 0
    text = []
    for row in rows:
        good, bad = good + (not row.problem), bad + bool(row.problem)
        if row.problem:
            text.append(f"row {row.number}: {row.problem}")
    text.append(f"Would publish {good} cases and reject {bad} rows; sent nothing.")
    emit(context, {"cases": good, "rejected": bad}, text)


def _write_rejected(file: Path, rejected: list[dict[str, Any]]) -> Path:
    place = file.with_name(file.name + ".rejected.csv")
    with place.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["row", "reason"])
        writer.writeheader()
        writer.writerows(rejected)
    return place


COMMANDS = (publish,)
