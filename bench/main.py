"""Measures the main paths in one process: ``make bench`` or ``python -m bench.main``.

Each figure is the median of a few runs, set beside its budget and beside a ceiling that
is measured in the same run, so that a slow machine slows both.
"""

from __future__ import annotations

import hashlib
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from hub.audit import audit
from hub.cli import hub as cli
from hub.feeds import publish
from hub.indexing import catch_up
from hub.indicators import Outlook
from hub.model import new_case_id, new_salt, render_time
from hub.officers import body_of, propose, registry_entry, sign
from hub.publishing import make_batch
from hub.registry import Registry
from hub.store.sqlite import SqliteStore
from hub.sync import Mirror, pull
from hub.wiring import Hub, build_hub
from keys import voprf
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.enrol import prove_possession
from keys.note import NoteSigner
from schemas.base import render_line

BATCHES, SIZE = 10, 10_000


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def report(now: int) -> bytes:
    """Return a report line of the usual size with random contents."""
    return render_line(
        {
            "kind": "report",
            "salt": new_salt(),
            "at": render_time(now),
            "type": "domain",
            "token": to_base64(secrets.token_bytes(32)),
            "key": "open-1",
            "case": new_case_id(),
            "basis": "test-purchase",
            "confidence": 80,
            "valid_until": render_time(now + 86400 * 300),
            "goods": [18, 25],
            "countries": ["FR", "DE"],
        }
    )


def alliance(folder: Path) -> tuple[Hub, NoteSigner]:
    """Return a hub with the member maison, and the member's key."""
    node = folder / "node"
    words = ["--dir", str(node), "init", "--alliance", "alliance.example"]
    done = CliRunner().invoke(cli, [*words, "--node", "node1"])
    if done.exit_code:
        sys.exit(done.output)
    hub = build_hub(node)
    member, now = Signer.generate(), hub.clock.now()
    roles = ["publish", "request"]
    proof = prove_possession("alliance.example", "member/maison", roles, member)
    log = hub.signer("log")
    with hub.store.read() as tx:
        head = hub.registry.current(tx).head
    lines = [
        registry_entry("member", now, name="maison"),
        registry_entry(
            "key",
            now,
            owner="member/maison",
            label="k1",
            roles=roles,
            public=to_base64(member.public),
            proof=to_base64(proof),
        ),
        registry_entry(
            "home",
            now,
            feed="maison",
            node="node1",
            key=to_base64(log.public),
            size=0,
            root=to_base64(hashlib.sha256(b"").digest()),
        ),
    ]
    proposal = propose("alliance.example", head, lines)
    sign(
        proposal,
        [NoteSigner("alliance.example/officer/officer1", hub.signer("officer1"))],
    )
    body = body_of(proposal)[:-1].split(b"\n")
    publish(hub.store, hub.registry.current, "registry", body, signer=log, now=now)
    return hub, NoteSigner("alliance.example/member/maison/k1", member)


def row(name: str, figure: float, budget: float, ceiling: float, unit: str) -> None:
    """Print a figure with its ratios to budget and ceiling."""
    of_ceiling = f"{figure / ceiling:6.2f}" if ceiling else "     -"
    print(
        f"{name:34}{figure:12,.0f} {unit:10}{budget:10,.0f}"
        f"{figure / budget:8.2f}{of_ceiling:>10}"
    )


def entries(hub: Hub, key: NoteSigner, folder: Path) -> None:
    """Measure publish, pull, audit, index, screening and bytes."""
    now, log = hub.clock.now(), hub.signer("log")
    with hub.store.read() as tx:
        head = hub.registry.current(tx).head
    bodies = []
    for _ in range(BATCHES):
        lines = [report(now) for _ in range(SIZE)]
        _, body = make_batch("alliance.example/maison", lines, head, key)
        bodies.append(body[:-1].split(b"\n"))
    total = BATCHES * SIZE
    hashing = statistics.median(
        timed(lambda b=b: [hashlib.sha256(x).digest() for x in b]) for b in bodies
    )
    ceiling = SIZE / hashing
    current = hub.registry.current
    seconds = statistics.median(
        timed(lambda b=b: publish(hub.store, current, "maison", b, signer=log, now=now))
        for b in bodies
    )
    row("publish at the hub", SIZE / seconds, 50_000, ceiling, "entries/s")
    size = sum(p.stat().st_size for p in (folder / "node").glob("hub.db*"))
    reader = SqliteStore(folder / "reader.db", create=True)
    registry = Registry(hub.registry.pin)
    peer = Mirror(hub.store, "mirror")
    seconds = timed(lambda: pull(reader, registry, peer, now))
    indexing = timed(lambda: catch_up(reader, registry.directory))
    row(
        "pull: verify, store, index",
        total / (seconds + indexing),
        50_000,
        ceiling,
        "entries/s",
    )
    seconds = statistics.median(
        timed(lambda: audit(reader, hub.registry.pin, now)) for _ in range(3)
    )
    row("audit from nothing", total / seconds, 150_000, ceiling, "entries/s")
    tokens = [secrets.token_bytes(32) for _ in range(100_000)]
    with reader.read() as tx:
        seconds = timed(lambda: tx.index.lookup(tokens, Outlook(now)))
    row(
        f"screen against {total:,} reports",
        len(tokens) / seconds,
        100_000,
        0,
        "tokens/s",
    )
    print(
        f"{'stored without the index':34}{size / total:12.0f} bytes/entry   budget 160"
    )
    reader.close()
    size = (folder / "reader.db").stat().st_size
    print(f"{'stored with the index':34}{size / total:12.0f} bytes/entry   budget 350")


def evaluation() -> None:
    """Measure token evaluation against the same arithmetic of bare libsodium."""
    secret = voprf.random_scalar()
    public = voprf.public_of(secret)
    blinding = voprf.blind([b"%d" % n for n in range(1000)])
    runs = [
        (
            timed(lambda: voprf.evaluate(secret, public, blinding.elements)),
            timed(lambda: voprf._multiply_each(secret, blinding.elements))  # noqa: SLF001
            + timed(
                lambda: voprf._combine([secret] * 1000, blinding.elements)  # noqa: SLF001
            ),
        )
        for _ in range(5)
    ]
    ours = 1000 / statistics.median(a for a, _ in runs)
    bare = 1000 / statistics.median(b for _, b in runs)
    row("evaluate tokens", ours, 0.9 * bare, bare, "elements/s")


def main() -> None:
    """Print the table."""
    print(
        f"{'work':34}{'figure':>12} {'':10}{'budget':>10}{'ratio':>8}{'of ceiling':>10}"
    )
    with tempfile.TemporaryDirectory() as name:
        hub, key = alliance(Path(name))
        entries(hub, key, Path(name))
    evaluation()
    print(
        "The ceiling of entries is one bare SHA-256 of each line, that of elements the"
    )
    print("bare multiplications and additions of libsodium.")


if __name__ == "__main__":
    main()
