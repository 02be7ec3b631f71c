"""Making folders: a whole trial alliance, a first node, or a newcomer's keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, folder_of
from hub.cli.folders import check_unused, new_folder, write_config
from hub.client import Client
from hub.clock import SystemClock
from hub.directory import Directory, Pin
from hub.enrolment import Enrolment, Request, render_request
from hub.errors import ConfigError, HubError, RefusedError
from hub.feeds import publish
from hub.model import REGISTRY, check_name
from hub.officers import body_of, founding_entries, propose, sign
from hub.registry import Registry
from hub.store.memory import MemoryStore
from hub.sync import pull
from hub.tlog.checkpoint import EMPTY
from hub.wiring import build_hub
from keys.ed25519 import Signer
from keys.keyfile import write_key
from keys.note import NoteSigner

__all__ = ["COMMANDS", "make_officer", "node_new"]

_LISTEN = click.option("--listen", default="127.0.0.1:8750", show_default=True)
_URL = click.option("--url", help="The public URL; default: http:// and --listen.")


def _phrase() -> str | None:
    return os.environ.get("HUB_PASSPHRASE")


def make_officer(folder: Path, alliance: str, name: str, stem: str) -> NoteSigner:
    """Make an officer's key in a folder."""
    private = folder / "private"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    named = NoteSigner(f"{alliance}/officer/{check_name(name)}", Signer.generate())
    path = private / f"{stem}.key"
    write_key(path, named.signer.seed, kind="ed25519", passphrase=_phrase())
    return named


_CA = "ca.pem"


def _trusted(folder: Path) -> dict[str, str]:
    """Return the setting for the authorities whose file is in the folder."""
    return {"ca": _CA} if (folder / _CA).exists() else {}


def _node_folder(
    folder: Path, enrolment: Enrolment, url: str, listen: str, hubs: list[str]
) -> Request:
    """Write configuration, keys, request and database of a node; return the request."""
    request = enrolment.node(url, with_token_keys=not hubs)
    sections: dict[str, dict[str, Any]] = {
        "alliance": {"name": enrolment.alliance, "pin": "pin.json"},
        "self": {"role": "node", "name": enrolment.name},
        "server": {"listen": listen, "public_url": url},
        **({"client": {"hubs": hubs, **_trusted(folder)}} if hubs else {}),
    }
    (folder / "request.json").write_text(render_request(request))
    write_config(folder, sections)
    return request


@click.command()
@click.option("--alliance", required=True, help="The alliance's name, a host name.")
@click.option("--node", required=True, help="This node's name.")
@_LISTEN
@_URL
@click.pass_context
def init(
    context: click.Context, alliance: str, node: str, listen: str, url: str | None
) -> None:
    """Make a whole alliance on this machine, for trial."""
    folder, now = folder_of(context), SystemClock().now()
    public = (url or f"http://{listen}").rstrip("/")
    with new_folder(folder) as new:
        enrolment = Enrolment(new, alliance, "node", node, _phrase())
        request = _node_folder(new, enrolment, public, listen, [])
        officer = make_officer(new, alliance, "officer1", "officer1")
        pin = Pin(alliance, 1, (officer.vkey.render(),))
        (new / "pin.json").write_text(pin.render())
        hub = build_hub(new)
        proposal = propose(alliance, EMPTY, founding_entries(pin, request, 0, now))
        sign(proposal, [officer])
        sent = body_of(proposal).removesuffix(b"\n").split(b"\n")
        log = hub.signer("log")
        publish(hub.store, hub.registry.current, REGISTRY, sent, signer=log, now=now)
        hub.close()
    text = [
        f"Made the alliance {alliance} with the node {node} in {folder}.",
        "This is for trial: one folder holds the officer's key, the node's keys and",
        "whole token keys, so whoever runs it could test guesses of identifiers.",
        f"Next: hub --dir {folder} serve",
    ]
    body = {"alliance": alliance, "node": node, "url": public}
    emit(context, body, text)


@click.command("new")
@click.option("--alliance", required=True, help="The alliance's name, a host name.")
@click.option("--name", required=True, help="This node's name.")
@_LISTEN
@_URL
@click.pass_context
def node_new(
    context: click.Context, alliance: str, name: str, listen: str, url: str | None
) -> None:
    """Make the folder of an alliance's first node: keys, database, request.json."""
    folder = folder_of(context)
    public = (url or f"http://{listen}").rstrip("/")
    with new_folder(folder) as new:
        enrolment = Enrolment(new, alliance, "node", name, _phrase())
        request = _node_folder(new, enrolment, public, listen, [])
    text = [
        f"Made the node {name} of {alliance} in {folder}, for {public}.",
        f"Send {folder / 'request.json'} to the officer who founds the alliance;",
        "it holds no secret. The node holds whole token keys, so its operator could",
        "test guesses of identifiers.",
        f"Next: put the alliance's pin file at {folder / 'pin.json'}, then",
        f"  hub --dir {folder} serve",
    ]
    emit(context, request, text)


