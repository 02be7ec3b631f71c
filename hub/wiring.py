"""The only place that constructs things: a folder becomes a :class:`Hub`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.client import Client, Identity
from hub.clock import Clock, SystemClock
from hub.config import load_config
from hub.directory import Directory, Pin
from hub.enrolment import key_names, label_of
from hub.errors import ConfigError, MisbehaviourError, RefusedError, UnavailableError
from hub.federation import Federation
from hub.following import Progress
from hub.marks import Marks
from hub.model import REGISTRY
from hub.registry import Registry
from hub.store.base import Store
from hub.store.ledger import Ledger
from hub.store.sqlite import SqliteStore
from hub.sync import Pulled, pull
from hub.tokens import Tokenizer
from hub.witness import Witness
from keys.ed25519 import Signer
from keys.keyfile import read_key
from keys.voprf import public_of

__all__ = ["Hub", "build_hub", "read_pin"]


@dataclass(frozen=True)
class Hub:
    """Everything that a command or the server works with."""

    folder: Path
    config: dict[str, dict[str, Any]]
    clock: Clock
    store: Store
    registry: Registry
    clients: dict[str, Client] = field(default_factory=dict)
    identities: dict[tuple[str, int], Identity] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of this member, auditor or node."""
        return str(self.config["self"]["name"])

    @property
    def role(self) -> str:
        """What this folder is: member, auditor or node."""
        return str(self.config["self"]["role"])

    def key_path(self, name: str) -> Path:
        """Return the path of a private key."""
        return self.folder / "private" / f"{name}.key"

    def signer(self, name: str) -> Signer:
        """Return a private key of this folder.

        Raises:
            KeyFileError: It is missing, open to others, or sealed.
        """
        phrase = os.environ.get("HUB_PASSPHRASE")
        seed = read_key(self.key_path(name), kind="ed25519", passphrase=phrase)
        return Signer(seed)

    def signers(self, role: str) -> dict[bytes, Signer]:
        """Return the keys of a role in this folder by their public halves."""
        found = [self.signer(name) for name in key_names(self.folder, role)]
        return {s.public: s for s in found}

    def token_secret(self, key: str) -> bytes:
        """Return this node's share of a token key."""
        phrase = os.environ.get("HUB_PASSPHRASE")
        path = self.key_path(f"token-{key}")
        return read_key(path, kind="voprf", passphrase=phrase)

    def directory(self) -> Directory:
        """Return the directory as of the stored registry."""
        with self.store.read() as tx:
            return self.registry.directory(tx)

    def registry_home(self) -> str:
        """Return the name of the node that is the registry's home, or nothing."""
        home = self.directory().home(REGISTRY)
        return home.node if home else ""

    def ledger(self) -> Ledger:
        """Open what this member alone knows."""
        return Ledger(self.folder / "ledger.db")

    def identity(self, role: str = "request") -> Identity:
        """Return the newest open key of this folder with a role, and its name.

        While the registry knows none of them, that is the first one: a newcomer's.

        Raises:
            KeyFileError: The folder has none, or it cannot be opened.
        """
        directory = self.directory()
        place = (role, directory.size)
        if place not in self.identities:
            self.identities[place] = self._identity(directory, role)
        return self.identities[place]

    def _identity(self, directory: Directory, role: str) -> Identity:
        names = key_names(self.folder, role)
        if self.role == "member":
            # A member's key may have both roles, and is then filed as a publisher.
            both = ("publish", "request")
            names += [n for r in both if r != role for n in key_names(self.folder, r)]
        owner = f"{self.role}/{self.name}"
        known = {k.public: k for k in directory.with_role(role, owner)}
        best: tuple[int, Identity] | None = None
        for name in names[::-1] if len(names) > 1 else ():
            signer = self.signer(name)
            key = known.get(signer.public)
            if key and key.is_open(role) and (best is None or key.since > best[0]):
                best = key.since, Identity(directory.key_name(key), signer)
        if best:
            return best[1]
        name = names[0] if names else role
        keyid = f"{directory.alliance}/{owner}"
        if self.role != "node":
            keyid += f"/{label_of(self.folder, name)}"
        return Identity(keyid, self.signer(name))

    def client(self, url: str | None = None) -> Client:
        """Return the client for a hub, by default the first one configured.

        Officers have no keys that sign requests and ask as nobody.

        Raises:
            ConfigError: No hub is configured.
        """
        hubs = self.config["client"]["hubs"]
        if url is None and not hubs:
            raise ConfigError(
                "no hub is configured", advice="Set [client] hubs in config.toml."
            )
        wanted = url or str(hubs[0])
        if wanted not in self.clients:
            asks = None if self.role == "officer" else self.identity
            self.clients[wanted] = self.new_client(wanted, asks)
        return self.clients[wanted]

    def new_client(
        self, url: str, asks: Identity | Callable[[], Identity] | None = None
    ) -> Client:
        """Return a client of one's own for a hub; by default it asks as nobody.

        Raises:
            ConfigError: ``client.ca`` names no certificates.
        """
        named = self.config["client"]["ca"]
        ca = self.folder / named if named else None
        return Client(url, self.clock, asks, ca=ca)

    def pull(
        self, url: str | None = None, progress: Progress = lambda _f, _d, _s: None
    ) -> Pulled:
        """Pull everything from a hub, by default the first one configured.

        Raises:
            RefusedError: The hub knows no open key of this folder.
            UnavailableError: It does not answer.
        """
        client, now = self.client(url), self.clock.now()
        try:
            return pull(self.store, self.registry, client, now, progress)
        except RefusedError as error:
            if error.code != "bad-request-signature":
                raise
            # The officers may have registered another key of this folder meanwhile.
            before = self.identity()
            self.pull_registry(client.url)
            if self.identity() == before:
                raise
        return pull(self.store, self.registry, client, now, progress)

    def pull_registry(self, url: str) -> Pulled:
        """Pull the registry alone, as nobody: anybody may read it.

        Raises:
            UnavailableError: The hub does not answer.
        """
        client = self.new_client(url)
        try:
            now = self.clock.now()
            return pull(self.store, self.registry, client, now, only={REGISTRY})
        finally:
            client.close()

    def bootstrap(self) -> None:
        """Fetch the registry from a configured hub while this node has none.

        Raises:
            UnavailableError: No configured hub answers.
        """
        if self.directory().size:
            return
        problem: UnavailableError | None = None
        for url in self.config["client"]["hubs"]:
            try:
                self.pull_registry(str(url))
            except UnavailableError as error:
                problem = error
            else:
                return
        if problem is not None:
            raise problem

    def home_client(self, feed: str) -> Client:
        """Return the client for the home of a feed."""
        home = self.directory().home(feed)
        return self.node_client(home.node) if home else self.client()

    def node_client(self, node: str) -> Client:
        """Return the client for a node."""
        return self.client(self.directory().nodes[node])

    def tokenizer(self, ledger: Ledger) -> Tokenizer:
        """Return what turns identifiers into tokens."""
        return Tokenizer(
            self.directory(),
            self.node_client,
            ledger,
            ledger.secret,
            self.keep_evidence,
        )

    def keep_evidence(self, error: MisbehaviourError) -> None:
        """Keep what proves somebody's misbehaviour in the folder ``evidence``."""
        if error.evidence is None:
            return
        name = hashlib.sha256(error.evidence).hexdigest()[:16]
        path = self.folder / "evidence" / f"{error.code}-{name}.json"
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(error.evidence)
        # If we crash here, then the same fault found again writes it again.
        fresh.replace(path)

    def federation(self) -> Federation:
        """Return this node's side of the federation.

        Raises:
            KeyFileError: The witness key is missing, open to others, or sealed.
        """
        name = f"{self.registry.pin.alliance}/node/{self.name}"
        marks, signer = Marks(self.folder / "private"), self.identity("witness").signer
        witness = Witness(self.name, name, signer, self.store, marks)
        return Federation(
            self.name, self.store, self.registry, self.clock, witness, self.node_client
        )

    def close(self) -> None:
        """Close connections and files."""
        for client in self.clients.values():
            client.close()
        self.store.close()

    def held_token_keys(self) -> dict[str, bytes]:
        """Return the shares in this folder that the registry names."""
        held = {}
        for key in self.directory().token_keys.values():
            if self.key_path(f"token-{key.name}").exists():
                secret = self.token_secret(key.name)
                if public_of(secret) in {p for _, _, p in key.shares}:
                    held[key.name] = secret
        return held


