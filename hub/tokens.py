"""Tokens: evaluation at a node, and a client that asks for them.

The node sees blinded elements only. The client verifies each node's proof against the
public share of the registry before it finalises, and caches tokens under a keyed hash,
so that its cache holds no identifier.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from hub.access import Caller
from hub.client import Client
from hub.directory import Directory, TokenKey
from hub.errors import (
    HubError,
    MalformedError,
    MisbehaviourError,
    RefusedError,
    UnavailableError,
)
from hub.evaluation import PROOF, check_evaluation
from hub.model import parse_time
from hub.store.base import Limit, Store
from keys import voprf
from keys.errors import ElementError
from schemas.identifiers import token_class

__all__ = ["Cache", "Tokenizer", "ask_share", "evaluate", "quota_of"]

Identifier = tuple[str, str]
BATCH = 1000
AT_ONCE = 2
"""Parts that are under way at a time."""


def evaluate(
    store: Store,
    directory: Directory,
    caller: Caller,
    key: TokenKey,
    secret: bytes,
    elements: bytes,
    now: int,
) -> bytes:
    """Charge the caller's quota, then evaluate; returns proof and elements.

    Raises:
        RefusedError: Not a member, auditor or node.
        QuotaError: Too much for today.
        MalformedError: Not 1 to 4096 valid elements.
    """
    if not caller.owner or not caller.writes:
        raise RefusedError("sign the request as a member", code="unauthenticated")
    if not elements or len(elements) % 32 or len(elements) > 32 * voprf.MAX_BATCH:
        raise MalformedError(
            f"send 1 to {voprf.MAX_BATCH} elements of 32 bytes", code="bad-batch"
        )
    public = voprf.public_of(secret)
    if public not in {p for _, _, p in key.shares}:
        raise RefusedError(f"no share of {key.name} here", code="unknown-token-key")
    limit = Limit(quota_of(directory, caller.member, key.token_class, now))
    with store.write() as tx:
        tx.node.charge(
            caller.owner,
            key.token_class,
            len(elements) // 32,
            limits=[limit],
            now=now,
            body_digest=hashlib.sha256(elements).digest(),
        )
    try:
        answer = voprf.evaluate(secret, public, elements)
    except ElementError as error:
        raise MalformedError(str(error), code="bad-element") from None
    return answer.proof + answer.elements


def quota_of(directory: Directory, member: str, token_class: str, now: int) -> int:
    """Return how many tokens of a class somebody may ask for in a day, with grants."""
    granted = sum(
        g["count"]
        for g in directory.grants
        if (g["member"], g["class"]) == (member, token_class)
        and parse_time(g["until"]) > now
    )
    return int(directory.policy.quotas[token_class] + granted)


def ask_share(
    client: Client,
    directory: Directory,
    key: TokenKey,
    share: tuple[str, int, bytes],
    elements: bytes,
) -> tuple[bytes, bytes]:
    """Ask one node to evaluate with its share and check all that it says.

    Args:
        client: Talks to the node.
        directory: Holds the node's request key.
        key: The token key.
        share: The node's name, the number and the public half of its share.
        elements: The blinded elements.

    Returns:
        The proof, and the evaluated elements.

    Raises:
        UnavailableError: Not reachable, or the registry holds no request key of it.
        MisbehaviourError: The answer is not signed by the node, or it is wrong: then
            the error carries the evidence.
    """
    node, _, public = share
    keyid = f"{directory.alliance}/node/{node}"
    registered = directory.requester(keyid)
    if registered is None:
        raise UnavailableError(
            f"the registry holds no open request key of {node}, so its answers would "
            "prove nothing",
            code="no-request-key",
            advice="Ask the officers to register one; then pull.",
        )
    found = client.evaluate(node, key.name, elements)
    check_evaluation(found, keyid=keyid, public=registered.public, share=public)
    return found.answer[:PROOF], found.answer[PROOF:]


class Cache(Protocol):
    """Remembers tokens by opaque 32-byte handles."""

    def get_tokens(self, handles: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the tokens that are known."""
        ...

    def put_tokens(self, tokens: Mapping[bytes, bytes]) -> None:
        """Remember tokens."""
        ...


