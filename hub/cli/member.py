"""The engineer's commands: publish, pull, screen, watch, withdraw, dispute, erase."""

from __future__ import annotations

import csv
import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, hub_of, table
from hub.client import post_alerts
from hub.errors import ConfigError, MalformedError, RefusedError
from hub.interop.tables import Options, Row, read_rows
from hub.model import REGISTRY, EntryName, new_salt, render_time
from hub.publishing import Publisher
from hub.screening import alerts, catch_up, outlook_of, screen, watch
from hub.store.ledger import Ledger
from hub.sync import Pulled, pull
from hub.wiring import Hub
from keys.encoding import to_base64
from keys.note import NoteSigner
from schemas.base import SchemaError, render_line
from schemas.entry import DISPUTE_REASONS, GROUNDS, REASONS
from schemas.fast import check_line, read_line
from schemas.identifiers import TYPES, canonicalise

__all__ = ["COMMANDS"]


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, and how the options of the command say to read it."""

    file: Path
    columns: tuple[str, ...]
    kind: str | None
    ref: str | None
    region: str | None


def _file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a file, bundled as ``source``."""

    @functools.wraps(command)
    def bundled(**more: Any) -> Any:
        names = ("file", "columns", "kind", "ref", "region")
        return command(source=_Source(**{n: more.pop(n) for n in names}), **more)

    return _with_options(bundled)


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--region", help="Country of national phone numbers."),
        click.option("--ref", help="The column with your own case numbers."),
        click.option("--type", "kind", help="What a list of one a line holds."),
        click.option("--column", "columns", multiple=True, help="NAME=type"),
    ):
        command = option(command)
    return click.argument("file", type=click.Path(path_type=Path))(command)


def _rows(hub: Hub, source: _Source) -> Iterator[Row]:
    pairs = dict(c.rpartition("=")[::2] for c in source.columns)
    wrong = [t for t in pairs.values() if t not in TYPES]
    if wrong:
        raise MalformedError(
            f"{wrong[0]} is not an identifier type",
            advice=f"Use one of {', '.join(sorted(TYPES))}.",
        )
    region = source.region or hub.config["client"]["region"]
    options = Options(source.kind, pairs, region, source.ref)
    try:
        with source.file.open("rb") as stream:
            yield from read_rows(stream, source.file.name, options)
    except OSError as error:
        raise ConfigError(f"{source.file} cannot be read: {error.strerror}") from None


def _pull(hub: Hub) -> Pulled:
    found = pull(hub.store, hub.registry, hub.client(), hub.clock.now())
    catch_up(hub.store, hub.directory())
    return found


def _publisher(hub: Hub, ledger: Ledger) -> Publisher:
    if hub.role != "member":
        raise RefusedError(f"{hub.name} is no member and publishes nothing")
    pull(hub.store, hub.registry, hub.client(), hub.clock.now())
    directory = hub.directory()
    if hub.name not in directory.members:
        raise RefusedError(
            f"{hub.name} is not admitted yet",
            code="not-admitted",
            advice="Send request.json to an officer of the alliance.",
        )
    with hub.store.read() as tx:
        head = hub.registry.current(tx).head
    signer = NoteSigner(hub.identity().keyid, hub.signer("publish"))
    client = hub.home_client(hub.name)
    return Publisher(hub.name, signer, ledger, client, directory, head, hub.clock.now())


@click.command()
@_file_options
@click.option("--as-site", is_flag=True, help="Publish the registrable domain too.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent.")
@click.pass_context
def publish(
    context: click.Context,
    source: _Source,
    as_site: bool,
    dry_run: bool,
) -> None:
    """Publish the counterfeit sellers of a file; one row is one case."""
    hub = hub_of(context)
    rows = _rows(hub, source)
    if dry_run:
        _dry_run(context, rows)
        return
    ledger = hub.ledger()
    publisher = _publisher(hub, ledger)
    outcome = publisher.publish(rows, hub.tokenizer(ledger), as_site=as_site)
    body = {
        "member": hub.name,
        "rows": outcome.rows,
        "rejected": outcome.rejected,
        "unchanged": outcome.unchanged,
        "receipt": outcome.receipt,
    }
    done = f"Published {len(outcome.rows)} cases in {outcome.entries} entries"
    text = [f"{done}; {outcome.unchanged} rows were published before."]
    if outcome.rejected:
        place = _write_rejected(source.file, outcome.rejected)
        text.append(f"{len(outcome.rejected)} rows were rejected: see {place}.")
    emit(context, body, text)
    if outcome.rejected:
        context.exit(4)


def _dry_run(context: click.Context, rows: Iterator[Row]) -> None:
    good = bad = 0
    text = []
    for row in rows:
        good, bad = good + (not row.problem), bad + bool(row.problem)
        if row.problem:
            text.append(f"row {row.number}: {row.problem}")
    text.append(f"Would publish {good} cases and reject {bad} rows; sent nothing.")
    emit(context, {"cases": good, "rejected": bad}, text)


