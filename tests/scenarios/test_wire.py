"""Broken uploads on a real socket: refused or ignored as a whole, and the node goes on."""

from __future__ import annotations

import json
import os
import socket
import struct
import urllib.parse
from contextlib import suppress

import pytest

from hub.tlog.batch import MAX_BYTES
from tests.faultkit import resident
from tests.hub.api.served import report_line
from tests.scenarios.test_kill_server import Writer, audited, send, worker

HEAD = (
    "POST /v1/feeds/maison/batches HTTP/1.1\r\nHost: node1\r\n"
    "Content-Type: application/x-ndjson\r\n{}\r\n\r\n"
)


def connect(url):
    parts = urllib.parse.urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def head(field):
    return HEAD.format(field).encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer_of(connection):
    """Return the status and the problem of an answer, (0, {}) when none came."""
    received = b""
    with suppress(OSError):
        while part := connection.recv(65536):
            received += part
            top, _, body = received.partition(b"\r\n\r\n")
            with suppress(ValueError):
                return int(top.split()[1]), json.loads(body)
    return 0, {}


def upload(url, *parts, half_close=False):
    """Send pieces as they are and return the answer."""
    with connect(url) as connection:
        with suppress(OSError):
            for part in parts:
                connection.sendall(part)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return answer_of(connection)


def reset(url, *parts):
    """Send pieces, then cut the connection with a reset instead of an end."""
    with connect(url) as connection:
        for part in parts:
            connection.sendall(part)
        connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )


@pytest.mark.slow
def test_a_broken_upload_leaves_nothing(going):
    """Whatever was sent, the same worker takes the whole batch afterwards."""
    writer, before = Writer(going), worker(going)
    body = writer.batch(*(report_line() for _ in range(50)))
    length, cut = head(f"Content-Length: {len(body)}"), len(body) // 2
    chunked = head("Transfer-Encoding: chunked")

    # The connection ends before what the header promised.
    status, problem = upload(going.url, length, body[:cut], half_close=True)
    assert (status, problem["type"]) == (400, "urn:alliance-hub:truncated")
    whole_lines = body[: body.rindex(b"\n", 0, cut) + 1]
    status, problem = upload(going.url, length, whole_lines, half_close=True)
    assert (status, problem["type"]) == (400, "urn:alliance-hub:truncated")
    # In chunks, nothing says how long it should be but the last chunk.
    for part in (chunk(body[:cut]), chunk(whole_lines), chunk(body)[:-50], chunk(body)):
        status, problem = upload(going.url, chunked, part, half_close=True)
        assert status in (0, 400), problem
    # Whole lines, properly ended, but not all that were signed.
    status, problem = upload(going.url, chunked, chunk(whole_lines), b"0\r\n\r\n")
    assert (status, problem["type"]) == (422, "urn:alliance-hub:wrong-count")
    for parts in ((length,), (length, body[:cut]), (chunked, chunk(body[:cut]))):
        reset(going.url, *parts)
    for size in ("-1", "x", "1e3", "5, 5"):
        status, _ = upload(going.url, head(f"Content-Length: {size}"), body)
        assert status in (0, 400), size

    assert send(going.url, body)["first"] == 5
    status, answer = upload(going.url, chunked, chunk(body), b"0\r\n\r\n")
    assert (status, answer["first"]) == (200, 5)
    assert worker(going) == before
    assert audited(going)["maison"] == 5 + 51


@pytest.mark.slow
def test_a_body_that_claims_ten_gigabytes(going):
    """By its header it is refused unread; without one, where it passes the limit."""
    pid = worker(going)
    before = resident(pid)
    status, problem = upload(
        going.url, head("Content-Length: 10000000000"), b"x" * 1000
    )
    assert (status, problem["type"]) == (413, "urn:alliance-hub:too-large")
    chunked, part = head("Transfer-Encoding: chunked"), chunk(bytes(1 << 20))
    header = chunk(Writer(going).batch(report_line()).partition(b"\n")[0] + b"\n")
    parts = [part] * (3 * MAX_BYTES >> 20)
    status, problem = upload(going.url, chunked, header, *parts)
    assert status in (0, 413), problem
    # A first line without an end is not read to its end.
    status, problem = upload(going.url, chunked, *parts)
    assert status in (0, 413, 422), problem
    assert worker(going) == pid
    assert resident(pid) - before < 4 * MAX_BYTES


@pytest.mark.slow
def test_a_large_upload_that_is_refused_learns_why(going):
    """The answer is not lost in a reset because the body was not wanted."""
    body = Writer(going).batch(report_line())
    spoilt = body[:60] + b"A" * 4 + body[64:]
    rest = bytes(8 << 20)
    field = f"Content-Length: {len(spoilt) + len(rest)}"
    for _ in range(5):
        status, problem = upload(going.url, head(field), spoilt, rest)
        assert status in (403, 422), problem


def weighty():
    """Return an entry of more than five kilobytes that does not compress well."""
    evidence = [
        {"sha256": os.urandom(32).hex(), "media_type": "application/pdf"}
        for _ in range(50)
    ]
    return report_line(evidence=evidence)


@pytest.mark.slow
def test_the_largest_uploads_and_pulls_are_bounded(going, stepper):
    """Memory is a few times a batch of 64 MiB, however much there is of them."""
    pid, writer = worker(going), Writer(going)
    before = resident(pid)
    for count in (1, 2):
        body = writer.batch(*(weighty() for _ in range(10_000)))
        assert MAX_BYTES * 0.8 < len(body) <= MAX_BYTES
        assert send(going.url, body)["size"] == 5 + 10_001 * count
    ran = stepper.run(going.folder / "market", "pull")
    assert ran.status == 0, ran
    assert resident(pid) - before < 7 * MAX_BYTES
    assert stepper.most_memory() < 8 * MAX_BYTES
