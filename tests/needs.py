"""What a test needs of its machine: in CI a missing component fails, elsewhere it skips."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["missing"]


def missing(what: str) -> NoReturn:
    """Skip visibly, or fail in CI, where everything that a test needs is there."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: {what}")
    pytest.skip(what)
