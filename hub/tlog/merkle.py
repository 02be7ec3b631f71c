"""Merkle trees of RFC 6962 section 2.1: roots, proofs and compact ranges.

A leaf hash is SHA-256(0x00, item), a node is SHA-256(0x01, left, right), and a tree of
n leaves splits at the largest power of two smaller than n. Proofs run from the leaf to
the root. ``check_x`` verifies what ``prove_x`` made, and raises.

A consistency proof leaves its first hash out when the old size is a power of two,
because that hash is the old root. The *hashes of both roots*, which
:func:`prove_roots` makes, always begin with it, so that :func:`roots_of_consistency`
computes both roots from them alone. This is what convicts a fork: the hashes yield the
larger signed root together with another smaller root than the signed one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hub.errors import ProofError

__all__ = [
    "EMPTY_ROOT",
    "Frontier",
    "HashReader",
    "ListReader",
    "check_consistency",
    "check_inclusion",
    "leaf_hash",
    "leaf_hashes",
    "node_hash",
    "prove_consistency",
    "prove_inclusion",
    "prove_roots",
    "root_of",
    "roots_of_consistency",
]

EMPTY_ROOT = hashlib.sha256(b"").digest()
TILE_HEIGHT = 8


def leaf_hash(item: bytes) -> bytes:
    """Return the leaf hash of an item."""
    return hashlib.sha256(b"\x00" + item).digest()


def leaf_hashes(items: Sequence[bytes]) -> list[bytes]:
    """Return the leaf hashes of many items."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + item).digest() for item in items]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _pairs(hashes: Sequence[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256
    return [
        sha256(b"\x01" + left + right).digest()
        for left, right in zip(hashes[::2], hashes[1::2], strict=False)
    ]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes.

    An odd hash at the end of a level moves up unchanged, which gives the same tree as
    the recursive definition.
    """
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = _pairs(level) + odd
    return level[0]


@dataclass(frozen=True, slots=True)
class Frontier:
    """A compact range from leaf 0: its complete subtrees' roots, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        """Return the root of the tree of ``size`` leaves."""
        if not self.peaks:
            return EMPTY_ROOT
        result = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            result = node_hash(peak, result)
        return result

    def extend(self, leaves: Sequence[bytes]) -> Frontier:
        """Return the frontier after appending leaf hashes."""
        return self.extend_with_nodes(leaves)[0]

    def extend_with_nodes(
        self, leaves: Sequence[bytes]
    ) -> tuple[Frontier, list[tuple[int, int, bytes]]]:
        """Append leaf hashes and name the hashes that tiles need.

        Returns:
            The new frontier, and (tile level from 1, index, hash) for every subtree of
            256 to the power of the level that became complete.
        """
        peaks = list(self.peaks)
        nodes: list[tuple[int, int, bytes]] = []
        level, start, current = 0, self.size, list(leaves)
        new: list[bytes] = []
        size = self.size + len(leaves)
        while current or start:
            if current and level and level % TILE_HEIGHT == 0:
                tile_level = level // TILE_HEIGHT
                nodes += [(tile_level, start + i, h) for i, h in enumerate(current)]
            if start % 2:
                # The left half of the first new pair is the smallest old peak.
                current.insert(0, peaks.pop())
                start -= 1
            if len(current) % 2:
                new.append(current.pop())
            current = _pairs(current)
            start //= 2
            level += 1
            if not current and not start:
                break
        # Old peaks that no new pair touched stay in front; new ones were found from the
        # smallest up.
        return Frontier(size, (*peaks, *reversed(new))), nodes

    @classmethod
    def of_hashes(cls, size: int, reader: HashReader) -> Frontier:
        """Read the frontier of a stored tree."""
        return cls(size, tuple(_peaks(0, size, reader)))


class HashReader(Protocol):
    """Reads hashes of complete subtrees."""

    def read(self, level: int, first: int, count: int) -> list[bytes]:
        """Return ``count`` hashes of subtrees of 2**level leaves from ``first``."""
        ...


