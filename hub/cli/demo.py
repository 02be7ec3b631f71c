"""``hub demo``: the whole story on this machine, with real processes over real HTTP."""

from __future__ import annotations

import csv
import json
import os
import tempfile
import time
from itertools import islice
from pathlib import Path

import click

from hub.cli.stage import Stage
from hub.errors import MalformedError
from hub.interop.tables import Options, read_rows

__all__ = ["COMMANDS"]

NODES = ("node1", "node2", "node3")
HUBS = {
    "maison": "node1",
    "market": "node2",
    "parcel": "node1",
    "pay": "node3",
    "auditor1": "node2",
}
_SELLERS = (
    ("C-1", "www.fake-bags.example", "boss@fake-bags.example", "+44 20 7946 0018"),
    ("C-2", "cheap-watches.example", "", ""),
    ("C-3", "honest-shop.example", "", "+44 20 7946 0123"),
    ("C-4", "outlet-sneakers.example", "sales@outlet-sneakers.example", ""),
)


@click.command("demo")
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Publish your own list instead of the synthetic one.",
)
def demo(source: Path | None) -> None:
    """Tell the whole story on this machine: publish, pull, alert, withdraw, audit."""
    os.environ.pop("HUB_DIR", None)
    with tempfile.TemporaryDirectory(prefix="alliance-hub-") as name:
        stage = Stage(Path(name), NODES)
        try:
            _found(stage)
            _admit(stage)
            _story(stage, source)
            _federation(stage)
        finally:
            stage.stop_all()
    click.echo("Everything above ran in a folder that is gone now.")


def _found(stage: Stage) -> None:
    words = ("--alliance", "alliance.example", "--node", "node1")
    stage.run("node1", "init", *words, "--listen", stage.listen("node1"))
    stage.start("node1")
    for node in NODES[1:]:
        who = ("--pin", stage.pin, "--as", "node", "--name", node)
        place = ("--listen", stage.listen(node), "--url", stage.url(node))
        stage.run(node, "join", stage.url("node1"), *who, *place)
        request = str(stage.folder / node / "request.json")
        stage.run("node1", "node", "add", request)
    stage.run("node1", "policy", "--quorum", "1")
    for node in NODES[1:]:
        stage.start(node)
    for node in NODES:
        stage.run(node, "sync")
    click.echo(
        f"1. Three nodes serve alliance.example: "
        f"{', '.join(stage.url(node) for node in NODES)}"
    )


def _admit(stage: Stage) -> None:
    for name, node in HUBS.items():
        role = "auditor" if name == "auditor1" else "member"
        stage.run(
            name,
            "join",
            stage.url(node),
            "--pin",
            stage.pin,
            "--as",
            role,
            "--name",
            name,
        )
        request = str(stage.folder / name / "request.json")
        stage.run("node1", role, "add", request)
    stage.run("node1", "home", "move", "pay", "--to", "node3")
    members = ", ".join(n for n in HUBS if n != "auditor1")
    click.echo(f"2. Admitted: {members} and the auditor auditor1")


def _files(stage: Stage, source: Path | None) -> tuple[Path, Path]:
    """Return the list to publish and the sellers of the other company."""
    cases = stage.folder / "cases.csv"
    if source is None:
        with cases.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["case", "domain", "email", "phone"])
            writer.writerows(_SELLERS)
    else:
        cases = stage.folder / source.name
        cases.write_bytes(source.read_bytes())
    sellers = stage.folder / "sellers.jsonl"
    with cases.open("rb") as stream, sellers.open("w") as file:
        rows = (r for r in read_rows(stream, cases.name, Options()) if r.identifiers)
        for row in islice((r for r in rows if not r.problem), 3):
            kind, value = row.identifiers[0]
            file.write(json.dumps({"seller": f"S{row.number}", kind: value}) + "\n")
        file.write(json.dumps({"seller": "S-clean", "domain": "clean.example"}) + "\n")
    return cases, sellers


