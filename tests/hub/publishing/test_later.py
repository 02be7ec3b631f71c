"""What is said after publication, from names to what it does to the derived state."""

from __future__ import annotations

import pytest

from hub.errors import MalformedError, RefusedError
from hub.indexing import caught_up, outlook_of
from hub.model import EntryName, parse_time
from hub.publishing.later import about, erasures, renewals, standing_in, withdrawals
from hub.publishing.naming import Names
from hub.standing import active_reports, standing_of
from keys.encoding import to_base64
from tests.hub.publishing.desk import token_of
from tests.world import DAY

FILE = "case,domain,email\nC-1,a.example,x@a.example\nC-2,b.example,\n"


def snapshot(desk):
    return caught_up(desk.world.store, desk.world.directory_of.directory)


def find(desk, tx, *what, of_list=None):
    names = Names(tx, desk.ledger, "maison")
    return [names.find(w, of_list) for w in what]


def say(desk, make):
    """Make pieces from a snapshot, and post them; return what was made."""
    with snapshot(desk) as tx:
        made = make(tx)
    pieces = made.pieces if hasattr(made, "pieces") else made[0]
    if pieces:
        desk.outbox().post(list(pieces), "a test")
    return made


def withdraw(desk, *what, **more):
    more.setdefault("reason", "other")
    return say(
        desk,
        lambda tx: withdrawals(tx, "maison", find(desk, tx, *what), desk.now, **more),
    )


def state(desk, index):
    with snapshot(desk) as tx:
        name = EntryName("maison", index)
        return standing_of(tx, desk.directory, name, desk.now)


@pytest.fixture
def filed(desk):
    _, told = desk.done(FILE, ref="case")
    desk.case = told.rows[0].case
    return desk


# -- names -----------------------------------------------------------------------


def test_a_reference_a_case_and_an_entry_name_the_same_case(filed):
    with snapshot(filed) as tx:
        found = find(filed, tx, "C-1", filed.case, "maison/1", "maison/2")
        assert {n.case for n in found} == {filed.case}
        nothing = ("C-9", "b" * 16, "maison/0", "maison/99", "market/1", "maison/x")
        assert find(filed, tx, *nothing) == [None] * 6


def test_a_reference_of_two_lists_is_ambiguous_until_the_list_is_named(filed):
    filed.done("case,domain\nC-1,z.example\n", ref="case", of_list="other")
    with snapshot(filed) as tx:
        names = Names(tx, filed.ledger, "maison")
        with pytest.raises(RefusedError, match="of the list 'other'") as caught:
            names.find("C-1")
        assert caught.value.code == "ambiguous"
        assert names.find("C-1", "case").case == filed.case
    withdraw_other = filed.ledger.cases.by_ref("C-1")
    other = next(c.case for c in withdraw_other if c.list == "other")
    withdraw(filed, other)
    with snapshot(filed) as tx:
        # Only one of them stands, so it is the one that is meant.
        assert find(filed, tx, "C-1")[0].case == filed.case


# -- withdraw --------------------------------------------------------------------


@pytest.mark.parametrize("what", ["C-1", "maison/2", "case"])
def test_withdrawing_ends_the_whole_case_and_twice_is_nothing(filed, what):
    what = filed.case if what == "case" else what
    pieces, already = withdraw(filed, what, "C-1", reason="false-positive")
    assert (len(pieces), already) == (1, [])
    assert filed.domains("a.example", "b.example") == {"b.example"}
    assert filed.ledger.cases.get(filed.case).withdrawn == "withdrawn"
    size = len(filed.entries())
    pieces, already = withdraw(filed, what)
    assert (pieces, [n.what for n in already]) == ([], [what])
    assert len(filed.entries()) == size
    found = state(filed, 1)
    assert found.state == "withdrawn"
    [why] = found.why
    assert (why["by"], why["reason"]) == ("maison/5", "false-positive")


