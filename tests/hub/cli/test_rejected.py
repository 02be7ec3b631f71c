"""Rejected rows go beside their source, or into the folder, and nobody's work is lost."""

from __future__ import annotations

import csv
import stat

from hub.cli.rejected import Rejected, Spool
from hub.interop.tables import Row


def rejected(*rows):
    made = Rejected()
    for number, cells in rows:
        made.add(Row(number, cells=cells), "is wrong")
    return made


def test_a_long_list_is_read_again_and_again():
    spool = Spool()
    for number in range(1000):
        spool.add({"n": number})
    assert [x["n"] for x in spool] == list(range(1000))
    spool.add({"n": 1000})
    assert len(list(spool)) == spool.count == 1001


def test_headings_that_repeat_keep_their_number(tmp_path, ledger):
    """A JSON list is several cells of one heading; rows may have different headings."""
    rows = (
        (2, [("domain", "a"), ("domain", "b")]),
        (5, [("email", "x"), ("domain", "c")]),
    )
    source = tmp_path / "cases.jsonl"
    source.write_text("")
    place = rejected(*rows).write(source, tmp_path, ledger)
    assert list(csv.reader(place.read_text().splitlines())) == [
        ["row", "reason", "domain", "domain", "email"],
        ["2", "is wrong", "a", "b", ""],
        ["5", "is wrong", "c", "", "x"],
    ]


def test_who_can_read_the_source_can_read_its_rejected_rows(tmp_path, ledger):
    source = tmp_path / "cases.csv"
    source.write_text("")
    source.chmod(0o600)
    place = rejected((2, [])).write(source, tmp_path, ledger)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".*"))


def test_where_nothing_can_be_written_the_folder_takes_them(tmp_path, ledger):
    """A share may be read-only, and a pipe has no neighbours."""
    source = tmp_path / "absent" / "cases.csv"
    place = rejected((2, [])).write(source, tmp_path, ledger)
    assert place == tmp_path / "cases.csv.rejected.csv"
    assert rejected().write(source, tmp_path, ledger) is None
    assert place.exists()
    assert rejected().write(tmp_path / "cases.csv", tmp_path, ledger) is None
    assert not place.exists()
