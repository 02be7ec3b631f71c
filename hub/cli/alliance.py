"""The officers' commands: admit, remove, close keys, suspend; pass proposals on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, folder_of, hub_of
from hub.client import Client
from hub.errors import MalformedError
from hub.model import REGISTRY, EntryName, parse_time, render_time
from hub.officers import (
    body_of,
    is_complete,
    parse_proposal,
    propose,
    registry_entry,
    sign,
)
from hub.sync import pull
from hub.wiring import Hub
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.keyfile import read_key, write_key
from keys.note import NoteSigner

__all__ = ["COMMANDS"]

_EMPTY = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def _officers(hub: Hub) -> list[NoteSigner]:
    """Return the officers' keys that this folder holds."""
    found = []
    phrase = os.environ.get("HUB_PASSPHRASE")
    known = {v.public: v.name for v in hub.directory().officer_vkeys()}
    for path in sorted((hub.folder / "private").glob("officer*.key")):
        signer = Signer(read_key(path, kind="ed25519", passphrase=phrase))
        if signer.public in known:
            found.append(NoteSigner(known[signer.public], signer))
    return found


def _client(hub: Hub) -> Client:
    home = hub.directory().home(REGISTRY)
    if home is None:
        raise MalformedError("the registry has no home yet")
    return Client(hub.directory().nodes[home.node], hub.clock)


def _refresh(hub: Hub) -> None:
    if hub.role != "node":
        pull(hub.store, hub.registry, hub.client(), hub.clock.now())


def act(context: click.Context, lines: list[bytes], out: str, done: str) -> None:
    """Propose lines; sign and submit at once when this folder's keys suffice."""
    hub = hub_of(context)
    with hub.store.read() as tx:
        head = hub.registry.current(tx).head
    proposal = propose(hub.registry.pin.alliance, head, lines)
    sign(proposal, _officers(hub))
    if is_complete(proposal, hub.directory()):
        answer = _client(hub).publish(REGISTRY, body_of(proposal))
        emit(context, {"done": done, "size": answer["size"]}, [done])
        return
    Path(out).write_text(json.dumps(proposal, indent=1) + "\n")
    text = f"Wrote {out}: pass it on, each officer runs hub registry sign {out}."
    emit(context, {"proposal": out}, [text])


_OUT = click.option("--out", default="proposal.json", show_default=True)


def _admit(context: click.Context, file: Path, kind: str, out: str) -> None:
    hub = hub_of(context)
    try:
        request = json.loads(file.read_text())
        name, key = str(request["name"]), dict(request["key"])
        fitting = request["kind"] == kind and key["owner"] == f"{kind}/{name}"
    except (OSError, ValueError, KeyError, TypeError):
        fitting = False
    if not fitting:
        raise MalformedError(
            f"{file} is not a request of {kind}", advice="Ask for its request.json."
        )
    now = hub.clock.now()
    lines = [registry_entry(kind, now, name=name), registry_entry("key", now, **key)]
    if kind == "member":
        home = hub.directory().home(REGISTRY)
        if home is None:
            raise MalformedError("the registry has no home yet")
        fields: dict[str, Any] = {"feed": name, "node": home.node}
        fields |= {"key": to_base64(home.public), "size": 0, "root": _EMPTY}
        lines.append(registry_entry("home", now, **fields))
    act(context, lines, out, f"Admitted the {kind} {name}.")


@click.group("member")
def member_group() -> None:
    """Admit and remove members."""


@member_group.command("add")
@click.argument("request", type=click.Path(path_type=Path))
@_OUT
@click.pass_context
def member_add(context: click.Context, request: Path, out: str) -> None:
    """Admit a member from its request.json."""
    _admit(context, request, "member", out)


@member_group.command("remove")
@click.argument("name")
@click.option("--reports", type=click.Choice(["stand", "suspended"]), required=True)
@_OUT
@click.pass_context
def member_remove(context: click.Context, name: str, reports: str, out: str) -> None:
    """End a member's access; its reports stand or are suspended."""
    now = hub_of(context).clock.now()
    line = registry_entry("member-left", now, name=name, reports=reports)
    act(context, [line], out, f"{name} left; its reports are {reports}.")


