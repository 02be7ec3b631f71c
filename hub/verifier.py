"""The rule engine: bytes of a feed in order, batches out. Pure.

Publishing, pulling, auditing and proof files all pass through here, so that there is
one verifier. :func:`open_header` checks what a batch's note claims against the
directory and is enough to authorise an upload before its entries are read;
:func:`check_entries` checks what follows against the note. :class:`RegistryReplay` does
both for the registry and keeps the directory.

A signature by a key that was closed below the batch makes the batch *void*: it is
stored and cosigned, but none of its entries count. A bad signature, or a key that never
was registered, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.directory import Directory
from hub.errors import ConflictError, MalformedError, RefusedError
from hub.model import REGISTRY, origin_of
from hub.tlog.batch import BatchNote, is_header, parse_batch_note, parse_header
from hub.tlog.checkpoint import Head
from hub.tlog.merkle import Frontier, leaf_hashes, root_of
from keys.encoding import to_base64
from keys.errors import KeysError, SignatureError
from keys.note import open_note

__all__ = ["OpenBatch", "RegistryReplay", "check_entries", "open_header", "split"]

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A header that verified: what it claims, who signed, and whether it counts."""

    feed: str
    first: int
    note: BatchNote
    public: bytes
    signer: str
    void: bool

    @property
    def end(self) -> int:
        """The index after the last entry."""
        return self.first + 1 + self.note.count


def open_header(
    directory: Directory, feed: str, first: int, header: bytes
) -> OpenBatch:
    """Check a header line that stands at index ``first`` of a feed.

    Raises:
        MalformedError: Not a header of this feed.
        RefusedError: Not signed by a registered key (``code`` ``bad-signature``), or a
            registry batch without enough officers.
    """
    raw = parse_header(header)
    if feed == REGISTRY:
        return _open_registry(directory, first, raw)
    known = directory.publishers(feed)
    try:
        opened = open_note(raw, known)
    except SignatureError as error:
        raise RefusedError(
            f"the batch at {feed}/{first} is not signed by a key of {feed}: {error}",
            code="bad-signature",
            advice="Sign with a publish key that the registry holds for this member.",
        ) from None
    except KeysError as error:
        raise MalformedError(str(error), code="bad-header") from None
    key = known[opened.verified[0]]
    note = _note(directory, feed, opened.text)
    void = key.closed_at is not None and first >= key.closed_at
    return OpenBatch(feed, first, note, key.public, directory.key_name(key), void)


def _note(directory: Directory, feed: str, text: str) -> BatchNote:
    note = parse_batch_note(text)
    if note.origin != origin_of(directory.alliance, feed):
        raise MalformedError(
            f"the batch is for {note.origin}, not for {feed}", code="bad-header"
        )
    return note


def _open_registry(directory: Directory, first: int, raw: bytes) -> OpenBatch:
    try:
        opened = open_note(raw, directory.officer_vkeys())
    except KeysError as error:
        raise RefusedError(
            f"registry/{first} is not signed by the officers: {error}",
            code="bad-signature",
        ) from None
    # Distinct keys are counted, whatever names they sign under.
    if len({v.public for v in opened.verified}) < directory.threshold:
        raise RefusedError(
            f"registry/{first} has {len(opened.verified)} of "
            f"{directory.threshold} officers' signatures",
            code="too-few-officers",
            advice="Pass the proposal on: hub registry sign.",
        )
    note = _note(directory, REGISTRY, opened.text)
    names = ",".join(v.name for v in opened.verified)
    return OpenBatch(REGISTRY, first, note, opened.verified[0].public, names, False)


def check_entries(batch: OpenBatch, leaves: Sequence[bytes]) -> None:
    """Check the leaf hashes of the entries that follow a header.

    Raises:
        MalformedError: Another count (``wrong-count``) or root (``wrong-root``).
    """
    if len(leaves) != batch.note.count:
        raise MalformedError(
            f"the batch at {batch.feed}/{batch.first} has {len(leaves)} entries, its "
            f"note says {batch.note.count}",
            code="wrong-count",
            advice="Send the batch again as it was signed.",
        )
    if root_of(leaves) != batch.note.root:
        raise MalformedError(
            f"the entries of the batch at {batch.feed}/{batch.first} are not those "
            "that were signed",
            code="wrong-root",
            advice="Send the batch again as it was signed.",
        )


