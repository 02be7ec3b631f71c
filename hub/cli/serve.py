"""The command that serves a node."""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import click

from hub.cli.beside import run_beside
from hub.cli.common import hub_of
from hub.errors import ConfigError, HubError
from hub.federation import Federation
from hub.peering import catch_up
from hub.wiring import Hub

__all__ = ["COMMANDS"]

log = logging.getLogger("hub.serve")


def _check_public(listen: str, *, behind_proxy: bool) -> None:
    host = listen.rpartition(":")[0].strip("[]")
    local = host in ("localhost", "unix") or listen.startswith("unix:")
    with suppress(ValueError):
        local = local or ipaddress.ip_address(host).is_loopback
    if not local and not behind_proxy:
        raise ConfigError(
            f"{listen} is not a loopback address",
            advice="Put a proxy in front and say --behind-proxy; docs/operations.md.",
        )


def _url_of(settings: dict[str, Any]) -> str:
    scheme = "https" if settings["tls_cert"] else "http"
    return settings["public_url"] or f"{scheme}://{settings['listen']}"


@click.command()
@click.option("--behind-proxy", is_flag=True, help="A proxy buffers slow clients.")
@click.option("--with-worker", is_flag=True, help="Run `hub worker` beside it.")
@click.pass_context
def serve(context: click.Context, behind_proxy: bool, with_worker: bool) -> None:
    """Serve this node over HTTP until it is stopped."""
    from hub.api.context import Serving
    from hub.app import create_app
    from hub.logs import configure_logs
    from hub.server import serve as run
    from hub.store.locks import hold_server_lock

    hub = hub_of(context)
    settings = hub.config["server"]
    for name in ("tls_cert", "tls_key"):
        if settings[name]:
            settings[name] = str(hub.folder / settings[name])
    settings["behind_proxy"] = behind_proxy or settings["behind_proxy"]
    _check_public(settings["listen"], behind_proxy=settings["behind_proxy"])
    configure_logs()
    hold_server_lock(hub.folder / hub.config["storage"]["path"])
    _delete_due(hub)
    has_key = hub.key_path("request").exists()
    serving = Serving(
        hub,
        _url_of(settings),
        hub.signer("log"),
        hub.held_token_keys(),
        hub.signer("request") if has_key else None,
        hub.federation() if hub.key_path("witness").exists() else None,
    )
    log.info("serving", extra={"url": serving.public_url, "node": hub.name})
    begins: list[Callable[[], None]] = []
    if serving.federation is not None:
        serving.federation.gate.begin()
        serving.federation.follow_homes()
        begins.append(partial(_catch_up, hub, serving.federation))
    if with_worker:
        begins.append(partial(run_beside, hub.folder))
    run(create_app(serving), settings, partial(_call_each, begins))


def _call_each(begins: list[Callable[[], None]]) -> None:
    for begin in begins:
        begin()


def _catch_up(hub: Hub, federation: Federation) -> None:
    """Compare heads with the peers beside serving, until this node may sign."""

    def run() -> None:
        with suppress(HubError):
            # A node that was just admitted learns of its peers from the hub it joined.
            hub.bootstrap()
        catch_up(federation, threading.Event())

    threading.Thread(target=run, name="catch-up", daemon=True).start()


def _delete_due(hub: Hub) -> None:
    from hub.feeds import delete_due

    count = delete_due(hub.store, hub.clock.now())
    if count:
        log.info("deleted erased lines", extra={"count": count})


COMMANDS = (serve,)
