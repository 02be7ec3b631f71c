"""An alliance in a folder, made and served with the commands that everybody uses."""

from __future__ import annotations

import csv
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.client import Client
from hub.feeds import publish
from hub.model import new_case_id, new_salt, render_time
from hub.publishing import make_batch
from hub.wiring import Hub, build_hub
from keys.encoding import to_base64
from keys.note import NoteSigner
from schemas.base import render_line

__all__ = ["Trial", "new_trial", "report"]

ALLIANCE = "alliance.example"


def report(now: int) -> bytes:
    """Return a report line of the usual size with random contents."""
    return render_line(
        {
            "kind": "report",
            "salt": new_salt(),
            "at": render_time(now),
            "type": "domain",
            "token": to_base64(secrets.token_bytes(32)),
            "key": "open-1",
            "case": new_case_id(),
            "basis": "test-purchase",
            "confidence": 80,
            "valid_until": render_time(now + 86400 * 300),
            "goods": [18, 25],
            "countries": ["FR", "DE"],
        }
    )


@dataclass
class Trial:
    """A node, the member maison and the auditor reader.

    Args:
        folder: Holds a folder for each of them.
        url: Where the node is served.
    """

    folder: Path
    url: str

    def command(self, who: str, *words: object) -> list[str]:
        """Return the command line of somebody."""
        said = [str(word) for word in words]
        where = str(self.folder / who)
        return [sys.executable, "-m", "hub", "--dir", where, *said]

    def run(self, who: str, *words: object) -> None:
        """Run a command to its end."""
        command = self.command(who, *words)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        # 3 says that something matched.
        if done.returncode not in (0, 3):
            sys.exit(f"{' '.join(command)}\n{done.stderr}")

    @contextmanager
    def served(self) -> Iterator[int]:
        """Serve the node, in a process of its own; yields its id."""
        with (self.folder / "serve.log").open("ab") as log:
            server = subprocess.Popen(
                self.command("node", "serve"), stdout=log, stderr=log
            )
        try:
            self._wait(server)
            yield server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)

    def _wait(self, server: subprocess.Popen[bytes]) -> None:
        for _ in range(300):
            if server.poll() is not None:
                sys.exit((self.folder / "serve.log").read_text())
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5).close()  # noqa: S310 - Our own address.
            except OSError:
                time.sleep(0.1)
            else:
                return
        sys.exit("the node did not start")

    def hub(self, who: str) -> Hub:
        """Return the hub of somebody's folder."""
        return build_hub(self.folder / who)

    def body(self, count: int) -> bytes:
        """Return a signed batch of the member, ready to be sent."""
        node = self.hub("node")
        with node.store.read() as tx:
            head = node.registry.current(tx).head
        now = node.clock.now()
        node.close()
        signer = self.hub("maison").signer("publish")
        named = NoteSigner(f"{ALLIANCE}/member/maison/k1", signer)
        lines = [report(now) for _ in range(count)]
        return make_batch(f"{ALLIANCE}/maison", lines, head, named)[1]

    def client(self, who: str) -> Client:
        """Return a client that signs with somebody's keys."""
        return self.hub(who).client(self.url)

    def fill(self, entries: int) -> None:
        """Publish that many entries at the node, in batches of 10,000."""
        node = self.hub("node")
        log, now, current = node.signer("log"), node.clock.now(), node.registry.current
        for start in range(0, entries, 10_000):
            body = self.body(min(10_000, entries - start))
            lines = body[:-1].split(b"\n")
            publish(node.store, current, "maison", lines, signer=log, now=now)
        node.close()

    def sellers(self, name: str, count: int) -> Path:
        """Write a table of made-up sellers."""
        path = self.folder / name
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["case", "domain"])
            word = secrets.token_hex(4)
            rows.writerows([f"C-{n}", f"shop-{word}-{n}.example"] for n in range(count))
        return path


def new_trial(folder: Path) -> Trial:
    """Make an alliance in a new folder; its node is not served when this returns.

    The first one is made by commands, later ones in folders beside it are its copies
    with the same address: one at a time can be served.
    """
    first = folder.parent / "alliance"
    if not first.exists():
        _make(first)
    shutil.copytree(first, folder)
    return Trial(folder, (folder / "url").read_text())


def _make(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(parents=True)
    trial = Trial(folder, f"http://127.0.0.1:{port}")
    (folder / "url").write_text(trial.url)
    words = ("--alliance", ALLIANCE, "--node", "node1", "--listen", f"127.0.0.1:{port}")
    trial.run("node", "init", *words)
    with trial.served():
        for role, name in (("member", "maison"), ("auditor", "reader")):
            asked = (
                "--pin",
                folder / "node" / "pin.json",
                "--as",
                role,
                "--name",
                name,
            )
            trial.run(name, "join", trial.url, *asked)
            trial.run("node", role, "add", folder / name / "request.json")
