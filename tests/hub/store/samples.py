"""Made-up feeds for the tests of the store: lines, digests and their tree."""

from __future__ import annotations

import base64
import hashlib
import random

from hub.store.base import Transaction
from hub.tlog.merkle import Frontier, leaf_hashes

__all__ = ["append", "digest", "line", "realistic_lines"]


def line(index: int, salt: str = "") -> bytes:
    """Return a short line that depends on its index."""
    return b'{"kind":"report","n":%d,"salt":"%s"}' % (index, salt.encode())


def digest(raw: bytes) -> bytes:
    """Return the digest of a line."""
    return hashlib.sha256(raw).digest()


def append(
    tx: Transaction, feed: str, count: int, missing: frozenset[int] = frozenset()
) -> Frontier:
    """Append ``count`` more lines, with their tree hashes; return the new tree."""
    first = tx.objects.size(feed)
    raws = [line(index) for index in range(first, first + count)]
    digests = [digest(raw) for raw in raws]
    before = Frontier.of_hashes(first, tx.objects.hash_reader(feed, first))
    after, nodes = before.extend_with_nodes(leaf_hashes(digests))
    lines: list[bytes | None] = [
        None if first + at in missing else raw for at, raw in enumerate(raws)
    ]
    tx.objects.append(feed, first, lines, digests, nodes)
    return after


def realistic_lines(count: int) -> list[bytes]:
    """Return report lines of about 450 bytes, with real randomness where it is."""
    rng = random.Random(7)  # noqa: S311 made-up data
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    lines = []
    case = ""
    for index in range(count):
        if index % 2 == 0:
            case = "".join(rng.choice(letters) for _ in range(16))
        day = rng.randrange(1, 29)
        fields = (
            '"kind":"report"',
            f'"salt":"{base64.b64encode(rng.randbytes(16)).decode()}"',
            f'"at":"2026-11-{day:02}T{index % 24:02}:{index % 60:02}:07Z"',
            f'"type":"{rng.choice(["domain", "url", "email", "phone"])}"',
            f'"token":"{base64.b64encode(rng.randbytes(32)).decode()}"',
            '"key":"open-1"',
            f'"case":"{case}"',
            f'"basis":"{rng.choice(["test-purchase", "customs-seizure"])}"',
            f'"confidence":{rng.randrange(40, 101)}',
            f'"goods":[{rng.randrange(1, 46)},{rng.randrange(1, 46)}]',
            f'"brands":["{rng.choice(["Maison Exemple", "Atelier Essai"])}"]',
            '"marketplaces":["market.example"]',
            f'"countries":["{rng.choice(["FR", "DE", "IT", "CN"])}"]',
            f'"first_seen":"2026-10-{day:02}","last_seen":"2026-11-{day:02}"',
            f'"valid_until":"2027-05-{day:02}T00:00:00Z"',
            '"tlp":"amber"',
        )
        lines.append(("{" + ",".join(fields) + "}").encode())
    return lines
