"""What began and what ended on the watch list is alerted once, to every way."""

from __future__ import annotations

from contextlib import closing

import pytest

from hub.feeds import delete_due
from hub.interop.tables import Row
from hub.screening import refs_of
from hub.store.ledger import Ledger
from hub.store.sqlite import SqliteStore
from hub.store.watching import Change, Listing, Watched, Watching
from hub.watching import active_keys, news, watch
from keys.voprf import random_scalar

FAKE, GOOD = b"f" * 32, b"g" * 32
CASE = "abcdefghijklmnop"


@pytest.fixture
def watching(ledger):
    return Watching(ledger)


def watched(token, ref, match="exact", kind="domain", key="open-1"):
    return Watched(token, ref, kind, match, key)


def alerts(world, watching, ways=("terminal",)):
    world.index()
    refs = refs_of(None, "nobody")
    now = world.clock.now()
    current = world.directory_of.directory
    return news(world.store, current, watching, now, ways=ways, refs=refs)


def test_a_begin_and_an_end_are_alerted_once_each(world, watching):
    watching.add([watched(FAKE, "S1"), watched(GOOD, "S2")])
    assert alerts(world, watching) == []
    [name] = world.publish("maison", world.report(FAKE, CASE, goods=[18]))
    [begin] = alerts(world, watching)
    assert begin["id"] != ""
    assert {k: begin[k] for k in ("alert", "ref", "match", "member", "disputed")} == {
        "alert": "listed",
        "ref": "S1",
        "match": "exact",
        "member": "maison",
        "disputed": False,
    }
    assert begin["report"]["entry"] == str(name)
    assert begin["report"]["goods"] == [18]
    assert alerts(world, watching) == []
    world.publish("maison", {"kind": "withdrawal", "case": CASE, "reason": "resolved"})
    [end] = alerts(world, watching)
    assert (end["alert"], end["ref"], end["entry"]) == ("ended", "S1", str(name))
    assert (end["why"], end["reason"]) == ("withdrawn", "resolved")
    assert alerts(world, watching) == []
    assert len(watching.outbox.waiting("terminal")) == 2


def test_a_renewal_is_no_news_and_the_end_names_the_newest_report(world, watching):
    watching.add([watched(FAKE, "S1")])
    world.publish("maison", world.report(FAKE, CASE))
    assert len(alerts(world, watching)) == 1
    [renewed] = world.publish("maison", world.report(FAKE, CASE, days=60))
    assert alerts(world, watching) == []
    world.clock.advance(61 * 86400)
    [end] = alerts(world, watching)
    assert (end["entry"], end["why"]) == (str(renewed), "expired")


def test_each_member_and_each_seller_is_a_match_of_its_own(world, watching):
    watching.add([watched(FAKE, "S1"), watched(FAKE, "S2")])
    for member in ("maison", "market"):
        world.publish(member, world.report(FAKE, CASE))
    found = alerts(world, watching)
    assert sorted((a["ref"], a["member"]) for a in found) == [
        ("S1", "maison"),
        ("S1", "market"),
        ("S2", "maison"),
        ("S2", "market"),
    ]
    assert [a["ref"] for a in found] == ["S1", "S1", "S2", "S2"]


def test_a_seller_that_was_removed_is_not_alerted_any_more(world, watching):
    watching.add([watched(FAKE, "S1")])
    world.publish("maison", world.report(FAKE, CASE))
    assert len(alerts(world, watching)) == 1
    assert watching.remove("S1") == 1
    assert watching.remove("S1") == 0
    world.publish("maison", {"kind": "withdrawal", "case": CASE, "reason": "resolved"})
    assert alerts(world, watching) == []


def test_adding_twice_changes_nothing(world, watching):
    rows = [watched(FAKE, "S1"), watched(GOOD, "S1", "site", "site")]
    assert watching.add(rows) == 2
    world.publish("maison", world.report(FAKE, CASE))
    assert len(alerts(world, watching)) == 1
    assert watching.add(rows) == 0
    assert alerts(world, watching) == []


