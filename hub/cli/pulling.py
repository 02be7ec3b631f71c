"""Pull, watch, and the worker that does both on a schedule."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import click

from hub.cli.common import emit, hub_of
from hub.cli.files import Source, file_options, rows_of
from hub.client import post_alerts
from hub.screening import alerts, catch_up, outlook_of, watch
from hub.sync import Pulled, pull
from hub.wiring import Hub

__all__ = ["COMMANDS", "pull_once"]


def pull_once(hub: Hub) -> Pulled:
    """Pull from the configured hub and bring the index up to what came."""
    found = pull(hub.store, hub.registry, hub.client(), hub.clock.now())
    catch_up(hub.store, hub.directory())
    return found


@click.command("pull")
@click.pass_context
def pull_command(context: click.Context) -> None:
    """Mirror all feeds, verified, and alert what changed on the watch list."""
    hub = hub_of(context)
    found = pull_once(hub)
    news = _alert(hub)
    feeds = [{"feed": f, "from": a, "to": b} for f, a, b in found.feeds]
    text = [f"{f}: {a} → {b}" for f, a, b in found.feeds] or ["Nothing new."]
    text += [_sentence(n) for n in news]
    emit(context, {"feeds": feeds, "alerts": news}, text)
    for feed, problem in found.problems.items():
        click.echo(f"hub: {feed}: {problem} {problem.advice}", err=True)
    if found.problems:
        raise next(iter(found.problems.values()))


def _alert(hub: Hub) -> list[dict[str, Any]]:
    ledger = hub.ledger()
    outlook = outlook_of(hub.directory(), hub.clock.now())
    news = alerts(hub.store, ledger, outlook)
    settings = hub.config["alerts"]
    lines = "".join(json.dumps(n) + "\n" for n in news)
    if lines and settings["file"]:
        with (hub.folder / settings["file"]).open("a") as file:
            file.write(lines)
    if lines and settings["command"]:
        # The operator wrote the command into the configuration; alerts arrive as JSON
        # lines on its standard input.
        subprocess.run(  # noqa: S602
            settings["command"],
            shell=True,
            input=lines.encode(),
            timeout=60,
            check=False,
        )
    if lines and settings["webhook"]:
        post_alerts(settings["webhook"], lines.encode())
    return news


def _sentence(news: dict[str, Any]) -> str:
    if news["alert"] == "listed":
        report = news["report"]
        return (
            f"ALERT {news['ref']}: reported by {news['member']} as {report['entry']} "
            f"({report['basis']}, confidence {report['confidence']})"
        )
    return f"ENDED {news['ref']}: {news['member']} no longer lists it ({news['entry']})"


@click.group("watch")
def watch_group() -> None:
    """Sellers that are screened again after every pull."""


@watch_group.command("add")
@file_options
@click.pass_context
def watch_add(
    context: click.Context,
    source: Source,
) -> None:
    """Add the sellers of a file to the watch list, as tokens only."""
    hub = hub_of(context)
    ledger = hub.ledger()
    rows = rows_of(hub, source)
    count = watch(ledger, hub.tokenizer(ledger), rows)
    emit(context, {"watched": count}, [f"Watching {count} sellers."])


@click.command()
@click.option("--once", is_flag=True, help="Pull once, then end.")
@click.pass_context
def worker(context: click.Context, once: bool) -> None:
    """Pull on a schedule and alert, until stopped."""
    import logging

    from hub.scheduler import leased, run_worker

    hub = hub_of(context)
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")

    def job() -> None:
        found = pull_once(hub)
        for name, start, stop in found.feeds:
            click.echo(f"{name}: {start} → {stop}")
        for name, problem in found.problems.items():
            click.echo(f"{name}: {problem} {problem.advice}", err=True)
        for news in _alert(hub):
            click.echo(json.dumps(news) if context.obj["json"] else _sentence(news))

    if once:
        leased(hub, "pull", job)()
        return
    run_worker(hub, None if hub.role == "node" else job)


COMMANDS = (pull_command, watch_group, worker)
