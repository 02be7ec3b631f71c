"""A whole alliance in one process: real nodes, an in-memory network, a clock to move.

Each node is the real application over the real engine; only the sockets, the time and,
by default, the disk are replaced. A test edits the world (cuts links, rewrites answers,
restores an older disk, makes a home sign a second history) and then lets nodes act.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from hub.api.context import Serving
from hub.app import create_app
from hub.client import Client, Identity
from hub.clock import FixedClock
from hub.directory import Directory, Pin
from hub.errors import HubError
from hub.federation import Federation, Synced
from hub.marks import Marks
from hub.model import REGISTRY, new_case_id, new_salt, render_time
from hub.officers import body_of, propose, registry_entry, sign
from hub.publishing import make_batch
from hub.registry import Registry
from hub.store.base import Store
from hub.store.memory import MemoryStore
from hub.sync import Pulled, pull
from hub.tlog.checkpoint import EMPTY, Head
from hub.wiring import Hub
from hub.witness import Witness
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.enrol import prove_possession
from keys.note import NoteSigner
from keys.voprf import public_of, random_scalar
from schemas.base import render_line
from schemas.config import DEFAULTS

ALLIANCE = "alliance.example"
START = 1_800_000_000
Change = Callable[[httpx2.Request, int, bytes], tuple[Any, ...]]
"""Turns an answer into another: its status, its body and, if given, fields of it."""


class Patient(Federation):
    """Waits for every peer, so that a run of the world can be repeated."""

    def announce(self, feed: str, checkpoint: bytes, *, want: int, wait: float) -> int:
        """Ask every peer and wait for all answers."""
        want, wait = max(want, len(self.peers())), max(wait, 60)
        return super().announce(feed, checkpoint, want=want, wait=wait)


class Wire(httpx2.BaseTransport):
    """The network of the world, as one asker sees it."""

    def __init__(self, world: World, asker: str):
        self.world, self.asker = world, asker

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Deliver a request, unless the link is cut or the node is down."""
        name = str(request.url.host).partition(".")[0]
        node = self.world.nodes.get(name)
        cut = frozenset((self.asker, name)) in self.world.cut
        if node is None or not node.up or cut:
            raise httpx2.ConnectError("unreachable", request=request)
        # A signed request names the URL, so it is handed on as it is.
        answer = httpx2.WSGITransport(app=node.app).handle_request(request)
        raw, status = b"".join(answer.stream), answer.status_code
        lies = self.world.lies
        change = lies.get((name, self.asker)) or lies.get((name, "*"))
        fields: dict[str, str] = {}
        if change:
            status, raw, *more = change(request, status, raw)
            fields = more[0] if more else fields
        headers = [
            (k, v)
            for k, v in answer.headers.multi_items()
            if k.lower() not in {"content-length", *fields}
        ]
        headers += fields.items()
        stream = httpx2.ByteStream(raw)
        return httpx2.Response(status, headers=headers, stream=stream, request=request)


@dataclass
class SimNode:
    """One node of the world."""

    world: World
    name: str
    folder: Path
    store: Store
    log: Signer = field(default_factory=Signer.generate)
    witness: Signer = field(default_factory=Signer.generate)
    request: Signer = field(default_factory=Signer.generate)
    up: bool = True

    def __post_init__(self) -> None:
        (self.folder / "private").mkdir(parents=True, exist_ok=True)
        self.url = f"http://{self.name}.example"
        self.boot()

    def boot(self) -> None:
        """Start the process anew on what is stored."""
        registry = Registry(self.world.pin)
        config = copy.deepcopy(DEFAULTS)
        config["self"] = {"role": "node", "name": self.name}
        self.hub = Hub(self.folder, config, self.world.clock, self.store, registry)
        key_name = f"{ALLIANCE}/node/{self.name}"
        marks = Marks(self.folder / "private")
        witness = Witness(self.name, key_name, self.witness, self.store, marks)
        self.federation = Patient(
            self.name, self.store, registry, self.world.clock, witness, self.client
        )
        self.federation.gate.begin()
        serving = Serving(
            self.hub, self.url, self.log, {}, self.request, self.federation
        )
        self.app = create_app(serving)

    def client(self, peer: str) -> Client:
        """Return the client with which this node asks another."""
        key_name = f"{ALLIANCE}/node/{self.name}"
        return Client(
            f"http://{peer}.example",
            self.world.clock,
            Identity(key_name, self.request),
            transport=Wire(self.world, self.name),
        )

    @property
    def directory(self) -> Directory:
        """The directory as this node has it."""
        return self.hub.directory()

    def size(self, feed: str) -> int:
        """Return the size of the head of a feed here."""
        with self.store.read() as tx:
            head = tx.heads.get(feed)
        return head.size if head else 0

    def sync(self, peer: str) -> Synced:
        """Sync once with a peer."""
        return self.federation.sync(peer)

    def federation_done(self) -> Synced:
        """Return an empty report, for steps that fill one."""
        return Synced(Pulled())

    def save(self) -> Any:
        """Return a copy of the disk, without what lies beside the keys."""
        return copy.copy(self.store._state)

    def restore(self, state: Any, *, marks: bool = True) -> None:
        """Put an older disk in, and start anew; the keys' marks are kept or lost."""
        store = MemoryStore()
        store._state = state
        self.store = store
        if not marks:
            for path in (self.folder / "private").glob("*.heads"):
                path.unlink()
        self.boot()


