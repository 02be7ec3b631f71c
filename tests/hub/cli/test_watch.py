"""The watch list on the command line, and how its alerts read."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from hub.cli import hub
from hub.cli.alerting import sentence
from hub.errors import RefusedError, UnavailableError


def add(market, *words, status=4):
    out = market(
        "watch", "add", market.sellers, "--ref", "seller", *words, status=status
    )
    return json.loads(out)


def pull(market, *, as_json=True):
    """Pull from the node, which is away: alerts need none."""
    words = ["--dir", str(market.folder), *(["--json"] if as_json else []), "pull"]
    done = CliRunner().invoke(hub, words)
    assert isinstance(done.exception, UnavailableError), done.output
    return json.loads(done.stdout)["alerts"] if as_json else done.stdout


def test_adding_names_what_cannot_be_read_and_adding_again_changes_nothing(market):
    first = add(market)
    assert (first["watched"], first["added"]) == (6, 6)
    assert [r["row"] for r in first["rejected"]] == [7]
    again = add(market)
    assert (again["watched"], again["added"]) == (6, 0)


def test_the_list_says_what_is_watched_and_what_is_reported(market):
    add(market)
    pull(market)
    out = market("watch", "list")
    sellers = {s["ref"]: s for s in map(json.loads, out.splitlines())}
    assert sellers["S-1"] == {
        "ref": "S-1",
        "tokens": {"domain": 1},
        "listed": 1,
        "outdated": False,
    }
    assert sellers["S-4"]["listed"] == 0
    text = market("watch", "list", as_json=False)
    assert "S-1" in text
    assert "reported once" in text
    assert text.splitlines()[-1] == "6 sellers are watched."


def test_removed_sellers_are_forgotten(market):
    add(market)
    assert json.loads(market("watch", "remove", "S-1", "S-3")) == {
        "removed": ["S-1", "S-3"]
    }
    assert [a["ref"] for a in pull(market)] == ["S-5"]
    with pytest.raises(RefusedError, match="S-1"):
        market("watch", "remove", "S-1")


def test_alerts_are_given_once_and_have_the_documented_keys(market):
    add(market)
    alerts = pull(market)
    assert [a["ref"] for a in alerts] == ["S-1", "S-3", "S-5"]
    assert set(alerts[0]) == {
        "alert",
        "id",
        "at",
        "ref",
        "match",
        "member",
        "disputed",
        "report",
    }
    assert alerts[0]["report"]["first_seen"] == "2026-01-02"
    # A report of one's own comes with one's own reference.
    assert alerts[2]["report"]["ref"] == "M-1"
    assert pull(market) == []


def test_looser_forms_are_watched_when_asked_for(market):
    add(market, "--looser")
    alerts = {a["ref"]: a for a in pull(market)}
    assert alerts["S-2"]["match"] == "site"
    assert "matched by its site" in sentence(alerts["S-2"])


def test_alerts_for_a_person(market):
    add(market)
    lines = pull(market, as_json=False).splitlines()
    assert lines[0] == (
        "ALERT S-1: reported by maison as maison/1 "
        "(domain, test-purchase, confidence 90)"
    )


@pytest.mark.parametrize(
    ("why", "reason", "text"),
    [
        ("withdrawn", "false-positive", "was withdrawn (false-positive)"),
        ("erased", None, "was erased"),
        ("suspended", None, "was suspended by the officers"),
        ("expired", None, "expired"),
        ("member-left", None, "counts no more, as its member left"),
        ("key-closed", None, "is void, as its key was closed"),
    ],
)
def test_ends_for_a_person(why, reason, text):
    alert = {"alert": "ended", "ref": "S-1", "member": "maison", "entry": "maison/1"}
    alert |= {"why": why, "reason": reason}
    assert sentence(alert) == f"ENDED S-1: maison lists it no more: maison/1 {text}"