class Tokenizer:
    """Turns identifiers into tokens.

    Args:
        directory: Names the token keys and the public shares.
        ask: Returns the client for a node's name.
        cache: Remembers tokens.
        secret: The local key of the cache.
        convict: Is told of every node that signed a wrong answer, also when the
            others suffice.
    """

    def __init__(
        self,
        directory: Directory,
        ask: Callable[[str], Client],
        cache: Cache,
        secret: bytes,
        convict: Callable[[MisbehaviourError], None] = lambda _error: None,
    ):
        self._directory = directory
        self._ask = ask
        self._cache = cache
        self._secret = secret
        self._convict = convict
        self._asking = threading.Lock()
        self._seconds = 0.0
        self.asked = 0

    def key_for(self, kind: str) -> TokenKey:
        """Return the active token key of an identifier type.

        Raises:
            UnavailableError: The alliance has none for its class.
        """
        key = self._directory.active_token_key(token_class(kind))
        if key is None:
            raise UnavailableError(f"the alliance has no token key for {kind}")
        return key

    def handle(self, key: TokenKey, identifier: Identifier) -> bytes:
        """Return the name under which a token is cached."""
        message = key.name.encode() + b"\n" + voprf.token_input(*identifier)
        return hmac.digest(self._secret, message, "sha256")

    def key_of(self, name: str) -> TokenKey:
        """Return the active token key of a class.

        Raises:
            UnavailableError: The alliance has none.
        """
        key = self._directory.active_token_key(name)
        if key is None:
            raise UnavailableError(f"the alliance has no {name} token key")
        return key

    def missing(self, identifiers: Iterable[Identifier]) -> dict[TokenKey, int]:
        """Return how many tokens would have to be asked for, by key."""
        found = self.handles(identifiers)
        return {key: len(missing) for key, (missing, _) in found.items()}

    def handles(
        self, identifiers: Iterable[Identifier]
    ) -> dict[TokenKey, tuple[list[bytes], list[bytes]]]:
        """Return the handles of what would have to be asked for and of what is cached.

        By token key; each identifier counts once.
        """
        result = {}
        for key, wanted in self._by_key(identifiers).items():
            handles = [self.handle(key, i) for i in wanted]
            known = self._cache.get_tokens(handles)
            missing = [h for h in handles if h not in known]
            result[key] = missing, list(known)
        return result

    def _by_key(
        self, identifiers: Iterable[Identifier]
    ) -> dict[TokenKey, list[Identifier]]:
        by_name: dict[str, list[Identifier]] = {}
        for identifier in dict.fromkeys(identifiers):
            by_name.setdefault(self.key_for(identifier[0]).name, []).append(identifier)
        return {self._directory.token_keys[n]: ids for n, ids in by_name.items()}

    def tokens(self, identifiers: Iterable[Identifier]) -> dict[Identifier, bytes]:
        """Return the token of each identifier.

        Raises:
            QuotaError: The quota is used up; what was asked before is cached.
            UnavailableError: Too few nodes answer.
            MisbehaviourError: A node's proof fails.
        """
        result = {}
        for key, wanted in self._by_key(identifiers).items():
            handles = {self.handle(key, i): i for i in wanted}
            known = self._cache.get_tokens(list(handles))
            result.update({handles[h]: t for h, t in known.items()})
            todo = {h: i for h, i in handles.items() if h not in known}
            for tokens in self._fetch(key, todo):
                self._cache.put_tokens(tokens)
                result.update({todo[h]: t for h, t in tokens.items()})
        return result

    @property
    def rate(self) -> float | None:
        """Tokens in a second, of those that were asked for; None before any was."""
        return self.asked / self._seconds if self._seconds else None

    def _fetch(
        self, key: TokenKey, todo: Mapping[bytes, Identifier]
    ) -> Iterator[dict[bytes, bytes]]:
        """Yield tokens by handle, in parts.

        While a node works on one part, this side works on the next. When a part fails,
        no more are sent; those that a node already charged for are still yielded.
        """
        left = deque(_parts(list(todo.items()), BATCH))
        running: deque[tuple[list[bytes], Future[list[bytes]]]] = deque()
        problem: HubError | None = None
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while running or left:
                while left and len(running) < AT_ONCE:
                    part = left.popleft()
                    wanted = [identifier for _, identifier in part]
                    future = pool.submit(self._evaluate, key, wanted)
                    running.append(([handle for handle, _ in part], future))
                handles, future = running.popleft()
                try:
                    found = future.result()
                except HubError as error:
                    problem = problem or error
                    left.clear()
                    continue
                self.asked += len(found)
                self._seconds += time.monotonic() - begun
                yield dict(zip(handles, found, strict=True))
                begun = time.monotonic()
        if problem is not None:
            raise problem

    def _evaluate(self, key: TokenKey, identifiers: list[Identifier]) -> list[bytes]:
        blinding = voprf.blind([voprf.token_input(*i) for i in identifiers])
        answers: list[tuple[int, bytes]] = []
        problem: Exception | None = None
        for share in key.shares:
            with self._asking:
                client = self._ask(share[0])
            try:
                _, evaluated = ask_share(
                    client, self._directory, key, share, blinding.elements
                )
            except MisbehaviourError as error:
                # Who cheated is told, even if others refuse for lesser reasons.
                problem = error
                self._convict(error)
                continue
            except UnavailableError as error:
                problem = problem or error
                continue
            answers.append((share[1], evaluated))
            if len(answers) == key.threshold:
                return [o[:32] for o in voprf.finalise(blinding, answers)]
        raise problem or UnavailableError(f"too few nodes answer for {key.name}")


def _parts(
    items: list[tuple[bytes, Identifier]], size: int
) -> Iterator[list[tuple[bytes, Identifier]]]:
    return (items[start : start + size] for start in range(0, len(items), size))
