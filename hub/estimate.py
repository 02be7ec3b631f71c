"""What screening a file would take: tokens by class, time, and share of the quota."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hub.interop.tables import Row
from hub.screening import forms_of
from hub.store.tally import Tally
from hub.tokens import Tokenizer

__all__ = ["Estimate", "Rest", "count", "rests"]

PART = 2000
Usage = Callable[[str], dict[str, Any]]
"""Asks a node by name for ``GET /v1/usage``."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of the quota of one class at a node, and what a day has."""

    left: int
    quota: int

    def days(self, needed: int) -> int:
        """Return on how many days a number of tokens can be asked for."""
        beyond = needed - self.left
        if beyond <= 0:
            return 1
        # Today's rest is one day, unless nothing of it is left.
        return bool(self.left) + math.ceil(beyond / max(self.quota, 1))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What screening would take."""

    rows: int
    tokens: dict[str, int]
    cached: int


def count(tokenizer: Tokenizer, rows: Iterable[Row], *, looser: bool) -> Estimate:
    """Count the tokens that screening would ask for; nothing is sent.

    Args:
        tokenizer: Knows which tokens are cached.
        rows: The rows of a file.
        looser: Whether looser forms would be asked for too.
    """
    number, left = 0, iter(rows)
    with closing(Tally()) as needed, closing(Tally()) as known:
        while part := list(islice(left, PART)):
            number += len(part)
            forms = (f for row in part for f in forms_of(row, looser=looser))
            for key, (missing, cached) in tokenizer.handles(forms).items():
                needed.add(key.token_class, missing)
                known.add(key.token_class, cached)
        return Estimate(number, needed.counts(), sum(known.counts().values()))


def rests(
    tokenizer: Tokenizer, classes: Iterable[str], usage: Usage
) -> dict[str, Rest]:
    """Return the rest of each class's quota, at the node where least is left.

    Raises:
        HubError: A node that would be asked for tokens does not answer.
    """
    result = {}
    for token_class in classes:
        key = tokenizer.key_of(token_class)
        found = [
            _rest(usage(node)[token_class])
            for node, _, _ in key.shares[: key.threshold]
        ]
        result[token_class] = min(found, key=lambda rest: rest.left)
    return result


def _rest(usage: dict[str, Any]) -> Rest:
    quota = int(usage["quota"])
    return Rest(max(quota - int(usage["used"]), 0), quota)
