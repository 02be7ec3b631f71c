"""The worker: pulls on a schedule, alerts, and deletes what was erased 72 hours ago.

Jobs are declared here and kept in memory; what is due is in the store. Every run takes
a lease, so two workers on one folder are harmless.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable

from apscheduler.schedulers.blocking import BlockingScheduler

from hub.errors import ConflictError, HubError
from hub.feeds import delete_due
from hub.wiring import Hub

__all__ = ["run_worker"]

log = logging.getLogger("hub.worker")
LEASE = 900


def leased(hub: Hub, name: str, job: Callable[[], None]) -> Callable[[], None]:
    """Return a job that runs only while nobody else runs it, and never raises."""
    owner = f"{os.getpid()}-{secrets.token_hex(4)}"

    def run() -> None:
        now = hub.clock.now()
        try:
            with hub.store.write() as tx:
                tx.node.lease(name, owner, now + LEASE, now)
        except ConflictError:
            log.info("%s: another worker is at it", name)
            return
        try:
            job()
        except HubError as error:
            # The next run tries again; one failure never ends the worker.
            log.warning("%s: %s %s", name, error, error.advice)
        finally:
            with hub.store.write() as tx:
                tx.node.release(name, owner)

    return run


def run_worker(hub: Hub, pull: Callable[[], None] | None) -> None:
    """Run the scheduled jobs until the process is stopped.

    Args:
        hub: The folder's hub.
        pull: Pulls and alerts; None on a node that pulls from nobody.
    """
    settings = hub.config["worker"]
    scheduler = BlockingScheduler(
        timezone="UTC",
        job_defaults={
            "coalesce": True,
            "max_instances": 1,
            # A job that had to wait is late, not lost.
            "misfire_grace_time": None,
        },
    )
    if pull is not None:
        job = leased(hub, "pull", pull)
        job()
        scheduler.add_job(
            job,
            "interval",
            minutes=settings["pull_minutes"],
            jitter=settings["jitter_seconds"],
        )

    def delete() -> None:
        count = delete_due(hub.store, hub.clock.now())
        if count:
            log.info("deleted %d erased lines", count)

    scheduler.add_job(leased(hub, "erase", delete), "interval", minutes=10)
    scheduler.start()
