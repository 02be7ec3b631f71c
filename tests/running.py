"""A real `hub serve` on a free loopback port, for as long as a block runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Running", "free_port", "running"]

ROOT = Path(__file__).parents[1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A server process, its address, and what it logged."""

    def __init__(self, folder, port, process, log):
        self.folder, self.port, self.process, self.log = folder, port, process, log
        self.url = f"http://127.0.0.1:{port}"

    def connect(self):
        """Return a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), 30)

    def say(self, data, more=b""):
        """Send bytes on a connection of their own and return all of the answer."""
        with self.connect() as client:
            client.sendall(data)
            if more:
                client.sendall(more)
            return read_all(client)

    def stop(self, patience=30):
        """Ask it to stop and return its exit status."""
        self.process.terminate()
        return self.process.wait(patience)

    def lines(self):
        """Return every line of the log, which are all JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def read_all(client):
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


@contextmanager
def running(folder, *, prelude="", wait=True, port=None, **environ):
    """Serve a node's folder; ``prelude`` is Python that the process runs first."""
    port = port or free_port()
    log = folder / "serve.log"
    program = f"{prelude}\nfrom hub.cli import main\nmain()"
    listen = f"127.0.0.1:{port}"
    settings = {
        "HUB__SERVER__LISTEN": listen,
        "HUB__SERVER__PUBLIC_URL": f"http://{listen}",
        **environ,
    }
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "--dir", str(folder), "serve"],
            cwd=ROOT,
            stdout=file,
            stderr=file,
            env={**os.environ, **settings},
            start_new_session=True,
        )
    made = Running(folder, port, process, log)
    try:
        if wait:
            _await(made)
        yield made
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)


def _await(made):
    for _ in range(300):
        assert made.process.poll() is None, made.log.read_text()
        # A server that was killed a moment ago may still hold the port, so that a
        # connection alone says nothing.
        if "Booting worker" in made.log.read_text():
            made.connect().close()
            return
        time.sleep(0.1)
    raise AssertionError("the node did not start")
