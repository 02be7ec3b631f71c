"""The officers' side: proposals for the registry that pass between m officers.

A proposal is a JSON file: ``text`` (the note over the entries), ``entries`` (lines) and
``signatures`` (note lines). Each officer checks what it says (``hub registry show``),
adds a signature, and whoever completes the threshold submits it to the registry's home.

Two batches with m signatures each on top of one head convict whoever signed both, so
an officer's folder remembers what it signed (``hub.signings``).
"""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hub.directory import Directory, Pin
from hub.enrolment import Request
from hub.errors import ConflictError, MalformedError, RefusedError
from hub.model import REGISTRY, origin_of
from hub.registry import check_registry_line, registry_entry
from hub.tlog.batch import (
    BatchNote,
    digests_of,
    parse_batch_note,
    render_batch_note,
    render_header,
)
from hub.tlog.checkpoint import EMPTY, Head
from hub.tlog.merkle import leaf_hashes, root_of
from hub.verifier import RegistryReplay
from keys.encoding import to_base64
from keys.errors import KeysError, SignatureError
from keys.note import Note, NoteSigner, open_note, parse_signature, render_note

__all__ = [
    "Verdict",
    "admission",
    "again",
    "body_of",
    "examine",
    "first_home",
    "founding_entries",
    "is_complete",
    "parse_proposal",
    "propose",
    "registry_entry",
    "render_proposal",
    "sign",
]

Proposal = dict[str, Any]
HeadOf = Callable[[str], Head]
_MAX_PROPOSAL = 64 * 1024 * 1024


def propose(alliance: str, head: Head, lines: Sequence[bytes]) -> Proposal:
    """Return a proposal to add lines behind the registry's present head."""
    root = root_of(leaf_hashes(digests_of(lines)))
    note = BatchNote(
        origin_of(alliance, REGISTRY),
        len(lines),
        root,
        secrets.token_bytes(16),
        head,
    )
    return {
        "text": render_batch_note(note),
        "entries": [line.decode() for line in lines],
        "signatures": [],
    }


def sign(proposal: Proposal, signers: Iterable[NoteSigner]) -> None:
    """Add signatures to a proposal."""
    lines = dict.fromkeys(proposal["signatures"])
    lines.update(dict.fromkeys(s.sign(proposal["text"]).render() for s in signers))
    proposal["signatures"] = list(lines)


def _note(proposal: Proposal) -> bytes:
    lines = [parse_signature(s.removesuffix("\n")) for s in proposal["signatures"]]
    return render_note(Note(proposal["text"], tuple(lines)))


def is_complete(proposal: Proposal, directory: Directory) -> bool:
    """Tell whether enough officers signed."""
    try:
        return len(_signed_by(proposal, directory)) >= directory.threshold
    except RefusedError:
        return False


def body_of(proposal: Proposal) -> bytes:
    """Return the batch that a complete proposal is.

    Raises:
        MalformedError: Not a proposal.
    """
    try:
        header = render_header(_note(proposal))
        lines = [header, *(e.encode() for e in proposal["entries"])]
    except (KeyError, KeysError, AttributeError):
        raise MalformedError("not a proposal") from None
    return b"".join(line + b"\n" for line in lines)


def render_proposal(proposal: Proposal) -> str:
    """Return the file of a proposal."""
    return json.dumps(proposal, indent=1) + "\n"


def parse_proposal(text: str) -> Proposal:
    """Read a proposal file; nothing in it is verified yet.

    Raises:
        MalformedError: Not a proposal.
    """
    try:
        body = json.loads(text[:_MAX_PROPOSAL])
        if _is_proposal(body):
            parse_batch_note(body["text"])
            for line in body["signatures"]:
                parse_signature(line.removesuffix("\n"))
            return dict(body)
    except (ValueError, TypeError, RecursionError, KeysError, MalformedError):
        pass
    raise MalformedError(
        "not a proposal file",
        code="bad-proposal",
        advice="Ask for the file that hub registry propose, or another command of "
        "officers, wrote.",
    )


def _is_proposal(body: Any) -> bool:
    """Tell whether a value has the form of a proposal."""
    if not isinstance(body, dict) or set(body) != {"text", "entries", "signatures"}:
        return False
    lists = [body["entries"], body["signatures"]]
    if not all(isinstance(part, list) for part in lists):
        return False
    texts = [body["text"], *body["entries"], *body["signatures"]]
    # An entry is one line, and nothing that a file of lines could take for two.
    return all(isinstance(t, str) for t in texts) and not any(
        "\n" in entry for entry in body["entries"]
    )


@dataclass(frozen=True)
class Verdict:
    """What a proposal is worth on top of a registry.

    Args:
        note: What its signatures cover.
        entries: Its entries, each valid by itself.
        signed_by: The officers who signed, by their names.
        threshold: How many of them must.
        fresh: Whether it names the registry's present head.
        problem: Why the registry would refuse its entries, None if it would not or
            if it is stale.
        after: The directory that it leads to, None if it does not.
    """

    note: BatchNote
    entries: list[dict[str, Any]]
    signed_by: tuple[str, ...]
    threshold: int
    fresh: bool
    problem: MalformedError | None
    after: Directory | None

    @property
    def complete(self) -> bool:
        """Whether enough officers signed."""
        return len(self.signed_by) >= self.threshold

    def require(self) -> Directory:
        """Return the directory that it leads to.

        Raises:
            ConflictError: The registry has another head by now.
            MalformedError: An entry breaks a rule of the registry.
        """
        if self.problem is not None:
            raise self.problem
        if self.after is None:
            raise ConflictError(
                f"the proposal is for a registry of {self.note.registry.size} lines, "
                "and the registry has another head by now",
                code="stale-proposal",
                advice="Propose it again: hub registry propose --again proposal.json.",
            )
        return self.after


