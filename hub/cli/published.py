"""How publishing tells what it did, or would do: numbers for scripts and for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hub.publishing import Outcome
from hub.publishing.rehearsal import Rehearsal
from hub.publishing.rows import Job, Verdict

__all__ = [
    "counted",
    "published_body",
    "published_text",
    "rehearsed_body",
    "rehearsed_text",
]

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


def counted(count: int, what: str) -> str:
    """Return a number of things: ``1 case``, ``2 cases``, ``3 batches``."""
    if count == 1:
        return f"1 {what}"
    plural = {"entry": "entries", "batch": "batches"}.get(what, f"{what}s")
    return f"{count} {plural}"


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
    outcome: Outcome, job: Job, resumed: int, waiting: int, needed: int
) -> Iterator[str]:
    """Yield lines for a person; ``needed`` nodes beside the home make the quorum."""
    if resumed:
        yield f"Sent {counted(resumed, 'batch')} that an earlier run had left."
    numbers = _numbers(outcome)
    how = _said(numbers, *_SENT)
    cases = sum(numbers[n] for n in _SENT)
    if cases:
        sizes = counted(outcome.entries, "entry"), counted(outcome.batches, "batch")
        yield f"Published {counted(cases, 'case')} in {sizes[0]} and {sizes[1]}: {how}."
    else:
        yield "Nothing in the file is new or changed."
    if outcome.receipt and needed:
        yield _vouched(outcome.receipt["witnessed"], needed)
    yield from _left_out(numbers)
    if job.replace:
        gone = counted(len(outcome.withdrawn), "case")
        yield f"Withdrew {gone} that the list {job.list!r} no longer has."
    if job.replace and outcome.first_run:
        yield (
            f"The list {job.list!r} was not published before; if it had another name, "
            "say it with --list."
        )
    if waiting:
        yield f"{counted(waiting, 'batch')} to be sent by the next run."


def _vouched(witnessed: int, needed: int) -> str:
    if witnessed >= needed:
        return f"Cosigned by {counted(witnessed, 'node')}; the quorum is {needed}."
    return (
        f"Cosigned by {counted(witnessed, 'node')} of the {needed} of the quorum so "
        "far; other members see it once the rest did."
    )


def _left_out(numbers: dict[str, int]) -> Iterator[str]:
    if left := _said(numbers, "unchanged", "repeated"):
        yield f"Left out: {left}."
    if numbers["left_withdrawn"]:
        rows = counted(numbers["left_withdrawn"], "row")
        yield f"Left withdrawn: {rows} of cases that you withdrew; or say --again."


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
    yield f"Would publish {counted(cases, 'case')}{': ' if how else ''}{how}."
    yield from _left_out(numbers)
    if job.replace:
        gone = counted(len(outcome.withdrawn), "case")
        yield f"Would withdraw {gone} that the list {job.list!r} no longer has."
    for what, counter in (("Entries", found.kinds), ("Reports", found.types)):
        parts = ", ".join(f"{n} {name}" for name, n in sorted(counter.items()))
        yield f"{what}: {parts or 'none'}."
    for name, count in sorted(found.wanted.items()):
        rest = None if left is None else left.get(name.rpartition("-")[0])
        quota = "quota not known" if rest is None else f"{rest} left in the quota"
        yield f"Tokens to ask for under {name}: {count} ({quota})."
    yield f"Batches: {outcome.batches}. The first entries, without token and salt:"
    yield from (json.dumps(entry) for entry in found.first)
