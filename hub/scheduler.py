"""The worker: jobs that run on a schedule, each under a lease.

Jobs are declared by the caller and kept in memory; what is due is in the store. A run
takes a lease and renews it while it lasts, so two workers on one folder are harmless
and a run may take longer than the lease. A run that fails is tried again before its
next turn, later each time; one failure never ends the worker.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler

from hub.errors import ConflictError, HubError
from hub.feeds import delete_due
from hub.wiring import Hub
from keys.errors import KeysError

__all__ = ["Job", "Worker", "leased", "tidy"]

log = logging.getLogger("hub.worker")
LEASE = 300
"""Seconds after which the lease of a worker that died is free."""
FIRST_PAUSE = 30
TIDY_MINUTES = 10
CLOCK_SECONDS = 30
"""How often the worker looks whether the clock was set back."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is done every so often, shifted at random by some seconds."""

    name: str
    run: Callable[[], None]
    minutes: float
    jitter: int = 0


@contextmanager
def leased(hub: Hub, name: str, seconds: float = LEASE) -> Iterator[None]:
    """Hold the lease of a job for as long as the block runs.

    Raises:
        ConflictError: Another worker is at it.
    """
    owner = f"{os.getpid()}-{secrets.token_hex(4)}"
    over = threading.Event()

    def take() -> None:
        now = hub.clock.now()
        with hub.store.write() as tx:
            tx.node.lease(name, owner, now + round(seconds), now)

    def keep() -> None:
        while not over.wait(seconds / 3):
            try:
                take()
            except HubError as error:
                # The disk is full, say. The run goes on: whoever takes the lease
                # meanwhile does no harm, as every job decides in one transaction.
                log.warning("%s: the lease cannot be renewed: %s", name, error)

    take()
    keeper = threading.Thread(target=keep, name=f"lease-{name}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        # If we crash before this, the lease is free after its time.
        with hub.store.write() as tx:
            tx.node.release(name, owner)


class Worker:
    """Runs jobs until it is stopped.

    Args:
        hub: The folder's hub.
        jobs: What to do.
    """

    def __init__(self, hub: Hub, jobs: list[Job]):
        self._hub = hub
        self._failures = dict.fromkeys((job.name for job in jobs), 0)
        self._idle = threading.Condition()
        self._under_way, self._stopping = 0, False
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            # Every peer of a large alliance may be slow at the same time.
            executors={"default": {"type": "threadpool", "max_workers": 32}},
            job_defaults={
                "coalesce": True,
                "max_instances": 1,
                # A job that had to wait is late, not lost.
                "misfire_grace_time": None,
            },
        )
        self._over = threading.Event()
        self._timekeeper = threading.Thread(target=self._keep_time, daemon=True)
        for job in jobs:
            self.add(job)

    def add(self, job: Job) -> None:
        """Add a job, unless one of its name is there."""
        if self._scheduler.get_job(job.name) is not None:
            return
        self._failures.setdefault(job.name, 0)
        self._scheduler.add_job(
            self._run,
            "interval",
            args=[job],
            id=job.name,
            seconds=round(job.minutes * 60),
            jitter=job.jitter or None,
            next_run_time=datetime.now(UTC),  # noqa: TID251 - The scheduler lives by the machine's time.
        )

    def names(self) -> set[str]:
        """Return the names of all jobs."""
        return {job.id for job in self._scheduler.get_jobs()}

    def drop(self, name: str) -> None:
        """Run a job no more; a run that is under way ends."""
        self._scheduler.remove_job(name)

    def start(self) -> None:
        """Start; every job runs at once, then on its schedule."""
        self._scheduler.start()
        self._timekeeper.start()

    def stop(self) -> None:
        """Start no more runs, and wait for the end of those that are under way."""
        self._over.set()
        self._timekeeper.join()
        with self._idle:
            self._stopping = True
            # The scheduler itself would wait with its lock held, which a job needs
            # that looks at its jobs.
            self._idle.wait_for(lambda: self._under_way == 0)
        self._scheduler.shutdown(wait=False)

    def _keep_time(self) -> None:
        """Run every job when the clock was set back.

        Their next turns were planned by the old time, and would not come for as long
        as it was ahead.
        """
        before = self._hub.clock.now()
        while not self._over.wait(CLOCK_SECONDS):
            now = self._hub.clock.now()
            if now < before:
                log.warning("the clock went back by %d seconds or more", before - now)
                for job in self._scheduler.get_jobs():
                    job.modify(next_run_time=datetime.now(UTC))  # noqa: TID251 - As above.
            before = now

    def _run(self, job: Job) -> None:
        with self._idle:
            if self._stopping:
                return
            self._under_way += 1
        try:
            self._run_once(job)
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def _run_once(self, job: Job) -> None:
        try:
            with leased(self._hub, job.name):
                job.run()
        except ConflictError:
            log.info("%s: another worker is at it", job.name)
        except (HubError, KeysError) as error:
            log.warning("%s: %s %s", job.name, error, error.advice)
            self._retry(job)
        else:
            self._failures[job.name] = 0

    def _retry(self, job: Job) -> None:
        """Run a job again before its next turn, unless that comes sooner."""
        pause = pause_of(self._failures[job.name])
        self._failures[job.name] += 1
        again = datetime.now(UTC) + timedelta(seconds=pause)  # noqa: TID251 - As above.
        planned: Any = self._scheduler.get_job(job.name)
        if planned is not None and again < planned.next_run_time:
            planned.modify(next_run_time=again)


def pause_of(failures: int) -> float:
    """Return the seconds before the next try of a job that failed so often before."""
    return FIRST_PAUSE << min(failures, 20)


def tidy(hub: Hub) -> Job:
    """Return the job that deletes what is to be deleted.

    Erased lines after their delay, the log of reads after its time, spent nonces.
    """
    days = hub.config["server"]["keep_reads_days"]

    def run() -> None:
        now = hub.clock.now()
        count = delete_due(hub.store, now)
        if count:
            log.info("deleted %d erased lines", count)
        with hub.store.write() as tx:
            tx.node.forget_nonces(now)
            reads = tx.node.forget_reads(now - 86400 * days)
        if reads:
            log.info("forgot %d reads", reads)

    return Job("tidy", run, TIDY_MINUTES)