class ListReader:
    """A reader over leaf hashes in memory."""

    def __init__(self, leaves: Sequence[bytes]):
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_pairs(self._levels[-1]))

    def read(self, level: int, first: int, count: int) -> list[bytes]:
        """Return ``count`` hashes of subtrees of 2**level leaves from ``first``."""
        hashes = self._levels[level][first : first + count]
        if first < 0 or len(hashes) != count:
            raise AssertionError("no hash beyond the size of the tree")
        return hashes


def _peaks(start: int, end: int, reader: HashReader) -> list[bytes]:
    """Return the hashes of the maximal aligned subtrees of [start, end)."""
    hashes = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        hashes += reader.read(level, start >> level, 1)
        start += 1 << level
    return hashes


def _subtree(start: int, end: int, reader: HashReader) -> bytes:
    """Return the hash of the RFC 6962 subtree over [start, end)."""
    peaks = _peaks(start, end, reader)
    result = peaks[-1]
    for peak in reversed(peaks[:-1]):
        result = node_hash(peak, result)
    return result


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _are_hashes(*hashes: bytes) -> bool:
    # Another length would move the border between left and right inside a node.
    return all(len(h) == 32 for h in hashes)


def prove_inclusion(index: int, size: int, reader: HashReader) -> list[bytes]:
    """Return the path from leaf ``index`` in the tree of ``size`` leaves.

    Raises:
        ProofError: There is no such leaf.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no entry {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(middle, end, reader))
            end = middle
        else:
            path.append(_subtree(start, middle, reader))
            start = middle
    return path[::-1]


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that ``leaf`` (a leaf hash) is at ``index`` of the tree.

    Raises:
        ProofError: It is not, or the proof has another shape.
    """
    if not 0 <= index < size or not _are_hashes(leaf, *proof):
        raise ProofError("the inclusion proof cannot be of this tree")
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    if last or result != root:
        raise ProofError("the inclusion proof does not lead to the root")


def prove_consistency(old: int, new: int, reader: HashReader) -> list[bytes]:
    """Return the proof that the tree of ``new`` leaves extends that of ``old``.

    Raises:
        ProofError: ``old`` is 0, where there is nothing to prove, or above ``new``.
    """
    hashes = prove_roots(old, new, reader)
    # SPEC: RFC 6962 section 2.1.2: the old root itself is left out when it is a node,
    # which it is when the old size is a power of two or the new one.
    return hashes[1:] if old == new or _is_power(old) else hashes


def prove_roots(old: int, new: int, reader: HashReader) -> list[bytes]:
    """Return the hashes from which both roots follow.

    They are those of the consistency proof, led by the hash of the old tree's rightmost
    complete subtree in any case.

    Args:
        old: The size of the smaller tree, at least 1.
        new: The size of the larger tree.
        reader: The hashes of the larger tree.

    Raises:
        ProofError: ``old`` is 0 or above ``new``.
    """
    if not 0 < old <= new:
        raise ProofError("a consistency proof starts from a size of at least 1")
    path: list[bytes] = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_subtree(middle, end, reader))
            end = middle
        else:
            path.append(_subtree(start, middle, reader))
            start = middle
    path.append(_subtree(start, end, reader))
    return path[::-1]


def _is_power(size: int) -> bool:
    return size & (size - 1) == 0


def roots_of_consistency(
    old: int, new: int, hashes: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return the roots at both sizes that the hashes of both roots yield.

    Raises:
        ProofError: The list does not have the shape of hashes between these sizes.
    """
    if not 0 < old < new or not hashes or not _are_hashes(*hashes):
        raise ProofError("the consistency proof cannot be of these trees")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("the consistency proof is too short")
    return first, second


def check_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of ``new`` leaves extends the tree of ``old`` leaves.

    Raises:
        ProofError: It does not, or the proof has another shape.
    """
    if old == new:
        # Every tree extends the empty one, so there is nothing to prove about it.
        if old < 1 or proof or old_root != new_root:
            raise ProofError("trees of one size are the same tree or a fork")
        return
    hashes = [old_root, *proof] if _is_power(old) else proof
    if roots_of_consistency(old, new, hashes) != (old_root, new_root):
        raise ProofError("the consistency proof does not lead to both roots")
