"""Proof files: one entry, provable without network, trusting only the pin.

A JSON object: ``entry``; ``line`` and ``header``; ``entry_proof`` and ``header_proof``,
two C2SP tlog-proofs verbatim (their checkpoint is the home's); ``batch_path``, the path
from the line to the root that the member signed; ``registry``, the checkpoint and all
lines that make these keys valid; and optionally ``disclosure``, with which the member
shows that the token is a certain identifier.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hub.client import Client
from hub.directory import Directory, Pin
from hub.errors import MalformedError, RefusedError
from hub.model import REGISTRY, EntryName, origin_of
from hub.registry import new_replay
from hub.store.base import Transaction
from hub.tlog.batch import digests_of, is_header
from hub.tlog.checkpoint import Checkpoint, open_checkpoint
from hub.tlog.merkle import ListReader, check_inclusion, leaf_hashes, prove_inclusion
from hub.tlog.proof import TlogProof, check_proof, parse_proof, render_proof
from hub.tokens import ask_share
from hub.verifier import RegistryReplay, open_header
from keys import voprf
from keys.encoding import from_base64, to_base64
from keys.errors import KeysError
from schemas.fast import read_line
from schemas.identifiers import canonicalise

__all__ = ["disclose", "make_proof", "verify_proof"]

FORMAT = "alliance-hub-proof/v1"
_NOT_WHOLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
)


def make_proof(tx: Transaction, name: EntryName) -> dict[str, Any]:
    """Return the proof of an entry.

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
    reader = tx.objects.hash_reader(name.feed, head.size)

    def prove(index: int) -> str:
        path = tuple(prove_inclusion(index, head.size, reader))
        return render_proof(TlogProof(index, path, head.checkpoint)).decode()

    leaves = leaf_hashes(tx.objects.digests(name.feed, batch.first + 1, batch.stop))
    place = name.index - batch.first - 1
    path = []
    if place >= 0:
        path = prove_inclusion(place, batch.count, ListReader(leaves))
    return {
        "format": FORMAT,
        "entry": str(name),
        "line": line.decode(),
        "header": header.decode(),
        "entry_proof": prove(name.index),
        "header_proof": prove(batch.first),
        "batch_path": [to_base64(h) for h in path],
        "registry": _registry(tx),
    }


def _registry(tx: Transaction) -> dict[str, Any]:
    head = tx.heads.get(REGISTRY)
    if head is None:
        raise RefusedError("the registry is empty", code="not-found")
    rows = list(tx.objects.lines(REGISTRY, 0, head.size))
    return {
        "checkpoint": head.checkpoint.decode(),
        "lines": [r.raw.decode() if r.raw else None for r in rows],
        "digests": {r.index: to_base64(r.digest) for r in rows if r.raw is None},
    }


def _replay(body: dict[str, Any], pin: Pin) -> RegistryReplay:
    lines = [line.encode() if line else None for line in body["lines"]]
    digests = digests_of([line or b"" for line in lines])
    for index, digest in body["digests"].items():
        digests[int(index)] = from_base64(digest, 32)
    replay = new_replay(pin)
    while replay.frontier.size < len(lines):
        first = replay.frontier.size
        header = lines[first]
        if header is None:
            raise MalformedError("a header of the registry is missing")
        stop = open_header(replay.directory, REGISTRY, first, header).end
        replay.batch(lines[first:stop], digests[first:stop])
    public = replay.directory.log_public(REGISTRY, replay.head.size)
    raw = body["checkpoint"].encode()
    origin = origin_of(pin.alliance, REGISTRY)
    if open_checkpoint(raw, origin, public or b"").head != replay.head:
        raise MalformedError("the registry's lines do not lead to its checkpoint")
    return replay


def verify_proof(raw: bytes, pin: Pin) -> dict[str, Any]:
    """Check a proof file step by step and return what it proves.

    Raises:
        MalformedError: A step fails; the message says which.
        RefusedError: A signature is not by a registered key.
    """
    try:
        body = json.loads(raw)
        if body["format"] != FORMAT:
            raise MalformedError("another format of proof file")
        return _verify(body, pin)
    except _NOT_WHOLE as error:
        raise MalformedError(f"not a whole proof file: {error!r}") from None
    except KeysError as error:
        raise MalformedError(f"the proof fails: {error}", code=error.code) from None


