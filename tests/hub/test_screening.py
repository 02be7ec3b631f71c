"""Screening row by row: what matches, what it asks for, and how it goes on."""

from __future__ import annotations

import pytest

from hub import screening, tokens
from hub.errors import QuotaError
from hub.interop.tables import Row
from hub.screening import screen

CASE = "abcdefghijklmnop"


def found(world, tokenizer, rows, **more):
    current = world.directory_of.directory
    return screen(world.store, current, tokenizer, world.outlook, rows, **more)


def rows(*names):
    return [Row(n, [("domain", name)]) for n, name in enumerate(names, 2)]


def report(world, tokenizer, *identifiers):
    made = tokenizer.tokens(identifiers)
    entries = [world.report(made[i], CASE, type=i[0]) for i in identifiers]
    return [str(name) for name in world.publish("maison", *entries)]


def test_an_exact_match_hides_looser_ones(world, ledger):
    tokenizer = world.tokenizer(ledger)
    names = report(world, tokenizer, ("domain", "a.b.example"), ("site", "b.example"))
    exact, loose, none = found(
        world,
        tokenizer,
        rows("a.b.example", "c.b.example", "c.example"),
        looser=True,
    )
    assert (exact["match"], [r["entry"] for r in exact["reports"]]) == (
        "exact",
        [names[0]],
    )
    assert (loose["match"], [r["entry"] for r in loose["reports"]]) == (
        "site",
        [names[1]],
    )
    assert (none["match"], none["listed_by"]) == (None, [])


def test_the_narrowest_looser_kind_is_named(world, ledger):
    """A page's host says more than the whole site."""
    tokenizer = world.tokenizer(ledger)
    report(world, tokenizer, ("domain", "a.b.example"), ("site", "b.example"))
    row = Row(2, [("url", "a.b.example/shop")])
    [result] = found(world, tokenizer, [row], looser=True)
    assert (result["match"], len(result["reports"])) == ("domain", 2)


def test_a_cell_that_cannot_be_read_takes_nothing_from_the_others(world, ledger):
    tokenizer = world.tokenizer(ledger)
    report(world, tokenizer, ("domain", "a.example"))
    row = Row(2, [("domain", "a.example")], problem="mail is no address")
    [result] = found(world, tokenizer, [row])
    assert (result["match"], result["problem"]) == ("exact", "mail is no address")


def test_what_is_not_wanted_does_not_match(world, ledger):
    tokenizer = world.tokenizer(ledger)
    report(world, tokenizer, ("domain", "a.example"))
    [result] = found(
        world, tokenizer, rows("a.example"), counts=lambda r: r.confidence > 80
    )
    assert result["match"] is None


def test_a_quota_that_ends_leaves_whole_results_and_the_next_day_goes_on(
    world, ledger, monkeypatch
):
    """Every token is paid for once, however often the command is run."""
    monkeypatch.setattr(screening, "PART", 4)
    monkeypatch.setattr(tokens, "BATCH", 4)
    world.registry(world.entry("policy", quorum=0, quotas={"open": 10}))
    names = [f"shop{n}.example" for n in range(22)]
    done, days = [], 0
    while True:
        tokenizer = world.tokenizer(ledger)
        done = []
        try:
            done += found(world, tokenizer, rows(*names))
            break
        except QuotaError:
            days += 1
            world.clock.advance(86400 + 60)
    assert [r["row"] for r in done] == list(range(2, 24))
    assert days == 2


def test_results_before_the_end_of_the_quota_are_given(world, ledger, monkeypatch):
    monkeypatch.setattr(screening, "PART", 4)
    monkeypatch.setattr(tokens, "BATCH", 4)
    world.registry(world.entry("policy", quorum=0, quotas={"open": 10}))
    results = found(
        world, world.tokenizer(ledger), rows(*map("s{}.example".format, range(22)))
    )
    given = []
    with pytest.raises(QuotaError):
        given.extend(results)
    assert [r["row"] for r in given] == list(range(2, 10))
