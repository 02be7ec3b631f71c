"""The real server under clients that are slow, cut off, too long, or no HTTP at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from contextlib import ExitStack

import httpx2
import pytest

from hub.store.sqlite import SqliteStore
from hub.tlog.batch import MAX_BYTES
from tests.hub.api.served import NDJSON, OCTETS, Served, report_line
from tests.running import read_all, running

GET = b"GET /v1/feeds HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BATCHES = "/v1/feeds/maison/batches"
HURRIED = "import hub.server as s; s.HEADER_SECONDS = 1.0; s.PATIENCE = 0.5"


@pytest.fixture(scope="module")
def node(published, tmp_path_factory):
    """A server whose store nobody changes."""
    folder = tmp_path_factory.mktemp("served") / "node"
    shutil.copytree(published.folder / "node", folder)
    with running(folder) as made:
        yield made


def post(path, media, length=None, more=b""):
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Content-Type: {media}",
        "Connection: close",
    ]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join(lines).encode() + b"\r\n" + more + b"\r\n"


def answer_of(raw):
    """Return status, slug and fields of an answer that is a problem document."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
    assert fields["content-type"] == "application/problem+json", raw
    assert len(body) == int(fields["content-length"])
    status = int(first.split()[1])
    problem = json.loads(body)
    assert problem["status"] == status
    return status, problem["type"].rpartition(":")[2]


# -- what is no HTTP ------------------------------------------------------------------

NONSENSE = {
    b"nonsense\r\n\r\n": (400, "bad-request"),
    b"GET /v1/feeds\r\n\r\n": (400, "bad-request"),
    b"GET /v1/feeds HTTP/7.1\r\n\r\n": (400, "bad-request"),
    b"G\x00T /v1/feeds HTTP/1.1\r\n\r\n": (400, "bad-request"),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n": (400, "bad-request"),
    b"GET /v1/feeds HTTP/1.1\r\nHost x\r\n\r\n": (400, "bad-request"),
    b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n": (414, "uri-too-long"),
    b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n": (431, "headers-too-large"),
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 65 + b"\r\n": (431, "headers-too-large"),
    b"GET / HTTP/1.1\r\nExpect: a miracle\r\n\r\n": (417, "expectation-failed"),
    b"POST / HTTP/1.1\r\nTransfer-Encoding: rot13\r\n\r\n": (501, "not-implemented"),
    b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n": (400, "bad-request"),
    b"POST / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n": (400, "bad-request"),
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": (
        400,
        "bad-request",
    ),
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": (
        400,
        "bad-request",
    ),
}


@pytest.mark.parametrize("sent", NONSENSE, ids=range(len(NONSENSE)))
def test_what_never_reaches_the_application_is_answered_with_a_problem(node, sent):
    raw = node.say(sent)
    assert answer_of(raw) == NONSENSE[sent]
    # Nothing of what was sent comes back.
    assert b"aaaa" not in raw
    assert b"miracle" not in raw


def test_a_header_as_long_as_a_checkpoint_with_many_cosignatures_passes(node):
    wide = b"Hub-Newest-Checkpoint: " + b"a" * 15_000 + b"\r\n"
    raw = node.say(GET.replace(b"\r\n\r\n", b"\r\n" + wide + b"\r\n"))
    assert raw.startswith(b"HTTP/1.1 200")


# -- bodies ---------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [MAX_BYTES + 1, 10**10])
def test_a_body_that_claims_too_much_is_refused_before_it_is_sent(node, claim):
    """The header alone is sent, and the answer is there at once."""
    start = time.monotonic()
    raw = node.say(post(BATCHES, NDJSON, claim))
    assert answer_of(raw) == (413, "too-large")
    assert time.monotonic() - start < 5


def test_a_client_that_sends_all_of_a_refused_body_learns_why(node):
    """It reads no answer before it has sent 16 MiB, which nobody here reads."""
    body = os.urandom(16 << 20)
    for path, media, expected in (
        (BATCHES, "text/plain", (415, "bad-media-type")),
        ("/v1/tokens/open-1", OCTETS, (413, "too-large")),
    ):
        raw = node.say(post(path, media, len(body)), body)
        assert answer_of(raw) == expected


