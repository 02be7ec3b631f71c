"""Who reports is told in time that a report ends, and who pulls that a feed is silent."""

from __future__ import annotations

from contextlib import closing

from hub.store.ledger import Ledger
from hub.store.watching import Watching
from hub.warning import expiring_reports, note_pulled, stale_feeds
from tests.world import DAY

FAKE, GOOD = b"f" * 32, b"g" * 32


def expiring(world, days=14, member="maison"):
    now = world.clock.now()
    current = world.directory_of.directory
    refs = {"maison/1": "C-1"}
    return expiring_reports(
        world.store, current, member, now, days, lambda n: refs.get(str(n))
    )


def test_own_reports_that_end_soon_and_no_others(world):
    world.publish("maison", world.report(FAKE, "a" * 16, days=13))
    world.publish("maison", world.report(GOOD, "b" * 16, days=15))
    world.publish("market", world.report(FAKE, "c" * 16, days=13))
    found = expiring(world)
    assert list(found) == ["maison/1"]
    alert = found["maison/1"]
    assert (alert["alert"], alert["ref"], alert["case"]) == (
        "expiring",
        "C-1",
        "a" * 16,
    )
    assert alert["report"]["entry"] == "maison/1"
    world.clock.advance(2 * DAY)
    assert list(expiring(world)) == ["maison/1", "maison/3"]
    # What has ended is not about to end.
    world.clock.advance(12 * DAY)
    assert list(expiring(world)) == ["maison/3"]


def test_each_report_is_warned_of_once_and_its_renewal_anew(world, tmp_path):
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        watching = Watching(ledger)

        def warn():
            now = world.clock.now()
            alerts = watching.warn("expiring", expiring(world), ["terminal"], now)
            return [a["report"]["entry"] for a in alerts]

        world.publish("maison", world.report(FAKE, "a" * 16, days=10))
        assert warn() == ["maison/1"]
        assert warn() == []
        world.publish("maison", world.report(FAKE, "a" * 16, days=30))
        assert warn() == []
        world.clock.advance(20 * DAY)
        assert warn() == ["maison/3"]
        assert warn() == []


def test_a_withdrawn_report_is_not_warned_of(world):
    world.publish("maison", world.report(FAKE, "a" * 16, days=5))
    gone = {"kind": "withdrawal", "case": "a" * 16, "reason": "resolved"}
    world.publish("maison", gone)
    assert expiring(world) == {}


def test_a_feed_is_stale_when_nothing_was_pulled_of_it_for_long(world):
    """A quiet feed is not, as long as a hub says that it has nothing new."""
    world.publish("maison", world.report(FAKE, "a" * 16))
    now = world.clock.now()
    note_pulled(world.store, [], now)
    assert stale_feeds(world.store, now + 23 * 3600, 24) == {}
    note_pulled(world.store, ["maison"], now + 20 * 3600)
    found = stale_feeds(world.store, now + 30 * 3600, 24)
    assert list(found) == ["maison"]
    assert found["maison"]["since"] == "2027-01-15T08:00:00Z"
    note_pulled(world.store, [], now + 31 * 3600)
    assert stale_feeds(world.store, now + 32 * 3600, 24) == {}


def test_a_feed_that_never_could_be_pulled_is_warned_of_too(world):
    """From when it was first seen on."""
    now = world.clock.now()
    note_pulled(world.store, ["parcel"], now)
    note_pulled(world.store, ["parcel"], now + 20 * 3600)
    assert "parcel" in stale_feeds(world.store, now + 24 * 3600, 24)
