"""Many real nodes that are killed, stopped, cut off and restored while members publish.

Each node is a real ``hub serve --with-worker`` on a file of its own, reached through a
proxy of the tests, so that it can be cut off. A batch counts as acknowledged when its
receipt carries the quorum. In the end everything is healed, and then every node must
hold every acknowledged batch, an audit of each must find nothing, and nobody may be
convicted.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from hub.audit import audit
from hub.client import Client, Identity
from hub.clock import SystemClock
from hub.directory import Pin
from hub.errors import HubError
from hub.model import new_case_id, new_salt, render_time
from hub.publishing import make_batch
from hub.registry import Registry
from hub.store.sqlite import SqliteStore
from hub.tlog.batch import digests_of
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.keyfile import read_key
from keys.note import NoteSigner
from schemas.base import render_line
from tests.faultkit import Proxy
from tests.running import free_port

__all__ = ["Soak"]

ROOT = Path(__file__).parents[1]
ENVIRON = {
    "HUB__FEDERATION__SYNC_SECONDS": "3",
    "HUB__FEDERATION__JITTER_SECONDS": "1",
    "HUB__SERVER__RATE_PER_MINUTE": "100000",
    "HUB__SERVER__PUBLISH_PER_MINUTE": "100000",
}


@dataclass
class SoakNode:
    """A node's folder, its ports and its process."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    public: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    proxy: Proxy | None = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.public}"


