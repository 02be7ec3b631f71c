"""Over real HTTP: a batch, a whole pull, and what an idle sync costs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

from bench.table import Clock, Figure, Print, median, timed
from bench.trial import Trial, new_trial
from hub.indexing import catch_up
from hub.registry import Registry
from hub.store.sqlite import SqliteStore
from hub.sync import pull

__all__ = ["measure"]

SIZE = 10_000


def measure(
    folder: Path, show: Print, *, entries: int, runs: int, clock: Clock
) -> None:
    """Measure a node in a process of its own."""
    trial = new_trial(folder)
    bodies = [trial.body(SIZE) for _ in range(runs)]
    with trial.served():
        client = trial.client("maison")
        seconds = median([partial(client.publish, "maison", body) for body in bodies])
        rate = SIZE / seconds
        show(Figure("publish a batch over HTTP", rate, "entries/s"))
    trial.fill(max(0, entries - SIZE * runs))
    with trial.served():
        _pull(trial, show, max(entries, SIZE * runs), runs, clock)
        _idle(trial, show)


def _pull(trial: Trial, show: Print, entries: int, runs: int, clock: Clock) -> None:
    reader = trial.hub("reader")
    seconds = []
    for number in range(runs):
        store = SqliteStore(trial.folder / f"pulled{number}.db", create=True)
        registry = Registry(reader.registry.pin)

        def work(store: SqliteStore = store, registry: Registry = registry) -> None:
            client = reader.client(trial.url)
            found = pull(store, registry, client, reader.clock.now())
            if found.problems:
                raise AssertionError("the node serves what it took")
            catch_up(store, registry.directory)

        seconds.append(timed(work, clock))
        store.close()
    rate = entries / sorted(seconds)[runs // 2]
    show(Figure("pull over HTTP and index", rate, "entries/s", 50_000))


def _idle(trial: Trial, show: Print) -> None:
    """Count the bytes of a sync that brings nothing, both ways."""
    reader = trial.hub("reader")
    store = SqliteStore(trial.folder / "idle.db", create=True)
    registry, client = Registry(reader.registry.pin), reader.client(trial.url)
    pull(store, registry, client, reader.clock.now())
    with _counted() as parts:
        pull(store, registry, client, reader.clock.now())
    store.close()
    asked = sum(part.count(b"HTTP/1.1\r\n") for part in parts)
    show(Figure("idle sync, requests", asked, "", 1, most=True))
    size = sum(map(len, parts))
    show(Figure("idle sync, both ways", size, "bytes", 1024, most=True))


@contextmanager
def _counted() -> Iterator[list[bytes]]:
    """Yield a list of what sockets of this process send and receive meanwhile."""
    parts: list[bytes] = []
    give, receive = socket.socket.send, socket.socket.recv

    def send(self: socket.socket, data: bytes, *more: int) -> int:
        count = give(self, data, *more)
        parts.append(bytes(data[:count]))
        return count

    def recv(self: socket.socket, *more: int) -> bytes:
        parts.append(receive(self, *more))
        return parts[-1]

    with (
        mock.patch.object(socket.socket, "send", send, create=True),
        mock.patch.object(socket.socket, "recv", recv, create=True),
    ):
        yield parts
