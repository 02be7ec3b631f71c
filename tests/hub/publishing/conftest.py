"""The desk of a member."""

from __future__ import annotations

import pytest

from tests.hub.publishing.desk import Desk


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    made.ledger.close()
    made.world.store.close()
