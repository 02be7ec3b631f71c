"""What a check found, in the words that a person and a script get."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Check", "State", "is_well", "ok", "skipped", "warning", "wrong"]

State = Literal["ok", "warning", "wrong", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        name: What it was, one stable word.
        state: How it is.
        detail: What was seen.
        advice: What to do about it.
    """

    name: str
    state: State
    detail: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON form."""
        return {
            "check": self.name,
            "state": self.state,
            "detail": self.detail,
            "advice": self.advice,
        }

    def render(self) -> list[str]:
        """Return lines for a person."""
        mark = {"ok": "ok", "warning": "WARNING", "wrong": "WRONG", "skipped": "-"}
        lines = [f"{mark[self.state]:8}{self.name}: {self.detail}"]
        return [*lines, f"{'':8}{self.advice}"] if self.advice else lines


def ok(name: str, detail: str) -> Check:
    """Return a check that found nothing to do."""
    return Check(name, "ok", detail)


def warning(name: str, detail: str, advice: str) -> Check:
    """Return a check after which somebody should look."""
    return Check(name, "warning", detail, advice)


def wrong(name: str, detail: str, advice: str) -> Check:
    """Return a check that found a fault."""
    return Check(name, "wrong", detail, advice)


def skipped(name: str, detail: str) -> Check:
    """Return a check that could not be made, and why."""
    return Check(name, "skipped", detail)


def is_well(checks: Iterable[Check]) -> bool:
    """Tell whether no check found a fault."""
    return all(check.state != "wrong" for check in checks)
