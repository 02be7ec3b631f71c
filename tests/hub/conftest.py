"""The node that the tests of the HTTP interface ask."""

from __future__ import annotations

import pytest

from tests.hub.api.served import Served


@pytest.fixture
def served(harmed):
    node = Served(harmed)
    yield node
    node.close()
