"""A member's side of publishing: rows become cases, tokens, signed batches, receipts.

Each signed batch is journalled with its cases in one transaction before it is sent, and
sent again byte for byte until its receipt is there. A run that was interrupted first
sends what the journal holds, then goes on with the rows that no journalled batch
covers; so nothing is published twice and nothing is lost.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hub.client import Client
from hub.directory import Directory
from hub.errors import HubError, UnavailableError
from hub.interop.tables import Row
from hub.model import new_case_id, new_salt, origin_of, render_time
from hub.store.ledger import Ledger
from hub.tlog.batch import (
    MAX_ENTRIES,
    BatchNote,
    digests_of,
    render_batch_note,
    render_header,
)
from hub.tlog.checkpoint import Head, peek_checkpoint
from hub.tlog.merkle import leaf_hashes, root_of
from hub.tokens import Tokenizer
from keys.encoding import to_base64
from keys.note import NoteSigner, sign_note
from schemas.base import SchemaError, render_line
from schemas.fast import check_line
from schemas.identifiers import variants

__all__ = ["Outcome", "Publisher", "make_batch"]

Entry = dict[str, Any]
DEFAULTS = {"basis": "open-source-investigation", "confidence": 50, "days": 365}


def make_batch(
    origin: str, entries: list[bytes], registry: Head, *signers: NoteSigner
) -> tuple[bytes, bytes]:
    """Return (batch id, body) of a signed batch over entry lines."""
    batch_id = secrets.token_bytes(16)
    root = root_of(leaf_hashes(digests_of(entries)))
    note = BatchNote(origin, len(entries), root, batch_id, registry)
    header = render_header(sign_note(render_batch_note(note), *signers))
    return batch_id, b"".join(line + b"\n" for line in (header, *entries))


@dataclass
class Outcome:
    """What became of the rows of a file."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    unchanged: int = 0
    entries: int = 0
    receipt: dict[str, Any] | None = None


