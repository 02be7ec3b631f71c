"""Making folders: a whole trial alliance, or a newcomer's keys and request."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, folder_of, write_config
from hub.clock import SystemClock
from hub.directory import Pin
from hub.errors import ConfigError
from hub.feeds import publish
from hub.model import REGISTRY, check_name
from hub.officers import body_of, propose, registry_entry, sign
from hub.wiring import Hub, build_hub
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.enrol import prove_possession
from keys.keyfile import write_key
from keys.note import NoteSigner
from keys.voprf import public_of, random_scalar

__all__ = ["COMMANDS"]

_EMPTY = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def _new_key(folder: Path, name: str) -> Signer:
    (folder / "private").mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = Signer.generate()
    phrase = os.environ.get("HUB_PASSPHRASE")
    path = folder / "private" / f"{name}.key"
    write_key(path, signer.seed, kind="ed25519", passphrase=phrase)
    return signer


def key_entry(
    alliance: str, owner: str, label: str, roles: list[str], signer: Signer
) -> dict[str, Any]:
    """Return the fields of a registry entry for a key, with proof of possession."""
    proof = prove_possession(alliance, owner, roles, signer)
    return {
        "owner": owner,
        "label": label,
        "roles": roles,
        "public": to_base64(signer.public),
        "proof": to_base64(proof),
    }


def _token_key(folder: Path, node: str, token_class: str) -> dict[str, Any]:
    secret = random_scalar()
    path = folder / "private" / f"token-{token_class}-1.key"
    phrase = os.environ.get("HUB_PASSPHRASE")
    write_key(path, secret, kind="voprf", passphrase=phrase)
    public = to_base64(public_of(secret))
    return {
        "key": f"{token_class}-1",
        "class": token_class,
        "epoch": 1,
        "public": public,
        "threshold": 1,
        "shares": [{"node": node, "x": 1, "public": public}],
    }


@click.command()
@click.option("--alliance", required=True, help="The alliance's name, a host name.")
@click.option("--node", required=True, help="This node's name.")
@click.option("--listen", default="127.0.0.1:8750", show_default=True)
@click.pass_context
def init(context: click.Context, alliance: str, node: str, listen: str) -> None:
    """Make a whole alliance on this machine, for trial."""
    folder = folder_of(context)
    folder.mkdir(parents=True, exist_ok=True)
    check_name(node)
    write_config(
        folder,
        {
            "alliance": {"name": alliance, "pin": "pin.json"},
            "self": {"role": "node", "name": node},
            "server": {"listen": listen, "public_url": f"http://{listen}"},
        },
    )
    named = NoteSigner(f"{alliance}/officer/officer1", _new_key(folder, "officer1"))
    pin = Pin(alliance, 1, (named.vkey.render(),))
    (folder / "pin.json").write_text(pin.render())
    hub = build_hub(folder, create=True)
    _found(hub, pin, named, f"http://{listen}")
    text = [
        f"Made the alliance {alliance} with the node {node} in {folder}.",
        "This is for trial: one folder holds the officer's key, the node's keys and",
        "whole token keys, so whoever runs it could test guesses of identifiers.",
        f"Next: hub --dir {folder} serve",
    ]
    emit(context, {"alliance": alliance, "node": node}, text)


def _found(hub: Hub, pin: Pin, officer: NoteSigner, url: str) -> None:
    """Write the registry's first batch."""
    now, node, alliance = SystemClock().now(), hub.name, pin.alliance
    owner = f"node/{node}"
    log = _new_key(hub.folder, "log")
    keys = {r: _new_key(hub.folder, r) for r in ("witness", "request")}
    lines = [
        registry_entry(
            "alliance",
            now,
            alliance=alliance,
            threshold=1,
            officers=list(pin.officers),
        ),
        registry_entry("node", now, name=node, url=url),
        registry_entry("key", now, **key_entry(alliance, owner, "log", ["log"], log)),
        *(
            registry_entry("key", now, **key_entry(alliance, owner, r, [r], k))
            for r, k in keys.items()
        ),
        registry_entry(
            "home",
            now,
            feed=REGISTRY,
            node=node,
            key=to_base64(log.public),
            size=0,
            root=_EMPTY,
        ),
        registry_entry("policy", now, quorum=0),
        *(
            registry_entry("token-key", now, **_token_key(hub.folder, node, c))
            for c in ("open", "scarce")
        ),
    ]
    with hub.store.read() as tx:
        head = hub.registry.current(tx).head
    proposal = propose(alliance, head, lines)
    sign(proposal, [officer])
    sent = body_of(proposal).removesuffix(b"\n").split(b"\n")
    publish(hub.store, hub.registry.current, REGISTRY, sent, signer=log, now=now)


@click.command()
@click.argument("url")
@click.option("--pin", "pin_file", type=click.Path(path_type=Path), required=True)
@click.option("--as", "role", type=click.Choice(["member", "auditor"]), required=True)
@click.option("--name", required=True)
@click.option("--region", default="", help="Country of national phone numbers.")
@click.pass_context
def join(
    context: click.Context, url: str, pin_file: Path, role: str, name: str, region: str
) -> None:
    """Make this folder's keys and the request to be admitted."""
    folder = folder_of(context)
    try:
        pin = Pin.parse(pin_file.read_text())
    except OSError as error:
        raise ConfigError(f"the pin cannot be read: {error}") from None
    folder.mkdir(parents=True, exist_ok=True)
    check_name(name)
    write_config(
        folder,
        {
            "alliance": {"name": pin.alliance, "pin": "pin.json"},
            "self": {"role": role, "name": name},
            "client": {"hubs": [url.rstrip("/")], "region": region},
        },
    )
    (folder / "pin.json").write_text(pin.render())
    key_name = "publish" if role == "member" else "request"
    roles = ["publish", "request"] if role == "member" else ["request"]
    signer = _new_key(folder, key_name)
    (folder / "private" / f"{key_name}.label").write_text("k1\n")
    request = {
        "kind": role,
        "name": name,
        "key": key_entry(pin.alliance, f"{role}/{name}", "k1", roles, signer),
    }
    (folder / "request.json").write_text(json.dumps(request, indent=1) + "\n")
    build_hub(folder, create=True)
    text = [
        f"Made keys for {role} {name} of {pin.alliance} in {folder}.",
        f"Send {folder / 'request.json'} to an officer; it holds no secret.",
    ]
    emit(context, request, text)


COMMANDS = (init, join)
