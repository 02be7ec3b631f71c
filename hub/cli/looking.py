"""Look at what is there: an entry, own reports, who one is, the quota."""

from __future__ import annotations

from typing import Any

import click

from hub.cli.common import emit, hub_of, table
from hub.cli.office import Office, officer_name
from hub.errors import RefusedError, UnavailableError
from hub.indexing import caught_up
from hub.model import EntryName, render_time
from hub.screening import outlook_of
from hub.wiring import Hub
from keys.encoding import to_base64
from schemas.fast import read_line

__all__ = ["COMMANDS", "entry_of"]


def entry_of(hub: Hub, name: str) -> dict[str, Any]:
    """Return an entry of the mirror with its digest.

    Raises:
        RefusedError: It is not there, or is none that can be named.
    """
    entry = EntryName.parse(name)
    with hub.store.read() as tx:
        size = tx.objects.size(entry.feed)
        if entry.index >= size:
            raise RefusedError(f"{name} is not in the mirror", advice="Run hub pull.")
        line = next(tx.objects.lines(entry.feed, entry.index, entry.index + 1))
    found = read_line(line.raw)[0] if line.raw else None
    if found is None:
        raise RefusedError(f"{name} is no entry that can be named here")
    return {**found, "digest": to_base64(line.digest)}


@click.command()
@click.argument("entry")
@click.pass_context
def show(context: click.Context, entry: str) -> None:
    """Show an entry of the mirror."""
    found = entry_of(hub_of(context), entry)
    emit(context, found, [f"{k}: {v}" for k, v in found.items()])


@click.command()
@click.pass_context
def reports(context: click.Context) -> None:
    """List the own active reports with own references."""
    hub = hub_of(context)
    outlook = outlook_of(hub.directory(), hub.clock.now())
    refs = {c.case: c.ref for c in hub.ledger().cases.all()}
    with caught_up(hub.store, hub.registry.directory) as tx:
        mine = [
            r
            for rows in tx.index.all_active(outlook).values()
            for r in rows
            if r.member == hub.name
        ]
    shown = [["entry", "type", "basis", "valid until", "reference"]]
    for report in sorted(mine, key=lambda r: r.entry):
        case = entry_of(hub, str(report.entry))["case"]
        until = render_time(report.valid_until)
        row = [str(report.entry), report.type, report.basis, until]
        shown.append([*row, refs.get(case) or ""])
    body = {"reports": [dict(zip(shown[0], r, strict=True)) for r in shown[1:]]}
    emit(context, body, table(shown))


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
