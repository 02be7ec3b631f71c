"""After publication: withdraw, dispute, erase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, hub_of
from hub.cli.looking import entry_of
from hub.cli.office import Office
from hub.cli.publish import publisher_of
from hub.cli.pulling import pull_once
from hub.cli.rules import erase_by_officers
from hub.errors import MalformedError, RefusedError
from hub.model import EntryName, new_salt, render_time
from hub.store.ledger import Ledger
from hub.wiring import Hub
from schemas.base import SchemaError, render_line
from schemas.entry import DISPUTE_REASONS, GROUNDS, REASONS
from schemas.fast import check_line

__all__ = ["COMMANDS"]


def _send(context: click.Context, entries: list[dict[str, Any]], done: str) -> None:
    hub = hub_of(context)
    ledger = hub.ledger()
    publisher = publisher_of(hub, ledger)
    publisher.resume()
    now = render_time(hub.clock.now())
    lines = []
    for entry in entries:
        kind = entry.pop("kind")
        line = render_line({"kind": kind, "salt": new_salt(), "at": now, **entry})
        try:
            check_line(line)
        except SchemaError as error:
            raise MalformedError(str(error)) from None
        lines.append(line)
    receipt = publisher.send(lines)
    emit(context, {"receipt": receipt}, [done])


def _case_of(hub: Hub, ledger: Ledger, what: str) -> str:
    """Return the case that an entry, a case or an own reference names."""
    for where in ("ref = ?", '"case" = ?'):
        for case in ledger.cases(f"WHERE {where} AND NOT withdrawn", (what,)):
            return str(case["case"])
    if "/" in what:
        entry = entry_of(hub, what)
        if "case" in entry:
            return str(entry["case"])
    raise RefusedError(
        f"nothing is published as {what}",
        code="not-found",
        advice="Name an entry, a case or a reference of your ledger.",
    )


@click.command()
@click.argument("what", nargs=-1, required=True)
@click.option("--reason", type=click.Choice(REASONS), default="false-positive")
@click.option("--entry-only", is_flag=True, help="Only that entry, not its case.")
@click.pass_context
def withdraw(
    context: click.Context, what: tuple[str, ...], reason: str, entry_only: bool
) -> None:
    """Withdraw entries, cases or own references; by default the whole case."""
    hub = hub_of(context)
    ledger = hub.ledger()
    if entry_only:
        entries: list[dict[str, Any]] = [{"entry": w} for w in what]
    else:
        pull_once(hub)
        entries = [{"case": _case_of(hub, ledger, w)} for w in what]
    for entry in entries:
        entry.update(kind="withdrawal", reason=reason)
    cases = [e["case"] for e in entries if "case" in e]
    _send(context, entries, f"Withdrew {', '.join(what)}.")
    ledger.mark_withdrawn(cases)


@click.command()
@click.argument("report")
@click.option("--reason", type=click.Choice(DISPUTE_REASONS), required=True)
@click.pass_context
def dispute(context: click.Context, report: str, reason: str) -> None:
    """Contradict another member's report."""
    hub = hub_of(context)
    pull_once(hub)
    name, digest = EntryName.parse(report), entry_of(hub, report)["digest"]
    reference = {"feed": name.feed, "entry": name.index, "digest": digest}
    entry = {"kind": "dispute", "report": reference, "reason": reason}
    _send(context, [entry], f"Disputed {report}.")


@click.command()
@click.argument("entries", nargs=-1, required=True)
@click.option("--ground", type=click.Choice(GROUNDS), default="data-subject-request")
@click.option(
    "--out", default="proposal.json", help="An officers' proposal.", type=Path
)
@click.pass_context
def erase(
    context: click.Context, entries: tuple[str, ...], ground: str, out: Path
) -> None:
    """Order own entries to be erased; in an officer's folder, those of any member."""
    hub = hub_of(context)
    if hub.role in ("officer", "node"):
        erase_by_officers(Office(context, hub, out), entries, ground)
        return
    names = [EntryName.parse(e) for e in entries]
    if any(n.feed != hub.name for n in names):
        raise RefusedError("only own entries; officers erase those of others")
    entry = {
        "kind": "erasure",
        "indices": [n.index for n in names],
        "ground": ground,
    }
    _send(context, [entry], f"{len(names)} entries are hidden now, deleted in 72 h.")


COMMANDS = (withdraw, dispute, erase)
