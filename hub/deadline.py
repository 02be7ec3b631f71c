"""A deadline for all of a request: connecting, sending and receiving.

The library's timeouts start anew with every byte that arrives, so a server that drips
could hold a caller for days. Here each single read and write gets no more than what is
left of the time of its request.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpcore2
import httpx2

__all__ = ["BoundedTransport", "begin"]

_PIECE = 16 * 1024
_until = threading.local()


def begin(seconds: float) -> Callable[[], float]:
    """Give the next request of this thread so many seconds, all in all.

    Returns:
        What tells how many of them are left.
    """
    end = time.monotonic() + seconds
    _until.end = end
    return lambda: end - time.monotonic()


def _left(most: float | None) -> float:
    """Return how long a single read or write may take.

    Raises:
        TimeoutException: Nothing is left.
    """
    left = float(_until.end - time.monotonic())
    if left <= 0:
        raise httpcore2.ReadTimeout("it took too long")
    return left if most is None else min(most, left)


class _Stream(httpcore2.NetworkStream):
    """A connection whose reads and writes end at the deadline of their request."""

    def __init__(self, inner: httpcore2.NetworkStream):
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there."""
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of a buffer, in pieces small enough to look at the time."""
        view = memoryview(buffer)
        for start in range(0, len(view), _PIECE):
            part = bytes(view[start : start + _PIECE])
            self._inner.write(part, _left(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        """Speak TLS from here on."""
        left = _left(timeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """Return what the library wants to know of the connection."""
        return self._inner.get_extra_info(info)


class _Network(httpcore2.SyncBackend):
    """Opens connections that keep the deadline."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to a host."""
        left = _left(timeout)
        return _Stream(
            super().connect_tcp(host, port, left, local_address, socket_options)
        )


class BoundedTransport(httpx2.HTTPTransport):
    """The library's transport; call :func:`begin` before each request.

    Args:
        ca: PEM file of the authorities to trust instead of the system's.
    """

    def __init__(self, ca: Path | None = None) -> None:
        trusted = ssl.create_default_context(cafile=ca) if ca else True
        super().__init__(trust_env=False, verify=trusted)
        # Only the pool below the transport takes a network of one's own.
        self._pool._network_backend = _Network()  # noqa: SLF001
