"""A node that answers nonsense over real HTTP is a clear error at the client."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import resource
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hub import client as clients
from hub.client import MAX_ANSWER, Client, post_alerts
from hub.clock import SystemClock
from hub.errors import HubError, MalformedError, QuotaError, UnavailableError
from tests.faultkit import misbehaving


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


OK = b"HTTP/1.1 200 OK\r\n"
ZIPPED = b"Content-Encoding: gzip\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def never_answer(connection):
    while connection.recv(65536):
        pass


def drip(*parts):
    """Answer one byte at a time, for ever, each well within any pause allowed."""

    def talk(connection):
        connection.recv(65536)
        for byte in itertools.chain(*parts, itertools.repeat(b"a"[0])):
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    return talk


def pour(head, block, count):
    """Answer a head and then a block so many times."""

    def talk(connection):
        connection.recv(65536)
        connection.sendall(head)
        for _ in range(count):
            connection.sendall(block)

    return talk


def never_read(connection):
    time.sleep(4)
    connection.recv(1)


SLOW = {
    "accepts and never answers": never_answer,
    "drips its headers": drip(OK + b"X-Name: "),
    "drips its body": drip(OK + b"Content-Length: 999999999\r\n\r\n"),
    "drips an empty gzip": drip(OK + ZIPPED + CHUNKED),
}


@pytest.mark.parametrize("talk", SLOW.values(), ids=SLOW)
def test_a_node_that_takes_too_long_is_given_up(talk):
    """The time of a request is bounded, however often a byte of the answer arrives."""
    with misbehaving(talk) as url:
        client = Client(url, SystemClock(), deadline=1)
        begun = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            client.heads()
        assert 0.5 < time.monotonic() - begun < 10
        assert caught.value.advice
        client.close()


def test_an_upload_that_nobody_reads_is_given_up(monkeypatch):
    """A large upload has time by its size, and no more."""
    monkeypatch.setattr(clients, "_SLOWEST", 1 << 25)
    with misbehaving(never_read) as url:
        client = Client(url, SystemClock(), deadline=1)
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            client.publish("maison", bytes(1 << 25))
        assert 1.5 < time.monotonic() - begun < 5
        client.close()


def members(count):
    """Return one gzip member of so many zeros."""
    return gzip.compress(bytes(count))


LARGE = {
    "ten gigabytes": pour(
        OK + b"Content-Length: 10000000000\r\n\r\n", bytes(1 << 20), 10_000
    ),
    "chunks without end": pour(OK + CHUNKED, chunk(bytes(1 << 20)), 10_000),
    "a gzip bomb": pour(OK + ZIPPED + CHUNKED, chunk(members(1 << 24)), 10_000),
    "empty gzip members": pour(
        OK + ZIPPED + CHUNKED, chunk(gzip.compress(b"") * 50_000), 10_000
    ),
    "headers without end": pour(OK, b"X-Name: " + b"a" * 1000 + b"\r\n", 10_000_000),
}


@pytest.mark.parametrize("talk", LARGE.values(), ids=LARGE)
def test_an_endless_answer_is_cut(talk):
    """No answer takes more memory than its limit, packed or not."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with misbehaving(talk) as url:
        client = Client(url, SystemClock(), deadline=60)
        with pytest.raises(UnavailableError):
            client.heads()
        client.close()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 4 * MAX_ANSWER


PACKED = gzip.compress(b'{"feeds":[]}')
BAD_GZIP = {"no gzip": b"feeds", "cut": PACKED[:-9], "no end": PACKED + PACKED[:5]}


@pytest.mark.parametrize("body", BAD_GZIP.values(), ids=BAD_GZIP)
def test_a_damaged_gzip_is_malformed(body):
    head = OK + ZIPPED + b"Content-Length: %d\r\n\r\n" % len(body)
    with misbehaving(pour(head, body, 1)) as url:
        client = Client(url, SystemClock())
        with pytest.raises(MalformedError):
            client.heads()
        client.close()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("Wed, 21 Oct 2026 07:28:00 GMT", 60), ("-1", 60), ("9" * 15, 604800)],
)
def test_any_retry_after_is_read(value, seconds):
    """What is no number of seconds is a minute; nobody waits longer than a week."""
    body = b'{"type":"urn:alliance-hub:quota-exceeded","detail":"x\\u001b[2J"}'
    head = b"HTTP/1.1 429 No\r\nRetry-After: %s\r\n" % value.encode()
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    with misbehaving(pour(head, body, 1)) as url:
        client = Client(url, SystemClock())
        with pytest.raises(QuotaError) as caught:
            client.heads()
        client.close()
    assert caught.value.retry_after == seconds
    # Nothing that a node says steers the terminal that shows it.
    assert str(caught.value) == "x [2J"


@pytest.mark.parametrize("url", ["http://", "http://[", "ftp://node.example", "x"])
def test_an_address_that_is_none_cannot_be_reached(url):
    client = Client(url, SystemClock())
    with pytest.raises(UnavailableError):
        client.heads()


def test_a_webhook_that_drips_is_given_up(monkeypatch):
    """The worker goes on when the receiver of its alerts does not."""
    monkeypatch.setattr(clients, "_PATIENCE", 1)
    with misbehaving(drip(OK + b"X-Name: ")) as url:
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="webhook"):
            post_alerts(url, b"{}\n", {})
        assert time.monotonic() - begun < 10
