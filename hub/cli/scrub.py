"""Hash again what is on disk, and fetch again what is damaged."""

from __future__ import annotations

import click

from hub.cli.common import emit, hub_of
from hub.errors import HubError
from hub.peer import Peer
from hub.scrubbing import Damage, scrub
from hub.wiring import Hub

__all__ = ["COMMANDS", "peers_of"]


def peers_of(hub: Hub) -> list[Peer]:
    """Return whom to ask for what is damaged: the other nodes, or the hubs."""
    if hub.role == "node":
        names = [name for name in hub.directory().nodes if name != hub.name]
        return [hub.node_client(name) for name in names]
    return [hub.client(str(url)) for url in hub.config["client"]["hubs"]]


@click.command("scrub")
@click.option("--no-repair", is_flag=True, help="Only say what is damaged.")
@click.pass_context
def scrub_command(context: click.Context, no_repair: bool) -> None:
    """Hash everything again, and fetch what is damaged from another node."""
    hub = hub_of(context)
    try:
        peers = [] if no_repair else peers_of(hub)
    except HubError:
        # Without keys or hubs nobody is asked; what is damaged is named all the same.
        peers = []
    found = scrub(hub.store, hub.registry, peers)
    text = [_sentence(damage, damage in found.mended) for damage in found.damages]
    text += found.problems
    text.append(
        f"{found.entries} entries read: {len(found.mended)} damages mended, "
        f"{len(found.left)} left."
    )
    body = {
        "entries": found.entries,
        "mended": [_body(damage) for damage in found.mended],
        "left": [_body(damage) for damage in found.left],
        "problems": found.problems,
    }
    emit(context, body, text)
    if found.left:
        context.exit(1)


def _sentence(damage: Damage, mended: bool) -> str:
    place = f"{damage.feed}/{damage.first} to {damage.stop - 1}"
    return f"{'MENDED' if mended else 'DAMAGED'} {place}: {damage.what}"


def _body(damage: Damage) -> dict[str, object]:
    return {
        "feed": damage.feed,
        "first": damage.first,
        "stop": damage.stop,
        "what": damage.what,
    }


COMMANDS = (scrub_command,)
