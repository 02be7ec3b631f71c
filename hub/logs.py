"""Logs: JSON objects, one a line, on standard error, for all of a process.

Our own loggers, those of the HTTP server and those of the scheduler speak through one
handler. Each line has ``time``, ``level``, ``logger`` and ``event``; what happens while
a request is answered has its ``request`` id. No line holds an identifier, a key or a
token: nothing is logged that a caller sent, but the names that the registry knows.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, TextIO

import structlog

__all__ = ["bind_request", "configure_logs", "request_id_of", "unbind_request"]

# What a proxy calls a request: hexadecimal, as UUIDs are, so that nobody's phone number
# or name gets into the logs by this way.
_REQUEST_ID = re.compile(r"(?=[0-9-]*[a-f])[0-9a-f-]{16,64}")


def configure_logs(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send every log of this process to a stream as JSON; standard error by default."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # The plain traceback: it shows code, and no values.
            structlog.processors.format_exc_info,
            _in_order,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # Each of its runs would be a line; what a job did says the job.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    # The client logs every URL with its query.
    for chatty in ("httpx2", "httpcore2", "http_message_signatures"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _in_order(
    _logger: Any, _name: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Put first what every line has, for those who read without a tool."""
    first = ("time", "level", "logger", "event", "request")
    return {k: line[k] for k in first if k in line} | dict(line)


def request_id_of(sent: str | None, fresh: str) -> str:
    """Return the id of a request: what a proxy called it if that is well formed."""
    return sent if sent and _REQUEST_ID.fullmatch(sent) else fresh


def bind_request(request_id: str) -> None:
    """Put a request's id into every line that this thread logs from here on."""
    structlog.contextvars.bind_contextvars(request=request_id)


def unbind_request() -> None:
    """Let the thread forget the request."""
    structlog.contextvars.unbind_contextvars("request")