def _write_rejected(file: Path, rejected: list[dict[str, Any]]) -> Path:
    place = file.with_name(file.name + ".rejected.csv")
    with place.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["row", "reason"])
        writer.writeheader()
        writer.writerows(rejected)
    return place


@click.command("pull")
@click.pass_context
def pull_command(context: click.Context) -> None:
    """Mirror all feeds, verified, and alert what changed on the watch list."""
    hub = hub_of(context)
    found = _pull(hub)
    news = _alert(hub)
    feeds = [{"feed": f, "from": a, "to": b} for f, a, b in found.feeds]
    text = [f"{f}: {a} → {b}" for f, a, b in found.feeds] or ["Nothing new."]
    text += [_sentence(n) for n in news]
    emit(context, {"feeds": feeds, "alerts": news}, text)
    for feed, problem in found.problems.items():
        click.echo(f"hub: {feed}: {problem} {problem.advice}", err=True)
    if found.problems:
        raise next(iter(found.problems.values()))


def _alert(hub: Hub) -> list[dict[str, Any]]:
    ledger = hub.ledger()
    outlook = outlook_of(hub.directory(), hub.clock.now())
    news = alerts(hub.store, ledger, outlook)
    settings = hub.config["alerts"]
    lines = "".join(json.dumps(n) + "\n" for n in news)
    if lines and settings["file"]:
        with (hub.folder / settings["file"]).open("a") as file:
            file.write(lines)
    if lines and settings["command"]:
        # The operator wrote the command into the configuration; alerts arrive as JSON
        # lines on its standard input.
        subprocess.run(  # noqa: S602
            settings["command"],
            shell=True,
            input=lines.encode(),
            timeout=60,
            check=False,
        )
    if lines and settings["webhook"]:
        post_alerts(settings["webhook"], lines.encode())
    return news


def _sentence(news: dict[str, Any]) -> str:
    if news["alert"] == "listed":
        report = news["report"]
        return (
            f"ALERT {news['ref']}: reported by {news['member']} as {report['entry']} "
            f"({report['basis']}, confidence {report['confidence']})"
        )
    return f"ENDED {news['ref']}: {news['member']} no longer lists it ({news['entry']})"


@click.command("screen")
@_file_options
@click.option("--looser", is_flag=True, help="Match sites and mailboxes too.")
@click.option("--estimate", is_flag=True, help="Only say what it would ask for.")
@click.pass_context
def screen_command(
    context: click.Context,
    source: _Source,
    looser: bool,
    estimate: bool,
) -> None:
    """Match the sellers of a file with the active reports, on this machine."""
    hub = hub_of(context)
    rows = _rows(hub, source)
    ledger = hub.ledger()
    tokenizer = hub.tokenizer(ledger)
    if estimate:
        wanted = [i for row in rows if not row.problem for i in row.identifiers]
        todo = {k.name: n for k, n in tokenizer.missing(wanted).items()}
        emit(context, todo, [f"{k}: {n} tokens to ask for" for k, n in todo.items()])
        return
    catch_up(hub.store, hub.directory())
    outlook = outlook_of(hub.directory(), hub.clock.now())
    results = screen(hub.store, tokenizer, outlook, rows, looser=looser)
    matched = _show(context, results)
    if matched:
        context.exit(3)


def _show(context: click.Context, results: Iterator[dict[str, Any]]) -> int:
    matched = count = 0
    for result in results:
        count += 1
        matched += result["match"] is not None
        if context.obj["json"]:
            click.echo(json.dumps(result))
        elif result["match"]:
            click.echo(
                f"row {result['row']} {result['ref'] or ''}: {result['match']} match, "
                f"listed by {', '.join(result['listed_by'])}"
                f"{' (disputed)' if result['disputed'] else ''}: "
                + ", ".join(r["entry"] for r in result["reports"])
            )
    if not context.obj["json"]:
        click.echo(f"{matched} of {count} rows match.")
    return matched


@click.group("watch")
def watch_group() -> None:
    """Sellers that are screened again after every pull."""


@watch_group.command("add")
@_file_options
@click.pass_context
def watch_add(
    context: click.Context,
    source: _Source,
) -> None:
    """Add the sellers of a file to the watch list, as tokens only."""
    hub = hub_of(context)
    ledger = hub.ledger()
    rows = _rows(hub, source)
    count = watch(ledger, hub.tokenizer(ledger), rows)
    emit(context, {"watched": count}, [f"Watching {count} sellers."])


def _send(context: click.Context, entries: list[dict[str, Any]], done: str) -> None:
    hub = hub_of(context)
    ledger = hub.ledger()
    publisher = _publisher(hub, ledger)
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
        entry = _own(hub, what)
        if "case" in entry:
            return str(entry["case"])
    raise RefusedError(
        f"nothing is published as {what}",
        code="not-found",
        advice="Name an entry, a case or a reference of your ledger.",
    )