def examine(proposal: Proposal, replay: RegistryReplay) -> Verdict:
    """Check a proposal against a registry, without changing anything.

    Raises:
        MalformedError: It is not well formed: another alliance, a wrong count or root,
            an invalid entry.
        RefusedError: A signature on it is by somebody else, or is wrong.
    """
    note = parse_batch_note(proposal["text"])
    directory = replay.directory
    if note.origin != origin_of(directory.alliance, REGISTRY):
        raise MalformedError(
            f"the proposal is for {note.origin}, not for {directory.alliance}",
            code="other-alliance",
        )
    lines = [entry.encode() for entry in proposal["entries"]]
    root = root_of(leaf_hashes(digests_of(lines)))
    if (note.count, note.root) != (len(lines), root):
        raise MalformedError(
            "the entries are not those that the note of the proposal covers",
            code="wrong-root",
            advice="Ask its author for the file again; sign nothing of this one.",
        )
    entries = [dict(check_registry_line(line)) for line in lines]
    fresh, problem, after = note.registry == replay.head, None, None
    if fresh:
        try:
            after = copy.copy(replay).after(lines)
            after.check_quorum()
        except MalformedError as error:
            problem, after = error, None
    signed = _signed_by(proposal, directory)
    return Verdict(note, entries, signed, directory.threshold, fresh, problem, after)


def _signed_by(proposal: Proposal, directory: Directory) -> tuple[str, ...]:
    if not proposal["signatures"]:
        return ()
    try:
        opened = open_note(_note(proposal), directory.officer_vkeys())
    except SignatureError as error:
        raise RefusedError(
            f"the proposal carries a signature that is no officer's: {error}",
            code="not-officer",
            advice="Only officers sign; remove the line, or sign the proposal anew.",
        ) from None
    except KeysError as error:
        raise MalformedError(str(error), code="bad-proposal") from None
    if opened.others:
        raise RefusedError(
            f"{opened.others[0].name[:100]} signed and is no officer now",
            code="not-officer",
            advice="Remove that line, or propose it again.",
        )
    return tuple(v.name for v in opened.verified)


# -- entries -----------------------------------------------------------------------


def first_home(feed: str, node: str, log_key: str, now: int) -> bytes:
    """Return the home entry of a feed that has no lines yet."""
    root = to_base64(EMPTY.root)
    fields = {"feed": feed, "node": node, "key": log_key, "size": 0, "root": root}
    return registry_entry("home", now, **fields)


def founding_entries(pin: Pin, request: Request, quorum: int, now: int) -> list[bytes]:
    """Return the registry's first batch, from the request of the first node.

    Raises:
        MalformedError: The request lacks a log key, or a field is wrong.
    """
    node = str(request["name"])
    log = next((k for k in request["keys"] if k.get("roles") == ["log"]), None)
    if log is None:
        raise MalformedError("the node's request has no log key")
    alliance = {
        "alliance": pin.alliance,
        "threshold": pin.threshold,
        "officers": list(pin.officers),
    }
    return [
        registry_entry("alliance", now, **alliance),
        *_node_entries(request, now),
        first_home(REGISTRY, node, log["public"], now),
        registry_entry("policy", now, quorum=quorum),
        *(registry_entry("token-key", now, **k) for k in request["token_keys"]),
    ]


def _node_entries(request: Request, now: int) -> list[bytes]:
    return [
        registry_entry("node", now, name=request["name"], url=request["url"]),
        *(registry_entry("key", now, **k) for k in request["keys"]),
    ]


def admission(request: Request, directory: Directory, now: int) -> list[bytes]:
    """Return the entries that admit who sent a request.

    Raises:
        MalformedError: A field is wrong, or the registry has no home yet.
    """
    kind, name = request["kind"], str(request["name"])
    if kind == "node":
        if request["token_keys"]:
            raise MalformedError(
                "the request brings token keys, which only a first node does",
                code="bad-request-file",
                advice="Make the node with hub join … --as node.",
            )
        return _node_entries(request, now)
    lines = [registry_entry(kind, now, name=name)]
    lines.append(registry_entry("key", now, **request["key"]))
    if kind == "member":
        home = directory.home(REGISTRY)
        if home is None:
            raise MalformedError("the registry has no home yet")
        lines.append(first_home(name, home.node, to_base64(home.public), now))
    return lines


def again(
    entries: Sequence[dict[str, Any]], directory: Directory, now: int, head_of: HeadOf
) -> list[bytes]:
    """Return the lines of a stale proposal as they would be made now.

    A feed that moves does so from its present head, and a key that is closed beside a
    new one is closed at the present end of its owner's feed, or later.
    """
    renewed = {e["owner"] for e in entries if e["kind"] == "key"}
    lines = []
    for old in entries:
        entry = {k: v for k, v in old.items() if k not in ("kind", "salt", "at")}
        kind = old["kind"]
        if kind == "home" and directory.home(entry["feed"]):
            head = head_of(entry["feed"])
            entry |= {"size": head.size, "root": to_base64(head.root)}
        if kind == "key-closed" and entry["owner"] in renewed and entry.get("index"):
            feed = entry["owner"].partition("/")[2]
            entry["index"] = max(entry["index"], head_of(feed).size)
        lines.append(registry_entry(kind, now, **entry))
    return lines
