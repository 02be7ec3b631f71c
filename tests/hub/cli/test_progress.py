"""The bar says share, rate and remaining time on a terminal, and nothing elsewhere."""

from __future__ import annotations

import io

import pytest

from hub.cli.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Ticks:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_share_rate_and_time_left():
    clock, stream = Ticks(), Terminal()
    bar = Progress("pulling", "entries", 1000, stream, clock)
    clock.now = 10
    bar.advance(250)
    shown = stream.getvalue().rpartition("\r")[2]
    assert "[######..................]  25%" in shown
    assert "25 entries/s" in shown
    assert "30 s left" in shown


def test_without_a_total_it_counts():
    clock, stream = Ticks(), Terminal()
    bar = Progress("screening", "rows", stream=stream, clock=clock)
    clock.now = 2
    bar.advance(5000)
    assert "screening  5,000 rows  2,500 rows/s" in stream.getvalue()


def test_it_draws_at_most_ten_times_a_second_and_leaves_no_trace():
    clock, stream = Ticks(), Terminal()
    with Progress("screening", "rows", stream=stream, clock=clock) as bar:
        for _ in range(1000):
            clock.now += 0.001
            bar.advance()
    assert stream.getvalue().count("screening") <= 11
    assert stream.getvalue().endswith(" \r")


def test_the_next_piece_of_work_has_a_rate_of_its_own():
    clock, stream = Ticks(), Terminal()
    bar = Progress("pulling", "entries", stream=stream, clock=clock)
    clock.now = 10
    bar.reach(1000, 1000)
    bar.begin("market")
    clock.now = 20
    bar.reach(20, 40)
    assert bar.rate == pytest.approx(2)
    assert "market" in stream.getvalue()
    assert "50%" in stream.getvalue()


def test_it_is_silent_where_nobody_looks():
    stream = io.StringIO()
    with Progress("pulling", "entries", 10, stream) as bar:
        bar.advance(10)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (200, "3 min 20 s"),
        (3600, "1 h 00 min"),
        (9_000_000, "2,500 h 00 min"),
        (-3, "0 s"),
    ],
)
def test_durations_for_a_person(seconds, text):
    assert duration(seconds) == text
