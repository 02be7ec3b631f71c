"""``hub demo``: the whole story on this machine, with real processes over real HTTP."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import click

from hub.errors import MalformedError, UnavailableError
from hub.interop.tables import Options, read_rows

__all__ = ["COMMANDS"]

MEMBERS = ("maison", "market", "parcel", "pay")
_SELLERS = (
    ("C-1", "www.fake-bags.example", "boss@fake-bags.example", "+44 20 7946 0018"),
    ("C-2", "cheap-watches.example", "", ""),
    ("C-3", "honest-shop.example", "", "+44 20 7946 0123"),
    ("C-4", "outlet-sneakers.example", "sales@outlet-sneakers.example", ""),
)


class _Stage:
    """A folder of actors and the commands that they run."""

    def __init__(self, folder: Path, port: int):
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        self.listen = f"127.0.0.1:{port}"

    def run(
        self, who: str, *words: str, ok: tuple[int, ...] = (0,), text: str = ""
    ) -> list[dict[str, Any]]:
        """Run a command as somebody; return the JSON objects that it prints."""
        command = [sys.executable, "-m", "hub", "--dir", str(self.folder / who)]
        done = subprocess.run(  # noqa: S603 - Our own command line.
            [*command, "--json", *words],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=3600,
        )
        if done.returncode not in ok:
            raise UnavailableError(
                f"hub {' '.join(words)} ended with {done.returncode}: {done.stderr}"
            )
        return [json.loads(line) for line in done.stdout.splitlines()]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run the node until the block ends."""
        log = (self.folder / "node.log").open("w")
        command = [sys.executable, "-m", "hub", "--dir", str(self.folder / "node")]
        server = subprocess.Popen(  # noqa: S603 - Our own command line.
            [*command, "serve"], stdout=log, stderr=log
        )
        try:
            self._await(server)
            yield
        finally:
            server.terminate()
            server.wait(20)
            log.close()

    def _await(self, server: subprocess.Popen[bytes]) -> None:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=2).close()  # noqa: S310 - Our own loopback address.
            except OSError:
                time.sleep(0.1)
            else:
                return
            if server.poll() is not None:
                break
        log = (self.folder / "node.log").read_text()
        raise UnavailableError(f"the node did not start: {log[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        stage = _Stage(Path(name), _free_port())
        _found(stage)
        with stage.serving():
            _admit(stage)
            _story(stage, source)
    click.echo("Everything above ran in a folder that is gone now.")


def _found(stage: _Stage) -> None:
    words = ("--alliance", "alliance.example", "--node", "node1")
    stage.run("node", "init", *words, "--listen", stage.listen)
    click.echo(f"1. A node serves alliance.example at {stage.url}")


def _admit(stage: _Stage) -> None:
    pin = str(stage.folder / "node" / "pin.json")
    for name in (*MEMBERS, "auditor1"):
        role = "member" if name in MEMBERS else "auditor"
        stage.run(name, "join", stage.url, "--pin", pin, "--as", role, "--name", name)
        request = str(stage.folder / name / "request.json")
        stage.run("node", role, "add", request)
    click.echo(f"2. Admitted: {', '.join(MEMBERS)} and the auditor auditor1")


def _files(stage: _Stage, source: Path | None) -> tuple[Path, Path]:
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


def _story(stage: _Stage, source: Path | None) -> None:
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


def _screen(stage: _Stage, sellers: Path, title: str) -> None:
    words = ("screen", str(sellers), "--ref", "seller")
    results = stage.run("market", *words, ok=(0, 3))
    hits = [r for r in results if r["match"]]
    names = ", ".join(f"{r['ref']} by {'+'.join(r['listed_by'])}" for r in hits)
    click.echo(f"{title}: {len(hits)} of {len(results)} match ({names or 'none'})")


def _prove(stage: _Stage, entry: str) -> None:
    stage.run("maison", "pull")
    out = stage.folder / "entry.proof"
    stage.run("maison", "proof", entry, "--out", str(out))
    pin = str(stage.folder / "node" / "pin.json")
    found = stage.run("auditor1", "verify", str(out), "--pin", pin)[0]
    click.echo(
        f"9. A proof file of {entry} verifies offline: signed by {found['signed_by']}"
    )


COMMANDS = (demo,)
