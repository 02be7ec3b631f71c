"""Officers, and the alliance that they found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, folder_of
from hub.cli.folders import new_folder, remember_hub, write_config
from hub.cli.office import Office, office_command, officer_name
from hub.cli.setup import make_officer
from hub.clock import SystemClock
from hub.config import load_config
from hub.directory import Directory, Pin
from hub.enrolment import parse_request
from hub.errors import ConfigError, MalformedError, RefusedError
from hub.officers import examine, founding_entries, propose, registry_entry
from hub.registry import new_replay
from hub.tlog.checkpoint import EMPTY
from hub.wiring import build_hub
from keys.errors import KeysError
from keys.note import parse_vkey

__all__ = ["COMMANDS"]

_PATH = click.Path(path_type=Path)


@click.group("officer")
def officer_group() -> None:
    """Officers: their keys and folders, and who they are."""


@officer_group.command("new")
@click.argument("alliance")
@click.argument("name")
@click.option("--url", help="A node of the alliance, if it is founded already.")
@click.pass_context
def officer_new(
    context: click.Context, alliance: str, name: str, url: str | None
) -> None:
    """Make an officer's folder and key, and print the public half."""
    folder = folder_of(context)
    if (folder / "config.toml").exists():
        _check_joint(folder, alliance)
        officer = make_officer(folder, alliance, name, f"officer-{name}")
        (folder / f"{name}.vkey").write_text(officer.vkey.render() + "\n")
    else:
        sections: dict[str, dict[str, Any]] = {
            "alliance": {"name": alliance, "pin": "pin.json"},
            "self": {"role": "officer", "name": name},
            "client": {"hubs": [url.rstrip("/")] if url else []},
        }
        with new_folder(folder) as new:
            officer = make_officer(new, alliance, name, f"officer-{name}")
            (new / f"{name}.vkey").write_text(officer.vkey.render() + "\n")
            write_config(new, sections)
    vkey = officer.vkey.render()
    emit(context, {"vkey": vkey, "file": str(folder / f"{name}.vkey")}, [vkey])


def _check_joint(folder: Path, alliance: str) -> None:
    """Let a node's folder hold officers' keys too, as a trial alliance's does.

    Raises:
        ConfigError: The folder is somebody else's.
    """
    config = load_config(folder)
    if (config["self"]["role"], config["alliance"]["name"]) != ("node", alliance):
        raise ConfigError(
            f"{folder} is in use",
            code="folder-in-use",
            advice="Give each officer a folder, on a machine of their own.",
        )


def _vkey(file: Path) -> str:
    try:
        text = file.read_text().strip()
        return parse_vkey(text).render()
    except (OSError, UnicodeDecodeError, KeysError) as error:
        raise MalformedError(
            f"{file} holds no officer's vkey: {error}",
            advice="Ask the officer for the file that hub officer new made.",
        ) from None


def _request(file: Path, kind: str, alliance: str) -> dict[str, Any]:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    return parse_request(text, kind, alliance)


@click.group("alliance")
def alliance_group() -> None:
    """Found an alliance."""


@alliance_group.command("create")
@click.option("--officer", "officers", type=_PATH, multiple=True, required=True)
@click.option("--threshold", type=int, required=True, help="How many must sign.")
@click.option("--node", type=_PATH, required=True, help="The node's request.json.")
@click.option("--quorum", default=0, show_default=True)
@click.option("--out", default="proposal.json", show_default=True, type=_PATH)
@click.pass_context
def alliance_create(
    context: click.Context,
    officers: tuple[Path, ...],
    threshold: int,
    node: Path,
    quorum: int,
    out: Path,
) -> None:
    """Write the pin and the first proposal, signed by this folder's officer."""
    folder, now = folder_of(context), SystemClock().now()
    alliance = load_config(folder)["alliance"]["name"]
    # What Pin.parse refuses is found here.
    pin = Pin.parse(Pin(alliance, threshold, tuple(map(_vkey, officers))).render())
    request = _request(node, "node", alliance)
    entries = founding_entries(pin, request, quorum, now)
    proposal = propose(alliance, EMPTY, entries)
    after = examine(proposal, new_replay(pin)).require()
    _write_pin(folder, pin)
    office = Office(context, build_hub(folder), out)
    if office.directory().size:
        raise RefusedError(f"{alliance} was founded already", code="founded")
    signers = office.signers()
    if not signers:
        (folder / "pin.json").unlink()
        raise RefusedError(
            "this folder holds the key of none of these officers",
            code="not-officer",
            advice="Name the vkey file of this folder among the --officer options.",
        )
    verdict = office.sign(proposal, signers)
    office.write(proposal)
    remember_hub(folder, request["url"])
    body = {
        "pin": str(folder / "pin.json"),
        "proposal": str(out),
        "signatures": len(verdict.signed_by),
        "threshold": threshold,
    }
    emit(context, body, _next_steps(folder, out, len(verdict.signed_by), after))