class Soak:
    """The alliance under load.

    Args:
        folder: Where everything is made.
        count: How many nodes.
        seed: Of what happens to them.
        quorum: How many other nodes must cosign.
    """

    def __init__(self, folder, count, seed=1, quorum=1):
        self.folder, self.random = folder, random.Random(seed)  # noqa: S311 - It must be repeatable.
        names = [f"node{n}" for n in range(1, count + 1)]
        self.nodes = {n: SoakNode(n, folder / n) for n in names}
        self.members = {f"m{n}": names[n] for n in range(min(count, 5))}
        self.stop = threading.Event()
        self.acknowledged: list[tuple[str, int, bytes]] = []
        self.happened: list[str] = []
        self.sent = 0
        try:
            self._found(quorum)
        except BaseException:
            self.close()
            raise

    def hub(self, who, *words, ok=(0,)):
        """Run a command and return what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "hub", "--dir", str(self.folder / who), "--json"]
            + [str(w) for w in words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**os.environ, **ENVIRON},
        )
        assert done.returncode in ok, (who, words, done.returncode, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def _found(self, quorum):
        first, *rest = self.nodes.values()
        words = ("--alliance", "alliance.example", "--node", first.name)
        listen = f"127.0.0.1:{first.port}"
        self.hub(first.name, "init", *words, "--listen", listen, "--url", first.url)
        for node in self.nodes.values():
            node.proxy = Proxy(node.public, node.port)
        self.start(first)
        pin = first.folder / "pin.json"
        for node in rest:
            who = ("--pin", pin, "--as", "node", "--name", node.name)
            place = ("--listen", f"127.0.0.1:{node.port}", "--url", node.url)
            self.hub(node.name, "join", first.url, *who, *place)
            self.hub(first.name, "node", "add", node.folder / "request.json")
        for node in rest:
            self.start(node)
        for member, home in self.members.items():
            who = ("--pin", pin, "--as", "member", "--name", member)
            self.hub(member, "join", first.url, *who)
            self.hub(first.name, "member", "add", self.folder / member / "request.json")
            if home != first.name:
                self.hub(first.name, "home", "move", member, "--to", home)
        self.hub(first.name, "policy", "--quorum", quorum)
        self.until(lambda: self._same_heads() == "", 120, "the nodes do not meet")

    # -- nodes -----------------------------------------------------------------------

    def start(self, node):
        """Start a node's server with its worker."""
        with (node.folder / "serve.log").open("a") as log:
            node.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "hub",
                    "--dir",
                    str(node.folder),
                    "serve",
                    "--with-worker",
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **ENVIRON},
            )
        client = Client(f"http://127.0.0.1:{node.port}", SystemClock())

        def answers():
            with contextlib.suppress(HubError):
                return client.get_json("/healthz")["ok"]

        self.until(answers, 60, f"{node.name} does not start")
        client.close()

    @staticmethod
    def until(true, seconds, complaint):
        """Wait until something is true."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, complaint
            time.sleep(0.2)

    def end(self, node, number=signal.SIGKILL):
        """End a node's processes at once, or as they are asked to."""
        if node.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(node.process.pid, number)
            node.process.wait(60)
            node.process = None

    # -- members ---------------------------------------------------------------------

    def _publish(self, member):
        """Publish one batch after the other, each until it has its quorum."""
        clock, home = SystemClock(), self.nodes[self.members[member]]
        key = read_key(self.folder / member / "private" / "publish.key", kind="ed25519")
        name = f"alliance.example/member/{member}/k1"
        signer = NoteSigner(name, Signer(key))
        pin = Pin.parse((self.nodes["node1"].folder / "pin.json").read_text())
        store = SqliteStore(self.nodes["node1"].folder / "hub.db")
        with store.read() as tx:
            head = Registry(pin).current(tx).head
        store.close()
        client = Client(home.url, clock, Identity(name, signer.signer), deadline=20)
        rng = random.Random(f"{member}{self.random.random()}")  # noqa: S311 - The same.
        while not self.stop.is_set():
            lines = [_report(clock.now()) for _ in range(rng.randint(1, 50))]
            _, body = make_batch(f"alliance.example/{member}", lines, head, signer)
            self.sent += 1
            while not self.stop.is_set():
                try:
                    receipt = client.publish(member, body)
                except HubError:
                    self.stop.wait(0.5)
                    continue
                if len(receipt["cosignatures"]) >= receipt["quorum"]:
                    digest = digests_of(body.split(b"\n")[:1])[0]
                    self.acknowledged.append((member, receipt["first"], digest))
                    break
                self.stop.wait(0.3)
            self.stop.wait(rng.random())
        client.close()

    # -- what happens ----------------------------------------------------------------

    def run(self, seconds):
        """Let members publish and things happen for some seconds."""
        threads = [
            threading.Thread(target=self._publish, args=(m,)) for m in self.members
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        deeds = (self._kill, self._freeze, self._cut_off, self._slow, self._restore)
        while time.monotonic() < end:
            deed = self.random.choice(deeds)
            node = self.random.choice(list(self.nodes.values()))
            self.happened.append(f"{deed.__name__.strip('_')} {node.name}")
            deed(node)
            time.sleep(self.random.random() * 2)
        self.stop.set()
        for thread in threads:
            thread.join(60)

    def _kill(self, node):
        self.end(node)
        time.sleep(self.random.random() * 3)
        self.start(node)

    def _freeze(self, node):
        os.killpg(node.process.pid, signal.SIGSTOP)
        time.sleep(1 + self.random.random() * 4)
        os.killpg(node.process.pid, signal.SIGCONT)

    def _cut_off(self, node):
        node.proxy.plan = {"up": 0, "down": 0, "reset": self.random.random() < 0.5}
        time.sleep(1 + self.random.random() * 5)
        node.proxy.plan = {}

    def _slow(self, node):
        node.proxy.plan = {"pause": 0.05, "piece": 2048}
        time.sleep(1 + self.random.random() * 4)
        node.proxy.plan = {}

    def _restore(self, node):
        """Put in a copy of the database that is some seconds old."""
        copy = self.folder / f"{node.name}-{len(self.happened)}.db"
        self.hub(node.name, "backup", copy)
        time.sleep(self.random.random() * 4)
        self.end(node, signal.SIGTERM)
        for former in node.folder.glob("hub.db*.before"):
            former.unlink()
        self.hub(node.name, "restore", copy)
        self.start(node)

    # -- the end ---------------------------------------------------------------------

    def _stores(self):
        for node in self.nodes.values():
            store = SqliteStore(node.folder / "hub.db")
            try:
                yield node, store
            finally:
                store.close()

    def _same_heads(self):
        """Return what differs between the nodes, nothing when they are the same."""
        found = {}
        for node, store in self._stores():
            with store.read() as tx:
                heads = {feed: head.size for feed, head in tx.heads.all().items()}
            found[node.name] = heads
        wanted = {
            feed: max(heads.get(feed, 0) for heads in found.values())
            for heads in found.values()
            for feed in heads
        }
        return "; ".join(
            f"{name}: {feed} {heads.get(feed, 0)} of {size}"
            for name, heads in found.items()
            for feed, size in wanted.items()
            if heads.get(feed, 0) != size
        )

    def settle(self, seconds=180):
        """Heal everything; wait until all nodes hold the same."""
        for node in self.nodes.values():
            node.proxy.plan = {}
        end = time.monotonic() + seconds
        while (difference := self._same_heads()) and time.monotonic() < end:
            time.sleep(1)
        assert not difference, difference

    def check(self):
        """Check every node: all that was acknowledged, no finding, nobody convicted."""
        pin = Pin.parse((self.nodes["node1"].folder / "pin.json").read_text())
        for node, store in self._stores():
            with store.read() as tx:
                assert tx.federation.evidence() == [], node.name
                for member, first, digest in self.acknowledged:
                    there = tx.objects.size(member) > first
                    assert there, f"{node.name} lost {member}/{first}"
                    found = tx.objects.digests(member, first, first + 1)[0]
                    assert found == digest, f"{node.name} changed {member}/{first}"
            report = audit(store, pin, SystemClock().now())
            assert report.findings == [], (node.name, report.findings[:3])

    def close(self):
        """End every process and proxy."""
        self.stop.set()
        for node in self.nodes.values():
            with contextlib.suppress(Exception):
                self.end(node)
            if node.proxy is not None:
                node.proxy.close()


def _report(now):
    return render_line(
        {
            "kind": "report",
            "salt": new_salt(),
            "at": render_time(now),
            "type": "domain",
            "token": to_base64(os.urandom(32)),
            "key": "open-1",
            "case": new_case_id(),
            "basis": "test-purchase",
            "confidence": 50,
            "valid_until": render_time(now + 86400 * 30),
        }
    )
