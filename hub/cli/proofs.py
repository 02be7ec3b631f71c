"""Proof files: made by whoever has the feed, verified by anybody with the pin."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from hub.cli.common import emit, folder_of, hub_of
from hub.directory import Pin
from hub.model import EntryName
from hub.proving import disclose, make_proof, verify_proof

__all__ = ["COMMANDS"]


@click.command()
@click.argument("entry")
@click.option("--out", type=click.Path(path_type=Path), help="Default: ENTRY.proof")
@click.option(
    "--disclose", "open_it", is_flag=True, help="Add the identifier from stdin."
)
@click.pass_context
def proof(context: click.Context, entry: str, out: Path | None, open_it: bool) -> None:
    """Write one file that proves an entry without network."""
    hub = hub_of(context)
    name = EntryName.parse(entry)
    with hub.store.read() as tx:
        body = make_proof(tx, name)
    if open_it:
        directory = hub.directory()
        node = next(iter(directory.token_keys.values())).shares[0][0]
        text = sys.stdin.readline()
        region = hub.config["client"]["region"]
        disclose(body, text, region, directory, hub.node_client(node))
    place = out or folder_of(context) / f"{name.feed}-{name.index}.proof"
    place.write_text(json.dumps(body, indent=1) + "\n")
    emit(context, {"proof": str(place)}, [f"Wrote {place}."])


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("--pin", "pin_file", type=click.Path(path_type=Path, exists=True))
@click.pass_context
def verify(context: click.Context, file: Path, pin_file: Path | None) -> None:
    """Check a proof file without network."""
    place = pin_file or folder_of(context) / "pin.json"
    pin = Pin.parse(place.read_text())
    found = verify_proof(file.read_bytes(), pin)
    void = " under a key closed before (void)" if found["void"] else ""
    sizes = found["checkpoint_size"], found["registry_size"]
    text = [
        f"{found['entry']} is in the feed, signed by {found['signed_by']}{void}.",
        f"Feed of {sizes[0]} entries, keys as of registry size {sizes[1]}.",
        "No witness cosigned it, so it proves no time.",
    ]
    if "identifier" in found:
        identifier = found["identifier"]
        text.append(f"Its token is the {identifier['type']} {identifier['value']}.")
    emit(context, found, text)


COMMANDS = (proof, verify)
