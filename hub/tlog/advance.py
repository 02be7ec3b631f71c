"""The one rule: how does this head relate to that one?

Append, sync, cosigning and audit all ask :func:`relate`; only ``FORK`` is evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from hub.errors import ProofError
from hub.tlog.checkpoint import Head
from hub.tlog.merkle import EMPTY_ROOT, check_consistency, roots_of_consistency

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
        proof: A consistency proof between both sizes, or the hashes of both roots
            (``merkle.prove_roots``), which alone can convict.

    Returns:
        ``EXTENDS`` and ``OLDER`` only when the proof shows it, or when the smaller
        tree is empty. ``FORK`` when one size has two roots, or when the hashes yield
        the larger root together with another smaller root: then the larger tree commits
        to another past, which collision resistance makes final. Everything else,
        whatever the proof looks like, is ``UNPROVEN``.
    """
    if known.size == claimed.size:
        return Relation.SAME if known.root == claimed.root else Relation.FORK
    ordered = known.size < claimed.size
    small, large = (known, claimed) if ordered else (claimed, known)
    forward = Relation.EXTENDS if ordered else Relation.OLDER
    if small.size == 0:
        # Every tree extends the empty one, which has one root only.
        return forward if small.root == EMPTY_ROOT else Relation.FORK
    if proof is None:
        return Relation.UNPROVEN
    return _judge(small, large, proof, forward)


def _judge(
    small: Head, large: Head, proof: Sequence[bytes], forward: Relation
) -> Relation:
    """Judge two heads of different sizes, neither of them empty."""
    try:
        check_consistency(small.size, small.root, large.size, large.root, proof)
    except ProofError:
        pass
    else:
        return forward
    try:
        first, second = roots_of_consistency(small.size, large.size, proof)
    except ProofError:
        return Relation.UNPROVEN
    if second != large.root:
        return Relation.UNPROVEN
    return forward if first == small.root else Relation.FORK
