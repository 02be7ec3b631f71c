"""A small alliance in this process: real signatures and a real store, a clock of ours."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import httpx2

from hub.api.context import Serving
from hub.app import create_app
from hub.client import Client, Identity
from hub.clock import FixedClock
from hub.directory import Pin
from hub.feeds import publish
from hub.indexing import catch_up
from hub.model import REGISTRY, EntryName, new_salt, render_time
from hub.officers import body_of, propose, registry_entry, sign
from hub.publishing import make_batch
from hub.registry import Registry
from hub.screening import outlook_of
from hub.store.base import Store
from hub.store.sqlite import SqliteStore
from hub.tokens import Tokenizer
from hub.wiring import Hub
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.enrol import prove_possession
from keys.keyfile import write_key
from keys.note import NoteSigner
from keys.voprf import public_of, random_scalar
from schemas.base import render_line
from schemas.config import DEFAULTS

ALLIANCE = "alliance.example"
EMPTY = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
START = 1_800_000_000
DAY = 86400
URL = "http://node1.example"


@dataclass
class World:
    """One node and some members; ``publish`` and ``registry`` add batches at once."""

    store: Store
    clock: FixedClock = field(default_factory=lambda: FixedClock(START))
    members: tuple[str, ...] = ("maison", "market")

    def __post_init__(self):
        officer = Signer.generate()
        self.officer = NoteSigner(f"{ALLIANCE}/officer/officer1", officer)
        pin = Pin(ALLIANCE, 1, (self.officer.vkey.render(),))
        self.directory_of = Registry(pin)
        self.log = Signer.generate()
        self.request = Signer.generate()
        self.keys = {m: Signer.generate() for m in self.members}
        self.secrets = {f"{c}-1": random_scalar() for c in ("open", "scarce")}
        self.registry(
            self.entry(
                "alliance",
                alliance=ALLIANCE,
                threshold=1,
                officers=list(pin.officers),
            ),
            self.entry("node", name="node1", url=URL),
            self._key("node/node1", "log", ["log"], self.log),
            self._key("node/node1", "request", ["request"], self.request),
            self._home(REGISTRY),
            *(self.token_key(name) for name in self.secrets),
        )
        for member, signer in self.keys.items():
            self.registry(
                self.entry("member", name=member),
                self._key(f"member/{member}", "k1", ["publish", "request"], signer),
                self._home(member),
            )

    # -- the registry ------------------------------------------------------------

    def entry(self, kind, **fields):
        return registry_entry(kind, self.clock.now(), **fields)

    def _key(self, owner, label, roles, signer):
        proof = prove_possession(ALLIANCE, owner, roles, signer)
        return self.entry(
            "key",
            owner=owner,
            label=label,
            roles=roles,
            public=to_base64(signer.public),
            proof=to_base64(proof),
        )

    def _home(self, feed):
        public = to_base64(self.log.public)
        return self.entry(
            "home", feed=feed, node="node1", key=public, size=0, root=EMPTY
        )

    def token_key(self, name):
        token_class, _, epoch = name.partition("-")
        public = to_base64(public_of(self.secrets[name]))
        return self.entry(
            "token-key",
            key=name,
            class_=token_class,
            epoch=int(epoch),
            public=public,
            threshold=1,
            shares=[{"node": "node1", "x": 1, "public": public}],
        )

    @property
    def head(self):
        with self.store.read() as tx:
            return self.directory_of.current(tx).head

    @property
    def directory(self):
        with self.store.read() as tx:
            return self.directory_of.directory(tx)

    @property
    def outlook(self):
        return outlook_of(self.directory, self.clock.now())

    def registry(self, *lines):
        proposal = propose(ALLIANCE, self.head, lines)
        sign(proposal, [self.officer])
        self._send(REGISTRY, body_of(proposal))

    # -- the node over HTTP ------------------------------------------------------

    @cached_property
    def app(self):
        """The node's real application, asked without sockets."""
        config = copy.deepcopy(DEFAULTS)
        config["self"] = {"role": "node", "name": "node1"}
        folder = self.store.path.parent
        private = folder / "private"
        private.mkdir(mode=0o700)
        seed = self.request.seed
        write_key(private / "request.key", seed, kind="ed25519", passphrase=None)
        hub = Hub(folder, config, self.clock, self.store, self.directory_of)
        return create_app(Serving(hub, URL, self.log, self.secrets, self.request))

    def client(self, member="market", wrap=lambda transport: transport):
        """Return the client with which a member asks the node."""
        identity = Identity(f"{ALLIANCE}/member/{member}/k1", self.keys[member])
        wire = wrap(httpx2.WSGITransport(app=self.app))
        return Client(URL, self.clock, identity, transport=wire)

    def tokenizer(self, ledger, member="market", wrap=lambda transport: transport):
        """Return what turns a member's identifiers into tokens, by the real node."""
        client = self.client(member, wrap)
        return Tokenizer(self.directory, lambda _node: client, ledger, ledger.secret)

    # -- members -----------------------------------------------------------------

    def publish(self, member, *entries):
        """Publish entries; return their names."""
        signer = NoteSigner(f"{ALLIANCE}/member/{member}/k1", self.keys[member])
        base = {"salt": new_salt(), "at": render_time(self.clock.now())}
        lines = [render_line({"kind": e["kind"], **base, **e}) for e in entries]
        _, body = make_batch(f"{ALLIANCE}/{member}", lines, self.head, signer)
        first = self._send(member, body).first + 1
        return [EntryName(member, first + n) for n in range(len(lines))]

    def _send(self, feed, body):
        return publish(
            self.store,
            self.directory_of.current,
            feed,
            body[:-1].split(b"\n"),
            signer=self.log,
            now=self.clock.now(),
        )

    def report(self, token, case, days=30, **more):
        return {
            "kind": "report",
            "type": "domain",
            "token": to_base64(token),
            "key": "open-1",
            "case": case,
            "basis": "test-purchase",
            "confidence": 80,
            "valid_until": render_time(self.clock.now() + days * DAY),
            **more,
        }

    def index(self):
        catch_up(self.store, self.directory_of.directory)


def new_world(folder: Path, now: int = START) -> World:
    """Return an alliance whose store is a file of ``folder``."""
    return World(SqliteStore(folder / "hub.db", create=True), FixedClock(now))
