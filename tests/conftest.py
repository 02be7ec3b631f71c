"""A small alliance with a real node process, shared by the tests of one worker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=300, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

ROOT = Path(__file__).parents[1]


@dataclass
class Alliance:
    """Folders of a node, two members and an auditor; ``hub`` runs a command in one."""

    folder: Path
    url: str
    server: subprocess.Popen | None = None
    module: str = "hub"
    """What ``serve`` runs: the command, or one with something that a test changed."""

    def hub(self, who, *words, text="", status=0, environ=None):
        done = subprocess.run(
            [sys.executable, "-m", "hub", "--dir", str(self.folder / who), "--json"]
            + [str(w) for w in words],
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env={**os.environ, **(environ or {})},
        )
        assert done.returncode == status, (words, done.returncode, done.stderr)
        self.said = done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def serve(self):
        command = [
            sys.executable,
            "-m",
            self.module,
            "--dir",
            str(self.folder / "node"),
        ]
        with (self.folder / "node.log").open("a") as log:
            self.server = subprocess.Popen(
                [*command, "serve"],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(150):
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5).close()  # noqa: S310
            except OSError:
                assert self.server.poll() is None, (
                    self.folder / "node.log"
                ).read_text()
                time.sleep(0.1)
            else:
                return
        self.stop(hard=True)
        raise AssertionError("the node did not start")

    def stop(self, *, hard=False):
        if self.server:
            if hard:
                # The server's worker must die with it, as in a power cut.
                os.killpg(self.server.pid, signal.SIGKILL)
            else:
                self.server.terminate()
            self.server.wait(20)
            self.server = None

    def admit(self, name, role="member"):
        pin = self.folder / "node" / "pin.json"
        self.hub(name, "join", self.url, "--pin", pin, "--as", role, "--name", name)
        request = self.folder / name / "request.json"
        self.hub("node", role, "add", request)


def start(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Alliance(folder, f"http://127.0.0.1:{port}")
    words = ("--alliance", "alliance.example", "--node", "node1")
    made.hub("node", "init", *words, "--listen", f"127.0.0.1:{port}")
    made.serve()
    return made


@pytest.fixture
def alliance(tmp_path):
    """An alliance of its own with members maison and market and an auditor."""
    made = start(tmp_path)
    try:
        made.admit("maison")
        made.admit("market")
        made.admit("auditor1", "auditor")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A stopped alliance in which maison published three cases; copy it, then harm it."""
    made = start(tmp_path_factory.mktemp("alliance"))
    try:
        made.admit("maison")
        made.admit("market")
        file = made.folder / "cases.csv"
        file.write_text(
            "case,domain,email\nC-1,a.example,x@a.example\nC-2,b.example,\n"
            "C-3,c.example,\n"
        )
        made.hub("maison", "publish", file, "--ref", "case")
    finally:
        made.stop()
    return made


@pytest.fixture
def harmed(published, tmp_path):
    """A copy of the published node's folder, to plant a fault in."""
    target = tmp_path / "node"
    shutil.copytree(published.folder / "node", target)
    shutil.copytree(published.folder / "maison", tmp_path / "maison")
    return target