def test_what_is_watched_exactly_is_exact(watching):
    """A looser form that is somebody's exact identifier too counts as exact."""
    watching.add([watched(FAKE, "S1", "site", "site")])
    watching.add([watched(FAKE, "S1", "exact", "site")])
    watching.add([watched(FAKE, "S1", "site", "site")])
    [(rows, _)] = watching.parts()
    assert [r.match for r in rows] == ["exact"]


def test_two_processes_that_see_the_same_news_note_it_once(world, watching, tmp_path):
    """Whoever comes second finds it noted, and alerts nothing."""
    watching.add([watched(FAKE, "S1")])
    begin = Change(Listing(FAKE, "S1", "maison", "maison/1", "exact"), {"n": 1})
    end = Change(begin.listing, {"n": 2}, ended=True)
    with closing(Ledger(tmp_path / "ledger.db")) as other:
        assert Watching(other).note([begin], ["terminal"], 0) == [{"n": 1}]
        assert watching.note([begin], ["terminal"], 0) == []
        assert watching.note([end], ["terminal"], 0) == [{"n": 2}]
        assert Watching(other).note([end], ["terminal"], 0) == []
    assert len(watching.outbox.waiting()) == 2


def test_a_long_list_is_compared_in_parts(world, watching):
    """A part ends with everybody who is watched under its last token."""
    tokens = [n.to_bytes(32, "big") for n in range(1, 3001)]
    watching.add(watched(t, f"S{n % 7}") for n, t in enumerate(tokens))
    watching.add(watched(tokens[1999], f"T{n}") for n in range(40))
    parts = list(watching.parts())
    assert [len(rows) for rows, _ in parts] == [2040, 1000]
    world.publish("maison", *(world.report(t, CASE) for t in tokens[1998:2002]))
    found = alerts(world, watching)
    assert len(found) == 4 + 40
    assert alerts(world, watching) == []


def test_a_retired_token_key_is_told(world, watching):
    """Its tokens match old reports for ever, and never a new one."""
    watching.add([watched(FAKE, "S1"), watched(GOOD, "S2")])
    keys = active_keys(world.directory)
    assert keys == ["open-1", "scarce-1"]
    assert watching.outdated(keys) == 0
    assert watching.outdated(["open-2", "scarce-1"]) == 2
    watching.add([watched(b"h" * 32, "S1", key="open-2")])
    assert watching.outdated(["open-2", "scarce-1"]) == 1
    states = {s.ref: s.outdated for s in watching.sellers(["open-2", "scarce-1"])}
    assert states == {"S1": False, "S2": True}


class Tokens:
    """A tokenizer that asks nobody."""

    def __init__(self, directory):
        self.directory = directory

    def tokens(self, identifiers):
        return {i: ("/".join(i)).encode().ljust(32)[:32] for i in identifiers}

    def key_for(self, _kind):
        return self.directory.token_keys["open-1"]


def test_rows_become_tokens_and_what_cannot_be_read_is_told(world, watching):
    """A bad cell takes nothing from the others of its row; no identifier is kept."""
    rows = [
        Row(2, [("domain", "a.example")], ref="S1"),
        Row(3, [("domain", "b.example")], problem="email is no address"),
        Row(4, [], problem="has no identifier"),
    ]
    tokens = Tokens(world.directory)
    done = watch(watching, tokens, rows, name="sellers.csv")
    assert (done.sellers, done.added) == (2, 2)
    assert [r["row"] for r in done.rejected] == [3, 4]
    refs = {s.ref for s in watching.sellers(["open-1"])}
    assert refs == {"S1", "sellers.csv row 3"}
    again = watch(watching, tokens, rows, name="sellers.csv")
    assert (again.sellers, again.added) == (2, 0)


