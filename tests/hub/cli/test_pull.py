"""Pulling on the command line: what it costs, and what it survives."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import start

ROOT = Path(__file__).parents[3]


class Relay:
    """A wire to the node that counts what passes, and may be cut."""

    def __init__(self, port):
        self.port, self.listener = port, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.reset()
        threading.Thread(target=self.accept, daemon=True).start()

    def reset(self, cut=None):
        """Count from here on; hang up when this many lines were asked for."""
        self.up, self.down, self.cut = bytearray(), bytearray(), cut

    @property
    def requests(self):
        return re.findall(rb"^((?:GET|POST) \S+) HTTP/1.1\r$", self.up, re.MULTILINE)

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.connect, args=(client,)).start()

    def connect(self, client):
        with client, socket.create_connection(("127.0.0.1", self.port)) as node:
            words = (client, node, "up")
            upward = threading.Thread(target=self.carry, args=words)
            upward.start()
            self.carry(node, client, "down")
            upward.join()

    def carry(self, source, target, way):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                seen = getattr(self, way)
                seen += data
                if self.cut and self.up.count(b"/entries?") >= self.cut:
                    # Half an answer at most, and nothing more.
                    target.sendall(data[: len(data) // 2] if way == "down" else b"")
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        # Closing alone does not wake a thread that waits for a connection.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(scope="module")
def wired(tmp_path_factory):
    """A node behind a relay, and maison's cases of several batches."""
    made = start(tmp_path_factory.mktemp("wired"))
    made.admit("maison")
    made.admit("market")
    for name in ("a", "b", "c"):
        cases = made.folder / f"{name}.csv"
        rows = [f"{name}{n}.example,{n % 46 or 1}" for n in range(40)]
        cases.write_text("\n".join(["domain,goods", *rows]) + "\n")
        made.hub("maison", "publish", cases)
    made.stop()
    relay = Relay(int(made.url.rpartition(":")[2]))
    # Requests are signed for the URL by which the node is known: the relay's.
    os.environ["HUB__SERVER__PUBLIC_URL"] = relay.url
    try:
        made.serve()
    finally:
        del os.environ["HUB__SERVER__PUBLIC_URL"]
    try:
        yield made, relay
    finally:
        made.stop()
        relay.close()


@pytest.fixture
def market(wired, tmp_path):
    """A fresh folder of market's that has pulled nothing yet."""
    import shutil

    made, relay = wired
    relay.reset()
    folder = tmp_path / "market"
    shutil.copytree(made.folder / "market", folder)

    def pull(status=0, hubs=relay.url, segment=None):
        code = "import sys, hub.sync, hub.cli; sys.argv[0] = 'hub'; "
        code += f"hub.following.SEGMENT = {segment}; " if segment else ""
        words = ["--dir", str(folder), "--json", "pull"]
        done = subprocess.run(
            [sys.executable, "-c", code + "hub.cli.main()", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "HUB__CLIENT__HUBS": hubs},
        )
        assert done.returncode == status, done.stderr
        pull.said = done.stderr
        return json.loads(done.stdout)

    return pull, relay


def test_a_pull_without_news_is_one_request_of_at_most_1_kb(market):
    """Sent and answered, counted on the wire."""
    pull, relay = market
    assert {f["feed"] for f in pull()["feeds"]} == {"registry", "maison"}
    relay.reset()
    found = pull()
    assert (found["feeds"], found["alerts"]) == ([], [])
    assert relay.requests == [b"GET /v1/feeds"]
    size = len(relay.up) + len(relay.down)
    assert size <= 1024, (size, bytes(relay.up), bytes(relay.down))


def entries(relay):
    """Return which lines of maison were asked for."""
    asked = re.findall(rb"/v1/feeds/maison/entries\?from=(\d+)&to=(\d+)", relay.up)
    return [(int(begin), int(stop)) for begin, stop in asked]


def test_a_pull_that_was_cut_off_goes_on_where_it_stopped(market):
    """What was verified and stored before the cut is not asked for again."""
    pull, relay = market
    # Three batches of 41 lines, each pulled and stored by itself.
    relay.reset(cut=3)
    cut = pull(segment=41, status=6)
    assert entries(relay) == [(0, 41), (41, 82)]
    assert cut["feeds"][-1] == {"feed": "maison", "from": 0, "to": 41}
    relay.reset()
    found = pull(segment=41)
    assert found["feeds"] == [{"feed": "maison", "from": 41, "to": 123}]
    assert entries(relay) == [(41, 82), (82, 123)]


def test_when_the_first_hub_is_away_the_next_one_is_asked(market):
    pull, relay = market
    found = pull(hubs=f"http://127.0.0.1:1,{relay.url}")
    assert {f["feed"] for f in found["feeds"]} == {"registry", "maison"}
    assert "http://127.0.0.1:1 cannot be reached" in pull.said


def test_when_no_hub_answers_the_status_says_so(market):
    pull, _ = market
    found = pull(hubs="http://127.0.0.1:1,http://127.0.0.1:2", status=6)
    assert (found["feeds"], found["alerts"]) == ([], [])
    assert "cannot be reached" in pull.said
