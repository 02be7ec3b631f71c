"""A node that answers nonsense over real HTTP is a clear error at the client."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hub.client import Client
from hub.clock import SystemClock
from hub.errors import HubError, MalformedError, UnavailableError


@contextlib.contextmanager
def answering(body, status=200):
    """Serve one answer to everything on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        # The library finds its methods by these names.
        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *words):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = Client(f"http://127.0.0.1:{server.server_port}", SystemClock())
    try:
        yield client
    finally:
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"7", b"[" * 100_000])
def test_what_is_no_json_object_is_malformed(body):
    with answering(body) as client, pytest.raises(MalformedError):
        client.heads()


@pytest.mark.parametrize("body", [b"{}", b'{"feed":"a","first":"1"}'])
def test_what_is_no_receipt_leaves_the_batch_in_the_journal(body):
    """Only an unavailable hub keeps a batch journalled, so this is one."""
    with answering(body) as client, pytest.raises(UnavailableError):
        client.publish("maison", b"x\n")


@pytest.mark.parametrize("body", [b"", b"oops", b"[" * 100_000, b'{"type":7}'])
@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_errors_that_are_no_problem_documents(body, status):
    with answering(body, status) as client, pytest.raises(HubError):
        client.get_json("/v1/whoami")
