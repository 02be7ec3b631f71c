"""Proposals for the registry: make, read, sign and submit them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from hub.cli.common import emit, folder_of, hub_of
from hub.cli.folders import remember_hub
from hub.cli.office import Office, office_command, officer_name, waiting
from hub.config import load_config
from hub.directory import Directory, Pin
from hub.errors import ConfigError, MalformedError, RefusedError, UnavailableError
from hub.model import REGISTRY
from hub.officers import (
    Proposal,
    Verdict,
    again,
    examine,
    parse_proposal,
    registry_entry,
)
from hub.wording import describe
from schemas.base import SchemaError, parse_json_line

__all__ = ["COMMANDS"]

_FILE = click.argument("file", type=click.Path(path_type=Path))
_PIN = click.option(
    "--pin", type=click.Path(path_type=Path), help="The pin file, the first time."
)
_ASK = click.option("--url", "--hub", "ask", default="", help="The hub to ask.")


@click.group("registry")
def registry_group() -> None:
    """Proposals for the registry, passed between officers."""


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None


def _take_pin(folder: Path, file: Path | None) -> None:
    """Keep the pin in a folder that has none yet.

    Raises:
        ConfigError: The folder has another pin.
    """
    if file is None:
        return
    pin = Pin.parse(_read(file))
    path = folder / load_config(folder)["alliance"]["pin"]
    if not path.exists():
        path.write_text(pin.render())
    elif Pin.parse(_read(path)) != pin:
        raise ConfigError(
            f"{path} is another pin than {file}",
            code="wrong-pin",
            advice="Compare both with what the other officers have.",
        )


def _office(
    context: click.Context,
    file: Path,
    pin: Path | None,
    ask: str = "",
    *,
    although: bool = False,
) -> Office:
    _take_pin(folder_of(context), pin)
    return Office(context, hub_of(context), file, ask.rstrip("/"), although)


def _learn_hub(office: Office, verdict: Verdict) -> None:
    """Take from the first proposal which node this folder asks from then on."""
    home = verdict.after.home(REGISTRY) if verdict.after else None
    if home and verdict.after and verdict.note.registry.size == 0:
        remember_hub(office.hub.folder, verdict.after.nodes[home.node])


def _check_seen(office: Office, verdict: Verdict) -> None:
    """Refuse to judge a proposal about a registry that was never seen here.

    Raises:
        RefusedError: This folder knows no node to read the registry from.
    """
    if office.directory().size == 0 and verdict.note.registry.size:
        raise RefusedError(
            "this folder has not seen the alliance's registry yet",
            code="not-founded",
            advice="Name a node of the alliance with --url.",
        )


def _accepted(office: Office, verdict: Verdict) -> int | None:
    """Return where the registry holds a proposal, or None."""
    with office.hub.store.read() as tx:
        row = tx.batches.find(REGISTRY, verdict.note.batch_id)
    return row.first if row else None


@registry_group.command("propose")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--again",
    "old",
    type=click.Path(path_type=Path),
    help="A stale proposal to make anew on the present head.",
)
@office_command
def registry_propose(office: Office, file: Path | None, old: Path | None) -> None:
    """Propose the entries of a file of JSON lines, or of a stale proposal."""
    if (file is None) == (old is None):
        raise MalformedError("name a file of entries, or --again and a proposal")
    if old is not None:
        _again(office, old)
        return
    entries = list(_entries(_read(file))) if file else []

    def lines() -> Sequence[bytes]:
        now = office.hub.clock.now()
        return [registry_entry(kind, now, **more) for kind, more in entries]

    office.act(lines, f"Added {len(entries)} entries to the registry.")


def _entries(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = parse_json_line(line.encode())
            kind = str(entry.pop("kind"))
        except SchemaError as error:
            raise MalformedError(f"line {number}: {error}") from None
        except KeyError:
            raise MalformedError(f"line {number}: kind is missing") from None
        if {"salt", "at"} & set(entry):
            raise MalformedError(
                f"line {number}: salt and at are added here; leave them out"
            )
        found.append((kind, entry))
    if not found:
        raise MalformedError("the file has no entries")
    return found


def _again(office: Office, file: Path) -> None:
    source = office.context.get_parameter_source("out")
    if source is not ParameterSource.COMMANDLINE:
        office.out = file
    office.refresh()
    proposal = parse_proposal(_read(file))
    office.instead = proposal["text"]
    verdict = _unsigned(office, proposal)
    place = _accepted(office, verdict)
    if place is not None:
        raise RefusedError(
            f"the registry holds that proposal already, at registry/{place}",
            code="accepted",
            advice="Nothing is left to do.",
        )

    def lines() -> Sequence[bytes]:
        now = office.hub.clock.now()
        return again(verdict.entries, office.directory(), now, office.head_of)

    office.act(lines, f"Added {len(verdict.entries)} entries to the registry.")


def _unsigned(office: Office, proposal: Proposal) -> Verdict:
    """Examine entries alone: who signed a stale proposal does not matter any more."""
    return examine({**proposal, "signatures": []}, office.replay())


def _before(office: Office, verdict: Verdict) -> Directory:
    """Return the directory on top of which a proposal was made, if it is known."""
    with office.hub.store.read() as tx:
        return office.hub.registry.as_of(tx, verdict.note.registry.size).directory


@registry_group.command("show")
@_FILE
@_PIN
@_ASK
@click.pass_context
def registry_show(
    context: click.Context, file: Path, pin: Path | None, ask: str
) -> None:
    """Say what a proposal does, who signed it, and whether it still fits."""
    office = _office(context, file, pin, ask)
    proposal = parse_proposal(_read(file))
    unseen = ""
    try:
        office.refresh()
    except UnavailableError as error:
        unseen = f"{error}; compared with the registry as it was seen here last."
    verdict = examine(proposal, office.replay())
    _check_seen(office, verdict)
    _learn_hub(office, verdict)
    place, before = _accepted(office, verdict), _before(office, verdict)
    words = [describe(entry, before) for entry in verdict.entries]
    warnings = [unseen] if unseen else []
    if place is None:
        warnings += _warnings(office, verdict)
    state = _state(verdict, place)
    signed = [name.rpartition("/")[2] for name in verdict.signed_by]
    size, count = verdict.note.registry.size, len(signed)
    text = [
        f"A proposal for {before.alliance}, on top of {size} lines of the registry:",
        *(f"{number}. {line}" for number, line in enumerate(words, 1)),
        f"Signed by {', '.join(signed) or 'nobody'}: {count} of {verdict.threshold}.",
        state,
        *(f"WARNING: {warning}" for warning in warnings),
    ]
    body = {
        "entries": verdict.entries,
        "words": words,
        "signed_by": signed,
        "threshold": verdict.threshold,
        "complete": verdict.complete,
        "present": verdict.fresh,
        "accepted_at": place,
        "warnings": warnings,
    }
    emit(context, body, text)


def _state(verdict: Verdict, place: int | None) -> str:
    if place is not None:
        return f"The registry holds it, at registry/{place}."
    if verdict.fresh:
        return "The head that it names is the registry's present one."
    return (
        "STALE: the registry has another head by now. Sign nothing; make it anew with "
        "hub registry propose --again."
    )


def _warnings(office: Office, verdict: Verdict) -> list[str]:
    found = [
        f"this folder signed another proposal for the same head at {other['at']}; if "
        "both are accepted somewhere, they convict you"
        for other in office.signings().others(verdict.note)
    ]
    if verdict.problem is not None:
        found.append(f"the registry would refuse it: {verdict.problem}")
    return found


@registry_group.command("sign")
@_FILE
@_PIN
@_ASK
@click.option(
    "--although-signed",
    "although",
    is_flag=True,
    help="Sign although this folder signed another for the same head.",
)
@click.pass_context
def registry_sign(
    context: click.Context, file: Path, pin: Path | None, ask: str, although: bool
) -> None:
    """Check a proposal and add the signatures of the officers' keys in this folder."""
    office = _office(context, file, pin, ask, although=although)
    office.refresh()
    signers = office.signers()
    if not signers:
        officers = ", ".join(map(officer_name, office.directory().officers))
        raise RefusedError(
            "no key of this folder is an officer's now",
            code="not-officer",
            advice=f"The officers are {officers}; use the folder of one of them.",
        )
    proposal = parse_proposal(_read(file))
    _check_seen(office, examine(proposal, office.replay()))
    verdict = office.sign(proposal, signers)
    office.write(proposal)
    _learn_hub(office, verdict)
    signed = len(verdict.signed_by)
    text = f"{signed} of {verdict.threshold} signatures."
    if verdict.complete:
        text += f" Next: hub registry submit {file}"
    body = {
        "signatures": signed,
        "threshold": verdict.threshold,
        "complete": verdict.complete,
    }
    emit(context, body, [text])