def _write_pin(folder: Path, pin: Pin) -> None:
    path = folder / "pin.json"
    if path.exists() and Pin.parse(path.read_text()) != pin:
        raise ConfigError(
            f"{path} is another pin",
            code="wrong-pin",
            advice="An alliance is founded once; move the old pin away to start anew.",
        )
    path.write_text(pin.render())


def _next_steps(folder: Path, out: Path, signed: int, after: Directory) -> list[str]:
    return [
        f"Wrote {folder / 'pin.json'}. Everybody's trust starts there: hand it out",
        "by a way that you trust.",
        f"Wrote {out} with {signed} of {after.threshold} signatures.",
        f"Other officers: hub --dir THEIRS registry sign {out.name} --pin pin.json",
        "The node's operator: put pin.json into the node's folder, then hub serve.",
        f"Then, once: hub --dir {folder} registry submit {out}",
    ]


def _change(
    office: Office,
    change: Any,
    threshold: int | None,
    done: str,
) -> None:
    """Propose other officers; ``change`` maps names and vkeys to the new ones."""

    def lines() -> Sequence[bytes]:
        state = office.directory()
        officers = change({officer_name(v): v for v in state.officers})
        fields = {
            "alliance": state.alliance,
            "threshold": threshold or state.threshold,
            "officers": list(officers.values()),
        }
        return [registry_entry("alliance", office.hub.clock.now(), **fields)]

    office.act(lines, done)


def _known(officers: dict[str, str], name: str) -> None:
    if name not in officers:
        raise RefusedError(
            f"{name} is no officer",
            code="not-officer",
            advice=f"The officers are {', '.join(officers)}.",
        )


def _check_free(officers: dict[str, str], new: str) -> None:
    if officer_name(new) in officers:
        raise RefusedError(
            f"{officer_name(new)} is an officer already",
            code="name-taken",
            advice="For a new key of the same officer: hub officer replace.",
        )


_THRESHOLD = click.option("--threshold", type=click.IntRange(1), help="How many sign.")


@officer_group.command("replace")
@click.argument("old")
@click.argument("vkey", type=_PATH)
@_THRESHOLD
@office_command
def officer_replace(
    office: Office, old: str, vkey: Path, threshold: int | None
) -> None:
    """Put an officer's new key, or a new officer, in the place of one."""
    new = _vkey(vkey)

    def change(officers: dict[str, str]) -> dict[str, str]:
        _known(officers, old)
        kept = {n: v for n, v in officers.items() if n != old}
        _check_free(kept, new)
        return {**kept, officer_name(new): new}

    _change(office, change, threshold, f"{officer_name(new)} signs instead of {old}.")


@officer_group.command("add")
@click.argument("vkey", type=_PATH)
@_THRESHOLD
@office_command
def officer_add(office: Office, vkey: Path, threshold: int | None) -> None:
    """Add an officer."""
    new = _vkey(vkey)

    def change(officers: dict[str, str]) -> dict[str, str]:
        _check_free(officers, new)
        return {**officers, officer_name(new): new}

    _change(office, change, threshold, f"{officer_name(new)} is an officer now.")


@officer_group.command("remove")
@click.argument("name")
@_THRESHOLD
@office_command
def officer_remove(office: Office, name: str, threshold: int | None) -> None:
    """Remove an officer."""

    def change(officers: dict[str, str]) -> dict[str, str]:
        _known(officers, name)
        return {n: v for n, v in officers.items() if n != name}

    _change(office, change, threshold, f"{name} is no officer any more.")


COMMANDS = (officer_group, alliance_group)