def split(
    directory: Directory,
    feed: str,
    first: int,
    lines: Sequence[bytes | None],
    leaves: Sequence[bytes],
) -> list[OpenBatch]:
    """Cut lines that start and end at batch boundaries into verified batches.

    Args:
        directory: Who may sign.
        feed: The feed's name.
        first: The index of the first line.
        lines: The lines, None where a tombstone stands.
        leaves: The leaf hash of every line.

    Raises:
        MalformedError: A header is missing, or entries do not fit their header.
        RefusedError: A batch is not signed by a registered key.
    """
    batches, place = [], 0
    while place < len(lines):
        header = lines[place]
        if header is None or not is_header(header):
            raise MalformedError(f"{feed}/{first + place} should be a header")
        batch = open_header(directory, feed, first + place, header)
        end = batch.end - first
        check_entries(batch, leaves[place + 1 : end])
        batches.append(batch)
        place = end
    return batches


class RegistryReplay:
    """Replays the registry from its first line; holds directory and head.

    Args:
        directory: The directory before the first line (:meth:`Directory.of_pin`).
        read: Reads an entry's line; raises ``MalformedError`` on bad JSON.
    """

    def __init__(self, directory: Directory, read: Callable[[bytes], Entry]):
        self.directory = directory
        self.frontier = Frontier()
        self._read = read

    @property
    def head(self) -> Head:
        """The head after everything that was replayed."""
        return Head(self.frontier.size, self.frontier.root())

    def batch(
        self, lines: Sequence[bytes | None], digests: Sequence[bytes]
    ) -> OpenBatch:
        """Verify and apply one whole batch, or nothing.

        Raises:
            MalformedError: The batch or an entry breaks a rule.
            ConflictError: It was signed on top of another head.
            RefusedError: Too few officers signed.
        """
        header = lines[0]
        if header is None:
            raise MalformedError("a header is never erased")
        opened = open_header(self.directory, REGISTRY, self.frontier.size, header)
        # SPEC: design, Batch: a registry batch names exactly the head before it.
        if opened.note.registry != self.head:
            raise ConflictError(
                f"the registry batch was signed on top of {opened.note.registry.size} "
                f"lines, and the registry has {self.frontier.size}",
                code="stale-proposal",
                advice="Propose it again: hub registry propose --again proposal.json.",
            )
        leaves = leaf_hashes(digests)
        check_entries(opened, leaves[1:])
        self.directory = self.after(lines[1:])
        self.frontier = self.frontier.extend(leaves)
        return opened

    def after(self, lines: Sequence[bytes | None]) -> Directory:
        """Return the directory that one more batch of entries would give.

        Raises:
            MalformedError: An entry breaks a rule.
        """
        state = self.directory.counted()
        for line in lines:
            state = state.counted()
            if line is None:
                # SPEC: design, Erasure: registry lines stay. Who could leave one out
                # could hide that a key was closed.
                raise MalformedError(
                    f"registry/{state.size - 1} is withheld; registry lines stay",
                    code="tombstone-without-erasure",
                    advice="Get the registry from another node.",
                )
            entry = self._read(line)
            self._check_cut(entry)
            state = state.apply(entry)
        return state

    def _check_cut(self, entry: Entry) -> None:
        # The batch names the head before it, so a home that cuts the registry anywhere
        # else contradicts its own batch.
        if entry.get("kind") != "home" or entry.get("feed") != REGISTRY:
            return
        if (entry["size"], entry["root"]) != (
            self.frontier.size,
            to_base64(self.frontier.root()),
        ):
            raise MalformedError(
                "home: the registry's new home starts from the head before its batch",
                code="registry-rule",
            )