def test_looser_forms_are_watched_when_asked_for(world, watching):
    row = Row(2, [("domain", "shop.a.example")], ref="S1")
    watch(watching, Tokens(world.directory), [row], name="x", looser=True)
    [seller] = watching.sellers(["open-1"])
    assert seller.types == {"domain": 1, "site": 1}
    [(rows, _)] = watching.parts()
    assert {(r.type, r.match) for r in rows} == {("domain", "exact"), ("site", "site")}


def test_a_warning_is_given_once_for_as_long_as_it_stands(watching):
    def warn(*names):
        standing = {n: {"alert": "stale", "feed": n} for n in names}
        return [a["feed"] for a in watching.warn("stale", standing, ["terminal"], 0)]

    assert warn("maison") == ["maison"]
    assert warn("maison", "market") == ["market"]
    assert warn("maison") == []
    assert warn("market", "maison") == ["market"]


def test_the_old_watch_list_is_kept(tmp_path):
    """A ledger of the first version keeps its sellers, to be added again."""
    from hub.store.engine import sqlite3
    from hub.store.ledger_file import MIGRATIONS

    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as old:
        for statement in MIGRATIONS[0]:
            old.execute(statement)
        old.execute("INSERT INTO watched VALUES (?, 'S1', 'domain', 1)", (FAKE,))
        old.execute("PRAGMA user_version = 1")
        old.commit()
    with closing(Ledger(path)) as ledger:
        [seller] = Watching(ledger).sellers(["open-1"])
        assert (seller.ref, seller.types, seller.outdated) == (
            "S1",
            {"domain": 1},
            True,
        )


def test_a_closed_key_ends_what_it_signed(world, watching):
    """The officers close it below the report, which is void from then on."""
    watching.add([watched(FAKE, "S1")])
    [name] = world.publish("maison", world.report(FAKE, CASE))
    assert len(alerts(world, watching)) == 1
    world.registry(
        world.entry(
            "key-closed",
            owner="member/maison",
            label="k1",
            role="publish",
            index=0,
            reason="stolen",
        )
    )
    [end] = alerts(world, watching)
    assert (end["why"], end["entry"]) == ("key-closed", str(name))


def test_an_erased_report_ends_as_erased_and_so_does_a_deleted_one(world, watching):
    """Whether the line is hidden or gone, nothing else is said of it."""
    watching.add([watched(FAKE, "S1"), watched(GOOD, "S2")])
    first = world.publish("maison", world.report(FAKE, CASE))[0]
    second = world.publish("maison", world.report(GOOD, CASE))[0]
    assert len(alerts(world, watching)) == 2
    for name in (first, second):
        order = {"kind": "erasure", "indices": [name.index], "ground": "other"}
        world.publish("maison", order)
        if name == second:
            assert delete_due(world.store, world.clock.now() + 80 * 3600) == 2
        [end] = alerts(world, watching)
        assert (end["why"], end["entry"]) == ("erased", str(name))


def test_a_mirror_that_was_restored_ends_nothing(world, watching, tmp_path):
    """It is behind what was alerted; the next pull brings it back."""
    watching.add([watched(FAKE, "S1")])
    world.store.backup(tmp_path / "old.db")
    world.publish("maison", world.report(FAKE, CASE))
    assert len(alerts(world, watching)) == 1
    newer, world.store = world.store, SqliteStore(tmp_path / "old.db")
    assert alerts(world, watching) == []
    world.store.close()
    world.store = newer
    assert alerts(world, watching) == []


def test_after_a_new_token_key_the_list_must_be_added_again(world, watching):
    """The officers retire one key and name the next; then newer reports use that."""
    watching.add([watched(FAKE, "S1")])
    world.secrets["open-2"] = random_scalar()
    world.registry(world.token_key("open-2"))
    world.registry(world.entry("token-key-retired", key="open-1"))
    keys = active_keys(world.directory)
    assert keys == ["open-2", "scarce-1"]
    assert watching.outdated(keys) == 1
    # What was reported under the old key still matches.
    assert [s.outdated for s in watching.sellers(keys)] == [True]
