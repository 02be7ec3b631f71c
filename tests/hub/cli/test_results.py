"""Results in a table: aligned, wrapped to the terminal, and never steering it."""

from __future__ import annotations

import io

import pytest

from hub.cli.results import Table

REPORT = {
    "entry": "maison/1234",
    "member": "maison",
    "type": "domain",
    "basis": "open-source-investigation",
    "confidence": 80,
    "goods": [9, 18, 25],
    "valid_until": "2027-11-24T08:00:00Z",
}


def result(row, *reports, **more):
    found = {
        "row": row,
        "ref": f"S-{row}",
        "match": "exact" if reports else None,
        "listed_by": sorted({r["member"] for r in reports}),
        "disputed": False,
        "reports": list(reports),
    }
    return {**found, **more}


def table(*results, width=None):
    stream = io.StringIO()
    writer = Table(stream, width)
    for one in results:
        writer.write(one)
    writer.close()
    return stream.getvalue().splitlines()


def test_columns_are_aligned():
    lines = table(result(2, REPORT), result(1000))
    assert len(lines) == 3
    for name, value in (("ref", "S-2"), ("basis", "open-"), ("until", "2027-")):
        assert lines[0].index(name) == lines[1].index(value)
    assert lines[2].split() == ["1000", "S-1000", "-"]


def test_a_row_with_several_reports_is_named_once():
    other = {**REPORT, "member": "market", "entry": "market/7"}
    lines = table(result(2, REPORT, other, disputed=True))
    assert "exact (disputed)" in lines[1]
    assert "S-2" not in lines[2]
    assert "market/7" in lines[2]


@pytest.mark.parametrize("width", [76, 80, 100, 120, 200])
def test_it_fits_the_terminal_and_loses_nothing(width):
    long = result(2, REPORT, ref="a long reference of somebody else's")
    lines = table(long, width=width)
    assert max(map(len, lines)) <= width
    start = lines[0].index("basis")
    end = lines[0].index("conf")
    basis = "".join(line[start:end].strip() for line in lines[1:])
    assert basis == "open-source-investigation"
    assert sum("2027-11-24" in line for line in lines) == 1


def test_what_is_wrong_with_a_row_has_the_rest_of_the_line():
    bad = result(2, problem="domain is not a host name, whatever else it may be")
    assert table(bad)[1].split("  ")[-1] == bad["problem"]
    lines = table(bad, result(3, REPORT), width=80)
    assert max(map(len, lines)) <= 80
    assert any("host name, whatever else" in line for line in lines)


def test_a_terminal_that_is_too_narrow_still_gets_everything():
    lines = table(result(2, REPORT), width=20)
    assert "maison" in "".join(line.replace(" ", "") for line in lines)


def test_widths_are_those_of_the_first_rows_and_memory_stays_flat():
    stream = io.StringIO()
    writer = Table(stream)
    for row in range(199):
        writer.write(result(row, REPORT))
    assert stream.getvalue() == ""
    writer.write(result(199, REPORT))
    assert len(stream.getvalue().splitlines()) == 201
    writer.write(result(200, {**REPORT, "entry": "maison/12345678901"}))
    assert writer._kept == []
    assert "maison/12345678901"[:11] in stream.getvalue().splitlines()[-2]


def test_a_reference_cannot_steer_the_terminal():
    [_, line] = table(result(2, REPORT, ref="\x1b[2Jgone\r"))
    assert "\x1b" not in line
    assert "\r" not in line


def test_nothing_is_nothing():
    assert table() == []
