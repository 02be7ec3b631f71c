"""Lists of real fake shops, published as they are to a real node."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hub.interop.tables import Options, read_rows
from hub.interop.warninglists import guard

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real input stands beside the project and is absent"
)


@needs_data
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("fake_shops_jp_exoego.txt", 3_000),
        ("scam_shops_durablenapkin_hosts.txt", 9_900),
    ],
)
def test_a_real_list_as_it_is(alliance, name, least):
    """Every unusable line is named, and variants of one host are one entry."""
    file = alliance.folder / name
    file.write_bytes((DATA / name).read_bytes())
    held = guard(())
    usable, unusable = {}, []
    with file.open("rb") as stream:
        for row in read_rows(stream, name, Options()):
            if row.problem or any(held(*i) for i in row.identifiers):
                unusable.append(row.number)
            else:
                usable.setdefault(frozenset(row.identifiers), row.number)
    assert len(usable) > least
    assert unusable

    [done] = alliance.hub("maison", "publish", file, status=4)
    assert [r["row"] for r in done["rejected"]] == unusable
    assert all(r["reason"] for r in done["rejected"])
    assert [r["row"] for r in done["rows"]] == sorted(usable.values())
    assert all(len(r["entries"]) == 1 for r in done["rows"])
    assert done["batches"] == 1
    assert done["entries"] == len(usable)
    rejected = list(csv.reader(Path(f"{file}.rejected.csv").read_text().splitlines()))
    assert [int(r[0]) for r in rejected[1:]] == unusable

    alliance.hub("maison", "pull")
    [found] = alliance.hub("maison", "reports", "--mine")
    assert len(found["reports"]) == len(usable)
    [again] = alliance.hub("maison", "publish", file, status=4)
    assert (again["rows"], again["unchanged"]) == ([], len(usable))
    assert again["repeated"] == done["repeated"]
    # A list with lines that never were usable can still be replaced.
    lines = file.read_bytes().splitlines(keepends=True)
    first = min(usable.values())
    file.write_bytes(b"".join(lines[: first - 1] + lines[first:]))
    [less] = alliance.hub("maison", "publish", file, "--replace", status=4)
    assert len(less["withdrawn"]) <= 1
    alliance.hub("auditor1", "pull")
    assert alliance.hub("auditor1", "audit")[0]["ok"]
