"""An estimate counts each token once, in flat memory, and knows what is left."""

from __future__ import annotations

from contextlib import closing

import pytest

from hub.cli.estimating import RATE, body_of, text_of
from hub.estimate import Estimate, Rest, count, rests
from hub.interop.tables import Row
from hub.store.tally import Tally


def rows(*names, kind="domain"):
    return [Row(n, [(kind, name)]) for n, name in enumerate(names, 2)]


def test_each_token_counts_once_and_cached_ones_are_told_apart(world, ledger):
    tokenizer = world.tokenizer(ledger)
    tokenizer.tokens([("domain", "known.example")])
    file = rows("a.example", "b.example", "a.example", "known.example")
    file += rows("+442079460018", kind="phone")
    found = count(tokenizer, file, looser=False)
    assert found == Estimate(5, {"open": 2, "scarce": 1}, 1)
    # A domain has its site as a looser form.
    looser = count(tokenizer, file, looser=True)
    assert looser.tokens == {"open": 5, "scarce": 1}


def test_a_token_of_two_parts_counts_once(world, ledger, monkeypatch):
    from hub import estimate

    monkeypatch.setattr(estimate, "PART", 3)
    names = [f"shop{n % 5}.example" for n in range(100)]
    found = count(world.tokenizer(ledger), rows(*names), looser=False)
    assert found == Estimate(100, {"open": 5}, 0)


def test_the_rest_of_the_quota_is_asked_of_the_node(world, ledger):
    """Grants of the officers count, as they do when tokens are asked for."""
    world.registry(
        world.entry("policy", quorum=0, quotas={"open": 10, "scarce": 5}),
        world.entry(
            "grant",
            member="market",
            class_="open",
            count=7,
            until="2028-01-01T00:00:00Z",
        ),
    )
    tokenizer = world.tokenizer(ledger)
    tokenizer.tokens([("domain", f"shop{n}.example") for n in range(4)])
    client = world.client()
    found = rests(
        tokenizer, ["open", "scarce"], lambda _node: client.get_json("/v1/usage")
    )
    assert found == {"open": Rest(13, 17), "scarce": Rest(5, 5)}


@pytest.mark.parametrize(
    ("left", "quota", "needed", "days"),
    [
        (10, 10, 0, 1),
        (10, 10, 10, 1),
        (10, 10, 11, 2),
        (3, 10, 13, 2),
        (3, 10, 14, 3),
        (0, 10, 10, 1),
        (0, 10, 11, 2),
    ],
)
def test_days_that_a_file_takes(left, quota, needed, days):
    assert Rest(left, quota).days(needed) == days


def test_it_says_when_it_does_not_fit_and_how_long_it_takes(ledger):
    ledger.put(RATE, 2000.0)
    estimate = Estimate(130_000, {"open": 10_000, "scarce": 120_000}, 5)
    left = {"open": Rest(2_000_000, 2_000_000), "scarce": Rest(38_000, 50_000)}
    body = body_of(estimate, left, ledger)
    assert body["seconds"] == 65.0
    assert body["quota"]["open"]["fits"]
    assert body["quota"]["scarce"] == {
        "needed": 120_000,
        "left": 38_000,
        "fits": False,
        "days": 3,
    }
    text = "\n".join(text_of(body))
    assert "130,000 tokens" in text
    assert "1 min 05 s" in text
    assert "do not fit" in text
    assert "3 days" in text


def test_distinct_names_are_counted_by_group():
    with closing(Tally()) as tally:
        tally.add("open", [b"a", b"b", b"a"])
        tally.add("scarce", [b"a"])
        tally.add("open", (b"%d" % n for n in range(10)))
        assert tally.counts() == {"open": 12, "scarce": 1}