def test_withdrawing_one_entry_leaves_the_others_of_its_case(filed):
    withdraw(filed, "maison/1", entry_only=True)
    assert filed.domains("a.example") == set()
    assert token_of("email", "x@a.example") in filed.active()
    assert filed.ledger.cases.get(filed.case).withdrawn is None
    _, already = withdraw(filed, "maison/1", entry_only=True)
    assert len(already) == 1
    # With its last entry the case ends.
    withdraw(filed, "maison/2", entry_only=True)
    assert filed.ledger.cases.get(filed.case).withdrawn == "withdrawn"
    assert filed.check_consistent() == 2


def test_own_disputes_and_actions_are_withdrawn_by_their_entries(filed):
    filed.world.publish("market", filed.world.report(b"m" * 32, "m" * 16))
    with filed.world.store.read() as tx:
        digest = to_base64(tx.objects.digests("market", 1, 2)[0])
    reference = {"feed": "market", "entry": 1, "digest": digest}
    [dispute] = filed.world.publish(
        "maison", {"kind": "dispute", "report": reference, "reason": "other"}
    )
    done = {"kind": "action", "case": filed.case, "action": "raid", "channel": "online"}
    [action] = filed.world.publish("maison", done)
    pieces, _ = withdraw(filed, str(dispute), str(action))
    assert len(pieces) == 2
    _, already = withdraw(filed, str(dispute), str(action))
    assert len(already) == 2
    assert filed.domains("a.example") == {"a.example"}
    with snapshot(filed) as tx:
        found = standing_of(tx, filed.directory, EntryName("market", 1), filed.now)
        assert found.disputes == []


# -- renew -----------------------------------------------------------------------


def renew(desk, *what, until=None):
    def make(tx):
        groups = [
            (n.case, standing_in(tx, "maison", n.case)) for n in find(desk, tx, *what)
        ]
        return renewals(tx, desk.directory, groups, desk.now, until)

    return say(desk, make)


def test_a_renewal_is_the_same_report_for_as_long_again(filed):
    """Same case, token and context; and a dispute stays on it."""
    before = filed.entries()[1]
    filed.world.clock.advance(100 * DAY)
    done = renew(filed, "C-1")
    assert [str(n) for n in done.renewed] == ["maison/1", "maison/2"]
    after = filed.entries()[5]
    changed = {k for k in after if after[k] != before.get(k)}
    assert changed == {"salt", "at", "valid_until"}
    assert parse_time(after["valid_until"]) == filed.now + 365 * DAY
    assert state(filed, 1).state == "renewed"
    assert state(filed, 1).why[0]["by"] == "maison/5"
    assert state(filed, 5).state == "active"
    assert filed.ledger.cases.ref_at(5) == "C-1"
    assert filed.ledger.cases.get(filed.case).until == filed.now + 365 * DAY
    # The row says nothing new after that.
    outcome, _ = filed.done(FILE, ref="case")
    assert outcome.entries == 0
    assert filed.check_consistent() == 2


def test_a_renewal_keeps_within_the_policy_and_never_ends_earlier(filed):
    until = filed.now + 731 * DAY
    done = renew(filed, "C-1", until=until)
    assert "at most 730 days" in done.refused[0][1]
    assert done.renewed == []
    done = renew(filed, "C-1", until=filed.now + DAY)
    assert "already" in done.refused[0][1]
    world = filed.world
    world.registry(
        world.entry("policy", quorum=0, valid_days={"open-source-investigation": 400})
    )
    world.clock.advance(300 * DAY)
    done = renew(filed, "C-1", until=filed.now + 400 * DAY)
    assert len(done.renewed) == 2


def test_what_lies_under_a_retired_token_key_cannot_be_renewed(filed):
    from keys.voprf import random_scalar

    world = filed.world
    world.secrets["open-2"] = random_scalar()
    world.registry(world.token_key("open-2"))
    world.registry(world.entry("token-key-retired", key="open-1"))
    world.clock.advance(DAY)
    done = renew(filed, "C-1")
    assert [str(n) for n in done.renewed] == ["maison/2"]
    assert done.refused[0][1] == "key: open-1 is not an active token key"


# -- actions and erasures --------------------------------------------------------


