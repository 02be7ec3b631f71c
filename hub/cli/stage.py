"""The stage of the demo: folders of actors, real node processes, and one liar."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hub.errors import UnavailableError
from hub.tlog.checkpoint import Checkpoint, peek_checkpoint, sign_checkpoint
from keys.ed25519 import Signer
from keys.keyfile import read_key

__all__ = ["Stage"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stage:
    """A folder of actors and the commands that they run.

    Args:
        folder: Where the actors' folders are made.
        nodes: The names of the nodes.
    """

    def __init__(self, folder: Path, nodes: tuple[str, ...]):
        self.folder = folder
        self.ports = {name: _free_port() for name in nodes}
        self._servers: dict[str, subprocess.Popen[bytes]] = {}

    def listen(self, node: str) -> str:
        """Return where a node listens."""
        return f"127.0.0.1:{self.ports[node]}"

    def url(self, node: str) -> str:
        """Return the public URL of a node."""
        return f"http://{self.listen(node)}"

    @property
    def pin(self) -> str:
        """The path of the alliance's pin file."""
        return str(self.folder / "node1" / "pin.json")

    def run(
        self, who: str, *words: str, ok: tuple[int, ...] = (0,), text: str = ""
    ) -> list[dict[str, Any]]:
        """Run a command as somebody; return the JSON objects that it prints.

        Raises:
            UnavailableError: It ended with another status than those of ``ok``.
        """
        command = [sys.executable, "-m", "hub", "--dir", str(self.folder / who)]
        done = subprocess.run(  # noqa: S603 - Our own command line.
            [*command, "--json", *words],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=3600,
        )
        if done.returncode not in ok:
            raise UnavailableError(
                f"hub {' '.join(words)} ended with {done.returncode}: {done.stderr}"
            )
        return [json.loads(line) for line in done.stdout.splitlines()]

    # -- nodes -----------------------------------------------------------------------

    def start(self, node: str) -> None:
        """Start the server of a node and wait until it answers.

        Raises:
            UnavailableError: It does not.
        """
        command = [sys.executable, "-m", "hub", "--dir", str(self.folder / node)]
        with (self.folder / f"{node}.log").open("a") as log:
            self._servers[node] = subprocess.Popen(  # noqa: S603 - Our own command line.
                [*command, "serve"], stdout=log, stderr=log
            )
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.url(node)}/healthz", timeout=2).close()  # noqa: S310 - Our own loopback address.
            except OSError:
                time.sleep(0.1)
            else:
                return
            if self._servers[node].poll() is not None:
                break
        log_text = (self.folder / f"{node}.log").read_text()
        raise UnavailableError(f"{node} did not start: {log_text[-2000:]}")

    def stop(self, node: str) -> None:
        """Stop the server of a node."""
        server = self._servers.pop(node, None)
        if server is not None:
            server.terminate()
            server.wait(30)

    def stop_all(self) -> None:
        """Stop every server."""
        for node in list(self._servers):
            self.stop(node)

    # -- a lie -----------------------------------------------------------------------

    @contextmanager
    def lying(self, node: str, feed: str) -> Iterator[None]:
        """Show another history of a feed in the place of a stopped node.

        Its head has the size of the true one and another root, signed with the node's
        log key: two histories by one key, which convict it.
        """
        with urllib.request.urlopen(f"{self.url(node)}/v1/feeds", timeout=10) as answer:  # noqa: S310 - Our own loopback address.
            body = json.load(answer)
        self.stop(node)
        key = read_key(self.folder / node / "private" / "log.key", kind="ed25519")
        for head in body["feeds"]:
            if head["feed"] == feed:
                true = peek_checkpoint(head["checkpoint"].encode())
                false = Checkpoint(true.origin, true.size, bytes(32))
                head["checkpoint"] = sign_checkpoint(false, Signer(key)).decode()
                head["cosignatures"] = []
        with _answering(self.ports[node], json.dumps(body).encode()):
            yield
        self.start(node)


@contextmanager
def _answering(port: int, body: bytes) -> Iterator[None]:
    """Answer every request on a port with one body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
