"""Keys: the owner makes them, the officers register and close them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hub.cli.admit import move_entries, read_request
from hub.cli.common import emit, hub_of, table
from hub.cli.office import Office, office_command
from hub.directory import Key
from hub.enrolment import Enrolment, Request, key_names, label_of, render_request
from hub.errors import ConfigError, RefusedError, UnavailableError
from hub.model import parse_time, render_time
from hub.officers import registry_entry
from hub.wiring import Hub
from keys.encoding import from_base64, to_base64

__all__ = ["COMMANDS"]

_DEFAULT = {"member": ["publish", "request"], "auditor": ["request"]}
_ROLES = ["publish", "request", "log", "witness", "seal"]
_ROLE = click.option(
    "--role", "roles", multiple=True, type=click.Choice(_ROLES), help="What it is for."
)


@click.group("key")
def key_group() -> None:
    """Make, register, replace and close keys."""


# -- the owner's side --------------------------------------------------------------


@key_group.command("new")
@_ROLE
@click.option("--closes", help="The label of the key, lost or stolen, that it ends.")
@click.pass_context
def key_new(context: click.Context, roles: tuple[str, ...], closes: str | None) -> None:
    """Make one more key in this folder, and the request to register it."""
    hub = hub_of(context)
    _write(context, hub, _roles(hub, roles), closes)


@key_group.command("rotate")
@_ROLE
@click.pass_context
def key_rotate(context: click.Context, roles: tuple[str, ...]) -> None:
    """Make a key that takes the place of the present one, and the request for that."""
    hub = hub_of(context)
    chosen = _roles(hub, roles)
    _write(context, hub, chosen, _present(hub, chosen).label)


def _roles(hub: Hub, roles: tuple[str, ...]) -> list[str]:
    if hub.role not in ("member", "auditor", "node"):
        raise RefusedError(
            "an officer's key is replaced by the officers",
            code="wrong-role",
            advice="Run hub officer new in a new folder, then hub officer replace.",
        )
    chosen = list(dict.fromkeys(roles)) or _DEFAULT.get(hub.role, [])
    if not chosen:
        raise ConfigError(
            "say which of the node's keys",
            advice="Add --role log, witness, request or seal.",
        )
    return chosen


def _present(hub: Hub, roles: list[str]) -> Key:
    """Return the registered key of this folder that a new one would replace."""
    owner, role = f"{hub.role}/{hub.name}", roles[0]
    mine = set()
    for name in key_names(hub.folder, role):
        mine.add(_public(hub, name))
    keys = [
        k
        for k in hub.directory().with_role(role, owner)
        if k.is_open(role) and (k.public in mine or role == "seal")
    ]
    if not keys:
        raise RefusedError(
            f"the registry, as it was seen here last, has no open {role} key of "
            "this folder",
            code="not-found",
            advice="Run hub pull first; a lost key is closed by the officers, and "
            "hub key new makes another.",
        )
    if set(keys[-1].roles) != set(roles):
        raise RefusedError(
            f"the present key {keys[-1].label} is for {' and '.join(keys[-1].roles)}",
            code="wrong-role",
            advice="Replace it in all its roles, or make another with hub key new.",
        )
    return keys[-1]


def _public(hub: Hub, name: str) -> bytes:
    return hub.signer(name).public if not name.startswith("seal") else b""


def _fresh_label(hub: Hub, role: str) -> str:
    """Return a label that neither this folder nor the registry knows."""
    owner = f"{hub.role}/{hub.name}"
    known = {k.label for k in hub.directory().keys if k.owner == owner}
    for any_role in _ROLES:
        known |= {label_of(hub.folder, n) for n in key_names(hub.folder, any_role)}
    start = f"{role}-" if hub.role == "node" else "k"
    numbers = [int(m[0]) for m in (re.search("[0-9]+$", k) for k in known) if m]
    return f"{start}{max([1, *numbers]) + 1}"


def _write(
    context: click.Context, hub: Hub, roles: list[str], closes: str | None
) -> None:
    label = _fresh_label(hub, roles[0])
    phrase = os.environ.get("HUB_PASSPHRASE")
    alliance = hub.registry.pin.alliance
    enrolment = Enrolment(hub.folder, alliance, hub.role, hub.name, phrase)
    # Only the seal key needs one to vouch for it, which may be lost as well.
    voucher = hub.identity().signer if roles == ["seal"] else None
    request = enrolment.further(roles, label, voucher, closes)
    path = hub.folder / f"key-{label}.json"
    path.write_text(render_request(request))
    text = [
        f"Made the key {label} for {' and '.join(roles)}.",
        f"Send {path} to an officer, who runs hub key add; it holds no secret.",
        "Until it is registered the present key stays in use.",
    ]
    emit(context, {**request, "file": str(path)}, text)


# -- the officers' side ------------------------------------------------------------


@key_group.command("add")
@click.argument("request", type=click.Path(path_type=Path))
@click.option("--index", type=click.IntRange(0), help="Where the old key ends.")
@office_command
def key_add(office: Office, request: Path, index: int | None) -> None:
    """Register a key; close the one that it replaces in the same batch."""
    wanted = read_request(office, request, "key")
    label, owner = wanted["key"]["label"], wanted["owner"]

    def lines() -> Sequence[bytes]:
        return _key_entries(office, wanted, index)

    done = f"Registered {owner} {label}."
    if wanted["closes"]:
        done += f" It takes the place of {wanted['closes']}."
    office.act(lines, done)


def _key_entries(office: Office, wanted: Request, index: int | None) -> list[bytes]:
    now, owner, roles = office.hub.clock.now(), wanted["owner"], wanted["key"]["roles"]
    new = registry_entry("key", now, **wanted["key"])
    if not wanted["closes"]:
        return [new]
    kind, _, name = owner.partition("/")
    fields: dict[str, Any] = {"owner": owner, "label": wanted["closes"]}
    fields["reason"] = f"replaced by {wanted['key']['label']}"
    if kind == "member":
        fields["index"] = office.head_of(name).size if index is None else index
    if roles == ["witness"]:
        fields["when"] = render_time(now)
    closed = registry_entry("key-closed", now, **fields)
    if roles == ["log"]:
        # A log key is closed once no feed has it any more.
        feeds = _feeds_of(office, owner, wanted["closes"])
        public = from_base64(wanted["key"]["public"], 32)
        return [new, *move_entries(office, feeds, name, public), closed]
    # A node has one open key of its other roles, so the old one ends first.
    return [closed, new] if kind == "node" else [new, closed]


def _feeds_of(office: Office, owner: str, label: str) -> list[str]:
    state = office.directory()
    public = {k.public for k in state.keys if (k.owner, k.label) == (owner, label)}
    homes = {feed: state.home(feed) for feed in state.homes}
    return [feed for feed, home in homes.items() if home and home.public in public]


@key_group.command("close")
@click.argument("owner")
@click.argument("label")
@click.option("--role", type=click.Choice(_ROLES), help="Only in this role.")
@click.option("--index", type=click.IntRange(0), help="First index it may not sign.")
@click.option("--when", help="For a witness: from which UTC time it does not count.")
@click.option("--reason", required=True)
@office_command
def key_close(
    office: Office,
    owner: str,
    label: str,
    role: str | None,
    index: int | None,
    when: str | None,
    reason: str,
) -> None:
    """Close a key, as in: hub key close member/maison k1 --reason stolen."""
    moment = render_time(parse_time(when)) if when else None

    def lines() -> Sequence[bytes]:
        end = index
        kind, _, name = owner.partition("/")
        if end is None and kind == "member" and name in office.directory().members:
            end = office.head_of(name).size
        fields = {"owner": owner, "label": label, "role": role, "index": end}
        now = office.hub.clock.now()
        return [registry_entry("key-closed", now, **fields, when=moment, reason=reason)]

    office.act(lines, f"Closed {owner} {label}.")


@click.group("token-key")
def token_key_group() -> None:
    """Token keys."""


@token_key_group.command("list")
@click.pass_context
def token_key_list(context: click.Context) -> None:
    """List the alliance's token keys, as of the registry in this folder."""
    office = Office(context, hub_of(context))
    try:
        office.refresh()
    except UnavailableError as error:
        click.echo(f"hub: {error}; what was seen here last:", err=True)
    state = office.directory()
    keys = [
        {
            "key": k.name,
            "class": k.token_class,
            "epoch": k.epoch,
            "public": to_base64(k.public),
            "threshold": k.threshold,
            "nodes": [node for node, _, _ in k.shares],
            "retired": k.name in state.retired,
        }
        for k in state.token_keys.values()
    ]
    shown = [["key", "class", "epoch", "needs", "nodes", "public", ""]]
    for key in keys:
        needs = f"{key['threshold']} of {len(key['nodes'])}"  # type: ignore[arg-type]
        nodes = ", ".join(key["nodes"])  # type: ignore[arg-type]
        ended = "retired" if key["retired"] else ""
        row = [key["key"], key["class"], key["epoch"], needs, nodes, key["public"]]
        shown.append([*map(str, row), ended])
    emit(context, {"token_keys": keys}, table(shown))


COMMANDS = (key_group, token_key_group)
