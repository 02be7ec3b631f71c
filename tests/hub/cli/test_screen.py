"""Screening on the command line: what matched, how it is written, and how it goes on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub import screening
from hub.cli import hub
from hub.cli.results import COLUMNS
from hub.errors import ConfigError, UnavailableError
from tests.hub.cli.conftest import SELLERS


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def screen(market, *words, status=3):
    out = market("screen", market.sellers, "--ref", "seller", *words, status=status)
    return lines(out)


def test_every_row_has_one_result_of_the_documented_shape(market):
    results = screen(market)
    assert [(r["row"], r["ref"], r["match"]) for r in results] == [
        (2, "S-1", "exact"),
        (3, "S-2", "site"),
        (4, "S-3", "exact"),
        (5, "S-4", None),
        (6, "S-5", "exact"),
        (7, "S-6", None),
        (8, "=S-7", None),
    ]
    [report] = results[0]["reports"]
    until = report.pop("valid_until")
    assert until.endswith("Z")
    assert results[0] == {
        "row": 2,
        "ref": "S-1",
        "match": "exact",
        "listed_by": ["maison"],
        "disputed": False,
        "reports": [
            {
                "entry": "maison/1",
                "member": "maison",
                "type": "domain",
                "basis": "test-purchase",
                "confidence": 90,
                "goods": [18, 25],
                "first_seen": "2026-01-02",
                "last_seen": "2026-03-04",
            }
        ],
    }
    assert results[3] == {
        "row": 5,
        "ref": "S-4",
        "match": None,
        "listed_by": [],
        "disputed": False,
        "reports": [],
    }
    assert "domain" in results[5]["problem"]


def test_own_reports_come_with_own_references(market):
    [report] = screen(market)[4]["reports"]
    assert (report["member"], report["ref"]) == ("market", "M-1")


def test_only_exact_matches_decide_the_status_unless_asked(market):
    """A looser match is shown as such and counts for nothing by itself."""
    market.sellers.write_text("seller,domain\nS-2,outlet.loose.example\n")
    [result] = screen(market, status=0)
    assert (result["match"], result["listed_by"]) == ("site", ["maison"])
    assert "1 more match loosely" in market.said
    screen(market, "--looser", status=3)


def test_exact_asks_for_exact_tokens_only(market):
    market.sellers.write_text("seller,domain\nS-2,outlet.loose.example\n")
    [result] = screen(market, "--exact", status=0)
    assert result["match"] is None
    market("screen", market.sellers, "--exact", "--looser", status=2)


def test_filters(market):
    sure = screen(market, "--min-confidence", 50)
    assert [r["ref"] for r in sure if r["match"] == "exact"] == ["S-1", "S-5"]
    court = screen(market, "--basis", "court-judgment", status=0)
    assert [r["match"] for r in court if r["match"]] == ["site"]
    both = ("--basis", "court-judgment", "--basis", "automated-detection")
    assert [r["ref"] for r in screen(market, *both) if r["match"]] == ["S-2", "S-3"]
    assert len(screen(market, "--only-matches")) == 4


def test_csv_has_stable_columns_and_a_line_for_each_report(market):
    out = market.folder / "found.csv"
    text = market(
        "screen",
        market.sellers,
        "--ref",
        "seller",
        "--out",
        out,
        as_json=False,
        status=3,
    )
    assert (
        text
        == "3 of 7 rows match. 1 more match loosely only, by a site or a mailbox.\n"
    )
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert COLUMNS[:6] == ("row", "ref", "match", "disputed", "member", "entry")
    assert [r["row"] for r in rows] == ["2", "3", "4", "5", "6", "7", "8"]
    assert (rows[0]["goods"], rows[0]["first_seen"]) == ("18 25", "2026-01-02")
    assert rows[4]["own_ref"] == "M-1"
    assert rows[3]["entry"] == ""
    assert rows[5]["problem"]
    # A spreadsheet would run a reference that looks like a formula.
    assert rows[6]["ref"] == "'=S-7"


def test_a_table_without_a_terminal_has_one_line_for_each_report(market):
    words = ("screen", market.sellers, "--ref", "seller")
    text = market(*words, as_json=False, status=3)
    heading, first, *_, last = text.splitlines()
    assert heading.split()[:3] == ["row", "ref", "match"]
    assert "S-1" in first
    assert "test-purchase" in first
    assert "maison/1" in first
    assert last.startswith("3 of 7 rows match.")
    assert len(text.splitlines()) == 1 + 7 + 1


def test_it_goes_on_at_a_row(market):
    """What was written stays, and the rest is added without a second heading."""
    whole, out = market.folder / "whole.csv", market.folder / "parts.csv"
    words = ("screen", market.sellers, "--ref", "seller", "--out")
    market(*words, whole, as_json=False, status=3)
    text = SELLERS.splitlines(keepends=True)
    market.sellers.write_text("".join(text[:4]))
    market(*words, out, as_json=False, status=3)
    market.sellers.write_text(SELLERS)
    market(*words, out, "--from-row", 5, as_json=False, status=3)
    assert out.read_bytes() == whole.read_bytes()


def test_without_the_node_it_says_how_to_go_on(market, monkeypatch):
    """The rows before the one that needs a token are whole and stand."""
    monkeypatch.setattr(screening, "PART", 2)
    market.sellers.write_text(SELLERS + "S-8,never-asked.example\n")
    words = ("--json", "screen", str(market.sellers), "--ref", "seller")
    done = CliRunner().invoke(hub, ["--dir", str(market.folder), *words])
    assert isinstance(done.exception, UnavailableError)
    assert [r["row"] for r in lines(done.stdout)] == [2, 3, 4, 5, 6, 7]
    assert "--from-row 8" in done.exception.advice
    assert "cached" in done.exception.advice


def test_the_estimate_counts_distinct_tokens_and_asks_nobody_for_any(market):
    """Twice the same shop is one token; cached ones cost nothing."""
    market.sellers.write_text(
        SELLERS
        + "S-8,new.example\nS-9,www.new.example\nS-10,sub.new.example\n"
        + "S-11,new-too.example\n"
    )
    body = json.loads(market("screen", market.sellers, "--estimate"))
    assert body["rows"] == 11
    # new.example and its site, sub.new.example, new-too.example and its site.
    assert body["tokens"] == {"open": 5}
    assert body["cached"] > 0
    assert (body["quota"], body["rate"], body["seconds"]) == (None, None, None)
    assert "not known" in market.said
    exact = json.loads(market("screen", market.sellers, "--estimate", "--exact"))
    assert exact["tokens"] == {"open": 3}
    text = market("screen", market.sellers, "--estimate", as_json=False)
    assert "11 rows need 5 tokens" in text


def test_lookup_says_what_matched(market):
    out = market("lookup", "--type", "domain", text="fake-bags.example\n", status=3)
    [result] = lines(out)
    assert (result["match"], result["listed_by"]) == ("exact", ["maison"])
    [looser] = lines(
        market("lookup", "--type", "domain", text="outlet.loose.example\n")
    )
    assert looser["match"] == "site"


def test_a_file_that_cannot_be_written(market):
    with pytest.raises(ConfigError, match="cannot be written"):
        market("screen", market.sellers, "--out", market.folder / "no" / "x.csv")


def test_columns_of_the_csv_are_documented():
    text = (Path(__file__).parents[3] / "docs" / "commands.md").read_text()
    assert ", ".join(f"`{c}`" for c in COLUMNS) in text.replace("\n", " ")
