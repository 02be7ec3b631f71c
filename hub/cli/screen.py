"""Screen a file, or look up one identifier, on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from hub.cli.common import emit, hub_of
from hub.cli.files import Source, file_options, rows_of
from hub.errors import MalformedError
from hub.interop.tables import Row
from hub.screening import outlook_of, screen
from schemas.identifiers import canonicalise

__all__ = ["COMMANDS"]


@click.command("screen")
@file_options
@click.option("--looser", is_flag=True, help="Match sites and mailboxes too.")
@click.option("--estimate", is_flag=True, help="Only say what it would ask for.")
@click.pass_context
def screen_command(
    context: click.Context,
    source: Source,
    looser: bool,
    estimate: bool,
) -> None:
    """Match the sellers of a file with the active reports, on this machine."""
    hub = hub_of(context)
    rows = rows_of(hub, source)
    ledger = hub.ledger()
    tokenizer = hub.tokenizer(ledger)
    if estimate:
        wanted = [i for row in rows if not row.problem for i in row.identifiers]
        todo = {k.name: n for k, n in tokenizer.missing(wanted).items()}
        emit(context, todo, [f"{k}: {n} tokens to ask for" for k, n in todo.items()])
        return
    outlook = outlook_of(hub.directory(), hub.clock.now())
    results = screen(
        hub.store, hub.registry.directory, tokenizer, outlook, rows, looser=looser
    )
    matched = _show(context, results)
    if matched:
        context.exit(3)


def _show(context: click.Context, results: Iterator[dict[str, Any]]) -> int:
    matched = count = 0
    for result in results:
        count += 1
        matched += result["match"] is not None
        if context.obj["json"]:
            click.echo(json.dumps(result))
        elif result["match"]:
            click.echo(
                f"row {result['row']} {result['ref'] or ''}: {result['match']} match, "
                f"listed by {', '.join(result['listed_by'])}"
                f"{' (disputed)' if result['disputed'] else ''}: "
                + ", ".join(r["entry"] for r in result["reports"])
            )
    if not context.obj["json"]:
        click.echo(f"{matched} of {count} rows match.")
    return matched


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
    outlook = outlook_of(hub.directory(), hub.clock.now())
    ledger = hub.ledger()
    row = Row(1, [(kind, value)])
    current, tokenizer = hub.registry.directory, hub.tokenizer(ledger)
    results = screen(hub.store, current, tokenizer, outlook, [row])
    if _show(context, results):
        context.exit(3)


COMMANDS = (screen_command, lookup)
