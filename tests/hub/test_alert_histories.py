"""Whatever happens to reports, every begin and every end is alerted once, in order."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hub.model import EntryName, parse_time, render_time
from hub.screening import refs_of
from hub.store.ledger import Ledger
from hub.store.watching import Watched, Watching
from hub.watching import news
from schemas.entry import REASONS
from tests.world import DAY, new_world

TOKENS = [bytes([n]) * 32 for n in (1, 2)]
CASES = ["a" * 16, "b" * 16]
MEMBERS = ("maison", "market")
member = st.sampled_from(MEMBERS)
token = st.sampled_from(TOKENS)
case = st.sampled_from(CASES)
reason = st.sampled_from(REASONS)
which = st.integers(0, 30)


@dataclass
class Said:
    """One report as this test understands it."""

    name: EntryName
    token: bytes
    case: str
    until: int
    reason: str = ""
    erased: bool = False
    suspended: int = 0

    @property
    def counts(self):
        return not self.reason and not self.erased


class Histories(RuleBasedStateMachine):
    """Members and officers act; somebody looks now and then."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="alerts-"))
        self.world = new_world(self.folder)
        self.ledger = Ledger(self.folder / "ledger.db")
        self.watching = Watching(self.ledger)
        self.watching.add(Watched(t, "S", "domain", "exact", "open-1") for t in TOKENS)
        self.said: list[Said] = []
        self.gone: set[str] = set()
        self.known: dict[tuple[bytes, str], EntryName] = {}
        self.alerted: list[str] = []

    def teardown(self):
        self.ledger.close()
        self.world.store.close()
        shutil.rmtree(self.folder)

    # -- what members and officers do ---------------------------------------------

    def own(self, member):
        return [s for s in self.said if s.name.feed == member]

    @rule(member=member, token=token, case=case, days=st.integers(1, 9))
    def publish(self, member, token, case, days):
        if member in self.gone:
            return
        entry = self.world.report(token, case, days)
        [name] = self.world.publish(member, entry)
        self.said.append(Said(name, token, case, parse_time(entry["valid_until"])))

    @rule(member=member, case=case, reason=reason)
    def withdraw_case(self, member, case, reason):
        if member in self.gone:
            return
        self.world.publish(
            member, {"kind": "withdrawal", "case": case, "reason": reason}
        )
        for one in self.own(member):
            if one.case == case:
                one.reason = one.reason or reason

    @rule(member=member, case=case, token=token, reason=reason)
    def withdraw_and_publish_again(self, member, case, token, reason):
        """In one batch, as ``hub publish`` does with a row that changed."""
        if member in self.gone:
            return
        entry = self.world.report(token, case, 9)
        gone = {"kind": "withdrawal", "case": case, "reason": reason}
        name = self.world.publish(member, gone, entry)[1]
        for one in self.own(member):
            if one.case == case:
                one.reason = one.reason or reason
        self.said.append(Said(name, token, case, parse_time(entry["valid_until"])))

    @rule(member=member, which=which, ground=st.just("other"))
    def erase(self, member, which, ground):
        mine = [s for s in self.own(member) if not s.erased]
        if member in self.gone or not mine:
            return
        one = mine[which % len(mine)]
        index = one.name.index
        order = {"kind": "erasure", "indices": [index], "ground": ground}
        self.world.publish(member, order)
        one.erased = True

    @precondition(lambda self: self.said)
    @rule(which=which, days=st.integers(1, 4))
    def suspend(self, which, days):
        one = self.said[which % len(self.said)]
        until = self.world.clock.now() + days * DAY
        self.world.registry(
            self.world.entry(
                "suspension",
                entries=[str(one.name)],
                ground="complaint",
                until=render_time(until),
            )
        )
        one.suspended = until

    @precondition(lambda self: not self.gone and len(self.said) > 8)
    @rule(member=member)
    def leave(self, member):
        self.world.registry(
            self.world.entry("member-left", name=member, reports="suspended")
        )
        self.gone.add(member)

    @rule(hours=st.sampled_from([1, 30, 80]))
    def time_passes(self, hours):
        self.world.clock.advance(hours * 3600)

    # -- looking -------------------------------------------------------------------

    def active(self):
        """Return the latest report that counts, of those that are active."""
        now, found = self.world.clock.now(), {}
        for one in self.said:
            if one.counts:
                found[one.token, one.name.feed] = one
        return {
            where: one
            for where, one in found.items()
            if one.until > now and one.suspended <= now and where[1] not in self.gone
        }

    def news(self):
        self.world.index()
        return news(
            self.world.store,
            self.world.directory_of.directory,
            self.watching,
            self.world.clock.now(),
            ways=["terminal"],
            refs=refs_of(self.ledger, "nobody"),
        )

    def why(self, where):
        """Return (entry, why, reason) of an end, from what this test was told."""
        known = next(s for s in self.said if s.name == self.known[where])
        if known.erased:
            return str(known.name), "erased", None
        if known.reason:
            return str(known.name), "withdrawn", known.reason
        newest = [s for s in self.said if (s.token, s.name.feed) == where and s.counts][
            -1
        ]
        if where[1] in self.gone:
            return str(newest.name), "member-left", None
        suspended = newest.suspended > self.world.clock.now()
        return str(newest.name), "suspended" if suspended else "expired", None

    @rule()
    def look(self):
        active = self.active()
        begun = {(t, m): s for (t, m), s in active.items() if (t, m) not in self.known}
        ended = {where for where in self.known if where not in active}
        expected = [("listed", str(s.name)) for s in begun.values()]
        expected += [("ended", *self.why(where)) for where in ended]
        found = []
        for alert in self.news():
            if alert["alert"] == "listed":
                found.append(("listed", alert["report"]["entry"]))
            else:
                reason = alert.get("reason")
                found.append(("ended", alert["entry"], alert["why"], reason))
            self.alerted.append(alert["id"])
        assert sorted(found, key=str) == sorted(expected, key=str)
        assert [f[0] for f in found] == sorted((f[0] for f in found), reverse=True)
        self.known = {where: one.name for where, one in active.items()}

    @rule()
    def look_and_die_before_the_commit(self):
        """Nothing is noted, so the next look alerts all of it."""
        put = self.watching.outbox.put

        def die(*_words):
            raise KeyboardInterrupt

        self.watching.outbox.put = die
        try:
            self.news()
        except KeyboardInterrupt:
            pass
        finally:
            self.watching.outbox.put = put

    @invariant()
    def what_was_alerted_is_in_the_outbox_once_and_in_order(self):
        waiting = self.watching.outbox.waiting("terminal")
        assert [a["id"] for d in waiting for a in d.alerts] == self.alerted


class TestHistories(Histories.TestCase):
    settings = settings(max_examples=settings().max_examples, stateful_step_count=30)