def _directory_at(url: str, pin: Pin, ca: Path | None) -> Directory:
    """Return the directory that a hub shows, replayed from the pin.

    Raises:
        UnavailableError: It does not answer.
        RefusedError: It is a hub of another alliance, or has no registry yet.
    """
    store, registry = MemoryStore(), Registry(pin)
    client = Client(url, SystemClock(), ca=ca)
    try:
        found = pull(store, registry, client, SystemClock().now(), only={REGISTRY})
    finally:
        client.close()
    problem = found.problems.get(REGISTRY)
    if problem is not None:
        raise _other_alliance(url, pin, problem)
    with store.read() as tx:
        directory = registry.directory(tx)
    if directory.size == 0:
        raise RefusedError(
            f"{url} has no registry yet",
            code="not-founded",
            advice="Wait until the officers submitted the first batch, or ask them.",
        )
    return directory


def _other_alliance(url: str, pin: Pin, problem: HubError) -> RefusedError:
    return RefusedError(
        f"{url} shows no registry of {pin.alliance} that leads from this pin: "
        f"{problem}",
        code="wrong-pin",
        advice="Compare the pin file with the one an officer has, and the URL.",
    )


def _check_newcomer(url: str, directory: Directory, name: str) -> None:
    taken = {**directory.members, **directory.auditors, **directory.nodes}
    if name in taken:
        raise RefusedError(
            f"{name} is in the registry of {directory.alliance} already",
            code="name-taken",
            advice="Choose another name; for a further key of one's own: hub key new.",
        )
    if url not in directory.nodes.values():
        known = ", ".join(sorted(directory.nodes.values()))
        raise RefusedError(
            f"{url} is not the public URL of a node, for which requests are signed",
            code="other-url",
            advice=f"Join with one of: {known}.",
        )


@click.command()
@click.argument("url")
@click.option("--pin", "pin_file", type=click.Path(path_type=Path), required=True)
@click.option(
    "--as", "role", type=click.Choice(["member", "auditor", "node"]), required=True
)
@click.option("--name", required=True)
@click.option("--region", default="", help="Country of national phone numbers.")
@click.option("--listen", default="127.0.0.1:8750", help="Where a node listens.")
@click.option("--url", "own", help="A node's own public URL.")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, exists=True),
    help="PEM file of the authorities to trust instead of the system's.",
)
@click.pass_context
def join(
    context: click.Context,
    url: str,
    pin_file: Path,
    role: str,
    name: str,
    region: str,
    listen: str,
    own: str | None,
    ca: Path | None,
) -> None:
    """Make this folder's keys and the request to be admitted."""
    folder, hub_url = folder_of(context), url.rstrip("/")
    check_unused(folder)
    check_name(name)
    try:
        pin = Pin.parse(pin_file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the pin cannot be read: {error}") from None
    _check_newcomer(hub_url, _directory_at(hub_url, pin, ca), name)
    with new_folder(folder) as new:
        if ca is not None:
            (new / _CA).write_bytes(ca.read_bytes())
        (new / "pin.json").write_text(pin.render())
        enrolment = Enrolment(new, pin.alliance, role, name, _phrase())
        if role == "node":
            public = (own or f"http://{listen}").rstrip("/")
            request = _node_folder(new, enrolment, public, listen, [hub_url])
        else:
            request = _newcomer(new, enrolment, hub_url, region)
    text = [
        f"Made keys for {role} {name} of {pin.alliance} in {folder}.",
        f"Send {folder / 'request.json'} to an officer; it holds no secret.",
    ]
    emit(context, request, text)


def _newcomer(folder: Path, enrolment: Enrolment, url: str, region: str) -> Request:
    sections: dict[str, dict[str, Any]] = {
        "alliance": {"name": enrolment.alliance, "pin": "pin.json"},
        "self": {"role": enrolment.kind, "name": enrolment.name},
        "client": {"hubs": [url], "region": region, **_trusted(folder)},
    }
    request = enrolment.newcomer()
    (folder / "request.json").write_text(render_request(request))
    write_config(folder, sections)
    return request


COMMANDS = (init, join)
