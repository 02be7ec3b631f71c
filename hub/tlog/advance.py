"""The one rule: how does this head relate to that one?

Append, sync, cosigning and audit all ask :func:`relate`; only ``FORK`` is evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from hub.errors import ProofError
from hub.tlog.checkpoint import Head
from hub.tlog.merkle import roots_of_consistency

__all__ = ["Relation", "relate"]


class Relation(Enum):
    """What a claimed head is to a known one."""

    SAME = "same"
    EXTENDS = "extends"
    OLDER = "older"
    UNPROVEN = "unproven"
    FORK = "fork"


def relate(
    known: Head, claimed: Head, proof: Sequence[bytes] | None = None
) -> Relation:
    """Relate a claimed head to a known one.

    Args:
        known: The head that was verified before.
        claimed: The head to judge.
        proof: Consistency-proof-shaped hashes between both sizes.

    Returns:
        ``EXTENDS`` and ``OLDER`` only when the proof shows it, or when the smaller
        tree is empty. ``FORK`` when one size has two roots, or when the hashes yield
        the larger root together with another smaller root: then the larger tree commits
        to another past, which collision resistance makes final.
    """
    if known.size == claimed.size:
        return Relation.SAME if known.root == claimed.root else Relation.FORK
    ordered = known.size < claimed.size
    small, large = (known, claimed) if ordered else (claimed, known)
    forward = Relation.EXTENDS if ordered else Relation.OLDER
    if small.size == 0:
        return forward
    if proof is None:
        return Relation.UNPROVEN
    return _judge(small, large, proof, forward)


def _judge(
    small: Head, large: Head, proof: Sequence[bytes], forward: Relation
) -> Relation:
    if _roots(small.size, large.size, small.root, proof) == (small.root, large.root):
        return forward
    found = _roots(small.size, large.size, small.root, proof)
    if small.size & (small.size - 1) == 0 and proof:
        # A proof from a power of two leaves its first hash out; a fork shows itself
        # when the hashes carry that subtree of the larger tree instead.
        found = _roots(small.size, large.size, proof[0], proof[1:])
    if found and found[1] == large.root and found[0] != small.root:
        return Relation.FORK
    return Relation.UNPROVEN


def _roots(
    old: int, new: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes] | None:
    try:
        return roots_of_consistency(old, new, old_root, proof)
    except ProofError:
        return None
