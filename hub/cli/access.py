"""The operator's commands about access: bearer tokens, and who read what."""

from __future__ import annotations

import click

from hub.cli.common import emit, hub_of, table
from hub.errors import RefusedError
from hub.model import parse_time, render_time

__all__ = ["COMMANDS"]


@click.group()
def access() -> None:
    """Bearer tokens of this node: read-only, for scripts."""


@access.command("new")
@click.argument("name")
@click.option("--owner", required=True, help="As in member/maison.")
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 3660))
@click.pass_context
def access_new(context: click.Context, name: str, owner: str, days: int) -> None:
    """Make a token and show it once."""
    from hub.access import new_bearer

    hub = hub_of(context)
    if not hub.directory().has_access(owner):
        raise RefusedError(
            f"{owner} is nobody who may read here",
            code="unknown-owner",
            advice="Name an owner as the registry has it, such as member/maison.",
        )
    secret, row = new_bearer(name, owner, days=days, now=hub.clock.now())
    with hub.store.write() as tx:
        tx.node.add_bearer(row)
    emit(context, {"token": secret}, [secret])


@access.command("reads")
@click.option("--since", default="", help="A date or a time, such as 2026-11-24.")
@click.option("--who", help="An owner, as in member/market.")
@click.option(
    "--limit", default=1000, show_default=True, type=click.IntRange(1, 1_000_000)
)
@click.pass_context
def access_reads(
    context: click.Context, since: str, who: str | None, limit: int
) -> None:
    """Show who read which lines of members' feeds."""
    start = parse_time(since) if since else 0
    with hub_of(context).store.read() as tx:
        rows = tx.node.list_reads(start, who, limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    reads = [
        {
            "at": render_time(row.at),
            "who": row.who,
            "feed": row.what,
            "from": row.start,
            "to": row.stop,
        }
        for row in rows
    ]
    shown = [["at", "who", "feed", "from", "to"]]
    shown += [[str(value) for value in read.values()] for read in reads]
    text = table(shown)
    if more:
        text.append(f"There are more: say --since {reads[-1]['at']}, or --limit.")
    emit(context, {"reads": reads, "more": more}, text)


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