@dataclass
class SimMember:
    """A member: its key, its mirror, and what it published."""

    world: World
    name: str
    signer: Signer = field(default_factory=Signer.generate)
    store: Store = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.registry = Registry(self.world.pin)

    @property
    def key(self) -> NoteSigner:
        """The publish key under its note name."""
        return NoteSigner(f"{ALLIANCE}/member/{self.name}/k1", self.signer)

    def client(self, node: str) -> Client:
        """Return the client with which this member asks a node."""
        identity = Identity(self.key.name, self.signer)
        wire = Wire(self.world, self.name)
        url = f"http://{node}.example"
        return Client(url, self.world.clock, identity, transport=wire)

    def batch(self, count: int = 1, head: Head = EMPTY) -> bytes:
        """Return a signed batch of reports."""
        lines = [self.report() for _ in range(count)]
        return make_batch(f"{ALLIANCE}/{self.name}", lines, head, self.key)[1]

    def report(self, **changes: Any) -> bytes:
        """Return the line of a report."""
        now = self.world.clock.now()
        entry = {
            "kind": "report",
            "salt": new_salt(),
            "at": render_time(now),
            "type": "domain",
            "token": to_base64(bytes(range(32))),
            "key": "open-1",
            "case": new_case_id(),
            "basis": "test-purchase",
            "confidence": 50,
            "valid_until": render_time(now + 86400 * 30),
            **changes,
        }
        return render_line(entry)

    def publish(self, count: int = 1, at: str | None = None) -> dict[str, Any]:
        """Publish a batch at the home of the feed; return the receipt."""
        home = at or self.world.home_of(self.name)
        with self.world.nodes[home].store.read() as tx:
            head = self.world.nodes[home].hub.registry.current(tx).head
        return self.client(home).publish(self.name, self.batch(count, head))

    def pull(self, node: str) -> Pulled:
        """Pull from a node."""
        now = self.world.clock.now()
        return pull(self.store, self.registry, self.client(node), now)


