"""Reports by case and by place, and disputes by what they name, on every backend."""

from __future__ import annotations

import pytest

from hub.errors import UnavailableError
from hub.model import EntryName
from keys.encoding import to_base64
from tests.world import World

A, B = "a" * 16, "aaaaaaaabbbbbbbb"
ONE, TWO, THREE = (bytes([n]) * 32 for n in (1, 2, 3))


def shown(found):
    return [(f.name.index, f.token, f.case) for f in found]


def dispute(world, name):
    with world.store.read() as tx:
        digest = tx.objects.digests(name.feed, name.index, name.index + 1)[0]
    reference = {"feed": name.feed, "entry": name.index, "digest": to_base64(digest)}
    return {"kind": "dispute", "report": reference, "reason": "other"}


@pytest.fixture
def world(store):
    return World(store)


def test_reports_are_found_by_case_and_by_place(world):
    """Also those that were withdrawn; a case that begins alike is another one."""
    world.publish(
        "maison", world.report(ONE, A), world.report(TWO, B), world.report(THREE, A)
    )
    world.publish("market", world.report(ONE, A))
    world.publish("maison", {"kind": "withdrawal", "case": A, "reason": "other"})
    world.index()
    with world.store.read() as tx:
        assert shown(tx.index.reports_in("maison", A)) == [(1, ONE, A), (3, THREE, A)]
        assert shown(tx.index.reports_in("maison", "z" * 16)) == []
        assert shown(tx.index.reports_in("nobody", A)) == []
        everything = [(1, ONE, A), (2, TWO, B), (3, THREE, A)]
        assert shown(tx.index.page("maison", 0, 10)) == everything
        assert shown(tx.index.page("maison", 2, 1)) == [(2, TWO, B)]
        assert shown(tx.index.page("maison", 4, 10)) == []


def test_an_erased_report_is_in_no_list(world):
    world.publish("maison", world.report(ONE, A), world.report(TWO, A))
    with world.store.write() as tx:
        tx.erasures.order("maison", [1], "maison/4", world.clock.now())
    world.index()
    with world.store.read() as tx:
        assert shown(tx.index.reports_in("maison", A)) == [(2, TWO, A)]
        assert shown(tx.index.page("maison", 0, 10)) == [(2, TWO, A)]


def test_disputes_are_found_by_what_they_name_while_they_stand(world):
    [name] = world.publish("maison", world.report(ONE, A))
    [made] = world.publish("market", dispute(world, name))
    world.index()
    with world.store.read() as tx:
        assert tx.index.disputes_of(name) == [made]
        assert tx.index.disputes_of(EntryName("maison", 2)) == []
    world.publish(
        "market", {"kind": "withdrawal", "entry": str(made), "reason": "other"}
    )
    world.index()
    with world.store.read() as tx:
        assert tx.index.disputes_of(name) == []


def test_an_index_that_is_behind_says_so(world):
    [name] = world.publish("maison", world.report(ONE, A))
    with world.store.read() as tx:
        for ask in (
            lambda: tx.index.reports_in("maison", A),
            lambda: tx.index.page("maison", 0, 1),
            lambda: tx.index.disputes_of(name),
        ):
            with pytest.raises(UnavailableError) as caught:
                ask()
            assert caught.value.code == "index-behind"
