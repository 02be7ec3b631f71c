"""A member's desk beside a home in this process: files go in, reports come out.

The home is the real one and checks everything; it can be told to fail before or after
it stored a batch. Tokens are a hash, since no rule here depends on how they are made.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field

from hub.errors import UnavailableError
from hub.interop.tables import Options, read_rows
from hub.publishing import Outbox, Publisher
from hub.publishing.rows import Job
from hub.store.ledger import Ledger
from keys.note import NoteSigner
from tests.world import ALLIANCE, new_world


class Home:
    """The home of maison's feed; ``fail`` maps a moment to an error, used once."""

    def __init__(self, world):
        self.world, self.fail, self.bodies = world, {}, []

    def publish(self, feed, body, *, newest=None):  # noqa: ARG002
        self.bodies.append(body)
        self._raise("before")
        receipt = self.world._send(feed, body)
        self._raise("after")
        return {
            "feed": feed,
            "first": receipt.first,
            "size": receipt.size,
            "checkpoint": receipt.checkpoint.decode(),
            "cosignatures": [],
        }

    def _raise(self, moment):
        if moment in self.fail:
            raise self.fail.pop(moment)


class Tokens:
    """Tokens by a plain hash; ``limit`` is how many may be asked for."""

    def __init__(self, desk):
        self.desk, self.asked, self.error = desk, [], None
        self.directory = desk.directory

    def key_for(self, kind):
        from schemas.identifiers import token_class

        return self.directory.active_token_key(token_class(kind))

    def tokens(self, identifiers):
        wanted = list(identifiers)
        if self.error and wanted:
            raise self.error
        self.asked += wanted
        return {i: token_of(*i) for i in wanted}


def token_of(kind, value):
    return hashlib.sha256(f"{kind} {value}".encode()).digest()


@dataclass
class Told:
    """A sink that keeps all that it is told."""

    rows: list = field(default_factory=list)
    rejects: list = field(default_factory=list)

    def published(self, rows):
        self.rows += rows

    def rejected(self, row, reason):
        self.rejects.append((row.number, reason))

    def progress(self, number):
        pass


class Desk:
    """Maison's ledger and outbox."""

    def __init__(self, folder, world=None):
        self.world = world or new_world(folder)
        self.home = Home(self.world)
        self.ledger = Ledger(folder / "ledger.db")
        self.tokens = Tokens(self)
        self.refused = []

    @property
    def directory(self):
        return self.world.directory

    @property
    def now(self):
        return self.world.clock.now()

    def outbox(self):
        signer = NoteSigner(f"{ALLIANCE}/member/maison/k1", self.world.keys["maison"])

        def find(batch):
            with self.world.store.read() as tx:
                row = tx.batches.find("maison", batch)
            return row.first if row else None

        return Outbox(
            "maison",
            signer,
            self.ledger,
            self.home,
            self.directory,
            self.world.head,
            find,
        )

    def publish(self, text, name="cases.csv", ref=None, kind=None, **job):
        """Publish a file as the command does; return (outcome, what was told)."""
        outbox, told = self.outbox(), Told()
        self.tokens.directory = outbox.directory
        outbox.resume(self.refused.append)
        publisher = Publisher(
            self.ledger, self.directory, self.tokens, outbox, self.now
        )
        options = Options(kind, {}, "", ref)
        raw = text.encode() if isinstance(text, str) else text
        rows = read_rows(io.BytesIO(raw), name, options)
        of_list = job.pop("of_list", None)
        chosen = of_list or (ref.casefold() if ref else name)
        wanted = Job(name, chosen, named=of_list is not None, **job)
        return publisher.publish(rows, wanted, told), told

    def done(self, *args, **more):
        """Publish a file and demand that nothing stopped it; return what was told."""
        outcome, told = self.publish(*args, **more)
        assert outcome.stopped is None, outcome.stopped
        return outcome, told

    def entries(self):
        """Return the entries of maison's feed, headers as None."""
        with self.world.store.read() as tx:
            size = tx.objects.size("maison")
            lines = [json.loads(x.raw) for x in tx.objects.lines("maison", 0, size)]
        return [None if e["kind"] == "batch" else e for e in lines]

    def active(self):
        """Return {token: (case, confidence)} of maison's active reports."""
        self.world.index()
        with self.world.store.read() as tx:
            found = tx.index.all_active(self.world.outlook)
        entries = self.entries()
        return {
            token: (
                entries[listed.entry.index]["case"],
                entries[listed.entry.index]["confidence"],
            )
            for token, rows in found.items()
            for listed in rows
            if listed.member == "maison"
        }

    def domains(self, *names):
        """Return which of some domains are actively reported."""
        active = self.active()
        return {n for n in names if token_of("domain", n) in active}

    def check_consistent(self):
        """Compare the ledger with the feed: every case, every entry, nothing waiting."""
        assert self.ledger.journal.waiting() == []
        entries = self.entries()
        active = {c for c, _ in self.active().values()}
        counted = 0
        for case in self.ledger.cases.all():
            span = range(case.first, case.first + case.count)
            for index in span:
                assert entries[index]["kind"] == "report"
                assert entries[index]["case"] == case.case
                assert self.ledger.cases.at(index) == case.case
            standing = not case.withdrawn and not case.expired(self.now)
            assert (case.case in active) == standing
            counted += 1
        return counted


UNREACHABLE = UnavailableError("not now")