def chunks(parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts)


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def test_a_body_in_chunks_is_bounded_too(node):
    body = chunks([b"x" * 65536] * 3) + b"0\r\n\r\n"
    raw = node.say(post("/v1/tokens/open-1", OCTETS, None, CHUNKED), body)
    assert answer_of(raw) == (413, "too-large")


def size_of(folder):
    store = SqliteStore(folder / "hub.db")
    try:
        with store.read() as tx:
            return tx.objects.size("maison")
    finally:
        store.close()


def test_a_batch_that_is_cut_off_is_never_stored(harmed):
    """However it is cut: by its length, within a chunk, or between two of them."""
    member = Served(harmed)
    body = member.batch(report_line(), report_line())
    member.close()
    half = body[: body.rindex(b"\n", 0, -1) + 1]
    with running(harmed) as node:

        def hang_up(head, sent):
            with node.connect() as client:
                client.sendall(head + sent)
                client.shutdown(socket.SHUT_WR)
                return read_all(client)

        length, chunked = (
            post(BATCHES, NDJSON, len(body)),
            post(BATCHES, NDJSON, None, CHUNKED),
        )
        for part in (b"", body[:100], half, body[:-1]):
            assert answer_of(hang_up(length, part))[0] in (400, 422), part[-20:]
        for part in (
            chunks([body])[:-20],
            chunks([half]),
            chunks([half]) + b"0\r\n",
            chunks([half]) + b"xyz\r\n",
            b"ffffffffffffffffffff\r\n" + body,
            b"-1\r\n" + body,
        ):
            assert answer_of(hang_up(chunked, part))[0] == 400, part[-20:]
        assert size_of(harmed) == 5
        # The same bytes, whole, in both forms; the second time they are known.
        whole = chunks([body[:1000], body[1000:]]) + b"0\r\n\r\n"
        for sent in (chunked + whole, length + body):
            assert node.say(sent).startswith(b"HTTP/1.1 200")
    assert size_of(harmed) == 8


# -- slow clients ---------------------------------------------------------------------


def drip(client, data, pause, stop):
    """Send a byte now and then, until told to stop."""
    for place in range(len(data)):
        if stop.wait(pause):
            return
        try:
            client.sendall(data[place : place + 1])
        except OSError:
            return


def hanging(node, stack, idle, headers, bodies, stop):
    """Open slow connections of three kinds; they hang until the stack is closed."""
    clients = [stack.enter_context(node.connect()) for _ in range(idle)]
    for count, start, rest in (
        (headers, GET[:20], b"a" * 10_000),
        (bodies, post(BATCHES, NDJSON, 100_000), b"x" * 10_000),
    ):
        for _ in range(count):
            client = stack.enter_context(node.connect())
            client.sendall(start)
            threading.Thread(
                target=drip, args=(client, rest, 0.3, stop), daemon=True
            ).start()
            clients.append(client)
    return clients


def slowest(node, count=10):
    """Return the longest time in which another client is served."""
    times = []
    for _ in range(count):
        start = time.monotonic()
        assert node.say(GET).startswith(b"HTTP/1.1 200")
        times.append(time.monotonic() - start)
    return max(times)


def test_sixteen_slow_clients_hold_up_nobody(node):
    stop = threading.Event()
    with ExitStack() as stack:
        hanging(node, stack, idle=4, headers=6, bodies=6, stop=stop)
        time.sleep(1)
        assert slowest(node) < 2
        stop.set()


def test_silent_clients_hold_no_thread(harmed):
    """With two threads, fifty connections that say nothing are nothing."""
    with running(harmed, HUB__SERVER__THREADS="2") as node, ExitStack() as stack:
        hanging(node, stack, idle=50, headers=0, bodies=0, stop=threading.Event())
        assert slowest(node) < 2
        # Neither do those that said something before and are kept alive.
        for _ in range(50):
            client = stack.enter_context(node.connect())
            client.sendall(GET.replace(b"Connection: close\r\n", b""))
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert slowest(node) < 2


