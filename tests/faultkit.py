"""What the fault tests share: servers that misbehave, disks that fail, moments to die."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hub import cli
from tests.conftest import ROOT
from tests.needs import missing

__all__ = [
    "Proxy",
    "Ran",
    "Stepper",
    "check_strace",
    "fill",
    "injected",
    "misbehaving",
    "resident",
    "run",
    "small_disk",
]


@contextlib.contextmanager
def misbehaving(talk):
    """Yield the URL of a server that leaves each connection to ``talk``."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def one(connection):
        # The other side may hang up in the midst of it; that is the point.
        with connection, contextlib.suppress(OSError):
            talk(connection)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # Closing alone does not wake a thread that waits for a connection.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


_STRACE = ("strace", "-f", "-o", os.devnull)


def _rules(calls, what):
    return ("-e", f"trace={calls}", "-e", f"inject={calls}:{what}")


@contextlib.contextmanager
def injected(pid, calls, what):
    """Let system calls of a running process fail or kill it, until the block ends.

    Args:
        pid: The process; its threads and children are included.
        calls: Names of system calls, as in ``fsync,rename``.
        what: As strace has it: ``error=EIO:when=1+``, ``signal=KILL:when=3``. Calls are
            counted by name and thread, from here on.
    """
    check_strace()
    tracer = subprocess.Popen(
        [*_STRACE, "-p", str(pid), *_rules(calls, what)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert "attached" in tracer.stderr.readline()
        yield
    finally:
        # It detaches, and the process goes on as if nothing had been. Sometimes it
        # waits for one that it killed; the kernel lets go of the others then.
        tracer.terminate()
        try:
            tracer.wait(2)
        except subprocess.TimeoutExpired:
            tracer.kill()
            tracer.wait(20)
        tracer.stderr.close()


def at_every_step(calls, attempt):
    """Have something die at each system call that it makes; return how many of each.

    Args:
        calls: Names of system calls.
        attempt: Is given a call and its number, and tells whether that was reached.
    """
    reached = Counter()
    for call in calls:
        while attempt(call, reached[call] + 1):
            reached[call] += 1
    return reached


def check_strace():
    """Skip, or fail in CI, where strace cannot change what system calls do."""
    probe = [*_STRACE, "-e", "inject=fsync:error=EIO", "true"]
    if shutil.which("strace") is None or subprocess.call(probe):
        missing("strace cannot make the disk fail here")


@contextlib.contextmanager
def small_disk(place, size="8m"):
    """Mount a small disk at a new folder, or skip where this machine does not let us."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        missing("cannot mount a small disk here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(file):
    """Write a file until the disk is full."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


@dataclass
class Ran:
    """How a command ended: its exit status, its JSON, and its messages."""

    status: int
    out: list
    err: str


def run(folder, *words):
    """Run a command in this process: as good as a new one, but for the time it takes."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["hub", "--dir", str(folder), "--json", *map(str, words)]
    with warnings.catch_warnings():
        # What a command leaves open is closed here, as at the end of a process.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                cli.main()
        except SystemExit as ended:
            status = ended.code
        finally:
            sys.argv = argv
            gc.collect()
    return Ran(
        status, [json.loads(x) for x in out.getvalue().splitlines()], err.getvalue()
    )


class Stepper:
    """Runs commands as processes of their own, and kills them at a given step.

    Args:
        folder: A place for what they say.
    """

    def __init__(self, folder):
        self._gate, self._said = folder / "gate", folder / "said"
        os.mkfifo(self._gate)
        self._forker = subprocess.Popen(
            [sys.executable, "-m", "tests.stepper"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder, *words, fault=None):
        """Run a command; ``fault`` is (calls, what) as :func:`injected` takes them."""
        order = {"words": ["--dir", str(folder), "--json", *map(str, words)]}
        order |= {"gate": str(self._gate), "said": str(self._said)}
        self._forker.stdin.write(json.dumps(order) + "\n")
        self._forker.stdin.flush()
        pid = int(self._forker.stdout.readline())
        with injected(pid, *fault) if fault else contextlib.nullcontext():
            self._gate.write_bytes(b"")
            status, self._memory = map(int, self._forker.stdout.readline().split())
        text = self._said.read_text()
        out = [json.loads(x) for x in text.splitlines() if x.startswith("{")]
        return Ran(status, out, text)

    def most_memory(self):
        """Return the most memory that the last command had, in bytes."""
        return self._memory * 1024

    def kill_at_every_step(self, calls, command, after):
        """Kill a command at its system calls; return how often it died at each.

        Args:
            calls: Names of system calls, with a pace: 1 kills at every one, 3 at every
                third. What lies between is of the same kind and only takes time.
            command: Returns the folder and the words.
            after: Is called each time, with whether it was killed.
        """

        def attempt(call, number):
            when = 1 + (number - 1) * calls[call]
            ran = self.run(*command(), fault=(call, f"signal=KILL:when={when}"))
            assert ran.status in (0, -signal.SIGKILL), (call, when, ran)
            after(killed=ran.status != 0)
            return ran.status != 0

        return at_every_step(calls, attempt)

    def close(self):
        """End the process that forks."""
        self._forker.stdin.close()
        self._forker.wait(30)
        self._forker.stdout.close()


def resident(pid):
    """Return the most memory that a process ever had, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("a process has a size")


class Proxy:
    """Stands between clients and a node and harms their connections.

    ``plan`` holds, for each new connection, after how many bytes it is cut, by
    direction (``up``, ``down``); whether by a ``reset``; and a pause (``pause``) after
    each so many bytes (``piece``).

    Args:
        port: Where it listens.
        target: The port of the node.
    """

    def __init__(self, port, target):
        self.plan = {}
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(
                    threading.Thread(target=self._join, args=(client,))
                )
                self._threads[-1].start()

    def _join(self, client):
        plan = dict(self.plan)
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._target)) as node,
        ):
            ways = (client, node, "up", plan), (node, client, "down", plan)
            up = threading.Thread(target=self._pass, args=ways[0])
            up.start()
            self._pass(*ways[1])
            up.join()

    @staticmethod
    def _pass(source, target, direction, plan):
        left = plan.get(direction)
        with contextlib.suppress(OSError):
            while left is None or left > 0:
                most = min(left or 65536, plan.get("piece", 65536))
                part = source.recv(most)
                if not part:
                    break
                target.sendall(part)
                left = None if left is None else left - len(part)
                time.sleep(plan.get("pause", 0))
        for end in (source, target):
            with contextlib.suppress(OSError):
                if plan.get("reset"):
                    # Without a farewell: closing it then sends a reset.
                    linger = struct.pack("ii", 1, 0)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    end.shutdown(socket.SHUT_RD)
                else:
                    end.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Let nobody through any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