def _own(hub: Hub, name: str) -> dict[str, Any]:
    entry = EntryName.parse(name)
    with hub.store.read() as tx:
        size = tx.objects.size(entry.feed)
        if entry.index >= size:
            raise RefusedError(f"{name} is not in the mirror", advice="Run hub pull.")
        line = next(tx.objects.lines(entry.feed, entry.index, entry.index + 1))
    found = read_line(line.raw)[0] if line.raw else None
    if found is None:
        raise RefusedError(f"{name} is no entry that can be named here")
    return {**found, "digest": to_base64(line.digest)}


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
        _pull(hub)
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
    _pull(hub)
    name, digest = EntryName.parse(report), _own(hub, report)["digest"]
    reference = {"feed": name.feed, "entry": name.index, "digest": digest}
    entry = {"kind": "dispute", "report": reference, "reason": reason}
    _send(context, [entry], f"Disputed {report}.")


@click.command()
@click.argument("entries", nargs=-1, required=True)
@click.option("--ground", type=click.Choice(GROUNDS), default="data-subject-request")
@click.pass_context
def erase(context: click.Context, entries: tuple[str, ...], ground: str) -> None:
    """Order own entries to be erased: hidden now, deleted in 72 hours."""
    hub = hub_of(context)
    names = [EntryName.parse(e) for e in entries]
    if any(n.feed != hub.name for n in names):
        raise RefusedError("only own entries; officers erase those of others")
    entry = {
        "kind": "erasure",
        "indices": [n.index for n in names],
        "ground": ground,
    }
    _send(context, [entry], f"{len(names)} entries are hidden now, deleted in 72 h.")


@click.command()
@click.option("--type", "kind", required=True)
@click.pass_context
def lookup(context: click.Context, kind: str) -> None:
    """Look up one identifier, read from standard input."""
    hub = hub_of(context)
    try:
        value = canonicalise(kind, sys.stdin.readline(), hub.config["client"]["region"])
    except ValueError as error:
        raise MalformedError(f"the identifier {error}") from None
    catch_up(hub.store, hub.directory())
    outlook = outlook_of(hub.directory(), hub.clock.now())
    ledger = hub.ledger()
    row = Row(1, [(kind, value)])
    results = screen(hub.store, hub.tokenizer(ledger), outlook, [row])
    if _show(context, results):
        context.exit(3)


@click.command()
@click.option("--once", is_flag=True, help="Pull once, then end.")
@click.pass_context
def worker(context: click.Context, once: bool) -> None:
    """Pull on a schedule and alert, until stopped."""
    import logging

    from hub.scheduler import leased, run_worker

    hub = hub_of(context)
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")

    def job() -> None:
        found = _pull(hub)
        for name, start, stop in found.feeds:
            click.echo(f"{name}: {start} → {stop}")
        for name, problem in found.problems.items():
            click.echo(f"{name}: {problem} {problem.advice}", err=True)
        for news in _alert(hub):
            click.echo(json.dumps(news) if context.obj["json"] else _sentence(news))

    if once:
        leased(hub, "pull", job)()
        return
    run_worker(hub, None if hub.role == "node" else job)


@click.command()
@click.argument("entry")
@click.pass_context
def show(context: click.Context, entry: str) -> None:
    """Show an entry of the mirror."""
    found = _own(hub_of(context), entry)
    emit(context, found, [f"{k}: {v}" for k, v in found.items()])


@click.command()
@click.pass_context
def reports(context: click.Context) -> None:
    """List the own active reports with own references."""
    hub = hub_of(context)
    catch_up(hub.store, hub.directory())
    outlook = outlook_of(hub.directory(), hub.clock.now())
    refs = {c["case"]: c["ref"] for c in hub.ledger().cases()}
    with hub.store.read() as tx:
        mine = [
            r
            for rows in tx.index.all_active(outlook).values()
            for r in rows
            if r.member == hub.name
        ]
    shown = [["entry", "type", "basis", "valid until", "reference"]]
    for report in sorted(mine, key=lambda r: r.entry):
        case = _own(hub, str(report.entry))["case"]
        until = render_time(report.valid_until)
        row = [str(report.entry), report.type, report.basis, until]
        shown.append([*row, refs.get(case) or ""])
    body = {"reports": [dict(zip(shown[0], r, strict=True)) for r in shown[1:]]}
    emit(context, body, table(shown))


@click.command()
@click.pass_context
def whoami(context: click.Context) -> None:
    """Ask the hub who it thinks this folder is."""
    hub = hub_of(context)
    pull(hub.store, hub.registry, hub.client(), hub.clock.now())
    found = hub.client().get_json("/v1/whoami")
    with hub.store.read() as tx:
        head = tx.heads.get(REGISTRY)
    text = f"{found['owner']}; registry of {head.size if head else 0} lines"
    emit(context, found, [text])


@click.command()
@click.pass_context
def usage(context: click.Context) -> None:
    """Show how much of the token quotas is used."""
    found = hub_of(context).client().get_json("/v1/usage")
    text = [f"{c}: {v['used']} of {v['quota']} a day" for c, v in found.items()]
    emit(context, found, text)


COMMANDS = (
    publish,
    pull_command,
    screen_command,
    watch_group,
    withdraw,
    dispute,
    erase,
    lookup,
    show,
    reports,
    whoami,
    usage,
    worker,
)
