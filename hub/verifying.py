"""Check proof files and evidence without network, from the pin alone.

A proof file is a JSON object; what a later version adds is ignored, and a kind of
registry line that is not known is skipped, so that old files stay verifiable::

    format        alliance-hub-proof/v1
    entry         maison/1234
    line, header  the entry's line, and the header line of its batch, verbatim
    entry_proof, header_proof
                  two C2SP tlog-proofs, verbatim; both lead to one checkpoint, which
                  carries the cosignatures that the prover had
    batch_path    hashes from the line to the root that the member signed
    registry      checkpoint (a note, cosigned as well) and lines, all of them
    disclosure    optional: type, value, key, blind, and evaluations, for each of the
                  token key's threshold of shares its x, proof and evaluated element

The registry is complete up to its checkpoint: whoever could leave a line out could hide
that a key was closed, and nothing but the lines shows that none did. Its lines carry
the officers' signatures, so whoever handed out the file is not trusted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub.conviction import judge
from hub.directory import Directory, Pin
from hub.errors import MalformedError, ProofError
from hub.evaluation import check_evidence
from hub.evaluation import parse_evidence as parse_evaluation
from hub.model import REGISTRY, EntryName, origin_of, render_time
from hub.registry import new_replay
from hub.tlog.batch import digests_of, is_header
from hub.tlog.checkpoint import Checkpoint, open_checkpoint, peek_checkpoint
from hub.tlog.merkle import check_inclusion, leaf_hash
from hub.tlog.proof import TlogProof, check_proof, parse_proof
from hub.verifier import OpenBatch, RegistryReplay, open_header
from keys import voprf
from keys.cosignature import check_cosignature
from keys.encoding import from_base64, to_base64
from keys.errors import KeysError
from keys.note import Signature, VerifierKey, parse_note
from schemas.fast import read_line

__all__ = [
    "FORMAT",
    "MOST_BYTES",
    "check_disclosure",
    "cosigned_by",
    "registry_of",
    "verify_evidence",
    "verify_proof",
]

FORMAT = "alliance-hub-proof/v1"
MOST_BYTES = 256 * 1024 * 1024
"""Most bytes of a file that is read at all."""

_NOT_WHOLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
)
_EVIDENCE = "alliance-hub-evidence/v1"


def _guarded(what: str, check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run a check over a stranger's data; whatever is wrong with it is one error."""
    try:
        return check()
    except _NOT_WHOLE as error:
        raise MalformedError(f"not a whole {what}: {error!r}"[:300]) from None
    except KeysError as error:
        raise MalformedError(f"the {what} fails: {error}", code=error.code) from None


def _load(raw: bytes) -> dict[str, Any]:
    if len(raw) > MOST_BYTES:
        raise MalformedError("the file is too large to be a proof")
    body = json.loads(raw)
    if not isinstance(body, dict):
        raise MalformedError("neither a proof file nor evidence")
    return body


# -- the registry part -----------------------------------------------------------------


@dataclass
class _Registry:
    """The registry of a proof file, replayed from the pin."""

    replay: RegistryReplay
    batches: list[OpenBatch] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    witnesses: dict[str, int] = field(default_factory=dict)

    @property
    def directory(self) -> Directory:
        """The directory after the last line."""
        return self.replay.directory

    def batch_of(self, index: int) -> OpenBatch:
        """Return the batch that holds a line of the registry."""
        return next(b for b in self.batches if b.first <= index < b.end)


def _replayed(body: dict[str, Any], pin: Pin) -> _Registry:
    lines: list[bytes | None] = [line.encode() for line in body["lines"]]
    found = _Registry(new_replay(pin))
    found.digests = digests_of([line or b"" for line in lines])
    replay = found.replay
    while replay.frontier.size < len(lines):
        first = replay.frontier.size
        header = lines[first] or b""
        stop = open_header(replay.directory, REGISTRY, first, header).end
        if stop > len(lines):
            raise MalformedError("the registry's last batch is cut short")
        batch = replay.batch(lines[first:stop], found.digests[first:stop])
        found.batches.append(batch)
    raw = body["checkpoint"].encode()
    checkpoint = _open(found.directory, REGISTRY, raw)
    if checkpoint.head != replay.head:
        raise MalformedError("the registry's lines do not lead to its checkpoint")
    found.witnesses = cosigned_by(found.directory, REGISTRY, raw)
    return found


def _open(directory: Directory, feed: str, raw: bytes) -> Checkpoint:
    public = directory.log_public(feed, peek_checkpoint(raw).size)
    if public is None:
        raise MalformedError(f"the registry names no home for {feed}")
    return open_checkpoint(raw, origin_of(directory.alliance, feed), public)


