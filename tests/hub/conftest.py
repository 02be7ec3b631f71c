"""What many tests of the hub begin with."""

from __future__ import annotations

from contextlib import closing

import pytest

from hub.store.ledger import Ledger
from tests.hub.api.served import Served
from tests.world import new_world


@pytest.fixture
def served(harmed):
    """The node that the tests of the HTTP interface ask."""
    node = Served(harmed)
    yield node
    node.close()


@pytest.fixture
def world(tmp_path):
    """A store with a registry, a token key and a clock, without any server."""
    made = new_world(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def ledger(tmp_path):
    """An empty ledger."""
    with closing(Ledger(tmp_path / "ledger.db")) as opened:
        yield opened
