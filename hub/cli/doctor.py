"""The command that looks after a folder and at a hub."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hub.cli.common import emit, folder_of
from hub.config import load_config
from hub.doctor import Check, examine_folder, examine_url, is_well
from hub.doctor.checks import ok, skipped, wrong
from hub.doctor.folder import examine_keys, examine_machine
from hub.doctor.url import clock_check
from hub.errors import ConfigError, HubError, MalformedError, UnavailableError
from hub.model import render_time
from hub.wiring import Hub, build_hub
from schemas.identifiers import installed_versions

__all__ = ["COMMANDS"]


@click.command()
@click.option("--url", help="A hub to check, as it is reached through its proxy.")
@click.pass_context
def doctor(context: click.Context, url: str | None) -> None:
    """Check this folder: versions, clock, storage, keys, forms; or a hub, by --url."""
    checks = list(_checks(context, url.rstrip("/") if url else None))
    well = is_well(checks)
    whole = [c.detail for c in checks if c.name == "token-keys" and c.advice]
    body = {
        "ok": well,
        "checks": [check.to_json() for check in checks],
        "whole_token_keys": whole[0].partition(":")[0].split(", ") if whole else [],
        "libraries": installed_versions(),
    }
    emit(context, body, (line for check in checks for line in check.render()))
    if not well:
        context.exit(1)


def _checks(context: click.Context, url: str | None) -> Iterator[Check]:
    folder = folder_of(context)
    config = load_config(folder)
    role, name = config["self"]["role"], config["self"]["name"]
    yield ok("folder", f"{folder}, of {role} {name}")
    yield from examine_machine(folder)
    try:
        hub = build_hub(folder)
    except (ConfigError, MalformedError, UnavailableError) as error:
        yield wrong("pin-and-database", str(error), error.advice)
        yield from examine_keys(folder, None)
        return
    try:
        yield from examine_folder(hub)
        if url is not None:
            yield from examine_url(hub, url)
        else:
            yield _clock(hub)
    finally:
        hub.close()


def _clock(hub: Hub) -> Check:
    """Compare the clock with that of the configured hub, if there is one."""
    hubs = hub.config["client"]["hubs"]
    if not hubs:
        return skipped("clock", f"{render_time(hub.clock.now())}; no hub to compare")
    client = hub.new_client(str(hubs[0]))
    try:
        return clock_check(client.probe("GET", "/healthz"), hub.clock)
    except HubError as error:
        return skipped("clock", f"{render_time(hub.clock.now())}; {error}")
    finally:
        client.close()


COMMANDS = (doctor,)
