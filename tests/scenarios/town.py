"""An alliance of folders: what its officers, nodes and members do, by commands."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALLIANCE = "alliance.example"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Town:
    """Folders of officers, nodes and members, and the commands that they run."""

    def __init__(self, folder, ports=None):
        self.folder = folder
        self.ports = ports or {"node1": free_port(), "node2": free_port()}
        self.servers = {}
        self.said = ""

    def url(self, node="node1"):
        return f"http://127.0.0.1:{self.ports[node]}"

    def path(self, *parts):
        return self.folder.joinpath(*parts)

    def run(self, who, *words, environ=None):
        return subprocess.run(
            [sys.executable, "-m", "hub", "--dir", str(self.path(who)), "--json"]
            + [str(w) for w in words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env={**os.environ, **(environ or {})},
        )

    def hub(self, who, *words, status=0, environ=None):
        """Run a command; check its status and return what it printed."""
        done = self.run(who, *words, environ=environ)
        assert done.returncode == status, (who, words, done.returncode, done.stderr)
        assert "Traceback" not in done.stderr
        self.said = done.stderr
        return json.loads(done.stdout) if status in (0, 1) else None

    def serve(self, node="node1"):
        with self.path(f"{node}.log").open("a") as log:
            self.servers[node] = subprocess.Popen(
                [sys.executable, "-m", "hub", "--dir", str(self.path(node)), "serve"],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.url(node)}/healthz", timeout=5).close()  # noqa: S310
            except OSError:
                log = self.path(f"{node}.log")
                assert self.servers[node].poll() is None, log.read_text()
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"{node} did not start")

    def stop(self, node=None):
        """Kill servers as a power cut would."""
        for name in [node] if node else list(self.servers):
            server = self.servers.pop(name)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait(20)

    # -- what officers do together ---------------------------------------------------

    def create(self):
        """Make officers, a node and the first proposal, signed by anna."""
        for name in ("anna", "berta", "carla"):
            self.hub(name, "officer", "new", ALLIANCE, name)
        listen = f"127.0.0.1:{self.ports['node1']}"
        words = ("--alliance", ALLIANCE, "--name", "node1", "--listen", listen)
        self.hub("node1", "node", "new", *words)
        officers = [
            w
            for name in ("anna", "berta", "carla")
            for w in ("--officer", self.path(name, f"{name}.vkey"))
        ]
        request, out = self.path("node1", "request.json"), self.path("first.json")
        rest = ("--threshold", 2, "--node", request, "--out", out)
        self.hub("anna", "alliance", "create", *officers, *rest)
        shutil.copy(self.path("anna", "pin.json"), self.path("node1"))
        return out

    def carry(self, file, *signers, by=None, status=0):
        """Let officers sign a proposal, and the last one submit it."""
        for name in signers:
            self.hub(name, "registry", "sign", file, "--pin", self.pin)
        return self.hub(by or signers[-1], "registry", "submit", file, status=status)

    @property
    def pin(self):
        return self.path("anna", "pin.json")

    def propose(self, who, *words, name="p.json", status=0):
        """Run a command of an officer that writes a proposal; return the file."""
        file = self.path(name)
        self.hub(who, *words, "--out", file, status=status)
        return file

    def join(self, name, role="member", *words, status=0):
        """Make a newcomer's folder."""
        rest = ("--pin", self.pin, "--as", role, "--name", name, *words)
        return self.hub(name, "join", self.url(), *rest, status=status)

    def admit(self, name, role="member"):
        request = self.path(name, "request.json")
        file = self.propose("anna", role, "add", request, name=f"{name}.json")
        self.carry(file, "berta")

    def found(self):
        file = self.create()
        self.serve()
        self.carry(file, "berta")
        return self

    def publish(self, *hosts, who="maison", status=0, environ=None):
        file = self.path(f"{who}.csv")
        file.write_text("domain\n" + "".join(f"{h}\n" for h in hosts))
        return self.hub(who, "publish", file, status=status, environ=environ)

    def audit(self, who="maison", environ=None):
        self.hub(who, "pull", environ=environ)
        return self.hub(who, "audit")
