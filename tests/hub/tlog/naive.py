"""The trees of RFC 6962 section 2.1 as its recursive definitions say, and no faster.

Nothing here is shared with ``hub.tlog``, so that both can only agree by being right.
"""

from __future__ import annotations

import hashlib


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


class Naive:
    """The trees over the prefixes of a list of items."""

    def __init__(self, items):
        self.items = list(items)
        self.leaves = [sha256(b"\x00" + item) for item in self.items]
        self._known = {}

    def mth(self, a, b):
        """MTH(D[a:b])."""
        if (a, b) not in self._known:
            if a == b:
                found = sha256(b"")
            elif b - a == 1:
                found = self.leaves[a]
            else:
                k = a + split(b - a)
                found = sha256(b"\x01" + self.mth(a, k) + self.mth(k, b))
            self._known[a, b] = found
        return self._known[a, b]

    def root(self, n):
        return self.mth(0, n)

    def path(self, m, a, b):
        """PATH(m, D[a:b]), with m counted from a."""
        if b - a == 1:
            return []
        k = split(b - a)
        if m < k:
            return [*self.path(m, a, a + k), self.mth(a + k, b)]
        return [*self.path(m - k, a + k, b), self.mth(a, a + k)]

    def inclusion(self, m, n):
        return self.path(m, 0, n)

    def subproof(self, m, a, b, complete):
        """SUBPROOF(m, D[a:b], complete), with m counted from a."""
        if m == b - a:
            return [] if complete else [self.mth(a, b)]
        k = split(b - a)
        if m <= k:
            return [*self.subproof(m, a, a + k, complete), self.mth(a + k, b)]
        return [*self.subproof(m - k, a + k, b, False), self.mth(a, a + k)]

    def consistency(self, m, n):
        return self.subproof(m, 0, n, True)

    def both_roots(self, m, n):
        """The consistency proof that always begins with a node of the old tree."""
        return self.subproof(m, 0, n, False)


def items(count, forged_from=None):
    """Return items 0 to ``count``; from ``forged_from`` on they are other ones."""
    stop = count if forged_from is None else min(forged_from, count)
    honest = [b"item %d" % i for i in range(stop)]
    return honest + [b"forged %d" % i for i in range(stop, count)]