def read_pin(folder: Path, config: dict[str, dict[str, Any]]) -> Pin:
    """Return the alliance's pin of a folder.

    Raises:
        ConfigError: There is none.
        MalformedError: It is none.
    """
    try:
        return Pin.parse((folder / config["alliance"]["pin"]).read_text())
    except OSError as error:
        raise ConfigError(
            f"the pin file cannot be read: {error}",
            advice="Ask an officer for the alliance's pin file.",
        ) from None


def build_hub(folder: Path, clock: Clock | None = None, *, create: bool = False) -> Hub:
    """Return the hub of a folder.

    Raises:
        ConfigError: The folder has no configuration, pin or database.
    """
    config = load_config(folder)
    pin = read_pin(folder, config)
    try:
        pin = Pin.parse((folder / config["alliance"]["pin"]).read_text())
    except OSError as error:
        raise ConfigError(
            f"the pin file cannot be read: {error}",
            advice="Ask an officer for the alliance's pin file, and copy it there.",
        ) from None
    named = config["alliance"]["name"]
    if named not in ("", pin.alliance):
        raise ConfigError(
            f"the pin is of {pin.alliance}, and config.toml says {named}",
            advice="Ask an officer for the pin file of the right alliance.",
        )
    store = SqliteStore(folder / config["storage"]["path"], create=create)
    return Hub(folder, config, clock or SystemClock(), store, Registry(pin))