@registry_group.command("submit")
@_FILE
@_PIN
@_ASK
@click.pass_context
def registry_submit(
    context: click.Context, file: Path, pin: Path | None, ask: str
) -> None:
    """Send a complete proposal to the registry's home."""
    office = _office(context, file, pin, ask)
    proposal = parse_proposal(_read(file))
    unseen: UnavailableError | None = None
    try:
        office.refresh()
    except UnavailableError as error:
        # The home that the proposal names may be another node, and checks it all again.
        unseen = error
    verdict = examine(proposal, office.replay())
    _check_seen(office, verdict)
    place = _accepted(office, verdict)
    if place is not None:
        size = place + verdict.note.count + 1
        body = {"feed": REGISTRY, "first": place, "size": size}
        emit(context, body, [f"The registry holds it already, at registry/{place}."])
        return
    verdict.require()
    if not verdict.complete:
        raise RefusedError(
            f"the proposal has {len(verdict.signed_by)} of {verdict.threshold} "
            "signatures",
            code="too-few-officers",
            advice=f"Pass it on: hub registry sign {file.name}.",
        )
    if office.directory().size and unseen and not _moves(verdict):
        raise unseen
    answer = office.submit(proposal, verdict)
    text = [f"The registry has {answer['size']} lines now.", *waiting(answer)]
    emit(context, answer, text)


def _moves(verdict: Verdict) -> bool:
    return any(e["kind"] == "home" and e["feed"] == REGISTRY for e in verdict.entries)


COMMANDS = (registry_group,)
