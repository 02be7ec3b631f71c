"""The lines of reports, as members write them."""

from __future__ import annotations

from hub.publishing.lines import report_line
from schemas.plain import plain_report


def test_what_is_published_is_recognised_at_a_glance():
    """Mirrors read plain reports fast, so their fields stand in the schema's order."""
    fields = {
        "countries": ["FR"],
        "goods": [18, 25],
        "first_seen": "2026-11-24",
        "type": "domain",
        "key": "open-1",
        "valid_until": "2027-01-01T00:00:00Z",
        "case": "abcdefghijklmnop",
        "confidence": 50,
        "basis": "test-purchase",
    }
    found = plain_report(report_line(fields, bytes(32), 1_800_000_000))
    assert found is not None
    assert (found.type, found.goods) == ("domain", "18,25")