def _verify(body: dict[str, Any], pin: Pin) -> dict[str, Any]:
    name = EntryName.parse(body["entry"])
    line, header = body["line"].encode(), body["header"].encode()
    # 1. The registry, from the pin, says which keys are valid.
    replay = _replay(body["registry"], pin)
    directory = replay.directory
    # 2. Both lines are in the tree that the home signed.
    item, header_item = digests_of([line, header])
    proof, header_proof = (
        parse_proof(body[k].encode()) for k in ("entry_proof", "header_proof")
    )
    if proof.index != name.index or not is_header(header):
        raise MalformedError("the proof is of another entry")
    checkpoint = _checkpoint(directory, name.feed, proof)
    check_proof(proof, item, checkpoint.head)
    if header_proof.checkpoint != proof.checkpoint:
        raise MalformedError("the two proofs lead to different checkpoints")
    check_proof(header_proof, header_item, checkpoint.head)
    # 3. A valid key of the member signed the batch, and the line is of that batch.
    batch = open_header(directory, name.feed, header_proof.index, header)
    place = name.index - batch.first - 1
    if place >= 0:
        check_inclusion(
            leaf_hashes([item])[0],
            place,
            batch.note.count,
            [from_base64(h, 32) for h in body["batch_path"]],
            batch.note.root,
        )
    result = {
        "entry": str(name),
        "sha256": hashlib.sha256(line).hexdigest(),
        "line": body["line"],
        "signed_by": batch.signer,
        "void": batch.void,
        "checkpoint_size": checkpoint.size,
        "registry_size": replay.head.size,
        "existed_by": None,
        "witnesses": [],
    }
    if "disclosure" in body:
        result["identifier"] = _check_disclosure(body["disclosure"], line, directory)
    return result


def _checkpoint(directory: Directory, feed: str, proof: TlogProof) -> Checkpoint:
    from hub.tlog.checkpoint import peek_checkpoint  # noqa: PLC0415

    size = peek_checkpoint(proof.checkpoint).size
    public = directory.log_public(feed, size)
    if public is None:
        raise MalformedError(f"the registry names no home for {feed}")
    return open_checkpoint(
        proof.checkpoint, origin_of(directory.alliance, feed), public
    )


def disclose(
    proof: dict[str, Any], text: str, region: str, directory: Directory, client: Client
) -> None:
    """Add the identifier to a proof, evaluated alone and afresh.

    Raises:
        RefusedError: The identifier does not give the entry's token.
        MalformedError: The entry is not a report.
    """
    entry, _ = read_line(proof["line"].encode())
    if entry is None or entry["kind"] != "report":
        raise MalformedError("only reports have an identifier")
    value = canonicalise(entry["type"], text, region)
    key = directory.token_keys[entry["key"]]
    blinding = voprf.blind([voprf.token_input(entry["type"], value)])
    share = key.shares[0]
    evidence, evaluated = ask_share(client, directory, key, share, blinding.elements)
    proof["disclosure"] = {
        "type": entry["type"],
        "value": value,
        "key": key.name,
        "blind": to_base64(blinding.blinds),
        "x": share[1],
        "proof": to_base64(evidence),
        "evaluated": to_base64(evaluated),
    }
    try:
        _check_disclosure(proof["disclosure"], proof["line"].encode(), directory)
    except MalformedError:
        raise RefusedError(
            f"{value} is not the identifier of {proof['entry']}", code="not-that"
        ) from None


def _check_disclosure(
    body: dict[str, Any], line: bytes, directory: Directory
) -> dict[str, str]:
    entry, _ = read_line(line)
    if entry is None or (entry["type"], entry["key"]) != (body["type"], body["key"]):
        raise MalformedError("the disclosure is of another entry")
    key = directory.token_keys[body["key"]]
    data = voprf.token_input(body["type"], body["value"])
    blinding = voprf.blind_with([data], [from_base64(body["blind"], 32)])
    evaluated = from_base64(body["evaluated"], 32)
    public = {x: p for _, x, p in key.shares}[body["x"]]
    voprf.check(public, blinding.elements, evaluated, from_base64(body["proof"], 64))
    if key.threshold != 1:
        raise MalformedError("a disclosure under a shared key needs every share")
    token = voprf.finalise(blinding, [(body["x"], evaluated)])[0][:32]
    if to_base64(token) != entry["token"]:
        raise MalformedError("the identifier does not give the token", code="not-that")
    return {"type": body["type"], "value": body["value"]}
