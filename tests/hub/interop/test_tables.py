"""Members' files are read as they are, and bad rows keep their number and a reason."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest

from hub.errors import MalformedError
from hub.interop.tables import Options, Row, read_rows, write_rejected

DATA = Path(__file__).parents[4] / "shared" / "data"


def read(data: bytes | str, name: str = "f.csv", **options) -> list[Row]:
    raw = data.encode() if isinstance(data, str) else data
    return list(read_rows(io.BytesIO(raw), name, Options(**options)))


@pytest.fixture
def basis():
    from schemas.entry import BASES

    return BASES[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_usual_export_gives_the_same_rows(encoding, delimiter, end):
    """Byte order marks, separators and line ends change nothing."""
    lines = [["Domain", "confidence"], ["shop.example", "90"], ["b.example", "80%"]]
    text = "".join(delimiter.join(line) + end for line in lines)
    first, second = read(text.encode(encoding))
    assert first == Row(2, [("domain", "shop.example")], {"confidence": 90})
    assert (second.number, second.context) == (3, {"confidence": 80})


def test_cp1252_is_read_when_it_is_not_utf8():
    [row] = read("domain,brands\nshop.example,Café\n".encode("cp1252"))
    assert row.context == {"brands": ["Café"]}
    [row] = read(b"domain,note\nshop.example,\x81\n")
    assert row.problem == "is neither UTF-8 nor Windows-1252"


def test_a_bad_row_names_column_and_reason_and_others_go_on(basis):
    rows = read(
        "domain,email,confidence,basis\n"
        f"shop.example,nobody,90,{basis}\n"
        f"shop.example,a@shop.example,high,{basis}\n"
        "shop.example,,90,rumour\n"
        ",,,\n"
        ",,5,\n"
        f"shop.example,a@shop.example,90,{basis}\n"
    )
    assert [r.number for r in rows] == [2, 3, 4, 6, 7]
    assert rows[0].problem.startswith("email is not a mail address")
    assert rows[1].problem.startswith("confidence should be a whole number")
    assert rows[2].problem.startswith("basis should be one of")
    assert rows[3].problem == "has no identifier"
    assert rows[4].problem is None
    assert len(rows[4].identifiers) == 2


@pytest.mark.parametrize("text", ["4.91512E+11", "4,91512E+11", "442079460018"])
def test_telephone_numbers_that_a_spreadsheet_damaged_are_rejected(text):
    [row] = read(f"domain;phone\nshop.example;{text}\n")
    assert row.problem.startswith("phone ")


def test_unknown_columns_are_listed_with_the_remedy():
    """Also when the file has no row, or an empty one first."""
    for body in ("", "\n\n", "\nx,y\n"):
        with pytest.raises(MalformedError, match="Foo, Bar") as caught:
            read("Foo,Bar\n" + body)
        assert "--column" in caught.value.advice
    with pytest.raises(MalformedError, match="empty"):
        read("")
    with pytest.raises(MalformedError, match="no column is known"):
        read('{"foo": "bar"}\n', "f.jsonl")


def test_columns_can_be_named_and_must_exist():
    [row] = read("SITE_X,No\nshop.example,7\n", columns={"site_x": "domain"}, ref="no")
    assert (row.identifiers, row.ref) == ([("domain", "shop.example")], "7")
    with pytest.raises(MalformedError, match="no column contact"):
        read("domain\nshop.example\n", columns={"contact": "email"})
    with pytest.raises(MalformedError, match="no column id"):
        read("domain\nshop.example\n", ref="id")


def test_a_heading_that_repeats_loses_no_cell():
    [row] = read("email,email\na@shop.example,b@shop.example\n")
    assert [v for _, v in row.identifiers] == ["a@shop.example", "b@shop.example"]


def test_ragged_rows():
    """Empty cells too many do no harm; others mean that columns have shifted."""
    rows = read("domain,note\nshop.example\nshop.example,a,,\nshop.example,a,b\n")
    assert [bool(r.problem) for r in rows] == [False, False, True]


def test_quoted_line_breaks_keep_the_numbers_right():
    rows = read('domain,note\nshop.example,"a\nb"\nb.example,c\n')
    assert [(r.number, r.context["note"]) for r in rows] == [(2, "a\nb"), (4, "c")]


def test_an_open_quotation_mark_is_reported():
    rows = read('domain,note\nshop.example,"a\n' + "b.example,x\n" * 60)
    assert [r.number for r in rows] == [2]
    assert "quotation mark" in rows[0].problem


def test_a_huge_cell_or_line_costs_its_own_row_only():
    rows = read(f"domain,note\na.example,{'x' * 200_000}\nb.example,y\n")
    assert [bool(r.problem) for r in rows] == [True, False]
    rows = read(f"domain,note\na.example,{'x' * 3_000_000}\nb.example,y\n")
    assert [(r.number, bool(r.problem)) for r in rows] == [(2, True), (3, False)]


def test_excel_separator_lines_are_understood():
    [row] = read("sep=|\ndomain|note\nshop.example|x\n")
    assert (row.number, row.context) == (3, {"note": "x"})


def test_context_of_every_column(basis):
    [row] = read(
        "domain;basis;goods;brands;countries;first_seen;valid_until;tlp;marketplaces\n"
        f"shop.example;{basis};25,18;A|B;de,fr;2026-01-02;2027-01-02;TLP:GREEN;m.example\n"
    )
    assert row.problem is None
    assert row.context == {
        "basis": basis,
        "goods": [25, 18],
        "brands": ["A", "B"],
        "countries": ["DE", "FR"],
        "first_seen": "2026-01-02",
        "valid_until": "2027-01-02T00:00:00Z",
        "tlp": "green",
        "marketplaces": ["m.example"],
    }


@pytest.mark.parametrize(
    ("column", "value"),
    [("goods", "46"), ("goods", "x"), ("countries", "Germany"), ("confidence", "101"),
     ("first_seen", "02.01.2026"), ("tlp", "red"), ("note", "x" * 501)],
)  # fmt: skip
def test_context_that_no_report_may_have_is_a_problem(column, value):
    [row] = read(f"domain;{column}\nshop.example;{value}\n")
    assert row.problem.startswith(column)


def test_json_lines():
    lines = [
        {"domain": ["a.example", "b.example"], "goods": [1, 2], "confidence": 0},
        {"email": "a@shop.example", "note": None, "extra": {"x": 1}},
        {"email": "a@shop.example", "note": "\ud800"},
        [],
    ]
    text = "\n".join(json.dumps(x) for x in lines) + "\n\n{\n" + "[" * 100_000 + "\n"
    rows = read(text, "f.jsonl")
    assert rows[0].identifiers == [("domain", "a.example"), ("domain", "b.example")]
    assert rows[0].context == {"goods": [1, 2], "confidence": 0}
    assert rows[1].problem is None
    assert [r.number for r in rows if r.problem] == [3, 4, 6, 7]


def workbook(*rows) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def test_workbooks():
    seen = datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None)
    data = workbook(
        ["Domain", "confidence", "first seen", "seller"],
        ["shop.example", 90.0, seen, None],
        [None, None],
        ["b.example", 80, seen.replace(hour=9), "market.example:A1"],
        ["c.example", 80, None, 123456789012345000],
    )
    rows = read(data, "F.XLSX")
    assert [r.number for r in rows] == [2, 4, 5]
    assert rows[0].context == {"confidence": 90, "first_seen": "2026-01-02"}
    assert rows[1].context["first_seen"] == "2026-01-02T09:00:00Z"
    assert "lost digits" in rows[2].problem


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"domain\n", workbook()])
def test_what_is_no_workbook(data):
    with pytest.raises(MalformedError):
        read(data, "f.xlsx")


def test_lists_hosts_files_and_patterns():
    text = (
        "# comment\n! comment\n\n0.0.0.0 a.example b.example # both\n"
        "127.0.0.1\twww.c.example\n*://*.d.example/*\n||e.example^\n"
        "||f.example^$third-party\n*://g.example/shop/*\n@@||h.example^\n"
        "127.0.0.1 localhost\n*.i.example\n"
    )
    rows = read(text, "list.txt")
    good = {r.number: [v for _, v in r.identifiers] for r in rows if not r.problem}
    assert good == {
        4: ["a.example", "b.example"],
        5: ["c.example"],
        6: ["d.example"],
        7: ["e.example"],
        8: ["f.example"],
        12: ["i.example"],
    }
    assert [r.number for r in rows if r.problem] == [9, 10, 11]


@pytest.mark.parametrize("start", ["\n", "\n\n", "a\n", "ab\n", ""])
def test_short_first_lines_are_counted(start):
    rows = read(start + "shop.example\n", "list.txt")
    assert (rows[-1].number, rows[-1].problem) == (start.count("\n") + 1, None)


def test_a_list_of_another_type():
    rows = read("a@shop.example\nnobody\n", "l.csv", type="email")
    assert rows[0].identifiers == [("email", "a@shop.example")]
    assert rows[1].problem
    with pytest.raises(MalformedError, match="not an identifier type"):
        read("x\n", "l.txt", type="nothing")


def test_the_file_stays_open_and_is_read_lazily():
    stream = io.BytesIO(("domain\n" + "shop.example\n" * 3).encode("utf-16"))
    next(read_rows(stream, "f.csv", Options()))
    assert not stream.closed


def test_rejected_rows_are_written_without_formulas():
    """Neither a reason nor a cell is one, and the file reads back as it was."""
    out = io.StringIO(newline="")
    cells = [("domain", "@x"), ("phone", "+44 20 7946 0018"), ("phone", "=1+1")]
    rows = [(2, "email is wrong", []), (3, "=cmd() is wrong", cells)]
    write_rejected(out, ["domain", "phone", "phone"], rows)
    assert list(csv.reader(out.getvalue().splitlines())) == [
        ["row", "reason", "domain", "phone", "phone"],
        ["2", "email is wrong", "", "", ""],
        ["3", "'=cmd() is wrong", "'@x", "'+44 20 7946 0018", "'=1+1"],
    ]
    [first, second] = read(out.getvalue())
    assert first.problem == "has no identifier"
    assert second.identifiers == [("phone", "+442079460018")]
    assert second.problem.startswith("domain ")


def test_rows_keep_their_cells():
    """So that a rejected row can be shown as it was."""
    [row] = read("Case;domain\nC-1;nothing here\n", ref="case")
    assert row.cells == [("Case", "C-1"), ("domain", "nothing here")]
    [row] = read("not a host\n", "list.txt")
    assert row.cells == [("domain", "not a host")]


def test_a_row_that_is_damaged_as_a_whole_has_no_reference():
    """Its cells may be those of other columns."""
    [row] = read("Case,domain\nC-1,a.example,more\n", ref="case")
    assert row.problem == "has more cells than the heading"
    assert row.ref is None


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "XLSX"),
        (b"\xd0\xcf\x11\xe0", "old Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"SQLite format 3\x00", "database"),
    ],
)
@pytest.mark.parametrize("name", ["f.csv", "f.tsv", "f.txt", "f.jsonl"])
def test_a_file_of_another_kind_is_named(start, what, name):
    with pytest.raises(MalformedError, match=what) as caught:
        read(start + b"\n" * 50, name)
    assert caught.value.code == "wrong-kind"


def test_a_heading_that_cannot_be_read_is_an_error_and_not_the_next_line():
    with pytest.raises(MalformedError, match="line 1, which should be the heading"):
        read(b"domain" + b" " * 2**20 + b"\na.example\n")
    with pytest.raises(MalformedError, match="neither UTF-8"):
        read(b"domain,\x81\na.example,x\n")


def test_a_very_long_line_costs_no_memory_and_only_itself(tmp_path):
    """100 MB in one line of a list, and the lines around it go on."""
    path = tmp_path / "list.txt"
    with path.open("wb") as file:
        file.write(b"a.example\n")
        for _ in range(100):
            file.write(b"x" * 2**20)
        file.write(b"\nb.example\n")
    with path.open("rb") as stream:
        rows = list(read_rows(stream, path.name, Options()))
    assert [r.problem for r in rows] == [None, "is longer than a mebibyte", None]
    assert rows[2].number == 3


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        ("fake_shops_jp_exoego.txt", 3170),
        ("scam_shops_durablenapkin_hosts.txt", 14_900),
    ],
)
def test_real_lists(name, usable):
    """Nothing crashes, and what cannot be used is reported with its number."""
    if not (DATA / name).exists():
        pytest.skip(f"needs ../shared/data/{name}, which is no part of the project")
    with (DATA / name).open("rb") as stream:
        rows = list(read_rows(stream, name, Options()))
    numbers = [r.number for r in rows]
    assert numbers == sorted(set(numbers))
    assert sum(not r.problem for r in rows) >= usable
    assert all(bool(r.problem) != bool(r.identifiers) for r in rows)
