"""What the routes work with: the hub, this node's keys, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import g, request

from hub.access import ANONYMOUS, Caller, authenticate
from hub.api.limits import Limits, address_of
from hub.directory import Directory
from hub.errors import ForkError, RefusedError, UnavailableError
from hub.federation import Federation
from hub.marks import Marks
from hub.model import REGISTRY
from hub.readiness import Watch
from hub.store.base import StoredHead, Transaction
from hub.tlog.checkpoint import Checkpoint
from hub.tlog.merkle import Frontier
from hub.wiring import Hub
from hub.witness import visible
from keys.answers import Exchange, sign_answer
from keys.ed25519 import Signer

__all__ = ["Serving"]


@dataclass
class Serving:
    """A hub that serves.

    Args:
        hub: The folder's hub.
        public_url: The URL that callers sign for.
        log_signer: The first key that signs checkpoints; None on a mirror.
        token_secrets: This node's shares of token keys, as of the start.
        request_signer: The key that signs answers to token requests.
        federation: Its side of the federation; None on a mirror without keys.
    """

    hub: Hub
    public_url: str
    log_signer: Signer | None
    token_secrets: dict[str, bytes] = field(default_factory=dict)
    request_signer: Signer | None = None
    federation: Federation | None = None
    _log_keys: dict[bytes, Signer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the marks beside the keys, and begin to count and to watch."""
        self._marks = Marks(self.hub.folder / "private")
        self.limits = Limits(self.hub.config["server"])
        storage = self.hub.config["storage"]
        self.watch = Watch(
            self.hub.store,
            (self.hub.folder / storage["path"]).parent,
            self.marks,
            self.hub.clock,
            storage["floor_mb"] << 20,
        )

    def directory(self) -> Directory:
        """Return the directory as of the stored registry."""
        return self.hub.directory()

    def log_keys(self, feed: str) -> dict[bytes, Signer]:
        """Return this node's log keys by their public halves.

        A key that was made after the server started is read when the registry, or a
        batch of the registry, may name it: opening a sealed key takes a while.

        Raises:
            RefusedError: This node has none.
        """
        if self.log_signer is not None:
            self._log_keys[self.log_signer.public] = self.log_signer
        home = self.directory().home(feed)
        if feed == REGISTRY or (home and home.public not in self._log_keys):
            self._log_keys.update(self.hub.signers("log"))
        if not self._log_keys:
            raise RefusedError("this node has no log key", code="no-log-key")
        return self._log_keys

    def token_secret(self, key: str) -> bytes | None:
        """Return this node's share of a token key, or None if it holds none.

        The registry may have named the key after the server started.
        """
        if key not in self.token_secrets and key in self.directory().token_keys:
            self.token_secrets.update(self.hub.held_token_keys())
        return self.token_secrets.get(key)

    def begin(self) -> None:
        """Find out who sends the request."""
        g.caller = ANONYMOUS
        if request.blueprint == "health":
            return
        g.address = address_of(
            request.remote_addr or "",
            request.headers.get("X-Forwarded-For"),
            behind_proxy=self.hub.config["server"]["behind_proxy"],
        )
        if "Signature-Input" in request.headers or "Authorization" in request.headers:
            g.caller = self._authenticate()
        self.limits.count("request", g.caller.owner or g.address)

    def _authenticate(self) -> Caller:
        # Verifying costs more than counting, so whoever fails at it is counted first.
        self.limits.check("refused", g.address)
        try:
            return authenticate(
                self.directory(),
                self.hub.store,
                request.method,
                self.signed_url(),
                dict(request.headers),
                self.hub.clock.now(),
            )
        except RefusedError:
            self.limits.count("refused", g.address)
            raise

    def count_batch(self) -> None:
        """Count a batch that the caller sends.

        Raises:
            RateError: One too many.
        """
        self.limits.count("publish", g.caller.owner or g.address)

    def signed_url(self) -> str:
        """Return the URL that the caller signs: as it was sent, of the public URL."""
        sent: str = request.environ.get("RAW_URI") or request.full_path.removesuffix(
            "?"
        )
        # A client that takes the node for a proxy sends the whole URL.
        path = (
            sent
            if sent.startswith("/")
            else "/" + sent.partition("://")[2].partition("/")[2]
        )
        return self.public_url + path

    def answer_signer(self) -> Signer:
        """Return the key that makes answers evidence of what this node said.

        Raises:
            UnavailableError: This folder has no request key.
        """
        if self.request_signer is None:
            raise UnavailableError(
                "this node has no key to sign its answers",
                code="no-request-key",
                advice="The operator makes one and has the officers register it.",
            )
        registered = self.directory().requester(self._keyid)
        if registered and registered.public != self.request_signer.public:
            # The officers registered another key since the server started.
            self.request_signer = self.hub.identity().signer
        return self.request_signer

    @property
    def _keyid(self) -> str:
        return f"{self.hub.registry.pin.alliance}/node/{self.hub.name}"

    def sign_answer(self, body: bytes, answer: bytes) -> dict[str, str]:
        """Return the fields that sign this node's answer to a request."""
        return sign_answer(
            Exchange(request.method, self.signed_url(), body, 200, answer),
            keyid=self._keyid,
            signer=self.answer_signer(),
            now=self.hub.clock.now(),
        )

    def shows_log(self, feed: str) -> bool:
        """Tell whether the caller may see heads, tiles and proofs of a feed.

        Those of the registry are for everybody: a newcomer needs them.
        """
        public = self.hub.config["server"]["public_log"]
        return bool(public or feed == REGISTRY or g.caller.owner)

    def check_log(self, feed: str) -> None:
        """Check that the caller may see heads, tiles and proofs of a feed.

        Raises:
            RefusedError: Only readers may (``server.public_log``), and it is nobody.
        """
        if not self.shows_log(feed):
            self.reader(feed)

    def reader(self, feed: str) -> Caller:
        """Return the caller if it may read the lines of a feed.

        Raises:
            RefusedError: It is nobody, or left the alliance.
        """
        caller: Caller = g.caller
        if feed == REGISTRY or caller.owner:
            return caller
        raise RefusedError(
            "what members publish is for members, auditors and nodes",
            code="unauthenticated",
            advice="Sign the request, or send a bearer token of this node.",
        )

    @property
    def marks(self) -> Marks:
        """What this node's keys signed last."""
        return self._marks

    def check_started(self) -> None:
        """Refuse to sign before heads were compared with enough peers.

        Raises:
            UnavailableError: They were not yet (code ``starting``).
        """
        if self.federation is not None:
            self.federation.gate.check()

    def check_not_behind(
        self, tx: Transaction, feed: str, newest: Checkpoint | None
    ) -> None:
        """Refuse to sign when this node signed what its database does not hold.

        Args:
            tx: A transaction.
            feed: The feed that is about to grow.
            newest: The newest checkpoint that the caller has of this node's key.

        Raises:
            UnavailableError: The database is older than the key's last signature.
            ForkError: It holds another history than the caller's checkpoint.
        """
        # Behind in the registry, it would honour keys that were closed since.
        self.marks.check_not_behind(REGISTRY, tx.objects.size(REGISTRY))
        size, seen = tx.objects.size(feed), newest.size if newest else 0
        self.marks.check_not_behind(feed, size, seen)
        if newest is None or not newest.size:
            return
        reader = tx.objects.hash_reader(feed, newest.size)
        if Frontier.of_hashes(newest.size, reader).root() != newest.root:
            raise ForkError(
                f"this node signed {feed} at {newest.size} twice, with two histories",
                advice="Keep your checkpoint and tell the officers of the alliance.",
            )

    def shown(self, tx: Transaction, feed: str) -> StoredHead | None:
        """Return the head that the caller may see.

        Nodes and the feed's own member see the newest, everybody else the newest that
        the quorum cosigned: what only its home vouches for could still be split.
        """
        owner = str(g.caller.owner)
        if owner.startswith("node/") or owner == f"member/{feed}":
            return tx.heads.get(feed)
        return visible(tx, self.hub.registry.directory(tx), feed)
