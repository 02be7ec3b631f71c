"""The operator's commands: serve, access, doctor."""

from __future__ import annotations

import ipaddress
import logging
from contextlib import suppress
from typing import Any

import click

from hub.cli.common import emit, folder_of, hub_of, table
from hub.errors import ConfigError
from hub.model import render_time

__all__ = ["COMMANDS"]


def _check_public(listen: str, *, behind_proxy: bool) -> None:
    host = listen.rpartition(":")[0].strip("[]")
    local = host == "localhost"
    with suppress(ValueError):
        local = local or ipaddress.ip_address(host).is_loopback
    if not local and not behind_proxy:
        raise ConfigError(
            f"{listen} is not a loopback address",
            advice="Put a proxy in front and say --behind-proxy; docs/operations.md.",
        )


@click.command()
@click.option("--behind-proxy", is_flag=True, help="A proxy buffers slow clients.")
@click.pass_context
def serve(context: click.Context, behind_proxy: bool) -> None:
    """Serve this node over HTTP until it is stopped."""
    from gunicorn.app.base import BaseApplication

    from hub.api.context import Serving
    from hub.app import create_app
    from hub.store.locks import hold_server_lock

    hub = hub_of(context)
    settings = hub.config["server"]
    _check_public(
        settings["listen"], behind_proxy=behind_proxy or settings["behind_proxy"]
    )
    url = settings["public_url"] or f"http://{settings['listen']}"
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    hold_server_lock(hub.folder / hub.config["storage"]["path"])
    _delete_due(hub)
    has_key = hub.key_path("request").exists()
    serving = Serving(
        hub,
        url,
        hub.signer("log"),
        hub.held_token_keys(),
        hub.signer("request") if has_key else None,
        hub.federation() if hub.key_path("witness").exists() else None,
    )
    app = create_app(serving)

    class _Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            chosen = {
                "bind": settings["listen"],
                "worker_class": "gthread",
                "workers": 1,
                "threads": settings["threads"],
                "timeout": 120,
                "control_socket_disable": True,
                "accesslog": None,
                "certfile": settings["tls_cert"] or None,
                "keyfile": settings["tls_key"] or None,
            }
            for key, value in chosen.items():
                if key in self.cfg.settings:
                    self.cfg.set(key, value)

        def load(self) -> Any:
            return app

    _Server().run()


def _delete_due(hub: Any) -> None:
    from hub.feeds import delete_due

    count = delete_due(hub.store, hub.clock.now())
    if count:
        logging.getLogger("hub").info("deleted %d erased lines", count)


@click.group()
def access() -> None:
    """Bearer tokens of this node: read-only, for scripts."""


@access.command("new")
@click.argument("name")
@click.option("--owner", required=True, help="As in member/maison.")
@click.option("--days", default=90, show_default=True)
@click.pass_context
def access_new(context: click.Context, name: str, owner: str, days: int) -> None:
    """Make a token and show it once."""
    from hub.access import new_bearer

    hub = hub_of(context)
    secret, row = new_bearer(name, owner, days=days, now=hub.clock.now())
    with hub.store.write() as tx:
        tx.node.add_bearer(row)
    emit(context, {"token": secret}, [secret])


@access.command("list")
@click.pass_context
def access_list(context: click.Context) -> None:
    """List the tokens, without their secrets."""
    with hub_of(context).store.read() as tx:
        rows = tx.node.list_bearers()
    shown = [["name", "owner", "expires", "revoked"]]
    for row in rows:
        revoked = render_time(row.revoked) if row.revoked else ""
        shown.append([row.name, row.owner, render_time(row.expires), revoked])
    emit(context, {"tokens": [r[0] for r in shown[1:]]}, table(shown))


@access.command("revoke")
@click.argument("name")
@click.pass_context
def access_revoke(context: click.Context, name: str) -> None:
    """Revoke a token at once."""
    hub = hub_of(context)
    with hub.store.write() as tx:
        tx.node.revoke_bearer(name, hub.clock.now())
    emit(context, {"revoked": name}, [f"Revoked {name}."])


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check versions, storage, keys and canonical forms of this folder."""
    from hub.store.engine import sqlite3
    from keys._sodium import lib
    from schemas.identifiers import VERSION, self_test

    hub = hub_of(context)
    hub.store.check()
    rows = self_test()
    directory = hub.directory()
    whole = [k.name for k in directory.token_keys.values() if k.threshold == 1]
    lib.sodium_version_string.restype = __import__("ctypes").c_char_p
    sodium = lib.sodium_version_string().decode()
    lines = [
        f"folder: {folder_of(context)} ({hub.role} {hub.name})",
        f"time: {render_time(hub.clock.now())}",
        f"SQLite {sqlite3.sqlite_version}, libsodium {sodium}",
        f"canonical forms: version {VERSION}, {rows} rows agree",
        f"registry: {directory.size} lines",
    ]
    if whole:
        lines.append(
            f"warning: {', '.join(whole)}: one node holds the whole token key, so its "
            "operator could test guesses of identifiers"
        )
    emit(context, {"ok": True, "whole_token_keys": whole}, lines)


COMMANDS = (serve, access, doctor)
