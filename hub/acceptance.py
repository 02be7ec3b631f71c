"""What a node asks of a registry batch before it signs a checkpoint over it.

The rules of the registry itself, which everybody replays, are in ``hub.directory``.
These are of the moment and of this node: is it the home that the batch names, do the
heads and indices in the batch still fit what is stored here, could every feed still
reach the quorum.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from hub.directory import Directory
from hub.errors import ConflictError, NotHomeError, UnavailableError
from hub.freezing import is_frozen
from hub.model import REGISTRY
from hub.store.base import Transaction
from hub.tlog.merkle import EMPTY_ROOT, Frontier
from keys.ed25519 import Signer
from keys.encoding import from_base64

__all__ = ["LogKeys", "check_caught_up", "check_registry_batch", "log_key"]

Entry = Mapping[str, Any]
LogKeys = Signer | Mapping[bytes, Signer]
_AGAIN = "Propose it again: hub registry propose --again proposal.json."


def log_key(directory: Directory, feed: str, signer: LogKeys) -> Signer:
    """Return the key that signs the next checkpoint of a feed.

    Raises:
        NotHomeError: It is not one of this node's.
    """
    home = directory.home(feed)
    keys = {signer.public: signer} if isinstance(signer, Signer) else signer
    if home is None:
        raise NotHomeError(
            f"the registry names no home for {feed}",
            advice="Add a home entry that names a node and its log key.",
        )
    if home.public not in keys:
        raise NotHomeError(
            f"{feed} is signed with a log key of {home.node} that is not here",
            home=directory.nodes[home.node],
        )
    return keys[home.public]


def check_caught_up(tx: Transaction, directory: Directory, feed: str) -> None:
    """Refuse to sign for a feed before all of it up to the named head is here.

    Raises:
        UnavailableError: This new home lacks a part of the feed, or holds another
            history than the officers named (``not-caught-up``).
    """
    home, size = directory.home(feed), tx.objects.size(feed)
    if home is None or not home.size:
        return
    if size >= home.size:
        reader = tx.objects.hash_reader(feed, home.size)
        if Frontier.of_hashes(home.size, reader).root() == home.root:
            return
    raise UnavailableError(
        f"{feed} goes on here from {home.size}, and this node holds {size} of it yet",
        code="not-caught-up",
        advice="It catches up from its peers; send the batch again in a minute.",
    )


def check_registry_batch(
    tx: Transaction,
    replay: Any,
    lines: Sequence[bytes],
    digests: Sequence[bytes],
    entries: Sequence[Entry],
    signer: LogKeys,
) -> Signer:
    """Return the log key that signs the registry once it holds this batch.

    An empty node, or one that only mirrored, becomes the registry's home by a batch
    whose ``home`` entry names one of its log keys and exactly its stored head; the
    replay refuses any other head.

    Raises:
        MalformedError: An entry breaks a rule, or a feed could not reach the quorum.
        NotHomeError: After this batch, another node is the registry's home.
        ConflictError: It was signed on top of another state than this.
    """
    before, trial = replay.directory, copy.copy(replay)
    trial.batch(lines, digests)
    after: Directory = trial.directory
    key = log_key(after, REGISTRY, signer)
    # SPEC: design, Publish: a registry batch that would leave fewer than q other nodes
    # is refused.
    after.check_quorum()
    for entry in entries:
        if entry["kind"] == "home" and before.home(entry["feed"]):
            _check_moved(tx, before, after, entry)
    _check_rotations(tx, before, after, entries)
    return key


def _here(after: Directory) -> str:
    """Return the name of this node, which is the home of the registry after all."""
    home = after.home(REGISTRY)
    return home.node if home else ""


def _check_moved(
    tx: Transaction, before: Directory, after: Directory, entry: Entry
) -> None:
    """Refuse to move a feed of this node from another head than the stored one.

    A feed whose home signed two histories is cut where the officers say.
    """
    feed = entry["feed"]
    if is_frozen(tx, before, feed):
        return
    homes = {h.node for h in (before.home(feed), after.home(feed)) if h}
    if _here(after) not in homes:
        # Neither its old nor its new home is here, so nothing is known about its end.
        return
    head = tx.heads.get(feed)
    stored = (head.size, head.root) if head else (0, EMPTY_ROOT)
    if stored != (entry["size"], from_base64(entry["root"], 32)):
        raise ConflictError(
            f"home: {feed} ends at {stored[0]} here, not at {entry['size']}",
            code="stale-home",
            advice=_AGAIN,
        )


def _check_rotations(
    tx: Transaction, before: Directory, after: Directory, entries: Sequence[Entry]
) -> None:
    """Refuse a change of keys that would void what a member published meanwhile.

    A stolen key is closed in a batch that brings its owner no new one, at any index.
    """
    renewed = {e["owner"] for e in entries if e["kind"] == "key"}
    for entry in entries:
        if entry["kind"] != "key-closed" or entry["owner"] not in renewed:
            continue
        kind, _, name = entry["owner"].partition("/")
        home = before.home(name) if kind == "member" else None
        if home is None or home.node != _here(after):
            continue
        size = tx.objects.size(name)
        if entry["index"] < size:
            raise ConflictError(
                f"key-closed: {name} grew to {size} meanwhile, and what it published "
                f"from {entry['index']} on would be void",
                code="stale-index",
                advice=f"{_AGAIN} To leave room for more: hub key add --index.",
            )
