"""After publication: withdraw, dispute, erase."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, hub_of
from hub.cli.office import Office
from hub.cli.published import counted
from hub.cli.rules import erase_by_officers
from hub.cli.sending import Sending, sending
from hub.errors import ConfigError, RefusedError
from hub.interop.tables import Options, read_refs, read_rows
from hub.model import EntryName
from hub.publishing import Piece
from hub.publishing.later import erasures, withdrawals
from hub.publishing.lines import entry_line
from hub.publishing.naming import Named, Names
from hub.publishing.rows import identifiers_hash
from hub.standing import read_entry, standing_of
from hub.store.base import Transaction
from keys.encoding import to_base64
from schemas.entry import DISPUTE_REASONS, GROUNDS, REASONS

__all__ = ["COMMANDS", "named_or_refused"]

_SHOWN = 20
_NOTE = click.option("--note", help="Up to 500 characters, without identifiers.")


def named_or_refused(
    names: Names, what: Iterable[str], of_list: str | None, *, skip: bool = False
) -> tuple[list[Named], list[str]]:
    """Return what names mean, and those that mean nothing.

    Args:
        names: Finds what names mean.
        what: The names.
        of_list: The list that references are of.
        skip: Go on without those that mean nothing.

    Raises:
        RefusedError: One means nothing, or several things.
    """
    found, unknown = [], []
    for one in dict.fromkeys(what):
        named = names.find(one, of_list)
        if named is None:
            unknown.append(one)
        else:
            found.append(named)
    if unknown and not skip:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise RefusedError(
            f"nothing is published as {', '.join(unknown[:_SHOWN])}{more}; "
            "nothing was sent",
            code="not-found",
            advice="Name an entry, a case or a reference of your ledger.",
        )
    return found, unknown


def _optional(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@click.command()
@click.argument("what", nargs=-1)
@click.option("--reason", type=click.Choice(REASONS), default="false-positive")
@_NOTE
@click.option("--entry-only", is_flag=True, help="Only that entry, not its case.")
@click.option("--file", type=click.Path(path_type=Path), help="Withdraw its rows.")
@click.option("--ref", help="The column of the file with your own case numbers.")
@click.option("--type", "kind", help="What a file of one a line holds.")
@click.option("--list", "of_list", help="The list that references are of.")
@click.option("--skip-unknown", is_flag=True, help="Go on without unknown names.")
@click.pass_context
def withdraw(
    context: click.Context,
    /,
    what: tuple[str, ...],
    reason: str,
    note: str | None,
    *,
    entry_only: bool,
    skip_unknown: bool,
    of_list: str | None,
    **options: Any,
) -> None:
    """Withdraw entries, cases or own references; by default the whole case."""
    if not what and options["file"] is None:
        raise click.UsageError("Name what to withdraw, or a --file.")
    desk = sending(context)
    with desk.mirror() as tx:
        names = Names(tx, desk.ledger, desk.hub.name)
        wanted = [*what, *_of_file(desk, options)]
        found, unknown = named_or_refused(names, wanted, of_list, skip=skip_unknown)
        pieces, already = withdrawals(
            tx,
            desk.hub.name,
            found,
            desk.now,
            entry_only=entry_only,
            reason=reason,
            **_optional(note=note),
        )
    receipt = desk.send(pieces, "withdrawals")
    left = {id(one) for one in already}
    done = [one for one in found if id(one) not in left]
    body = {
        "withdrawn": [_shown(one) for one in done],
        "already": [_shown(one) for one in already],
        "unknown": unknown,
        "receipt": receipt,
    }
    text = [f"Withdrew {len(pieces)}: {_listed(o.what for o in done)}."] if done else []
    if already:
        text.append(f"Withdrawn already: {_listed(o.what for o in already)}.")
    if unknown:
        text.append(f"Unknown and skipped: {_listed(unknown)}.")
    emit(context, body, [*text, *([] if pieces else ["Nothing was sent."])])


def _shown(one: Named) -> dict[str, Any]:
    named = {"name": one.what, "case": one.case}
    return {**named, "entry": str(one.entry)} if one.entry else named


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


def _of_file(desk: Sending, options: dict[str, Any]) -> Iterator[str]:
    """Yield what the rows of a file name: references, or else cases."""
    file, ref = options["file"], options["ref"]
    if file is None:
        return
    try:
        with file.open("rb") as stream:
            if ref is not None:
                yield from (text for _, text in read_refs(stream, file.name, ref))
                return
            region = desk.hub.config["client"]["region"]
            chosen = Options(options["kind"], {}, region)
            for row in read_rows(stream, file.name, chosen):
                key = identifiers_hash(desk.ledger.secret, row.identifiers)
                cases = [] if row.problem else desk.ledger.cases.by_identifiers(key)
                yield cases[0].case if cases else f"row {row.number} of {file.name}"
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None


@click.command()
@click.argument("report")
@click.option("--reason", type=click.Choice(DISPUTE_REASONS), required=True)
@_NOTE
@click.pass_context
def dispute(context: click.Context, report: str, reason: str, note: str | None) -> None:
    """Contradict another member's report."""
    name = EntryName.parse(report)
    desk = sending(context)
    with desk.mirror() as tx:
        reference, ours = _disputed(tx, desk, name)
    if ours:
        body = {"dispute": ours, "receipt": None}
        emit(context, body, [f"Disputed already, by {ours}; nothing was sent."])
        return
    fields = {"report": reference, "reason": reason, **_optional(note=note)}
    line = entry_line("dispute", desk.now, **fields)
    receipt = desk.send([Piece((line,))], "a dispute")
    made = f"{desk.hub.name}/{receipt['first'] + 1}" if receipt else None
    emit(context, {"dispute": made, "receipt": receipt}, [f"Disputed {name}: {made}."])