@click.group("auditor")
def auditor_group() -> None:
    """Admit auditors."""


@auditor_group.command("add")
@click.argument("request", type=click.Path(path_type=Path))
@_OUT
@click.pass_context
def auditor_add(context: click.Context, request: Path, out: str) -> None:
    """Admit an auditor from its request.json."""
    _admit(context, request, "auditor", out)


@click.group("key")
def key_group() -> None:
    """Register and close keys."""


@key_group.command("close")
@click.argument("owner")
@click.argument("label")
@click.option("--index", type=int, help="First index that it may not sign.")
@click.option("--reason", required=True)
@_OUT
@click.pass_context
def key_close(
    context: click.Context,
    owner: str,
    label: str,
    index: int | None,
    reason: str,
    out: str,
) -> None:
    """Close a key, as in: hub key close member/maison k1 --reason stolen."""
    hub = hub_of(context)
    if index is None:
        with hub.store.read() as tx:
            head = tx.heads.get(owner.partition("/")[2])
        index = head.size if head else 0
    fields = {"owner": owner, "label": label, "index": index, "reason": reason}
    line = registry_entry("key-closed", hub.clock.now(), **fields)
    act(context, [line], out, f"Closed {owner} {label} at index {index}.")


@click.command("suspend")
@click.argument("entries", nargs=-1, required=True)
@click.option("--ground", required=True)
@click.option("--until", required=True, help="A UTC date or time.")
@_OUT
@click.pass_context
def suspend(
    context: click.Context, entries: tuple[str, ...], ground: str, until: str, out: str
) -> None:
    """Make entries of any feed inactive for a time."""
    names = [str(EntryName.parse(e)) for e in entries]
    fields = {"entries": names, "ground": ground}
    moment = render_time(parse_time(until))
    now = hub_of(context).clock.now()
    line = registry_entry("suspension", now, until=moment, **fields)
    act(context, [line], out, f"Suspended {len(names)} entries until {moment}.")


@click.group("officer")
def officer_group() -> None:
    """Officers' keys."""


@officer_group.command("new")
@click.argument("alliance")
@click.argument("name")
@click.pass_context
def officer_new(context: click.Context, alliance: str, name: str) -> None:
    """Make an officer's key in this folder and print its public half."""
    private = folder_of(context) / "private"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = NoteSigner(f"{alliance}/officer/{name}", Signer.generate())
    phrase = os.environ.get("HUB_PASSPHRASE")
    path = private / f"officer-{name}.key"
    write_key(path, signer.signer.seed, kind="ed25519", passphrase=phrase)
    vkey = signer.vkey.render()
    emit(context, {"vkey": vkey}, [vkey])


@click.group("registry")
def registry_group() -> None:
    """Proposals for the registry, passed between officers."""


@registry_group.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def registry_show(context: click.Context, file: Path) -> None:
    """Show what a proposal says and who signed it."""
    proposal = parse_proposal(file.read_text())
    text = [*proposal["entries"], *(s.strip() for s in proposal["signatures"])]
    emit(context, proposal, text)


@registry_group.command("sign")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def registry_sign(context: click.Context, file: Path) -> None:
    """Add the signatures of the officers' keys in this folder."""
    hub = hub_of(context)
    proposal = parse_proposal(file.read_text())
    sign(proposal, _officers(hub))
    file.write_text(json.dumps(proposal, indent=1) + "\n")
    count = len(proposal["signatures"])
    emit(context, {"signatures": count}, [f"{count} signatures"])


@registry_group.command("submit")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def registry_submit(context: click.Context, file: Path) -> None:
    """Send a complete proposal to the registry's home."""
    hub = hub_of(context)
    _refresh(hub)
    answer = _client(hub).publish(REGISTRY, body_of(parse_proposal(file.read_text())))
    emit(context, answer, [f"The registry has {answer['size']} lines now."])


COMMANDS = (
    member_group,
    auditor_group,
    key_group,
    suspend,
    officer_group,
    registry_group,
)
