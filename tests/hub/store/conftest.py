"""Every test that asks for ``store`` runs on each backend: the contract is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.store.base import Store
from hub.store.memory import MemoryStore
from hub.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Return an empty store of each kind."""
    made: Store
    if request.param == "memory":
        made = MemoryStore()
    else:
        made = SqliteStore(tmp_path / "hub.db", create=True)
    yield made
    made.check()
    made.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteStore]:
    """Return an empty store in a file."""
    made = SqliteStore(tmp_path / "hub.db", create=True)
    yield made
    made.close()