class World:
    """An alliance with ``nodes`` nodes and ``members`` members, homes spread over them.

    Args:
        folder: Where nodes keep what lies beside their keys.
        nodes: How many nodes.
        members: The names of the members.
        quorum: How many other nodes must cosign.
        store: Makes a node's store.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        members: tuple[str, ...] = ("maison", "market"),
        quorum: int = 1,
        store: Callable[[str], Store] = lambda _name: MemoryStore(),
    ):
        self.clock = FixedClock(START)
        self.cut: set[frozenset[str]] = set()
        self.lies: dict[tuple[str, str], Change] = {}
        self.officer = NoteSigner(f"{ALLIANCE}/officer/anna", Signer.generate())
        self.pin = Pin(ALLIANCE, 1, (self.officer.vkey.render(),))
        self.token = random_scalar()
        names = [f"node{n}" for n in range(1, nodes + 1)]
        self.nodes = {n: SimNode(self, n, folder / n, store(n)) for n in names}
        self.members = {m: SimMember(self, m) for m in members}
        self._found(names, quorum)

    def home_of(self, feed: str) -> str:
        """Return the node that the registry's home names for a feed."""
        home = self.nodes["node1"].directory.home(feed)
        assert home is not None
        return home.node

    def _found(self, names: list[str], quorum: int) -> None:
        first = self.nodes["node1"]
        lines = [
            registry_entry(
                "alliance",
                START,
                alliance=ALLIANCE,
                threshold=1,
                officers=list(self.pin.officers),
            ),
            *self._node_lines("node1"),
            self.home_line(REGISTRY, "node1"),
            registry_entry("policy", START, quorum=0),
        ]
        public = to_base64(public_of(self.token))
        lines.append(
            registry_entry(
                "token-key",
                START,
                key="open-1",
                class_="open",
                epoch=1,
                public=public,
                threshold=1,
                shares=[{"node": "node1", "x": 1, "public": public}],
            )
        )
        self.officers(*lines, head=EMPTY)
        rest = [line for n in names[1:] for line in self._node_lines(n)]
        for place, name in enumerate(self.members):
            rest += self._member_lines(name, names[place % len(names)])
        if rest:
            self.officers(*rest)
        for node in list(self.nodes.values()):
            if node is not first:
                node.sync("node1")
        if quorum:
            self.officers(registry_entry("policy", START, quorum=quorum))
        self.settle()

    def officers(self, *lines: bytes, head: Head | None = None) -> dict[str, Any]:
        """Publish a registry batch at the registry's home."""
        home = "node1" if head is EMPTY else self.home_of(REGISTRY)
        node = self.nodes[home]
        if head is None:
            with node.store.read() as tx:
                head = node.hub.registry.current(tx).head
        proposal = propose(ALLIANCE, head, lines)
        sign(proposal, [self.officer])
        client = Client(node.url, self.clock, transport=Wire(self, "officer"))
        return client.publish(REGISTRY, body_of(proposal))

    def _key_line(self, owner: str, label: str, roles: list[str], key: Signer) -> bytes:
        proof = prove_possession(ALLIANCE, owner, roles, key)
        return registry_entry(
            "key",
            START,
            owner=owner,
            label=label,
            roles=roles,
            public=to_base64(key.public),
            proof=to_base64(proof),
        )

    def _node_lines(self, name: str) -> list[bytes]:
        node = self.nodes[name]
        owner = f"node/{name}"
        keys = {"log": node.log, "witness": node.witness, "request": node.request}
        return [
            registry_entry("node", START, name=name, url=node.url),
            *(self._key_line(owner, role, [role], k) for role, k in keys.items()),
        ]

    def _member_lines(self, name: str, home: str) -> list[bytes]:
        signer, owner = self.members[name].signer, f"member/{name}"
        return [
            registry_entry("member", START, name=name),
            self._key_line(owner, "k1", ["publish", "request"], signer),
            self.home_line(name, home),
        ]

    def home_line(self, feed: str, node: str, head: Head = EMPTY) -> bytes:
        """Return a home entry."""
        return registry_entry(
            "home",
            self.clock.now(),
            feed=feed,
            node=node,
            key=to_base64(self.nodes[node].log.public),
            size=head.size,
            root=to_base64(head.root),
        )

    # -- what happens in the world -------------------------------------------------

    def settle(self, rounds: int = 2) -> None:
        """Let every node sync with every other that it can reach."""
        for _ in range(rounds):
            self.clock.advance(1)
            for node in self.nodes.values():
                for peer in self.nodes.values():
                    if node is not peer and node.up:
                        with suppressed():
                            node.sync(peer.name)

    def split(self, *sides: set[str]) -> None:
        """Cut every link between the sides; one side heals everything."""
        self.cut = {
            frozenset((a, b))
            for one in sides
            for other in sides
            if one is not other
            for a in one
            for b in other
        }

    def twin(self, name: str) -> SimNode:
        """Return a second process of a node: its keys on a copy of its present disk."""
        node = self.nodes[name]
        store = MemoryStore()
        store._state = node.save()
        folder = node.folder.with_name(f"{name}-twin")
        twin = SimNode(self, name, folder, store, node.log, node.witness, node.request)
        # It is hostile, and asks nobody before it signs.
        twin.federation.gate._open = True
        return twin

    def evidence(self, name: str) -> set[str]:
        """Return the names of the facts that a node holds evidence of."""
        with self.nodes[name].store.read() as tx:
            return {row.name for row in tx.federation.evidence()}


@contextmanager
def suppressed() -> Iterator[None]:
    """Go on after what a hub reports; bugs still surface."""
    with suppress(HubError):
        yield


def rewrite(path: str, change: Callable[[dict[str, Any]], None]) -> Change:
    """Return a lie: JSON answers under a path are changed before they leave."""

    def lie(request: httpx2.Request, status: int, raw: bytes) -> tuple[int, bytes]:
        if request.url.path != path or status != 200:
            return status, raw
        body = json.loads(raw)
        change(body)
        return status, json.dumps(body).encode()

    return lie


def mangled(
    change: Callable[[bytes], bytes],
    wanted: Callable[[httpx2.Request], bool] = lambda _request: True,
) -> Change:
    """Return a lie: what answers hold, packed or not, is changed before they leave."""

    def lie(request: httpx2.Request, status: int, raw: bytes) -> tuple[Any, ...]:
        if not wanted(request) or status != 200:
            return status, raw
        packed = raw.startswith(b"\x1f\x8b")
        plain = gzip.decompress(raw) if packed else raw
        return status, change(plain), {"content-encoding": "identity"}

    return lie
