"""Peers that pour or drip, over real sockets: a sync ends, and the peer is left alone."""

from __future__ import annotations

import itertools
import json
import time

import pytest

from hub.client import Client, Identity
from hub.errors import UnavailableError
from hub.peering import PAUSE, peerings, visit
from tests.faultkit import misbehaving
from tests.simulator import ALLIANCE, World

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = OK + b"Content-Length: 10000000000\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (1 << 20, bytes(1 << 20))


def pour(connection, head, block):
    connection.sendall(head)
    while True:
        connection.sendall(block)


def drip(connection, head):
    for byte in itertools.chain(head, itertools.repeat(b" "[0])):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def silence(connection):
    while connection.recv(65536):
        pass


HOSTILE = {
    "an endless body": lambda c: pour(c, CHUNKED, CHUNK),
    "ten gigabytes": lambda c: pour(c, LONG, bytes(1 << 20)),
    "one byte at a time": lambda c: drip(c, LONG),
    "silence": silence,
}


def answering(first, talk):
    """Answer the list of heads with ``first``, all else as ``talk`` does.

    Without ``first`` everything is answered so.
    """

    def one(connection):
        asked = connection.recv(65536)
        if first and asked.startswith(b"GET /v1/feeds HTTP"):
            head = OK + b"Content-Length: %d\r\n\r\n" % len(first)
            connection.sendall(head + first)
        else:
            talk(connection)

    return one


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, nodes=2)
    world.cut = {frozenset(("node1", "node2"))}
    world.members["maison"].publish(2)
    world.cut = set()
    return world


@pytest.mark.parametrize("talk", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("heads", [False, True], ids=["at once", "after its heads"])
def test_a_sync_ends_within_its_bounds(world, talk, heads):
    """Each answer has its time and its bytes; then the peer is left alone."""
    node2 = world.nodes["node2"]
    first = json.dumps(node2.client("node1").heads()[0]).encode() if heads else b""
    with misbehaving(answering(first, talk)) as url:
        identity = Identity(f"{ALLIANCE}/node/node2", node2.request)
        client = Client(url, world.clock, identity, deadline=1)
        federation = node2.federation
        object.__setattr__(federation, "client", lambda _peer: client)
        begun = time.monotonic()
        if heads:
            assert set(visit(federation, "node1").problems) == {"maison"}
        else:
            with pytest.raises(UnavailableError):
                visit(federation, "node1")
        assert time.monotonic() - begun < 20
        client.close()
    [state] = peerings(federation)
    assert state.failures == 1
    assert state.next_try == world.clock.now() + PAUSE
    assert state.error
    assert node2.size("maison") == 0
    object.__setattr__(federation, "client", node2.client)
    assert not visit(federation, "node1", force=True).problems
    assert node2.size("maison") == 3