def cosigned_by(directory: Directory, feed: str, raw: bytes) -> dict[str, int]:
    """Return the other nodes that cosigned a checkpoint, each with its first time.

    Lines of unknown keys are ignored, as are those of the home itself and those that a
    witness made after its key was closed.

    Raises:
        MalformedError: A line of a known witness does not verify.
    """
    note = parse_note(raw)
    home = directory.home_at(feed, peek_checkpoint(raw).size)
    found: dict[str, int] = {}
    for line in note.signatures:
        key = _witness(directory, line)
        if key is None:
            continue
        try:
            time = check_cosignature(note.text, line, key)
        except KeysError as error:
            raise MalformedError(str(error), code="bad-cosignature") from None
        node = directory.cosigners(time).get(key)
        if node is not None and (home is None or node != home.node):
            found[node] = min(time, found.get(node, time))
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _witness(directory: Directory, line: Signature) -> VerifierKey | None:
    known = (k for k in directory.witnesses() if k.name == line.name)
    return next((k for k in known if k.key_id == line.key_id), None)


def registry_of(raw: bytes, pin: Pin) -> Directory:
    """Return the directory that the registry part of a proof file gives.

    Raises:
        MalformedError: It is none, or breaks a rule.
        RefusedError: The officers did not sign it.
    """
    found: list[Directory] = []

    def read() -> dict[str, Any]:
        body = _load(raw)
        if body["format"] != FORMAT:
            raise MalformedError("the registry part is taken from a proof file")
        found.append(_replayed(body["registry"], pin).directory)
        return {}

    _guarded("proof file", read)
    return found[0]


# -- proof files -----------------------------------------------------------------------


def verify_proof(raw: bytes, pin: Pin) -> dict[str, Any]:
    """Check a proof file step by step and return what it proves.

    Raises:
        MalformedError: A step fails; the message says which.
        RefusedError: A signature is not by a registered key.
    """

    def check() -> dict[str, Any]:
        body = _load(raw)
        if body["format"] != FORMAT:
            raise MalformedError(
                f"not a proof file of a form that is known: {body['format']!r:.60}",
                advice="A newer version of hub may know it.",
            )
        return _verify(body, pin)

    return _guarded("proof file", check)


def _verify(body: dict[str, Any], pin: Pin) -> dict[str, Any]:
    name = EntryName.parse(body["entry"])
    line, header = body["line"].encode(), body["header"].encode()
    # 1. The registry, from the pin, says which keys are valid.
    registry = _replayed(body["registry"], pin)
    directory = registry.directory
    # 2. Both lines are in the tree that the home signed.
    item, header_item = digests_of([line, header])
    proof, header_proof = (
        parse_proof(body[k].encode()) for k in ("entry_proof", "header_proof")
    )
    if proof.index != name.index or not is_header(header):
        raise MalformedError("the proof is of another entry")
    checkpoint = _open(directory, name.feed, proof.checkpoint)
    check_proof(proof, item, checkpoint.head)
    if header_proof.checkpoint != proof.checkpoint:
        raise MalformedError("the two proofs lead to different checkpoints")
    check_proof(header_proof, header_item, checkpoint.head)
    # 3. A valid key signed the batch, and the line is of that batch.
    batch = _batch(registry, name, header_proof, header)
    _check_place(body, batch, name, item, header_item)
    # 4. Other nodes saw the checkpoint, and say when.
    witnesses = cosigned_by(directory, name.feed, proof.checkpoint)
    times = [render_time(t) for t in witnesses.values()]
    result = {
        "entry": str(name),
        "kind": _kind(name, line),
        "sha256": hashlib.sha256(line).hexdigest(),
        "line": body["line"],
        "signed_by": batch.signer,
        "void": batch.void,
        "suspended_until": _suspended(directory, name),
        "checkpoint_size": checkpoint.size,
        "registry_size": registry.replay.head.size,
        "registry_known_by": _first(registry.witnesses),
        "existed_by": times[0] if times else None,
        "witnesses": [
            {"node": node, "time": time}
            for node, time in zip(witnesses, times, strict=True)
        ],
        "quorum": directory.policy.quorum,
    }
    if "disclosure" in body:
        result["identifier"] = check_disclosure(body["disclosure"], line, directory)
    return result


def _first(witnesses: dict[str, int]) -> str | None:
    return render_time(min(witnesses.values())) if witnesses else None


def _kind(name: EntryName, line: bytes) -> str:
    if is_header(line):
        return "batch"
    entry, _ = read_line(line, registry=name.feed == REGISTRY)
    return str(entry["kind"]) if entry else "unknown"


def _suspended(directory: Directory, name: EntryName) -> str | None:
    until = directory.suspended.get(name)
    return None if until is None else render_time(until)


def _batch(
    registry: _Registry, name: EntryName, proof: TlogProof, header: bytes
) -> OpenBatch:
    if name.feed != REGISTRY:
        return open_header(registry.directory, name.feed, proof.index, header)
    # Officers may have been replaced since; the replay knew those of then.
    batch = registry.batch_of(name.index)
    here = registry.digests[batch.first]
    if batch.first != proof.index or here != digests_of([header])[0]:
        raise MalformedError("the header is of another batch")
    return batch


