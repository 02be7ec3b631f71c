"""After publication: renew reports that end, and tell what was done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import click

from hub.cli.after import named_or_refused
from hub.cli.common import emit
from hub.cli.published import counted
from hub.cli.sending import Sending, sending
from hub.errors import MalformedError
from hub.indexing import outlook_of
from hub.model import EntryName, parse_time
from hub.publishing import Piece
from hub.publishing.later import about, renewals, standing_in
from hub.publishing.lines import entry_line
from hub.publishing.naming import Named, Names
from hub.standing import active_reports, latest
from hub.store.base import Transaction
from schemas.entry import ACTIONS, CHANNELS

__all__ = ["COMMANDS", "parse_days"]

_DAY = 86_400


def parse_days(text: str) -> int:
    """Return the seconds of a number of days such as ``14d``.

    Raises:
        MalformedError: Another form.
    """
    found = re.fullmatch("([0-9]{1,4})d?", text)
    if found is None:
        raise MalformedError(
            f"{text[:20]!r} is no number of days", advice="Write it as in 14d."
        )
    return int(found[1]) * _DAY


@click.command()
@click.argument("what", nargs=-1)
@click.option("--expiring", metavar="14d", help="All that end within so many days.")
@click.option("--until", help="A UTC date or time; by default as long as before.")
@click.option("--list", "of_list", help="The list that references are of.")
@click.pass_context
def renew(
    context: click.Context,
    what: tuple[str, ...],
    expiring: str | None,
    until: str | None,
    of_list: str | None,
) -> None:
    """Renew own reports: an entry, a case, a reference, or all that end soon."""
    if bool(what) == (expiring is not None):
        raise click.UsageError("Name what to renew, or say --expiring 14d.")
    within = parse_days(expiring) if expiring is not None else 0
    end = parse_time(until) if until is not None else None
    desk = sending(context)
    with desk.mirror() as tx:
        if what:
            names = Names(tx, desk.ledger, desk.hub.name)
            found, _ = named_or_refused(names, what, of_list)
            groups = list(_named(tx, desk, found))
        else:
            groups = _ending(tx, desk, desk.now + within)
        directory = desk.hub.registry.directory(tx)
        done = renewals(tx, directory, groups, desk.now, end)
    receipt = desk.send(done.pieces, "renewals")
    body = {
        "renewed": [str(name) for name in done.renewed],
        "refused": [{"entry": str(n), "reason": why} for n, why in done.refused],
        "receipt": receipt,
    }
    sizes = counted(len(done.renewed), "report"), counted(len(done.pieces), "case")
    text = [f"Renewed {sizes[0]} in {sizes[1]}."]
    text += [f"{name} was not renewed: {why}" for name, why in done.refused]
    emit(context, body, text)
    if done.refused:
        context.exit(4)


def _named(
    tx: Transaction, desk: Sending, found: Iterable[Named]
) -> Iterator[tuple[str, list[EntryName]]]:
    """Yield cases with those of their named reports that count."""
    for one in found:
        if one.case is None:
            continue
        standing = standing_in(tx, desk.hub.name, one.case)
        newest = [n for n in standing if _counts(tx, n)]
        wanted = [n for n in newest if one.entry in (None, n)]
        if not wanted:
            raise MalformedError(
                f"{one.what} has no report that could be renewed",
                advice="It was withdrawn, erased, or renewed by a later entry.",
            )
        yield one.case, wanted


def _counts(tx: Transaction, name: EntryName) -> bool:
    for filed in tx.index.page(name.feed, name.index, 1):
        return latest(tx, name.feed, filed.token) == name
    return False


def _ending(
    tx: Transaction, desk: Sending, before: int
) -> list[tuple[str, list[EntryName]]]:
    """Return the active reports that end before a time, by case."""
    outlook = outlook_of(desk.hub.registry.directory(tx), desk.now)
    cases: dict[str, list[EntryName]] = {}
    for filed, listed in active_reports(tx, outlook, [desk.hub.name]):
        if listed.valid_until <= before:
            cases.setdefault(filed.case, []).append(filed.name)
    return list(cases.items())


@click.command()
@click.argument("what")
@click.option("--action", "done", type=click.Choice(ACTIONS), required=True)
@click.option("--channel", type=click.Choice(CHANNELS), required=True)
@click.option("--count", type=click.IntRange(0), help="How many listings, goods, …")
@click.option("--country", "countries", multiple=True, help="A code such as FR.")
@click.option("--note", help="Up to 500 characters, without identifiers.")
@click.option("--list", "of_list", help="The list that the reference is of.")
@click.pass_context
def action(
    context: click.Context,
    /,
    what: str,
    done: str,
    channel: str,
    *,
    of_list: str | None,
    **given: Any,
) -> None:
    """Tell what was done about an own case, or about what a report names."""
    desk = sending(context)
    given["countries"] = [code.upper() for code in given["countries"]]
    more = {name: value for name, value in given.items() if value not in (None, [])}
    with desk.mirror() as tx:
        named = Names(tx, desk.ledger, desk.hub.name).find(what, of_list)
        fields = about(tx, desk.hub.name, what, named)
    fields |= {"action": done, "channel": channel, **more}
    line = entry_line("action", desk.now, **fields)
    receipt = desk.send([Piece((line,))], "an action")
    made = f"{desk.hub.name}/{receipt['first'] + 1}" if receipt else None
    emit(context, {"action": made, "receipt": receipt}, [f"Told as {made}."])


COMMANDS = (renew, action)