def test_an_action_is_about_an_own_case_or_about_any_token(filed):
    filed.world.publish("market", filed.world.report(b"m" * 32, "m" * 16))
    with snapshot(filed) as tx:
        [named] = find(filed, tx, "C-1")
        assert about(tx, "maison", "C-1", named) == {"case": filed.case}
        assert about(tx, "maison", "market/1", None) == {
            "token": to_base64(b"m" * 32),
            "type": "domain",
            "key": "open-1",
        }
        for wrong in ("C-9", "market/0", "market/7"):
            with pytest.raises(RefusedError):
                about(tx, "maison", wrong, None)


def erase(desk, *what):
    return say(
        desk,
        lambda tx: erasures(
            tx, "maison", find(desk, tx, *what), desk.now, "data-subject-request"
        ),
    )


def test_erasing_a_case_erases_every_line_of_it(filed):
    """Those that were superseded too."""
    filed.done(FILE.replace("a.example,", "z.example,", 1), ref="case")
    _, names = erase(filed, "C-1")
    assert [n.index for n in names] == [1, 2, 6, 7]
    assert filed.domains("a.example", "z.example", "b.example") == {"b.example"}
    found = state(filed, 6)
    assert (found.state, found.entry) == ("erased", None)
    assert found.why[0]["reason"] == "hidden"
    with snapshot(filed) as tx:
        names = Names(tx, filed.ledger, "maison")
        assert names.find("maison/6") is None
    outcome, _ = filed.done(FILE, ref="case")
    assert outcome.entries == 0


def test_more_than_a_thousand_lines_take_several_orders(desk):
    desk.done("domain\n" + "".join(f"x{n}.example\n" for n in range(1500)))
    pieces, names = erase(desk, *(f"maison/{n}" for n in range(1, 1501)))
    assert (len(pieces), len(names)) == (2, 1500)
    assert desk.active() == {}


# -- looking ---------------------------------------------------------------------


def test_active_reports_stream_by_their_places(filed):
    filed.done("domain\n" + "".join(f"x{n}.example\n" for n in range(1200)))
    withdraw(filed, "C-2")
    with snapshot(filed) as tx:
        outlook = outlook_of(filed.directory, filed.now)
        found = list(active_reports(tx, outlook, ["maison", "market"]))
    indices = [f.name.index for f, _ in found]
    assert indices == sorted(indices)
    assert len(indices) == 2 + 1200
    assert all(f.name == listed.entry for f, listed in found)


def test_why_an_entry_does_not_count(filed):
    """Suspended and void by the registry, expired by itself, disputed by others."""
    world = filed.world
    from hub.model import render_time

    until = render_time(filed.now + DAY)
    world.registry(
        world.entry("suspension", entries=["maison/1"], ground="court", until=until)
    )
    found = state(filed, 1)
    assert (found.state, found.why[0]["reason"]) == ("suspended", "court")
    assert found.why[0]["by"].startswith("registry/")
    assert found.why[0]["until"] == until
    with world.store.read() as tx:
        digest = to_base64(tx.objects.digests("maison", 2, 3)[0])
    reference = {"feed": "maison", "entry": 2, "digest": digest}
    world.publish("market", {"kind": "dispute", "report": reference, "reason": "other"})
    found = state(filed, 2)
    assert found.state == "active"
    assert [(d["by"], d["reason"]) for d in found.disputes] == [("market/1", "other")]
    world.clock.advance(400 * DAY)
    assert state(filed, 2).state == "expired"
    world.registry(
        world.entry(
            "key-closed", owner="member/maison", label="k1", index=0, reason="stolen"
        )
    )
    assert state(filed, 2).state == "void"
    assert state(filed, 0).entry == {"kind": "batch"}
    with pytest.raises(RefusedError, match="not in the mirror"):
        state(filed, 99)
    batch = state(filed, 2).batch
    assert (batch["first"], batch["size"]) == (0, 4)
    assert batch["signed_by"] == "alliance.example/member/maison/k1"


def test_days_are_written_in_one_way():
    from hub.cli.renewing import parse_days

    assert (parse_days("14d"), parse_days("7")) == (14 * DAY, 7 * DAY)
    for wrong in ("", "d", "1w", "-1d", "1.5d", "99999d", "٣d"):
        with pytest.raises(MalformedError):
            parse_days(wrong)
