"""A node's view of the other nodes: sync with them now, and see how they are."""

from __future__ import annotations

import click

from hub.cli.admit import home_group
from hub.cli.common import emit, hub_of, table
from hub.errors import ConfigError, HubError
from hub.model import check_feed, render_time
from hub.peering import Peering, alarms, check_known, peerings, visit
from hub.sealing import seal, unseal
from hub.wiring import Hub
from keys.encoding import to_base64

__all__ = ["COMMANDS"]


def _node(context: click.Context) -> Hub:
    hub = hub_of(context)
    if hub.role != "node":
        raise ConfigError(
            f"{hub.name} is no node",
            advice="Members and auditors pull: hub pull.",
        )
    return hub


@click.command("sync")
@click.argument("peer", required=False)
@click.pass_context
def sync_command(context: click.Context, peer: str | None) -> None:
    """Sync with one peer, or with all of them, now."""
    hub = _node(context)
    hub.bootstrap()
    federation = hub.federation()
    if peer:
        check_known(federation, peer)
    results: list[dict[str, object]] = []
    text: list[str] = []
    problem: HubError | None = None
    for name in [peer] if peer else federation.peers():
        try:
            done = visit(federation, name, force=True)
        except HubError as error:
            problem = problem or error
            results.append({"node": name, "error": str(error)})
            text.append(f"{name}: {error}")
            continue
        if done is None:
            raise AssertionError("a visit that is forced is made")
        feeds = [{"feed": f, "from": a, "to": b} for f, a, b in done.pulled.feeds]
        results.append({"node": name, "feeds": feeds, "cosigned": done.cosigned})
        count = sum(b - a for _, a, b in done.pulled.feeds)
        text.append(f"{name}: {count} new entries, {len(done.cosigned)} heads cosigned")
        text += [f"{name}: {f}: {p}" for f, p in done.problems.items()]
        problem = problem or next(iter(done.problems.values()), None)
    emit(context, {"peers": results}, text or ["The registry names no other node."])
    if problem:
        raise problem


@click.command("peers")
@click.pass_context
def peers_command(context: click.Context) -> None:
    """Show every other node: lag, last success, last error, cosigned heads; alarms."""
    hub = _node(context)
    federation, now = hub.federation(), hub.clock.now()
    known, ringing = peerings(federation), list(alarms(federation))
    rows = [["node", "lag", "last success", "cosigned", "next try", "last error"]]
    rows += [_row(peer, now) for peer in known]
    text = table(rows) if known else ["The registry names no other node."]
    text += [f"ALARM {alarm}" for alarm in ringing]
    body = {"peers": [peer.to_json(now) for peer in known], "alarms": ringing}
    emit(context, body, text)
    if ringing:
        context.exit(1)


def _row(peer: Peering, now: int) -> list[str]:
    return [
        peer.name,
        str(peer.lag),
        f"{now - peer.ok} s ago" if peer.ok else "never",
        f"{peer.cosigned} of {peer.heads}",
        render_time(peer.next_try) if peer.next_try > now else "",
        peer.error[:60],
    ]


@home_group.command("seal")
@click.argument("feed")
@click.pass_context
def home_seal(context: click.Context, feed: str) -> None:
    """Accept no more batches of a feed here, so that it can move without loss."""
    hub = _node(context)
    head = seal(hub.store, hub.registry.directory, hub.name, check_feed(feed))
    text = [
        f"{feed} ends here at {head.size}. When its new home holds all of it, an",
        f"officer moves it: hub home move {feed} --to NODE",
    ]
    root = to_base64(head.root)
    emit(context, {"feed": feed, "size": head.size, "root": root}, text)


@home_group.command("unseal")
@click.argument("feed")
@click.pass_context
def home_unseal(context: click.Context, feed: str) -> None:
    """Accept batches of a feed here again, as it does not move after all."""
    hub = _node(context)
    unseal(hub.store, check_feed(feed))
    emit(context, {"feed": feed}, [f"{feed} takes batches here again."])


COMMANDS = (sync_command, peers_command, home_group)
