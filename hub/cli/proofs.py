"""Proof files and evidence: made by whoever has the feed, checked by anybody."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, folder_of, hub_of
from hub.cli.fresh import fresh_option, require
from hub.directory import Directory, Pin
from hub.errors import ConfigError, MalformedError
from hub.model import REGISTRY, EntryName
from hub.proving import disclose, make_proof
from hub.verifying import MOST_BYTES, registry_of, verify_evidence, verify_proof

__all__ = ["COMMANDS"]


@click.command()
@click.argument("entry")
@click.option("--out", type=click.Path(path_type=Path), help="Default: ENTRY.proof")
@click.option(
    "--disclose", "open_it", is_flag=True, help="Add the identifier from stdin."
)
@fresh_option
@click.pass_context
def proof(
    context: click.Context,
    entry: str,
    out: Path | None,
    open_it: bool,
    require_fresh: bool,
) -> None:
    """Write one file that proves an entry without network."""
    hub = hub_of(context)
    name = EntryName.parse(entry)
    require(hub, fresh=require_fresh, feeds={name.feed, REGISTRY})
    with hub.store.read() as tx:
        body = make_proof(tx, name, hub.registry.directory(tx))
    if open_it:
        text, region = sys.stdin.readline(), hub.config["client"]["region"]
        disclose(body, text, region, hub.directory(), hub.node_client)
    place = out or folder_of(context) / f"{name.feed}-{name.index}.proof"
    try:
        place.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(f"{place} cannot be written: {error.strerror}") from None
    emit(context, {"proof": str(place)}, [f"Wrote {place}."])


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pin", "pin_file", type=click.Path(path_type=Path))
@click.option(
    "--registry",
    "registry_file",
    type=click.Path(path_type=Path),
    help="For evidence: any proof file of the alliance, for its registry.",
)
@click.pass_context
def verify(
    context: click.Context,
    file: Path,
    pin_file: Path | None,
    registry_file: Path | None,
) -> None:
    """Check a proof file, or evidence, without network."""
    raw = _read(file)
    place = pin_file or folder_of(context) / "pin.json"
    pin = Pin.parse(_read(place).decode(errors="replace"))
    if _format(raw).startswith("alliance-hub-evidence/"):
        directory = _registry(context, pin, registry_file)
        found = verify_evidence(raw, directory)
        emit(context, found, [found["says"], _as_of(found)])
        return
    found = verify_proof(raw, pin)
    emit(context, found, _sentences(found))


def _format(raw: bytes) -> str:
    try:
        return str(json.loads(raw)["format"])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise MalformedError("neither a proof file nor evidence") from None


def _registry(context: click.Context, pin: Pin, file: Path | None) -> Directory:
    if file is not None:
        return registry_of(_read(file), pin)
    try:
        hub = hub_of(context)
    except ConfigError:
        raise ConfigError(
            "evidence is checked under the registry, and there is no mirror here",
            advice="Name any proof file of the alliance with --registry.",
        ) from None
    if hub.registry.pin != pin:
        raise ConfigError(
            "the mirror in this folder is of another pin",
            advice="Name a proof file of that alliance with --registry.",
        )
    return hub.directory()


def _as_of(found: dict[str, Any]) -> str:
    return f"Keys as of registry size {found['registry_size']}."


def _sentences(found: dict[str, Any]) -> list[str]:
    name, kind = found["entry"], found["kind"]
    what = "a header" if kind == "batch" else f"a line of kind {kind}"
    text = [
        f"{name}, {what}, is in the feed and was signed by {found['signed_by']}.",
        f"Feed of {found['checkpoint_size']} entries. {_as_of(found)}",
    ]
    if found["void"]:
        text.append("It is void: the officers had closed its key below it.")
    if found["suspended_until"]:
        text.append(f"The officers suspended it until {found['suspended_until']}.")
    text.append(_time(found))
    if "identifier" in found:
        identifier = found["identifier"]
        text.append(f"Its token is the {identifier['type']} {identifier['value']}.")
    if kind in ("report", "action", "dispute"):
        text.append("Whether it was withdrawn or disputed later is not in this file.")
    return text


def _time(found: dict[str, Any]) -> str:
    if not found["witnesses"]:
        return "No witness cosigned it, so it proves no time."
    names = ", ".join(f"{w['node']} ({w['time']})" for w in found["witnesses"])
    text = f"It existed by {found['existed_by']}, according to witnesses {names}."
    if len(found["witnesses"]) < found["quorum"]:
        text += f" The alliance asks for {found['quorum']} witnesses."
    return text


COMMANDS = (proof, verify)
