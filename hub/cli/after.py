"""After publication: withdraw, dispute, erase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, hub_of
from hub.cli.looking import entry_of
from hub.cli.office import Office
from hub.cli.publish import outbox_of, resume
from hub.cli.pulling import pull_once
from hub.cli.rules import erase_by_officers
from hub.errors import RefusedError
from hub.model import EntryName
from hub.publishing import Piece, packed
from hub.publishing.lines import entry_line
from hub.store.journal import Change
from hub.store.locks import try_lock
from hub.wiring import Hub
from schemas.entry import DISPUTE_REASONS, GROUNDS, REASONS

__all__ = ["COMMANDS"]


def _send(
    context: click.Context,
    hub: Hub,
    kind: str,
    entries: list[tuple[dict[str, Any], tuple[Change, ...]]],
    done: str,
) -> None:
    ledger = hub.ledger()
    outbox = outbox_of(hub, ledger)
    with try_lock(hub.folder / "publish.lock") as held:
        # Whoever holds the lock sends what waits.
        if held:
            resume(outbox)
        now = hub.clock.now()
        pieces = [Piece((entry_line(kind, now, **e),), c) for e, c in entries]
        for batch in packed(pieces):
            receipt = outbox.post(batch, kind).receipt
    emit(context, {"receipt": receipt}, [done])


def _case_of(hub: Hub, what: str) -> str:
    """Return the case that an entry, a case or an own reference names."""
    ledger = hub.ledger()
    for case in (*ledger.cases.by_ref(what), ledger.cases.get(what)):
        if case and not case.withdrawn:
            return case.case
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
    entries: list[tuple[dict[str, Any], tuple[Change, ...]]] = []
    if entry_only:
        entries = [({"entry": w, "reason": reason}, ()) for w in what]
    else:
        pull_once(hub)
        for case in dict.fromkeys(_case_of(hub, w) for w in what):
            change = Change(0, "withdrawn", case)
            entries.append(({"case": case, "reason": reason}, (change,)))
    _send(context, hub, "withdrawal", entries, f"Withdrew {', '.join(what)}.")


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
    entry = {"report": reference, "reason": reason}
    _send(context, hub, "dispute", [(entry, ())], f"Disputed {report}.")


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
    entry = {"indices": [n.index for n in names], "ground": ground}
    done = f"{len(names)} entries are hidden now, deleted in 72 h."
    _send(context, hub, "erasure", [(entry, ())], done)


COMMANDS = (withdraw, dispute, erase)
