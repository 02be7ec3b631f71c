"""How publishing tells what it did, or would do: numbers for scripts and for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hub.publishing import Outcome
from hub.publishing.rehearsal import Rehearsal
from hub.publishing.rows import Job, Verdict

__all__ = ["published_body", "published_text", "rehearsed_body", "rehearsed_text"]

_SENT = ("new", "changed", "renewed", "restored")


def _numbers(outcome: Outcome) -> dict[str, int]:
    counts = outcome.counts
    return {
        "new": counts[Verdict.NEW],
        "changed": counts[Verdict.CHANGED],
        "renewed": counts[Verdict.RENEWED],
        "restored": counts[Verdict.RESTORED],
        "unchanged": counts[Verdict.UNCHANGED],
        "repeated": counts[Verdict.REPEATED],
        "left_withdrawn": counts[Verdict.WITHDRAWN],
    }


def _said(numbers: dict[str, int], *names: str) -> str:
    return ", ".join(f"{numbers[n]} {n}" for n in names if numbers[n])


def published_body(outcome: Outcome, resumed: int, waiting: int) -> dict[str, Any]:
    """Return the fields that stand beside the rows.

    Args:
        outcome: What became of the file.
        resumed: Batches of earlier runs that were sent first.
        waiting: Batches that wait for the hub.
    """
    gone = [{"case": c.case, "ref": c.ref} for c in outcome.withdrawn]
    return {
        "receipt": outcome.receipt,
        **_numbers(outcome),
        "withdrawn": gone,
        "entries": outcome.entries,
        "batches": outcome.batches,
        "resumed": resumed,
        "waiting": waiting,
    }


def published_text(
    outcome: Outcome, job: Job, resumed: int, waiting: int
) -> Iterator[str]:
    """Yield lines for a person."""
    if resumed:
        yield f"Sent {resumed} batches that an earlier run had left."
    numbers = _numbers(outcome)
    how = _said(numbers, *_SENT)
    cases = sum(numbers[n] for n in _SENT)
    yield (
        f"Published {cases} cases in {outcome.entries} entries and {outcome.batches} "
        f"batches{': ' if how else ''}{how}."
    )
    yield from _left_out(numbers)
    if job.replace:
        yield (
            f"Withdrew {len(outcome.withdrawn)} cases that the list {job.list!r} "
            "no longer has."
        )
    if waiting:
        yield f"{waiting} batches wait for the hub; the next run sends them."


def _left_out(numbers: dict[str, int]) -> Iterator[str]:
    if left := _said(numbers, "unchanged", "repeated"):
        yield f"Left out: {left}."
    if numbers["left_withdrawn"]:
        yield (
            f"{numbers['left_withdrawn']} rows are of cases that you withdrew; "
            "--again publishes them."
        )


def rehearsed_body(
    outcome: Outcome, found: Rehearsal, left: dict[str, int] | None
) -> dict[str, Any]:
    """Return what would be sent; ``left`` is the quota by class, if it is known."""
    gone = [{"case": c.case, "ref": c.ref} for c in outcome.withdrawn]
    return {
        **_numbers(outcome),
        "withdrawn": gone,
        "batches": outcome.batches,
        "entries": dict(found.kinds),
        "types": dict(found.types),
        "classes": dict(found.classes),
        "tokens": dict(found.wanted),
        "quota_left": left,
        "first": found.first,
    }


def rehearsed_text(
    outcome: Outcome, job: Job, found: Rehearsal, left: dict[str, int] | None
) -> Iterator[str]:
    """Yield lines for a person."""
    numbers = _numbers(outcome)
    cases = sum(numbers[n] for n in _SENT)
    how = _said(numbers, *_SENT)
    yield f"Would publish {cases} cases{': ' if how else ''}{how}."
    yield from _left_out(numbers)
    if job.replace:
        yield f"Would withdraw {len(outcome.withdrawn)} cases: no longer in the list."
    for what, counter in (("Entries", found.kinds), ("Reports", found.types)):
        parts = ", ".join(f"{n} {name}" for name, n in sorted(counter.items()))
        yield f"{what}: {parts or 'none'}."
    for name, count in sorted(found.wanted.items()):
        rest = None if left is None else left.get(name.rpartition("-")[0])
        quota = "quota not known" if rest is None else f"{rest} left in the quota"
        yield f"Tokens to ask for under {name}: {count} ({quota})."
    yield f"Batches: {outcome.batches}. The first entries, without token and salt:"
    yield from (json.dumps(entry) for entry in found.first)
