"""The watch list: add sellers, list them, take them off."""

from __future__ import annotations

from typing import Any

import click

from hub.cli.common import emit, hub_of, table
from hub.cli.files import Source, file_options, rows_of
from hub.errors import RefusedError
from hub.store.watching import Seller, Watching
from hub.watching import active_keys, watch

__all__ = ["COMMANDS"]


@click.group("watch")
def watch_group() -> None:
    """Sellers that are screened again after every pull."""


@watch_group.command("add")
@file_options
@click.option("--looser", is_flag=True, help="Watch sites and mailboxes too.")
@click.pass_context
def watch_add(context: click.Context, source: Source, looser: bool) -> None:
    """Add the sellers of a file to the watch list, as tokens only."""
    hub = hub_of(context)
    ledger = hub.ledger()
    done = watch(
        Watching(ledger),
        hub.tokenizer(ledger),
        rows_of(hub, source),
        name=source.file.name,
        looser=looser,
    )
    body = {"watched": done.sellers, "added": done.added, "rejected": done.rejected}
    text = [
        f"{done.sellers} sellers are watched; {done.added} of their tokens are new.",
        *(f"row {r['row']}: {r['reason']}" for r in done.rejected),
    ]
    emit(context, body, text)
    if done.rejected:
        context.exit(4)


@watch_group.command("list")
@click.pass_context
def watch_list(context: click.Context) -> None:
    """List the watched sellers."""
    hub = hub_of(context)
    sellers = Watching(hub.ledger()).sellers(active_keys(hub.directory()))
    if context.obj["json"]:
        for seller in sellers:
            emit(context, _body(seller), [])
        return
    rows = [_line(seller) for seller in sellers]
    emit(context, {}, table(rows) if rows else [])
    click.echo(f"{len(rows)} sellers are watched.")


def _body(seller: Seller) -> dict[str, Any]:
    return {
        "ref": seller.ref,
        "tokens": seller.types,
        "listed": seller.listed,
        "outdated": seller.outdated,
    }


def _line(seller: Seller) -> list[str]:
    types = ", ".join(f"{n} {kind}" for kind, n in seller.types.items())
    listed = f"reported {seller.listed} times" if seller.listed else "not reported"
    if seller.listed == 1:
        listed = "reported once"
    outdated = "add again: its token key was retired" if seller.outdated else ""
    return [seller.ref, types, listed, outdated]


@watch_group.command("remove")
@click.argument("refs", nargs=-1, required=True)
@click.pass_context
def watch_remove(context: click.Context, refs: tuple[str, ...]) -> None:
    """Take sellers off the watch list; nothing more is alerted of them."""
    watching = Watching(hub_of(context).ledger())
    missing = [ref for ref in refs if not watching.remove(ref)]
    if missing:
        raise RefusedError(
            f"not on the watch list: {', '.join(missing)}",
            code="not-found",
            advice="`hub watch list` shows the references.",
        )
    emit(context, {"removed": list(refs)}, [f"No longer watched: {', '.join(refs)}."])


COMMANDS = (watch_group,)
