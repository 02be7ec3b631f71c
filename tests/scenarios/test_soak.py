"""Nodes are killed, stopped, cut off and restored while members publish.

``make soak`` runs it with 20 nodes for minutes; ``make test`` with a few for seconds.
"""

from __future__ import annotations

import os

import pytest

from tests.soaking import Soak

NODES = int(os.environ.get("SOAK_NODES", "3"))
SECONDS = int(os.environ.get("SOAK_SECONDS", "12"))
SEED = int(os.environ.get("SOAK_SEED", "1"))


@pytest.mark.slow
@pytest.mark.timeout(600 + 30 * NODES + 3 * SECONDS)
def test_nothing_acknowledged_is_lost_and_nobody_is_blamed(tmp_path):
    """Whatever happens to single nodes, they meet again and audit clean."""
    soak = Soak(tmp_path, NODES, SEED)
    try:
        soak.run(SECONDS)
        soak.settle()
        soak.check()
    finally:
        soak.close()
    print(f"{len(soak.acknowledged)} of {soak.sent} batches; {soak.happened}")
    assert soak.acknowledged