def _story(stage: Stage, source: Path | None) -> None:
    cases, sellers = _files(stage, source)
    stage.run("market", "pull")
    stage.run("market", "watch", "add", str(sellers), "--ref", "seller")
    click.echo("3. market watches its sellers; none is reported yet")
    begun = time.monotonic()
    found = stage.run("maison", "publish", str(cases), ok=(0, 4))[0]
    seconds = time.monotonic() - begun
    if not found["rows"]:
        reasons = [f"row {r['row']}: {r['reason']}" for r in found["rejected"][:3]]
        raise MalformedError(
            "; ".join(["no row of the list can be published", *reasons]),
            advice="Give a CSV with a header such as domain, or one host a line.",
        )
    count = sum(len(r["entries"]) for r in found["rows"])
    click.echo(
        f"4. maison published {len(found['rows'])} cases in {count} entries, "
        f"{len(found['rejected'])} rows rejected: {count / seconds:.0f} entries/s"
    )
    begun = time.monotonic()
    alerts = stage.run("market", "pull")[0]["alerts"]
    seconds = time.monotonic() - begun
    click.echo(
        f"5. market pulled and verified them: {count / seconds:.0f} entries/s, "
        f"{len(alerts)} alerts"
    )
    for alert in alerts:
        click.echo(f"   ALERT {alert['ref']}: {alert['report']['entry']}")
    _screen(stage, sellers, "6. market screens")
    mistake = alerts[-1]["report"]["entry"]
    stage.run("maison", "withdraw", mistake)
    ended = stage.run("market", "pull")[0]["alerts"]
    click.echo(
        f"7. maison withdrew the case of {mistake}; market sees {len(ended)} end"
    )
    _screen(stage, sellers, "8. market screens again")
    first = alerts[0]["report"]["entry"]
    _prove(stage, first)
    stage.run("maison", "erase", first)
    stage.run("market", "pull")
    click.echo(f"10. maison erased {first}: hidden now, deleted in 72 h")
    _screen(stage, sellers, "11. market screens once more")
    stage.run("auditor1", "pull")
    begun = time.monotonic()
    report = stage.run("auditor1", "audit")[0]
    seconds = time.monotonic() - begun
    total = sum(f["size"] for f in report["feeds"])
    click.echo(
        f"12. auditor1 verified {total} entries from nothing in {seconds:.1f} s, "
        f"{len(report['findings'])} findings"
    )


def _screen(stage: Stage, sellers: Path, title: str) -> None:
    words = ("screen", str(sellers), "--ref", "seller")
    results = stage.run("market", *words, ok=(0, 3))
    hits = [r for r in results if r["match"]]
    names = ", ".join(f"{r['ref']} by {'+'.join(r['listed_by'])}" for r in hits)
    click.echo(f"{title}: {len(hits)} of {len(results)} match ({names or 'none'})")


def _prove(stage: Stage, entry: str) -> None:
    stage.run("maison", "pull")
    out = stage.folder / "entry.proof"
    stage.run("maison", "proof", entry, "--out", str(out))
    found = stage.run("auditor1", "verify", str(out), "--pin", stage.pin)[0]
    click.echo(
        f"9. A proof file of {entry} verifies offline: signed by {found['signed_by']}"
    )


def _federation(stage: Stage) -> None:
    """Tell what the other nodes are for: one lies, and one loses its disk."""
    old = stage.folder / "node2-old.db"
    stage.run("node2", "backup", str(old))
    cases = stage.folder / "pay.csv"
    cases.write_text("domain\nfake-payments.example\n")
    receipt = stage.run("pay", "publish", str(cases))[0]["receipt"]
    click.echo(
        f"13. pay published at node3, and the quorum vouches for its {receipt['size']} "
        "entries"
    )
    with stage.lying("node3", "pay"):
        stage.run("node2", "sync", "node3", ok=(1,))
    stage.run("node1", "sync", "node2", ok=(0, 1, 5))
    alarms = stage.run("node1", "peers", ok=(1,))[0]["alarms"]
    facts = sum(alarm.startswith("evidence: fork/pay/") for alarm in alarms)
    click.echo(
        f"14. node3 showed node2 another history of pay: node1 holds {facts} proof of "
        "it, and pay is frozen"
    )
    stage.run("node1", "home", "move", "pay", "--to", "node2")
    stage.run("node3", "sync", ok=(0, 1, 5))
    cases.write_text("domain\nfake-payments.example\nfake-loans.example\n")
    receipt = stage.run("pay", "publish", str(cases))[0]["receipt"]
    click.echo(
        f"15. The officers moved pay to node2, where it goes on at {receipt['size']}"
    )
    stage.stop("node2")
    stage.run("node2", "restore", str(old))
    stage.start("node2")
    stage.run("node2", "sync")
    stage.run("pay", "pull")
    last = stage.run("node2", "peers", ok=(0, 1))[0]["peers"]
    lag = sum(peer["lag_entries"] for peer in last)
    click.echo(f"16. node2 was restored from an old copy and healed: it lags by {lag}")
    stage.run("auditor1", "pull")
    report = stage.run("auditor1", "audit", ok=(0, 1))[0]
    total = sum(f["size"] for f in report["feeds"])
    click.echo(
        f"17. auditor1 verified {total} entries again, {len(report['findings'])} "
        f"findings; on record: {len(report['evidence'])} proof against a replaced key"
    )


COMMANDS = (demo,)
