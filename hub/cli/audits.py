"""Audit: a mirror, or nodes over HTTP; now, or as it was known at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from hub.audit import Report, audit
from hub.audit.page import render_page
from hub.audit.words import terminal
from hub.auditing import audit_nodes
from hub.cli.common import emit, folder_of, hub_of
from hub.cli.fresh import require_pulled
from hub.cli.progress import Progress
from hub.errors import ConfigError, MalformedError
from hub.model import parse_time
from hub.wiring import Hub

__all__ = ["COMMANDS"]

_DAY = 86_400


def _moment(text: str | None) -> int | None:
    """Return the second that a time names; a date names its last one."""
    if text is None:
        return None
    try:
        return parse_time(text) + (_DAY - 1 if len(text) == 10 else 0)
    except MalformedError as error:
        raise MalformedError(
            str(error), advice="Write 2026-11-24 or 2026-11-24T08:00:00Z."
        ) from None


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hub-audit-") as name:
        yield Path(name)


def _over_http(
    hub: Hub, urls: tuple[str, ...], as_of: int | None, fresh: bool, gib: int
) -> Report:
    peers = [hub.client(url.rstrip("/")) for url in dict.fromkeys(urls)]
    now, pin = hub.clock.now(), hub.registry.pin
    with _folder() as folder, Progress("mirroring", "entries") as bar:

        def draw(feed: str, done: int, size: int) -> None:
            if done <= bar.done:
                bar.begin(feed)
            bar.reach(done, size)

        return audit_nodes(
            pin,
            peers,
            folder,
            now,
            as_of=as_of,
            require_fresh=fresh,
            progress=draw,
            most=gib << 30,
        )


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


@click.command("audit")
@click.option("--as-of", "date", help="A UTC date (its end) or time.")
@click.option(
    "--require-fresh",
    "fresh",
    is_flag=True,
    help="A head that enough nodes did not cosign lately is a finding.",
)
@click.option("--node", "urls", multiple=True, help="Audit this node over HTTP.")
@click.option(
    "--html", "page", type=click.Path(path_type=Path), help="Also write this page."
)
@click.option(
    "--evidence",
    "evidence",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to put what convicts somebody.  [default: evidence]",
)
@click.option(
    "--most-gib",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="With --node: how large the mirror of a node may grow.",
)
@click.pass_context
def audit_command(
    context: click.Context,
    date: str | None,
    fresh: bool,
    urls: tuple[str, ...],
    page: Path | None,
    evidence: Path | None,
    most_gib: int,
) -> None:
    """Verify everything in this folder's mirror, or at nodes; trust only the pin."""
    if date and fresh:
        raise click.UsageError("--require-fresh is about now: leave --as-of out")
    hub = hub_of(context)
    as_of, now = _moment(date), hub.clock.now()
    if urls:
        report = _over_http(hub, urls, as_of, fresh, most_gib)
    else:
        if hub.role != "node":
            require_pulled(hub)
        report = audit(hub.store, hub.registry.pin, now, as_of, require_fresh=fresh)
    for name, raw in report.evidence.items():
        _write((evidence or folder_of(context) / "evidence") / name, raw)
    if page is not None:
        _write(page, render_page(report, hub.registry.pin, now).encode())
    emit(context, report.to_json(), terminal(report))
    if report.findings:
        context.exit(1)


COMMANDS = (audit_command,)
