"""The index follows the heads in runs, and says nothing while it is behind them."""

from __future__ import annotations

from contextlib import closing

import pytest
from click.testing import CliRunner

from hub.cli import hub as cli
from hub.errors import UnavailableError
from hub.indexing import catch_up, caught_up
from hub.indicators import Outlook
from hub.store import schema
from hub.store.engine import sqlite3
from hub.store.memory import MemoryStore
from hub.store.sqlite import SqliteStore
from keys.encoding import from_base64
from tests.hub.test_indicators import NOW, TOKENS, World, by_case, report

TOKEN = from_base64(TOKENS[0])


@pytest.fixture(params=["memory", "sqlite"])
def world(request, tmp_path):
    if request.param == "memory":
        yield World([MemoryStore()])
        return
    store = SqliteStore(tmp_path / "hub.db", create=True)
    yield World([store])
    store.close()


def ask(tx):
    return [str(r.entry) for r in tx.index.lookup([TOKEN], Outlook(NOW)).get(TOKEN, ())]


def test_a_lookup_behind_the_heads_is_refused(world):
    """Whoever asks between a pull and its indexing must not take a seller for clean."""
    [store] = world.stores
    world.publish("maison", report())
    with store.read() as tx:
        assert tx.index.behind() == ["maison"]
        for question in (ask, lambda tx: tx.index.all_active(Outlook(NOW))):
            with pytest.raises(UnavailableError) as caught:
                question(tx)
            assert caught.value.code == "index-behind"
            assert "maison" in str(caught.value)
    world.index()
    with store.read() as tx:
        assert tx.index.behind() == []
        assert ask(tx) == ["maison/1"]


def test_a_snapshot_that_is_caught_up_never_misses_what_came(world):
    """It brings the index up by itself, also in the midst of other pulls."""
    [store] = world.stores
    for _ in range(3):
        world.publish("maison", report())
        with caught_up(store, lambda _tx: world.directory) as tx:
            assert ask(tx) == [f"maison/{world.sizes['maison'] - 1}"]
    pulls = iter([world.publish] * 2)

    def pulled_meanwhile(_tx):
        publish = next(pulls, None)
        if publish and not store_is_written(store):
            publish("maison", report())
        return world.directory

    with caught_up(store, pulled_meanwhile) as tx:
        assert ask(tx) == [f"maison/{tx.heads.get('maison').size - 1}"]


def store_is_written(store):
    """Tell whether this thread holds the write turn already."""
    try:
        with store.write():
            return False
    except AssertionError:
        return True


def test_what_is_up_to_date_is_not_written_to(world):
    """An idle look-up waits for no writer."""
    [store] = world.stores
    world.publish("maison", report())
    world.index()
    with store.write(), caught_up(store, lambda _tx: world.directory) as tx:
        assert ask(tx) == ["maison/1"]


@pytest.mark.parametrize("run", [1, 2, 3, 7, 100])
def test_runs_of_any_length_give_the_same_index(world, run):
    """A withdrawal in a later run ends reports of an earlier one, and no others."""
    for entry in (report(), report(1), by_case(), report(), report(1, 1), by_case(1)):
        world.publish("maison", entry)
    world.index(run)
    with world.stores[0].read() as tx:
        found = tx.index.all_active(Outlook(NOW))
        assert [str(r.entry) for rows in found.values() for r in rows] == ["maison/7"]


def test_a_feed_that_grows_under_a_closed_key_is_not_indexed_again(world):
    """Only what counts less than before is: a thief cannot keep everybody busy."""
    [store] = world.stores
    world.publish("maison", report())
    world.close("maison", 2)
    world.index()
    world.publish("maison", report())
    cleared = []

    def watched(tx):
        clear = tx.index.clear
        tx.index.clear = lambda: cleared.append(clear())
        return world.directory

    catch_up(store, watched)
    assert cleared == []
    with store.read() as tx:
        assert ask(tx) == ["maison/1"]
    world.close("maison", 0)
    catch_up(store, watched)
    assert cleared == [None]
    with store.read() as tx:
        assert ask(tx) == []


OLD_REPORTS = """INSERT INTO reports VALUES
    ((SELECT id FROM feeds WHERE name = 'maison'), 1, zeroblob(32), 'a', 'domain',
    'test-purchase', 50, '', 9999999999, NULL, NULL, NULL, NULL)"""


def test_an_index_of_an_older_hub_is_built_anew_by_migrating(tmp_path, monkeypatch):
    """``hub migrate`` drops what was derived in another form; nothing else changes."""
    every = list(schema.MIGRATIONS._migrations)
    folder = tmp_path / "node"
    words = ["--dir", str(folder), "init", "--alliance", "alliance.example"]
    monkeypatch.setattr(schema.MIGRATIONS, "_migrations", every[:5])
    done = CliRunner().invoke(cli, [*words, "--node", "node1"])
    assert done.exit_code == 0, done.output
    path = folder / "hub.db"
    with closing(SqliteStore(path)) as store:
        world = World([store])
        world.publish("maison", report())
        heads = _everything_but_the_index(store)
    with closing(sqlite3.connect(path)) as old:
        old.execute(OLD_REPORTS)
        old.execute("INSERT INTO indexed SELECT id, 2 FROM feeds")
        old.commit()
    monkeypatch.setattr(schema.MIGRATIONS, "_migrations", every)
    done = CliRunner().invoke(cli, ["--dir", str(folder), "migrate"])
    assert done.exit_code == 0, done.output
    with closing(SqliteStore(path)) as store:
        assert _everything_but_the_index(store) == heads
        with store.read() as tx:
            assert "maison" in tx.index.behind()
        catch_up(store, lambda _tx: world.directory)
        with store.read() as tx:
            assert ask(tx) == ["maison/1"]
            assert len(tx.index.all_active(Outlook(NOW))) == 1
        store.check()


def _everything_but_the_index(store):
    with store.read() as tx:
        heads = tx.heads.all()
        return heads, [
            list(tx.objects.lines(feed, 0, head.size)) for feed, head in heads.items()
        ]


def test_two_keys_of_a_million_may_begin_alike(world):
    """What begins like the token that is asked for is not taken for it."""
    world.publish("maison", report(0))
    world.publish("market", report(1))
    world.index()
    with world.stores[0].read() as tx:
        assert ask(tx) == ["maison/1"]
        both = tx.index.lookup([from_base64(t) for t in TOKENS], Outlook(NOW))
        assert {len(rows) for rows in both.values()} == {1}
        absent = TOKEN[:6] + bytes(26)
        assert tx.index.lookup([absent[:-1] + b"\xff"], Outlook(NOW)) == {}
