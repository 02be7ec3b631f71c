"""Make proof files: one entry, provable without network, trusting only the pin.

The format is that of :mod:`hub.verifying`, which checks it. The entry is proved to the
earliest checkpoint that enough other nodes cosigned, because their times are the only
ones that count; without any it is proved to the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hub.client import Client
from hub.directory import Directory, TokenKey
from hub.errors import HubError, MalformedError, MisbehaviourError, RefusedError
from hub.model import REGISTRY, EntryName
from hub.store.base import Transaction
from hub.tlog.merkle import ListReader, leaf_hashes, prove_inclusion
from hub.tlog.proof import TlogProof, render_proof
from hub.tokens import ask_share
from hub.verifying import FORMAT, check_disclosure, cosigned_by
from keys import voprf
from keys.encoding import to_base64
from keys.note import add_signatures, parse_signature
from schemas.fast import read_line
from schemas.identifiers import canonicalise

__all__ = ["cosigned_note", "disclose", "make_proof", "tlog_proof"]


def cosigned_note(tx: Transaction, feed: str, size: int) -> bytes:
    """Return the stored checkpoint of a size with the cosignatures kept for it.

    Raises:
        MalformedError: There is no checkpoint of that size.
    """
    found = tx.heads.checkpoints(feed, size, 1)
    if not found or found[0][0] != size:
        raise MalformedError(f"{feed} has no checkpoint of {size}", code="not-found")
    lines = [
        parse_signature(row.line.decode().removesuffix("\n"))
        for row in tx.heads.cosignatures(feed, size)
    ]
    return add_signatures(found[0][1], *lines)


def tlog_proof(tx: Transaction, feed: str, index: int, size: int) -> bytes:
    """Return the C2SP tlog-proof of an entry to the checkpoint of a size."""
    reader = tx.objects.hash_reader(feed, size)
    path = tuple(prove_inclusion(index, size, reader))
    return render_proof(TlogProof(index, path, cosigned_note(tx, feed, size)))


def make_proof(
    tx: Transaction, name: EntryName, directory: Directory
) -> dict[str, Any]:
    """Return the proof of an entry.

    Args:
        tx: A snapshot.
        name: The entry: of any kind, in a member's feed or the registry.
        directory: The registry as of the snapshot.

    Raises:
        RefusedError: There is no such entry, or it was erased.
    """
    head = tx.heads.get(name.feed)
    batch = tx.batches.at(name.feed, name.index)
    if head is None or batch is None or name.index >= head.size:
        raise RefusedError(f"there is no entry {name}", code="not-found")
    line = next(tx.objects.lines(name.feed, name.index, name.index + 1)).raw
    header = next(tx.objects.lines(name.feed, batch.first, batch.first + 1)).raw
    hidden = tx.erasures.hidden(name.feed, name.index, name.index + 1)
    if line is None or header is None or hidden:
        raise RefusedError(f"{name} was erased", code="erased")
    size = _best_size(tx, name, directory, head.size)
    leaves = leaf_hashes(tx.objects.digests(name.feed, batch.first + 1, batch.stop))
    place, path = name.index - batch.first - 1, []
    if place >= 0:
        path = prove_inclusion(place, batch.count, ListReader(leaves))
    return {
        "format": FORMAT,
        "entry": str(name),
        "line": line.decode(),
        "header": header.decode(),
        "entry_proof": tlog_proof(tx, name.feed, name.index, size).decode(),
        "header_proof": tlog_proof(tx, name.feed, batch.first, size).decode(),
        "batch_path": [to_base64(h) for h in path],
        "registry": _registry(tx),
    }


def _best_size(
    tx: Transaction, name: EntryName, directory: Directory, newest: int
) -> int:
    """Return the size of the checkpoint that says most about when an entry was there.

    It is the first one that the quorum cosigned, else the first with any cosignature.
    """
    if len(directory.nodes) < 2:
        return newest
    needed, any_ = max(directory.policy.quorum, 1), 0
    for size in _sizes(tx, name.feed, name.index + 1):
        if not tx.heads.cosignatures(name.feed, size):
            continue
        note = cosigned_note(tx, name.feed, size)
        count = len(cosigned_by(directory, name.feed, note))
        if count >= needed:
            return size
        any_ = any_ or (size if count else 0)
    return any_ or newest


def _sizes(tx: Transaction, feed: str, start: int) -> Iterator[int]:
    """Yield the sizes of all stored checkpoints from one on."""
    while found := tx.heads.checkpoints(feed, start, 1000):
        yield from (size for size, _ in found)
        start = found[-1][0] + 1


def _registry(tx: Transaction) -> dict[str, Any]:
    head = tx.heads.get(REGISTRY)
    if head is None:
        raise RefusedError("the registry is empty", code="not-found")
    rows = list(tx.objects.lines(REGISTRY, 0, head.size))
    return {
        "checkpoint": cosigned_note(tx, REGISTRY, head.size).decode(),
        "lines": [row.raw.decode() for row in rows if row.raw is not None],
    }


def disclose(
    proof: dict[str, Any],
    text: str,
    region: str,
    directory: Directory,
    client: Callable[[str], Client],
) -> None:
    """Add the identifier to a proof, evaluated alone and afresh.

    Args:
        proof: The proof of a report; gets the disclosure.
        text: The identifier as somebody writes it.
        region: The country of national telephone numbers.
        directory: Names the token key and the nodes that hold its shares.
        client: Returns the client for a node's name.

    Raises:
        RefusedError: The identifier does not give the entry's token.
        MalformedError: The entry is not a report.
        UnavailableError: Too few nodes answer.
        MisbehaviourError: A node evaluated wrongly, and too few others answer.
    """
    entry, _ = read_line(proof["line"].encode())
    if entry is None or entry["kind"] != "report":
        raise MalformedError("only reports have an identifier")
    value = canonicalise(entry["type"], text, region)
    key = directory.token_keys[entry["key"]]
    blinding = voprf.blind([voprf.token_input(entry["type"], value)])
    disclosure = {
        "type": entry["type"],
        "value": value,
        "key": key.name,
        "blind": to_base64(blinding.blinds),
        "evaluations": _evaluations(blinding.elements, directory, key, client),
    }
    try:
        check_disclosure(disclosure, proof["line"].encode(), directory)
    except MalformedError:
        raise RefusedError(
            f"{value} is not the identifier of {proof['entry']}", code="not-that"
        ) from None
    proof["disclosure"] = disclosure


def _evaluations(
    elements: bytes,
    directory: Directory,
    key: TokenKey,
    client: Callable[[str], Client],
) -> list[dict[str, Any]]:
    """Return what as many nodes as the key needs evaluate, with their proofs."""
    found: list[dict[str, Any]] = []
    problem: HubError | None = None
    for share in key.shares:
        try:
            node = client(share[0])
            proof, evaluated = ask_share(node, directory, key, share, elements)
        except HubError as error:
            # Who cheated is told, even if others refuse for lesser reasons.
            worse = isinstance(error, MisbehaviourError)
            problem = error if problem is None or worse else problem
            continue
        parts = {"proof": to_base64(proof), "evaluated": to_base64(evaluated)}
        found.append({"x": share[1], **parts})
        if len(found) == key.threshold:
            return found
    raise problem or MalformedError(f"the registry names too few shares of {key.name}")
