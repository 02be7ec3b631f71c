"""``hub serve --with-worker``: a worker in a process of its own, beside the server.

The worker's standard input is a pipe whose other end the serving process holds. However
that process ends, the system closes the pipe, and the worker ends after the run that is
under way. A worker that ends by itself is started again.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

__all__ = ["run_beside"]

log = logging.getLogger("hub.serve")
PAUSE = 10.0
"""Seconds before a worker that ended by itself is started again."""


def run_beside(folder: Path) -> None:
    """Keep a worker for a folder running for as long as this process runs."""
    threading.Thread(
        target=_keep, args=(folder,), name="worker-beside", daemon=True
    ).start()


def _keep(folder: Path) -> None:
    command = [sys.executable, "-m", "hub", "--dir", str(folder.resolve()), "worker"]
    while True:
        # Our own command line.
        with subprocess.Popen(  # noqa: S603
            [*command, "--until-eof"], stdin=subprocess.PIPE
        ) as worker:
            log.info("the worker runs beside", extra={"pid": worker.pid})
            status = worker.wait()
        log.error("the worker ended", extra={"status": status})
        time.sleep(PAUSE)