def _disputed(
    tx: Transaction, desk: Sending, name: EntryName
) -> tuple[dict[str, Any], str | None]:
    """Return the reference to a report, and the own dispute that stands on it."""
    if name.feed == desk.hub.name:
        raise RefusedError(
            f"{name} is of this member", advice="Withdraw it with hub withdraw."
        )
    if read_entry(tx, name)["kind"] != "report":
        raise RefusedError(f"{name} is no report")
    directory = desk.hub.registry.directory(tx)
    found = standing_of(tx, directory, name, desk.now)
    own = [d["by"] for d in found.disputes if d["by"].startswith(f"{desk.hub.name}/")]
    digest = to_base64(found.digest)
    reference = {"feed": name.feed, "entry": name.index, "digest": digest}
    return reference, own[0] if own else None


@click.command()
@click.argument("what", nargs=-1, required=True)
@click.option("--ground", type=click.Choice(GROUNDS), default="data-subject-request")
@click.option("--list", "of_list", help="The list that references are of.")
@click.option(
    "--out", default="proposal.json", help="An officers' proposal.", type=Path
)
@click.pass_context
def erase(
    context: click.Context,
    what: Sequence[str],
    ground: str,
    of_list: str | None,
    out: Path,
) -> None:
    """Order own entries to be erased; in an officer's folder, those of any member."""
    hub = hub_of(context)
    if hub.role in ("officer", "node"):
        erase_by_officers(Office(context, hub, out), what, ground)
        return
    desk = sending(context)
    with desk.mirror() as tx:
        names = Names(tx, desk.ledger, desk.hub.name)
        known = [named for w in what if (named := names.find(w, of_list))]
        for one in set(what) - {named.what for named in known}:
            _check_ordered(tx, desk, one)
        pieces, entries = erasures(tx, desk.hub.name, known, desk.now, ground)
    receipt = desk.send(pieces, "erasures")
    body = {"erased": [str(name) for name in entries], "receipt": receipt}
    done = f"Ordered: {counted(len(entries), 'entry')}, hidden now, deleted in 72 h."
    emit(context, body, [done if pieces else "Ordered already; nothing was sent."])


def _check_ordered(tx: Transaction, desk: Sending, what: str) -> None:
    """Let pass an own entry that is under an order already.

    Raises:
        RefusedError: It is nothing that this member can erase.
    """
    if "/" in what:
        name = EntryName.parse(what)
        if name.feed != desk.hub.name:
            raise RefusedError("only own entries; officers erase those of others")
        if tx.erasures.hidden(name.feed, name.index, name.index + 1):
            return
    raise RefusedError(
        f"{what} is no report, dispute or action, no case and no reference of "
        f"{desk.hub.name}; nothing was sent",
        code="not-found",
    )


COMMANDS = (withdraw, dispute, erase)
