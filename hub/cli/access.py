"""The operator's commands about access: bearer tokens, and who read what."""

from __future__ import annotations

import click

from hub.cli.common import emit, hub_of, table
from hub.model import render_time

__all__ = ["COMMANDS"]


@click.group()
def access() -> None:
    """Bearer tokens of this node: read-only, for scripts."""


@access.command("new")
@click.argument("name")
@click.option("--owner", required=True, help="As in member/maison.")
@click.option("--days", default=90, show_default=True)
@click.pass_context
def access_new(context: click.Context, name: str, owner: str, days: int) -> None:
    """Make a token and show it once."""
    from hub.access import new_bearer

    hub = hub_of(context)
    secret, row = new_bearer(name, owner, days=days, now=hub.clock.now())
    with hub.store.write() as tx:
        tx.node.add_bearer(row)
    emit(context, {"token": secret}, [secret])


@access.command("list")
@click.pass_context
def access_list(context: click.Context) -> None:
    """List the tokens, without their secrets."""
    with hub_of(context).store.read() as tx:
        rows = tx.node.list_bearers()
    shown = [["name", "owner", "expires", "revoked"]]
    for row in rows:
        revoked = render_time(row.revoked) if row.revoked else ""
        shown.append([row.name, row.owner, render_time(row.expires), revoked])
    emit(context, {"tokens": [r[0] for r in shown[1:]]}, table(shown))


@access.command("revoke")
@click.argument("name")
@click.pass_context
def access_revoke(context: click.Context, name: str) -> None:
    """Revoke a token at once."""
    hub = hub_of(context)
    with hub.store.write() as tx:
        tx.node.revoke_bearer(name, hub.clock.now())
    emit(context, {"revoked": name}, [f"Revoked {name}."])


COMMANDS = (access,)