@dataclass(frozen=True)
class Publisher:
    """Publishes for one member.

    Args:
        feed: The member's name.
        signer: Its publish key under its note name.
        ledger: What only the member knows.
        client: The home of the feed.
        directory: As of ``registry``.
        registry: The registry's head that this member saw.
        now: The time that entries claim.
    """

    feed: str
    signer: NoteSigner
    ledger: Ledger
    client: Client
    directory: Directory
    registry: Head
    now: int

    def send(self, lines: list[bytes]) -> dict[str, Any]:
        """Sign, journal and send entries that belong to no case of the ledger."""
        body = self._journal(lines, [])
        return self._deliver(*body)

    def resume(self) -> dict[str, Any] | None:
        """Send what an interrupted run left in the journal; return the last receipt."""
        receipt = None
        for batch, _feed, body in self.ledger.journal():
            receipt = self._deliver(batch, body)
        return receipt

    def _journal(
        self, lines: list[bytes], cases: list[tuple[Any, ...]]
    ) -> tuple[bytes, bytes]:
        origin = origin_of(self.directory.alliance, self.feed)
        batch, body = make_batch(origin, lines, self.registry, self.signer)
        rows = [
            (key, ref, case, content, batch, place, count)
            for key, ref, case, content, place, count in cases
        ]
        self.ledger.journal_batch(batch, self.feed, body, rows)
        # If we crash here, the batch is sent by the next run.
        return batch, body

    def _deliver(self, batch: bytes, body: bytes) -> dict[str, Any]:
        newest = self.ledger.get("newest")
        try:
            answer = self.client.publish(self.feed, body, newest=newest)
        except UnavailableError:
            raise
        except HubError:
            # The hub refused the batch for good; its rows are new again next time.
            self.ledger.drop(batch)
            raise
        checkpoint = answer["checkpoint"].encode()
        peek_checkpoint(checkpoint)
        # If we crash here, the same bytes are sent again and get the same answer.
        self.ledger.put("newest", to_base64(checkpoint))
        self.ledger.settle(batch, int(answer["first"]) + 1)
        return {
            "feed": answer["feed"],
            "first": answer["first"],
            "size": answer["size"],
            "witnessed": len(answer["cosignatures"]),
        }

    def publish(
        self,
        rows: Iterable[Row],
        tokenizer: Tokenizer,
        *,
        as_site: bool = False,
        guard: Callable[[tuple[str, str]], str | None] = lambda _i: None,
        progress: Callable[[int], None] = lambda _n: None,
    ) -> Outcome:
        """Publish what is new or changed among the rows of a file."""
        outcome = Outcome(receipt=self.resume())
        for part in _parts(rows, MAX_ENTRIES // 8):
            self._publish_part(part, tokenizer, outcome, as_site, guard)
            progress(len(part))
        return outcome

    def _publish_part(
        self,
        part: list[Row],
        tokenizer: Tokenizer,
        outcome: Outcome,
        as_site: bool,
        guard: Callable[[tuple[str, str]], str | None],
    ) -> None:
        todo = []
        for row in part:
            problem = row.problem or next(filter(None, map(guard, row.identifiers)), "")
            if problem:
                outcome.rejected.append({"row": row.number, "reason": problem})
                continue
            key, content = self._keys(row)
            known = self.ledger.case_of_row(key)
            if known and known["content"] == content and not known["withdrawn"]:
                outcome.unchanged += 1
                continue
            todo.append((row, key, content))
        wanted = {i for row, _, _ in todo for i in self._identifiers(row, as_site)}
        tokens = tokenizer.tokens(wanted)
        self._send_rows(todo, tokens, tokenizer, outcome, as_site)

    @staticmethod
    def _identifiers(row: Row, as_site: bool) -> list[tuple[str, str]]:
        exact = list(dict.fromkeys(row.identifiers))
        sites = [v for i in exact for v in variants(*i) if as_site and v[0] == "site"]
        return list(dict.fromkeys([*exact, *sites]))

    def _keys(self, row: Row) -> tuple[bytes, bytes]:
        """Return the row's key and the hash of its content, under the local secret."""
        secret = self.ledger.secret
        name = row.ref or json.dumps(sorted(row.identifiers))
        content = json.dumps([sorted(row.identifiers), row.context], sort_keys=True)
        return tuple(  # type: ignore[return-value]
            hmac.digest(secret, part.encode(), "sha256") for part in (name, content)
        )

    def _send_rows(
        self,
        todo: list[tuple[Row, bytes, bytes]],
        tokens: dict[tuple[str, str], bytes],
        tokenizer: Tokenizer,
        outcome: Outcome,
        as_site: bool,
    ) -> None:
        lines: list[bytes] = []
        cases: dict[bytes, tuple[Any, ...]] = {}
        numbers = []
        for row, key, content in todo:
            if key in cases:
                outcome.unchanged += 1
                continue
            case = new_case_id()
            try:
                own = [
                    self._line(row, i, tokens[i], tokenizer, case)
                    for i in self._identifiers(row, as_site)
                ]
            except SchemaError as error:
                outcome.rejected.append({"row": row.number, "reason": str(error)})
                continue
            cases[key] = (key, row.ref, case, content, len(lines), len(own))
            numbers.append((row.number, case, len(lines), len(own)))
            lines += own
        if not lines:
            return
        receipt = self._deliver(*self._journal(lines, list(cases.values())))
        outcome.receipt = receipt
        outcome.entries += len(lines)
        first = receipt["first"] + 1
        for number, case, place, count in numbers:
            names = [f"{self.feed}/{first + place + n}" for n in range(count)]
            outcome.rows.append({"row": number, "case": case, "entries": names})

    def _line(
        self,
        row: Row,
        identifier: tuple[str, str],
        token: bytes,
        tokenizer: Tokenizer,
        case: str,
    ) -> bytes:
        context = dict(row.context)
        basis = context.pop("basis", DEFAULTS["basis"])
        until = self.now + 86400 * int(DEFAULTS["days"])  # type: ignore[call-overload]
        entry = {
            "kind": "report",
            "salt": new_salt(),
            "at": render_time(self.now),
            "type": identifier[0],
            "token": to_base64(token),
            "key": tokenizer.key_for(identifier[0]).name,
            "case": case,
            "basis": basis,
            "confidence": context.pop("confidence", DEFAULTS["confidence"]),
            "valid_until": context.pop("valid_until", render_time(until)),
            **context,
        }
        line = render_line(entry)
        check_line(line)
        return line


def _parts(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