def _check_place(
    body: dict[str, Any],
    batch: OpenBatch,
    name: EntryName,
    item: bytes,
    header_item: bytes,
) -> None:
    place = name.index - batch.first - 1
    if place < 0:
        # The entry is the header itself.
        if name.index != batch.first or item != header_item:
            raise MalformedError("the entry is not of this batch")
        return
    path = [from_base64(h, 32) for h in body["batch_path"]]
    leaf, count = leaf_hash(item), batch.note.count
    check_inclusion(leaf, place, count, path, batch.note.root)


def check_disclosure(
    body: dict[str, Any], line: bytes, directory: Directory
) -> dict[str, str]:
    """Check that the token of a report is that of an identifier; return it.

    Raises:
        MalformedError: It is another entry's, or the token is another (``not-that``).
        KeysError: A share's proof fails.
    """
    entry, _ = read_line(line)
    kind, value = body["type"], body["value"]
    if entry is None or entry["kind"] != "report":
        raise MalformedError("only reports have an identifier")
    if (entry["type"], entry["key"]) != (kind, body["key"]):
        raise MalformedError("the disclosure is of another entry")
    key = directory.token_keys[body["key"]]
    data = voprf.token_input(kind, value)
    blinding = voprf.blind_with([data], [from_base64(body["blind"], 32)])
    publics = {x: public for _, x, public in key.shares}
    answers: dict[int, bytes] = {}
    for one in body["evaluations"]:
        evaluated = from_base64(one["evaluated"], 32)
        proof = from_base64(one["proof"], 64)
        voprf.check(publics[one["x"]], blinding.elements, evaluated, proof)
        answers[one["x"]] = evaluated
    if len(answers) < key.threshold:
        raise MalformedError(
            f"{key.name} needs {key.threshold} shares, the disclosure has "
            f"{len(answers)}",
            code="too-few-shares",
        )
    token = voprf.finalise(blinding, list(answers.items())[: key.threshold])[0][:32]
    if to_base64(token) != entry["token"]:
        raise MalformedError("the identifier does not give the token", code="not-that")
    return {"type": kind, "value": value}


# -- evidence --------------------------------------------------------------------------


def verify_evidence(raw: bytes, directory: Directory) -> dict[str, Any]:
    """Check an evidence file under a registry and return whom it convicts of what.

    Raises:
        MalformedError: Not an evidence file.
        ProofError: It proves nothing under the keys of this registry.
    """

    def check() -> dict[str, Any]:
        body = _load(raw)
        if body["format"] != _EVIDENCE:
            raise MalformedError("not an evidence file", code="bad-evidence")
        if body["kind"] == "wrong-evaluation":
            return _evaluation(raw, directory)
        row = judge(raw, directory, 0)
        return {
            "evidence": row.kind,
            "name": row.name,
            "feed": row.feed,
            "size": row.size,
            "registry_size": directory.size,
            "says": _says(row.kind, row.feed, row.name, row.size),
        }

    return _guarded("evidence file", check)


def _says(kind: str, feed: str, name: str, size: int) -> str:
    if kind == "fork":
        return (
            f"The log key of {feed} signed two heads that cannot both be true; they "
            f"part at or before entry {size}."
        )
    if kind == "repeated-batch":
        return f"The log key of {feed} signed a tree that holds one batch twice."
    if kind == "two-successors":
        names = name.rpartition("/")[2].replace(",", ", ")
        return (
            f"{names} signed two different batches on top of the registry's head of "
            f"{size}, each with enough other officers."
        )
    node = name.split("/")[1]
    return f"{node} cosigned a smaller head of {feed} after a larger one."


def _evaluation(raw: bytes, directory: Directory) -> dict[str, Any]:
    found = parse_evaluation(raw)
    key = directory.token_keys.get(found.key)
    shares = [public for n, _, public in key.shares if n == found.node] if key else []
    keyid = f"{directory.alliance}/node/{found.node}"
    registered = [
        k.public
        for k in directory.with_role("request", f"node/{found.node}")
        if directory.key_name(k) == keyid
    ]
    if not shares or not registered:
        raise ProofError(f"{found.node[:40]} holds no share of {found.key[:40]} here")
    problem: MalformedError | None = None
    for public in registered:
        try:
            for share in shares:
                check_evidence(found, keyid=keyid, public=public, share=share)
        except MalformedError as error:
            problem = error
            continue
        return {
            "evidence": "wrong-evaluation",
            "name": f"wrong-evaluation/{found.node}/{found.key}",
            "registry_size": directory.size,
            "says": f"{found.node} signed an evaluation under {found.key} that is "
            "not one of its share.",
        }
    raise problem or ProofError("it proves nothing")
