"""Memory of screening does not grow with the file."""

from __future__ import annotations

import pytest

from bench import sellers


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_times_as_many_rows_take_no_more_memory(tmp_path):
    """Real processes over 3,000 and 30,000 rows, whose tokens are cached."""
    figures = []
    sellers.measure(tmp_path / "sellers", figures.append, sellers=30_000)
    memory = figures[0]
    assert memory.value - memory.ceiling < 25, memory
