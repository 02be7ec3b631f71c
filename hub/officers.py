"""The officers' side: proposals for the registry that pass between m officers.

A proposal is a JSON file: ``text`` (the note over the entries), ``entries`` (lines) and
``signatures`` (note lines). Each officer checks what it says (``hub registry show``),
adds a signature, and whoever completes the threshold submits it to the registry's home.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from hub.directory import Directory
from hub.errors import MalformedError
from hub.model import REGISTRY, new_salt, origin_of, render_time
from hub.tlog.batch import BatchNote, digests_of, render_batch_note, render_header
from hub.tlog.checkpoint import Head
from hub.tlog.merkle import leaf_hashes, root_of
from keys.errors import KeysError
from keys.note import Note, NoteSigner, open_note, parse_signature, render_note
from schemas.base import SchemaError, render_line
from schemas.fast import check_line

__all__ = ["body_of", "is_complete", "propose", "registry_entry", "sign"]

Proposal = dict[str, Any]


def registry_entry(kind: str, now: int, **fields: Any) -> bytes:
    """Return the line of a registry entry.

    Raises:
        MalformedError: A field is wrong.
    """
    entry = {"kind": kind, "salt": new_salt(), "at": render_time(now), **fields}
    line = render_line({k.rstrip("_"): v for k, v in entry.items() if v is not None})
    try:
        check_line(line, registry=True)
    except SchemaError as error:
        raise MalformedError(f"{kind}: {error}", code="invalid-line") from None
    return line


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
        opened = open_note(_note(proposal), directory.officer_vkeys())
    except KeysError:
        return False
    return len(opened.verified) >= directory.threshold


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


def parse_proposal(text: str) -> Proposal:
    """Read a proposal file.

    Raises:
        MalformedError: Not a proposal.
    """
    try:
        body = json.loads(text)
        if set(body) == {"text", "entries", "signatures"}:
            return dict(body)
    except (ValueError, TypeError):
        pass
    raise MalformedError("not a proposal file")
