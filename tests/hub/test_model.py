"""Times are read in one form, whichever way is the fast one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.errors import MalformedError
from hub.model import parse_time, render_time


def plainly(text):
    """Read a time by the definition: ``strptime``, then render and compare."""
    full = text + "T00:00:00Z" if len(text) == 10 else text
    try:
        moment = datetime.strptime(full, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    seconds = int(moment.timestamp())
    return seconds if render_time(seconds) == full else None


def read(text):
    try:
        return parse_time(text)
    except MalformedError:
        return None


@given(st.integers(0, 253402300799))
def test_what_is_rendered_is_read(seconds):
    assert parse_time(render_time(seconds)) == seconds
    assert parse_time(render_time(seconds)[:10]) == seconds - seconds % 86400


@given(
    st.integers(0, 253402300799).map(render_time),
    st.integers(0, 20),
    st.integers(0, 3),
    st.sampled_from(["", "0", "9", "-", "T", "t", "z", " ", "+", ".5", "+00:00", "٣"]),
)
@example("2026-11-24T08:00:00Z", 19, 1, "+00:00")
@example("0999-11-24T08:00:00Z", 0, 0, "")
@example("2026-W48-2", 0, 0, "")
@example("20261124T080000Z", 0, 0, "")
@example("2026-11-24T08:00:00", 0, 0, "")
@example("2026-11-24T08:00Z", 0, 0, "")
@example("2026-11-24 08:00:00Z", 0, 0, "")
@example("2026-11-24T08:00:60Z", 0, 0, "")
def test_other_forms_are_refused_as_the_definition_refuses_them(text, at, cut, put):
    harmed = text[:at] + put + text[at + cut :]
    assert read(harmed) == plainly(harmed)


@pytest.mark.parametrize("text", ["", "Z", "2026", "2026-02-30", "x" * 20])
def test_nonsense_is_refused(text):
    with pytest.raises(MalformedError, match="not a UTC time"):
        parse_time(text)
