"""Look at what is there: an entry, reports, who one is, the quota."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import click

from hub.cli.common import emit, emit_stream, hub_of, table
from hub.cli.fresh import require_pulled
from hub.cli.office import Office, officer_name
from hub.cli.published import counted
from hub.cli.renewing import parse_days
from hub.errors import RefusedError, UnavailableError
from hub.indexing import caught_up, outlook_of
from hub.indicators import Listed
from hub.model import REGISTRY, EntryName, render_time
from hub.screening import refs_of
from hub.standing import Standing, active_reports, standing_of
from hub.store.index_port import Filed
from hub.wiring import Hub
from keys.encoding import to_base64

__all__ = ["COMMANDS"]

_ROWS = 500  # Of a table at a time: its columns fit them, and no memory grows.
_COLUMNS = ("entry", "type", "basis", "confidence", "valid until", "state", "reference")


@click.command()
@click.argument("entry")
@click.pass_context
def show(context: click.Context, entry: str) -> None:
    """Show an entry of the mirror, and what became of it."""
    name = EntryName.parse(entry)
    hub = hub_of(context)
    with caught_up(hub.store, hub.registry.directory) as tx:
        directory = hub.registry.directory(tx)
        found = standing_of(tx, directory, name, hub.clock.now())
    ref = _refs(hub)(name)
    body = {
        "entry": str(name),
        "state": found.state,
        "why": found.why,
        "disputes": found.disputes,
        "ref": ref,
        "batch": found.batch,
        "digest": to_base64(found.digest),
        "line": found.entry,
    }
    emit(context, body, _story(found, ref))


def _story(found: Standing, ref: str | None) -> Iterator[str]:
    yield f"{found.name}: {found.state}{f', your reference {ref}' if ref else ''}"
    for cause in (*found.why, *found.disputes):
        when = f" at {cause['at']}" if "at" in cause else ""
        until = f" until {cause['until']}" if "until" in cause else ""
        why = f": {cause['reason']}" if "reason" in cause else ""
        yield f"  {cause['state']} by {cause['by']}{when}{until}{why}"
    batch = found.batch
    signed = f", signed by {batch['signed_by']}" if "signed_by" in batch else ""
    yield f"  in the batch of {batch['first']} to {batch['size'] - 1}{signed}"
    if "checkpoint" in batch:
        nodes = ", ".join(batch["witnessed"]) or "nobody"
        size = batch["checkpoint"]
        yield f"  under the checkpoint of size {size}, cosigned by {nodes}"
    if found.entry is None:
        yield "  its line is not there or not understood"
        return
    for key, value in found.entry.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        yield f"  {key}: {shown}"


def _refs(hub: Hub) -> Callable[[EntryName], str | None]:
    """Return what finds own references; only members have a ledger."""
    if hub.role != "member":
        return lambda _name: None
    return refs_of(hub.ledger(), hub.name)


@click.command()
@click.option("--mine", is_flag=True, help="Only this member's reports.")
@click.option("--disputed", is_flag=True, help="Only those that somebody disputes.")
@click.option("--expiring", metavar="14d", help="Only those that end so soon.")
@click.pass_context
def reports(
    context: click.Context, mine: bool, disputed: bool, expiring: str | None
) -> None:
    """List active reports, one's own with one's own references."""
    within = parse_days(expiring) if expiring is not None else None
    hub = hub_of(context)
    require_pulled(hub)
    now, refs = hub.clock.now(), _refs(hub)
    with caught_up(hub.store, hub.registry.directory) as tx:
        outlook = outlook_of(hub.registry.directory(tx), now)
        feeds = [f for f in tx.heads.all() if f != REGISTRY]
        feeds = [f for f in feeds if not mine or f == hub.name]
        found = (
            _row(filed, listed, refs)
            for filed, listed in active_reports(tx, outlook, feeds)
            if (listed.disputed or not disputed)
            and (within is None or listed.valid_until <= now + within)
        )
        if context.obj["json"]:
            emit_stream({"reports": found})
            return
        _print(found)


def _row(
    filed: Filed, listed: Listed, refs: Callable[[EntryName], str | None]
) -> dict[str, Any]:
    return {
        "entry": str(filed.name),
        "member": listed.member,
        "case": filed.case,
        "type": listed.type,
        "basis": listed.basis,
        "confidence": listed.confidence,
        "valid_until": render_time(listed.valid_until),
        "disputed": listed.disputed,
        "ref": refs(filed.name),
    }


def _print(found: Iterator[dict[str, Any]]) -> None:
    count = 0
    while rows := list(islice(found, _ROWS)):
        lines = [
            [
                row["entry"],
                row["type"],
                row["basis"],
                str(row["confidence"]),
                row["valid_until"],
                "disputed" if row["disputed"] else "",
                row["ref"] or "",
            ]
            for row in rows
        ]
        heading = [list(_COLUMNS)] if not count else []
        for line in table([*heading, *lines]):
            click.echo(line)
        count += len(rows)
    click.echo(f"{counted(count, 'report')}.")


@click.command()
@click.pass_context
def whoami(context: click.Context) -> None:
    """Say who this folder is, and who the hub thinks that it is."""
    hub = hub_of(context)
    if hub.role == "officer":
        _officer(context, hub)
        return
    client = hub.client(_own_url(hub))
    if hub.registry_home() != hub.name:
        hub.pull_registry(client.url)
    owner = f"{hub.role}/{hub.name}"
    directory = hub.directory()
    if not directory.has_access(owner):
        raise RefusedError(
            f"{owner} is not in the registry of {directory.alliance}",
            code="not-admitted",
            advice="Send request.json to an officer of the alliance.",
        )
    found = client.get_json("/v1/whoami")
    body = {**found, "key": hub.identity().keyid, "registry": directory.size}
    text = f"{found['owner']}, by {body['key']}; registry of {directory.size} lines"
    emit(context, body, [text])


def _own_url(hub: Hub) -> str | None:
    """Return a node's own URL when no other hub is configured."""
    if hub.config["client"]["hubs"] or hub.role != "node":
        return None
    server = hub.config["server"]
    return str(server["public_url"] or f"http://{server['listen']}")


def _officer(context: click.Context, hub: Hub) -> None:
    """Officers sign no requests: what they are is in the registry alone."""
    office = Office(context, hub)
    try:
        office.refresh()
    except UnavailableError as error:
        click.echo(f"hub: {error}; what was seen here last:", err=True)
    directory, signers = office.directory(), office.signers()
    owner = f"officer/{hub.name}"
    officers = [officer_name(v) for v in directory.officers]
    body = {
        "owner": owner,
        "officer": bool(signers),
        "keys": [signer.vkey.render() for signer in signers],
        "threshold": directory.threshold,
        "officers": officers,
        "registry": directory.size,
    }
    standing = "an officer" if signers else "no officer now"
    text = (
        f"{owner}: {standing} of {directory.alliance}; {directory.threshold} of "
        f"{', '.join(officers)} sign; registry of {directory.size} lines"
    )
    emit(context, body, [text])


@click.command()
@click.pass_context
def usage(context: click.Context) -> None:
    """Show how much of the token quotas is used."""
    found = hub_of(context).client().get_json("/v1/usage")
    text = [f"{c}: {v['used']} of {v['quota']} a day" for c, v in found.items()]
    emit(context, found, text)


COMMANDS = (show, reports, whoami, usage)
