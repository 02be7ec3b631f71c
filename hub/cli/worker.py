"""The worker: pulls and alerts on a schedule, and deletes what is to be deleted."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from functools import partial

import click

from hub.cli.alerting import Desk, sentence, undelivered
from hub.cli.common import hub_of
from hub.cli.pulling import pull_once, worst
from hub.cli.scrub import peers_of
from hub.errors import ConflictError, HubError, UnavailableError
from hub.logs import configure_logs
from hub.peering import alarms, visit
from hub.scheduler import Job, Worker, leased, tidy
from hub.scrubbing import scrub
from hub.wiring import Hub

__all__ = ["COMMANDS"]

log = logging.getLogger("hub.worker")


@click.command()
@click.option("--once", is_flag=True, help="Do everything once, then end.")
@click.option("--until-eof", is_flag=True, hidden=True, help="End with standard input.")
@click.pass_context
def worker(context: click.Context, once: bool, until_eof: bool) -> None:
    """Pull on a schedule and alert, until stopped."""
    hub = hub_of(context)
    configure_logs()
    jobs = _jobs(hub, as_json=context.obj["json"])
    if once:
        _run_once(hub, jobs)
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if until_eof:
        # Whoever started this process holds the other end; the system closes it
        # however that one ends.
        threading.Thread(target=_wait_for_eof, args=(stop,), daemon=True).start()
    running = Worker(hub, jobs)
    if hub.role == "node":
        if hub.key_path("witness").exists():
            hub.federation().gate.raise_marks()
        running.add(Job("peers", lambda: _keep_peers(hub, running), 1))
    running.start()
    stop.wait()
    log.info("stopping")
    running.stop()
    hub.close()


def _run_once(hub: Hub, jobs: list[Job]) -> None:
    """Run each job but the long scrub, which a timer would start far too often.

    Raises:
        HubError: One failed; those before it are done.
    """
    for job in jobs:
        if job.name == "scrub":
            continue
        try:
            with leased(hub, job.name):
                job.run()
        except ConflictError:
            log.info("%s: another worker is at it", job.name)


def _wait_for_eof(stop: threading.Event) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    stop.set()


def _jobs(hub: Hub, *, as_json: bool) -> list[Job]:
    jobs = [tidy(hub)]
    if hours := hub.config["worker"]["scrub_hours"]:
        jobs.append(Job("scrub", lambda: _scrub(hub), hours * 60, 600))
    if hub.role != "node":
        settings = hub.config["worker"]
        jobs.append(
            Job(
                "pull",
                lambda: _pull(hub, as_json=as_json),
                settings["pull_minutes"],
                settings["jitter_seconds"],
            )
        )
    return jobs


def _scrub(hub: Hub) -> None:
    """Hash everything on disk again, and mend what is damaged.

    Raises:
        UnavailableError: Something is damaged and no peer had it.
    """
    found = scrub(hub.store, hub.registry, peers_of(hub))
    for damage in found.damages:
        log.warning("damaged: %s", damage)
    if found.left:
        raise UnavailableError(
            f"{len(found.left)} damages are left; nobody who was asked has them",
            code="corrupt",
            advice="Restore a backup: hub restore.",
        )


def _keep_peers(hub: Hub, running: Worker) -> None:
    """Have one job for every peer that the registry names now."""
    hub.bootstrap()
    federation, settings = hub.federation(), hub.config["federation"]
    wanted = {f"peer-{peer}": peer for peer in federation.peers()}
    for name, peer in wanted.items():
        seconds, jitter = settings["sync_seconds"], settings["jitter_seconds"]
        run = partial(_visit, hub, peer)
        running.add(Job(name, run, seconds / 60, min(jitter, seconds)))
    for name in running.names() - set(wanted):
        if name.startswith("peer-"):
            running.drop(name)
    for alarm in alarms(federation):
        log.warning("ALARM %s", alarm)


def _visit(hub: Hub, peer: str) -> None:
    """Sync with one peer; it notes itself what went wrong, and when to try again."""
    try:
        done = visit(hub.federation(), peer)
    except HubError as error:
        log.warning("%s: %s %s", peer, error, error.advice)
        return
    for feed, start, stop in done.pulled.feeds if done else ():
        log.info("%s: %s: %d → %d", peer, feed, start, stop)
    for feed, problem in done.problems.items() if done else ():
        log.warning("%s: %s: %s %s", peer, feed, problem, problem.advice)


def _pull(hub: Hub, *, as_json: bool) -> None:
    """Pull once, and alert whatever the pull brought or did not bring.

    Raises:
        HubError: A feed or a delivery has a problem; the others went on.
    """
    ledger = hub.ledger()
    try:
        desk = Desk(hub, ledger)
        try:
            found = pull_once(hub, tell=log.warning)
        finally:
            # What was alerted before and did not arrive is tried again even when no
            # hub answers, and reports end with time alone.
            failed = _alert(desk, as_json=as_json)
        for name, start, stop in found.feeds:
            log.info("%s: %d → %d", name, start, stop)
        for name, other in found.problems.items():
            log.warning("%s: %s %s", name, other, other.advice)
        if failed:
            raise failed
        if problem := worst(found):
            raise problem
    finally:
        ledger.close()


def _alert(desk: Desk, *, as_json: bool) -> Exception | None:
    desk.note_news()
    desk.note_warnings()
    with desk.delivering() as (alerts, failed):
        for alert in alerts:
            click.echo(json.dumps(alert) if as_json else sentence(alert))
    if outdated := desk.outdated():
        log.warning("%s", outdated)
    return undelivered(failed) if failed else None


COMMANDS = (worker,)
