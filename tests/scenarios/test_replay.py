"""Real input: two hundred and fifty days of publish, withdraw and restore, over HTTP."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.indexing import catch_up
from hub.interop.tables import Options, Row, read_rows
from hub.model import new_case_id, new_salt, render_time
from hub.publishing import make_batch
from hub.screening import outlook_of, screen
from hub.sync import pull
from hub.tokens import Tokenizer
from hub.wiring import build_hub
from keys.encoding import to_base64
from keys.note import NoteSigner
from schemas.base import render_line
from schemas.identifiers import IdentifierError, canonicalise

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real input stands beside the project and is absent"
)


class MemoryCache(dict):
    """A token cache for one run."""

    def get_tokens(self, handles):
        return {h: self[h] for h in handles if h in self}

    def put_tokens(self, tokens):
        self.update(tokens)


def fold(events):
    """Yield (operation, member, domain) as the rules of the replay say."""
    active, withdrawn = defaultdict(set), defaultdict(set)
    for event, domain, source in events:
        if event == "saved":
            yield ("renew" if source in active[domain] else "publish"), source, domain
            active[domain].add(source)
            withdrawn[domain].discard(source)
        elif event in ("dead", "parked", "unsaved"):
            every = source in ("raw", "other")
            for member in sorted(
                active[domain] if every else active[domain] & {source}
            ):
                yield "withdraw", member, domain
                active[domain].discard(member)
                withdrawn[domain].add(member)
        elif event in ("resurrected", "unparked"):
            for member in sorted(withdrawn[domain]):
                yield "restore", member, domain
                active[domain].add(member)
            withdrawn[domain].clear()


def slug(source):
    return "".join(c if c.isalnum() else "-" for c in source.lower())[:32].strip("-")


def identifier(text):
    try:
        return "domain", canonicalise("domain", text)
    except IdentifierError:
        return "ip", canonicalise("ip", text)


class Author:
    """A member that publishes entries in batches, in their order."""

    def __init__(self, hub, name, keys, tokens, now):
        self.hub = hub
        self.name, self.tokens, self.now = name, tokens, now
        self.client = hub.client()
        self.signer = NoteSigner(hub.identity().keyid, hub.signer("publish"))
        pull(hub.store, hub.registry, self.client, now)
        with hub.store.read() as tx:
            self.head = hub.registry.current(tx).head
        self.keys, self.cases, self.lines = keys, {}, []

    def act(self, operation, found):
        base = {"salt": new_salt(), "at": render_time(self.now)}
        if operation == "withdraw":
            entry = {"kind": "withdrawal", **base, "case": self.cases[found]}
            entry["reason"] = "resolved"
        else:
            if operation == "publish" or found not in self.cases:
                self.cases[found] = new_case_id()
            entry = {
                "kind": "report",
                **base,
                "type": found[0],
                "token": to_base64(self.tokens[found]),
                "key": self.keys,
                "case": self.cases[found],
                "basis": "open-source-investigation",
                "confidence": 50,
                "valid_until": render_time(self.now + 86400 * 300),
            }
        self.lines.append(render_line(entry))
        if len(self.lines) == 2000:
            self.flush()

    def flush(self):
        if self.lines:
            origin = f"alliance.example/{self.name}"
            _, body = make_batch(origin, self.lines, self.head, self.signer)
            self.client.publish(self.name, body)
            self.lines = []


@needs_data
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_replay_of_real_scam_shops(alliance):
    """The mirror holds what the fold computes, screening finds it, the audit is clean."""
    with (DATA / "scam_shop_lifecycle_2024.csv").open() as file:
        events = [(r["event"], r["domain"], r["source"]) for r in csv.DictReader(file)]
    steps = list(fold(events))
    assert Counter(s for s, _, _ in steps) == {
        "publish": 38_408,
        "renew": 1_091,
        "withdraw": 28_540,
        "restore": 5_040,
    }
    members = sorted({m for _, m, _ in steps})
    assert len(members) == 15
    for source in members:
        alliance.admit(slug(source))
    now = SystemClock().now()
    reader = build_hub(alliance.folder / "market")
    pull(reader.store, reader.registry, reader.client(), now)
    tokenizer = Tokenizer(
        reader.directory(), reader.node_client, MemoryCache(), bytes(32)
    )
    domains = sorted({d for _, d, _ in events})
    forms = {d: identifier(d) for d in domains}
    tokens = tokenizer.tokens(sorted(set(forms.values())))
    authors = {
        m: Author(build_hub(alliance.folder / slug(m)), slug(m), "open-1", tokens, now)
        for m in members
    }
    expected = defaultdict(set)
    for operation, member, domain in steps:
        authors[member].act(operation, forms[domain])
        change = set.discard if operation == "withdraw" else set.add
        change(expected[domain], slug(member))
    for author in authors.values():
        author.flush()
        author.hub.close()

    found = pull(reader.store, reader.registry, reader.client(), now)
    assert not found.problems
    assert sum(b - a for _, a, b in found.feeds) > 73_000
    catch_up(reader.store, reader.registry.directory)
    outlook = outlook_of(reader.directory(), now)
    with reader.store.read() as tx:
        active = tx.index.all_active(outlook)
    assert len(active) == 14_631
    assert sum(map(len, active.values())) == 14_908

    rows = [Row(n, [forms[d]]) for n, d in enumerate(domains)]
    results = screen(reader.store, reader.registry.directory, tokenizer, outlook, rows)
    for domain, result in zip(domains, results, strict=True):
        assert result["listed_by"] == sorted(expected[domain]), domain
    reader.close()
    alliance.hub("auditor1", "pull")
    [report] = alliance.hub("auditor1", "audit")
    assert report["ok"], report["findings"][:5]


@needs_data
@pytest.mark.parametrize(
    "name", ["fake_shops_jp_exoego.txt", "scam_shops_durablenapkin_hosts.txt"]
)
def test_lists_as_they_are(name):
    """Nothing crashes, unusable lines keep their number, variants give one form."""
    with (DATA / name).open("rb") as stream:
        rows = list(read_rows(stream, name, Options()))
    good = [r.identifiers[0] for r in rows if not r.problem]
    assert len(good) > 3000
    assert all(r.number > 0 and (r.problem or r.identifiers) for r in rows)
    assert not any(value.startswith("www.") for _, value in good)