def test_a_client_that_is_too_slow_is_cut_off(harmed):
    """It drips for longer than a request may take, and its thread is free again."""
    with (
        running(harmed, prelude=HURRIED, HUB__SERVER__THREADS="2") as node,
        ExitStack() as stack,
    ):
        stop = threading.Event()
        started = time.monotonic()
        clients = hanging(node, stack, idle=1, headers=2, bodies=0, stop=stop)
        quiet, *slow = clients
        for client in slow:
            assert answer_of(read_all(client)) == (408, "timeout")
        assert quiet.recv(10) == b""
        assert time.monotonic() - started < 20
        stop.set()
        # A body that stops coming ends as one that was cut off.
        client = stack.enter_context(node.connect())
        client.sendall(post(BATCHES, NDJSON, 100))
        assert answer_of(read_all(client)) == (400, "truncated")
        assert slowest(node) < 2


def test_a_client_that_does_not_read_is_cut_off(harmed):
    """An answer that nobody takes holds a thread only for so long."""
    member = Served(harmed)
    # About 10 MB, which no buffer of the system takes.
    for _ in range(2):
        lines = [report_line(note="n" * 450) for _ in range(6000)]
        assert member.publish(member.batch(*lines)).status_code == 200
    bearer = member.bearer()
    member.close()
    ask = (
        "GET /v1/feeds/maison/entries?from=5 HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {bearer}\r\n\r\n"
    ).encode()
    with (
        running(harmed, prelude=HURRIED, HUB__SERVER__THREADS="1") as node,
        ExitStack() as stack,
    ):
        client = stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", node.port))
        client.sendall(ask)
        time.sleep(1.5)
        assert slowest(node, 1) < 10
        events = [line["event"] for line in node.lines()]
        assert "a client was too slow and was cut off" in events


# -- stopping -------------------------------------------------------------------------


def test_an_upload_under_way_is_finished_when_the_server_is_stopped(harmed):
    member = Served(harmed)
    body = member.batch(*[report_line() for _ in range(200)])
    member.close()
    with running(harmed) as node, node.connect() as client, node.connect():
        client.sendall(post(BATCHES, NDJSON, len(body)) + body[:20_000])
        time.sleep(0.5)
        os.kill(node.process.pid, signal.SIGTERM)
        time.sleep(1)
        assert node.process.poll() is None
        client.sendall(body[20_000:])
        raw = read_all(client)
        assert raw.startswith(b"HTTP/1.1 200"), raw
        # The connection that says nothing does not put the end off.
        assert node.process.wait(15) == 0
    receipt = json.loads(raw.partition(b"\r\n\r\n")[2])
    assert size_of(harmed) == receipt["size"] == 5 + 201


def test_a_stopped_server_takes_no_new_request(harmed):
    with running(harmed) as node:
        assert node.stop() == 0
        with pytest.raises(OSError, match="refused"):
            node.connect()


def test_a_second_server_on_one_folder_is_refused(harmed):
    with running(harmed) as first, running(harmed, wait=False) as second:
        assert second.process.wait(60) == 6
        assert first.say(GET).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", ":0"])
def test_a_public_address_needs_a_proxy(harmed, listen):
    with running(harmed, wait=False, HUB__SERVER__LISTEN=listen) as node:
        assert node.process.wait(60) == 2


def test_an_address_that_is_taken_is_a_clear_error(harmed):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        with running(harmed, wait=False, HUB__SERVER__LISTEN=listen) as node:
            assert node.process.wait(60) == 6
            assert "Traceback" not in node.log.read_text()


def test_connections_are_used_again(node):
    """Also after a refusal whose body was read."""
    with httpx2.Client(trust_env=False) as client:
        for _ in range(3):
            assert client.get(f"{node.url}/v1/feeds").status_code == 200
            refused = client.post(
                f"{node.url}{BATCHES}", content=b"x\n", headers={"Content-Type": NDJSON}
            )
            assert refused.status_code == 422
