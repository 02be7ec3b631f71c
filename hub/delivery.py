"""Delivers what is in the outbox: to a file, a command and a webhook.

Every alert arrives at least once by every way that is configured. It arrives once as
far as that can be had: into a file always, since a delivery that was cut off is found
there and only its rest is written; by the other ways unless the process or the other
side fails between taking it and saying so, and then the key of the delivery is the
same as before. A way that fails holds up only itself: its deliveries stay in their
order and are tried again, later each time.

Not trusted: the command and the webhook. They get time and no more.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hub.client import post_alerts
from hub.errors import HubError, UnavailableError
from hub.store.outbox import Delivery, Outbox

__all__ = ["Command", "File", "Undelivered", "Way", "Webhook", "deliver", "ways_of"]

FIRST_PAUSE = 60
LONGEST_PAUSE = 6 * 3600
PATIENCE = 60
"""Seconds that a command may take."""


class Way(Protocol):
    """How alerts reach somebody."""

    def __call__(self, delivery: Delivery) -> None:
        """Deliver.

        Raises:
            UnavailableError: It did not arrive.
        """
        ...


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A way that failed: how many deliveries wait, until when, and why."""

    way: str
    waiting: int
    due: int
    problem: str


def deliver(outbox: Outbox, ways: Mapping[str, Way], now: int) -> list[Undelivered]:
    """Deliver what is due by each way, in order; return the ways that failed."""
    found = (_deliver(outbox, name, way, now) for name, way in ways.items())
    return [problem for problem in found if problem is not None]


def _deliver(outbox: Outbox, name: str, way: Way, now: int) -> Undelivered | None:
    waiting = outbox.waiting(name)
    for place, delivery in enumerate(waiting):
        left = len(waiting) - place
        if delivery.due > now:
            return Undelivered(name, left, delivery.due, delivery.problem)
        try:
            way(delivery)
        except HubError as error:
            pause = min(FIRST_PAUSE << min(delivery.tries, 20), LONGEST_PAUSE)
            outbox.failed(delivery, str(error), now + pause)
            return Undelivered(name, left, now + pause, str(error))
        # If we crash here, then it is delivered again, under the same key.
        outbox.delivered([delivery])
    return None


def ways_of(
    settings: Mapping[str, Any], folder: Path, outbox: Outbox
) -> dict[str, Way]:
    """Return the ways that the section ``alerts`` of the configuration names."""
    ways: dict[str, Way] = {}
    if settings["file"]:
        ways["file"] = File(folder / settings["file"], outbox)
    if settings["command"]:
        ways["command"] = Command(settings["command"])
    if settings["webhook"]:
        ways["webhook"] = Webhook(settings["webhook"], settings["webhook_secret"])
    return ways


@dataclass(frozen=True)
class File:
    """Appends JSON lines to a file.

    Args:
        path: The file.
        outbox: Remembers where in the file a delivery began.
    """

    path: Path
    outbox: Outbox

    def __call__(self, delivery: Delivery) -> None:
        """Append what is not there yet.

        Raises:
            UnavailableError: The file cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                start = delivery.mark
                if start is None:
                    start = file.tell()
                    self.outbox.mark(delivery, start)
                # If we crash here or while writing, then the next try looks at what
                # stands behind the mark.
                file.write(self._rest(start, delivery.body))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UnavailableError(
                f"alerts cannot be written to {self.path}: {error.strerror}"
            ) from None

    def _rest(self, start: int, body: bytes) -> bytes:
        """Return what of a delivery does not stand behind its mark yet."""
        with self.path.open("rb") as file:
            file.seek(start)
            there = file.read(len(body))
        # Somebody moved the file away, or wrote into it: then all is written.
        return body.removeprefix(there)


@dataclass(frozen=True)
class Command:
    """Gives JSON lines to a shell command on its standard input."""

    command: str

    def __call__(self, delivery: Delivery) -> None:
        """Run the command, whose ``HUB_DELIVERY`` is the key of the delivery.

        Raises:
            UnavailableError: It failed, or took too long.
        """
        # The operator wrote the command into the configuration.
        running = subprocess.Popen(  # noqa: S602
            self.command,
            shell=True,
            stdin=subprocess.PIPE,
            # Standard output is for the answers of our own commands.
            stdout=2,
            env={**os.environ, "HUB_DELIVERY": delivery.key},
            start_new_session=True,
        )
        try:
            running.communicate(delivery.body, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise UnavailableError(
                f"the command for alerts took more than {PATIENCE} seconds"
            ) from None
        finally:
            _end(running)
        if running.returncode:
            raise UnavailableError(
                f"the command for alerts ended with {running.returncode}"
            )


def _end(running: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, with what it started."""
    if running.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@dataclass(frozen=True)
class Webhook:
    """Posts JSON lines to a URL."""

    url: str
    secret: str = ""

    def __call__(self, delivery: Delivery) -> None:
        """Post, with the key of the delivery, and signed when there is a secret.

        Raises:
            UnavailableError: It does not answer with 2xx in time.
        """
        headers = {"Idempotency-Key": f'"{delivery.key}"'}
        if self.secret:
            mac = hmac.new(self.secret.encode(), delivery.body, hashlib.sha256)
            headers["Hub-Signature-256"] = f"sha256={mac.hexdigest()}"
        post_alerts(self.url, delivery.body, headers)
