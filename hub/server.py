"""The HTTP server: gunicorn with one process and threads, made patient but not endless.

A thread works for a client only while it sends or receives: a connection that says
nothing yet, or nothing more, waits without one. A request's header has
:data:`HEADER_SECONDS`, its body that and a second for every 64 KiB, and no single
read or write more than :data:`PATIENCE`; then the connection is cut. So clients that
are slow on purpose hold as many threads as they are, each for a bounded time.

Whatever is no HTTP is answered with a problem document, as the application's own errors
are.
"""

from __future__ import annotations

import errno
import logging
import os
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import http, util
from gunicorn import sock as sockets
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http import errors as refused
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from hub.api.errors import problem_bytes, slug_of
from hub.errors import ConfigError, UnavailableError
from hub.tlog.batch import MAX_BYTES

__all__ = ["serve"]

HEADER_SECONDS = 30.0
PATIENCE = 20.0
SLOWEST = 64 * 1024
"""Bytes a second that a body must reach on average."""
KEEPALIVE = 15
GRACEFUL = 60
"""Seconds that requests under way have to end when the server is stopped."""
_SLICE = 256 * 1024
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (refused.LimitRequestLine, 414),
    (refused.LimitRequestHeaders, 431),
    (refused.UnsupportedTransferCoding, 501),
    (refused.ExpectationFailed, 417),
    (refused.ConfigurationProblem, 500),
    # An answer of ours that cannot be sent is our fault, and no bad request.
    (refused.InvalidResponseHeader, 500),
    (refused.InvalidResponseHeaderName, 500),
    (refused.ParseException, 400),
)
log = logging.getLogger("hub.server")

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _TooSlowError(refused.ParseException):  # type: ignore[misc]
    """A client used up the time for its request."""


class _Unreader(SocketUnreader):  # type: ignore[misc]
    """Reads a connection until a deadline that a client cannot put off."""

    _end = 0.0

    def allow(self, seconds: float) -> None:
        """Set the deadline."""
        self._end = time.monotonic() + seconds

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next piece.

        Raises:
            _TooSlowError: The client took too long.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise _TooSlowError
        self.sock.settimeout(min(left, PATIENCE))
        try:
            piece: bytes = super().chunk(size_hint)
        except TimeoutError:
            raise _TooSlowError from None
        self.sock.settimeout(PATIENCE)
        return piece


class _Connection(TConn):  # type: ignore[misc]
    """A connection that a thread never waits for without an end."""

    sock: Any
    initialized: bool

    def init(self) -> None:
        """Prepare for the next request; the library calls it before each."""
        self.sock.settimeout(PATIENCE)
        if not self.initialized:
            self.initialized = True
            if self.cfg.is_ssl:
                self.sock = sockets.ssl_wrap_socket(self.sock, self.cfg)
                # The time limit of the socket holds for the whole handshake.
                self.sock.do_handshake()
            self.parser = http.get_parser(self.cfg, self.sock, self.client)
            self.parser.unreader = _Unreader(self.sock)
        self.parser.unreader.allow(HEADER_SECONDS)

    def close(self, graceful: bool = False) -> None:  # noqa: ARG002 - The library's.
        """Close at once: the thread that served the connection lingered already."""
        util.close(self.sock)


class _Worker(ThreadWorker):  # type: ignore[misc]
    """The library's worker, in which a silent connection holds no thread."""

    def accept(self, listener: Any) -> None:
        """Take a connection and wait, without a thread, for its first byte."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                return
            raise
        self.nr_conns += 1
        connection = _Connection(self.cfg, client, address, listener.getsockname())
        connection.timeout = time.monotonic() + HEADER_SECONDS
        self.pending_conns.append(connection)
        readable = partial(self.on_pending_socket_readable, connection)
        self.poller.register(connection.sock, EVENT_READ, readable)

    def handle(self, conn: Any) -> Any:
        """Serve one request of a connection, in a thread of its own."""
        keep = super().handle(conn)
        if keep is False:
            self._linger(conn)
        return keep

    def _linger(self, conn: Any) -> None:
        """Let a client that was answered early finish sending, then hang up.

        Closed with unread bytes, a connection is reset, and the reset overtakes the
        answer: the client would learn that the network failed instead of why it was
        refused. It happens here, as the library's main thread serves everybody.
        """
        message = conn.parser.mesg if conn.parser is not None else None
        late = message is not None and not _is_read(message.body)
        util.close_graceful(
            conn.sock,
            timeout=HEADER_SECONDS if late else 2.0,
            max_drain=MAX_BYTES if late else 1 << 16,
        )

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Use a connection again only if its request was read to the end."""
        return keepalive and _is_read(conn.parser.mesg.body)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ARG002 - The library's.
        """Answer what never reached the application."""
        status = next((s for kind, s in _STATUS if isinstance(exc, kind)), 500)
        if isinstance(exc, _TooSlowError):
            status = 408
        slug = slug_of(status)
        if status == 500:
            log.error("a request failed in the server", exc_info=exc)
        else:
            # What the client sent is not logged, whatever it was.
            log.warning("refused", extra={"status": status, "slug": slug})
        try:
            util.write_nonblock(client, _refusal(status, slug))
        except OSError:
            # The client is gone; there is nobody to tell.
            log.debug("the refusal could not be sent")

    def _cap_keepalive(self, deadline: float) -> None:
        """Let a stopping server wait no longer for silent connections."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)


def _is_read(body: Any) -> bool:
    """Tell whether all of a request's body was read, looking at nothing new."""
    left = getattr(body.reader, "length", None)
    if left is not None:
        return bool(left <= 0)
    # A body in chunks has been read when its parser has ended.
    return getattr(body.reader, "parser", None) is None


def _refusal(status: int, slug: str) -> bytes:
    detail = {
        408: "the request took too long",
        500: "the request failed here",
    }.get(status, "this is no HTTP request that is understood here")
    body = problem_bytes(status, slug, detail)
    head = (
        f"HTTP/1.1 {status} {slug.replace('-', ' ')}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/problem+json\r\n"
        "Cache-Control: no-store\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Log(Logger):  # type: ignore[misc]
    """The library's log, spoken through ours."""

    def setup(self, cfg: Any) -> None:
        """Add no handler: what is logged goes up to the root."""
        self.cfg = cfg
        self.loglevel = logging.INFO
        self.error_log.propagate = True
        self._access_log_enabled = False

    def exception(self, msg: str, *args: object, **kwargs: object) -> None:
        """Log a fault of ours with its traceback, and a slow client in a word."""
        if isinstance(sys.exc_info()[1], TimeoutError):
            log.info("a client was too slow and was cut off")
        else:
            super().exception(msg, *args, **kwargs)


class _Input:
    """A body whose damage is an error of the system, as the application expects."""

    def __init__(self, body: Any):
        self._body = body

    def read(self, size: int = -1) -> bytes:
        """Read at most so many bytes.

        Raises:
            OSError: The connection was cut, or it is no body in chunks.
        """
        try:
            part: bytes = self._body.read() if size < 0 else self._body.read(size)
        except refused.ParseException as error:
            raise OSError(str(error)) from None
        return part


def _framed(app: WSGI) -> WSGI:
    """Return an application whose bodies are read and written in bounded pieces."""

    def call(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        environ["wsgi.input"] = _Input(body)

        def begin(*words: Any) -> Any:
            if not _is_read(body):
                # The rest of the body stands where the next request would.
                start.__self__.force_close()  # type: ignore[attr-defined]
            return start(*words)

        return _Slices(app(environ, begin))

    return call


class _Slices:
    """An answer in pieces small enough to be sent within the patience of one write."""

    def __init__(self, answer: Iterable[bytes]):
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        for part in self._answer:
            for start in range(0, len(part), _SLICE):
                yield part[start : start + _SLICE]

    def close(self) -> None:
        """Tell the application that the answer was sent."""
        close = getattr(self._answer, "close", None)
        if close is not None:
            close()


def _give_time(_worker: Any, request: Any) -> None:
    """Give a body time by its length; called when a header was read."""
    length = dict(request.headers).get("CONTENT-LENGTH", "")
    size = min(int(length), MAX_BYTES) if length.isdecimal() else MAX_BYTES
    request.unreader.allow(HEADER_SECONDS + size / SLOWEST)


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, app: WSGI, settings: dict[str, Any], begin: Callable[[], None]):
        self._app, self._settings, self._begin = _framed(app), settings, begin
        super().__init__()

    def load_config(self) -> None:
        """Set what the library is told; nothing else is read."""
        chosen = {
            "bind": self._settings["listen"],
            "worker_class": _Worker,
            "workers": 1,
            "threads": self._settings["threads"],
            "timeout": 120,  # Of the heartbeat; requests have their own.
            "graceful_timeout": GRACEFUL,
            "keepalive": KEEPALIVE,
            # A checkpoint of many cosignatures travels in a header, in base64.
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "limit_request_field_size": 16 * 1024,
            "logger_class": _Log,
            "accesslog": None,
            "pre_request": _give_time,
            # Whom to believe about addresses decides the application.
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "certfile": self._settings["tls_cert"] or None,
            "keyfile": self._settings["tls_key"] or None,
        }
        for key, value in chosen.items():
            self.cfg.set(key, value)

    def load(self) -> WSGI:
        """Return the application; this runs in the worker process, after the fork."""
        self._begin()
        return self._app


def serve(
    app: WSGI, settings: dict[str, Any], begin: Callable[[], None] = lambda: None
) -> None:
    """Serve an application until the process is told to stop.

    Args:
        app: The application.
        settings: The section ``server`` of the configuration.
        begin: Is called once in the process that serves.

    Raises:
        ConfigError: The certificate and its key cannot be used.
        UnavailableError: The address is taken, or the server could not go on.
    """
    _check_certificate(settings["tls_cert"], settings["tls_key"])
    parent = os.getpid()
    try:
        _Server(app, settings, begin).run()
    except SystemExit as end:
        # The processes that it forks pass here too, and end as the library wants.
        if end.code in (0, None) or os.getpid() != parent:
            raise
        raise UnavailableError(
            f"the server at {settings['listen']} ended with status {end.code}",
            code="server-failed",
            advice="The log says why; perhaps another program listens there.",
        ) from None


def _check_certificate(certificate: str, key: str) -> None:
    if not certificate:
        return
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigError(
            f"{certificate} and {key} cannot be used: {error}",
            advice="Set server.tls_cert and server.tls_key to PEM files.",
        ) from None
