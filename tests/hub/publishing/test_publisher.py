"""What a file says again, says newly, changes, repeats, or no longer says."""

from __future__ import annotations

import pytest

from hub.errors import MalformedError, RefusedError
from hub.publishing.rows import Verdict
from tests.hub.publishing.desk import token_of
from tests.world import DAY

FILE = "case,domain,confidence\nC-1,a.example,50\nC-2,b.example,60\nC-3,c.example,70\n"


def counts(outcome):
    return {str(k): v for k, v in outcome.counts.items() if v}


def cases(told):
    return {row.number: row.case for row in told.rows}


@pytest.mark.parametrize("ref", ["case", None])
def test_a_file_published_again_says_nothing(desk, ref):
    outcome, told = desk.done(FILE, ref=ref)
    assert counts(outcome) == {"new": 3}
    assert outcome.receipt == {"feed": "maison", "first": 0, "size": 4, "witnessed": 0}
    assert [(r.number, r.first, r.count) for r in told.rows] == [
        (2, 1, 1),
        (3, 2, 1),
        (4, 3, 1),
    ]
    again, told = desk.done(FILE, ref=ref)
    assert (counts(again), told.rows, again.receipt) == ({"unchanged": 3}, [], None)
    assert desk.check_consistent() == 3


def test_a_changed_row_keeps_its_case_and_ends_its_old_reports(desk):
    """The old identifier is no longer reported; the case stays, so disputes stay."""
    _, told = desk.done("case,domain,email\nC-1,a.example,x@a.example\n", ref="case")
    case = cases(told)[2]
    outcome, told = desk.done(
        "case,domain,email\nC-1,other.example,x@a.example\n", ref="case"
    )
    assert counts(outcome) == {"changed": 1}
    assert cases(told) == {2: case}
    assert desk.domains("a.example", "other.example") == {"other.example"}
    assert {c for c, _ in desk.active().values()} == {case}
    # In one batch, and the withdrawal first: it ends only what came before it.
    kinds = [e and (e["kind"], e.get("reason")) for e in desk.entries()[3:]]
    assert kinds == [
        None,
        ("withdrawal", "superseded"),
        ("report", None),
        ("report", None),
    ]
    assert told.rows[0].first == 5
    assert outcome.entries == 3
    assert desk.check_consistent() == 1


def test_a_dispute_is_not_shaken_off_by_a_change(desk):
    """It stands on feed, case and token."""
    desk.done("case,domain,confidence\nC-1,a.example,50\n", ref="case")
    [name] = [n for n, e in enumerate(desk.entries()) if e]
    with desk.world.store.read() as tx:
        from keys.encoding import to_base64

        digest = to_base64(tx.objects.digests("maison", name, name + 1)[0])
    reference = {"feed": "maison", "entry": name, "digest": digest}
    dispute = {"kind": "dispute", "report": reference, "reason": "other"}
    desk.world.publish("market", dispute)
    desk.done("case,domain,confidence\nC-1,a.example,90\n", ref="case")
    desk.world.index()
    with desk.world.store.read() as tx:
        token = token_of("domain", "a.example")
        [listed] = tx.index.lookup([token], desk.world.outlook)[token]
    assert (listed.confidence, listed.disputed) == (90, True)


@pytest.mark.parametrize("ref", ["case", None])
def test_a_changed_context_changes_the_report(desk, ref):
    """Without a reference the identifiers say which case it is."""
    _, told = desk.done("case,domain,confidence\nC-1,a.example,50\n", ref=ref)
    outcome, again = desk.done("case,domain,confidence\nC-1,a.example,90\n", ref=ref)
    assert counts(outcome) == {"changed": 1}
    assert cases(again) == cases(told)
    assert desk.active() == {token_of("domain", "a.example"): (cases(told)[2], 90)}


def test_a_refused_change_leaves_the_old_report_and_its_row(desk):
    """Nothing of the ledger is lost, and the message names the rows."""
    desk.done(FILE, ref="case")
    desk.home.fail["before"] = MalformedError("line 3: bad", code="invalid-line")
    changed = FILE.replace(",50", ",55").replace(",70", ",75")
    outcome, told = desk.publish(changed, ref="case")
    assert isinstance(outcome.stopped, RefusedError)
    assert "rows 2, 4" in str(outcome.stopped)
    assert "line 3: bad" in str(outcome.stopped)
    assert counts(outcome) == {"unchanged": 1, "rejected": 2}
    assert [n for n, _ in told.rejects] == [2, 4]
    assert desk.check_consistent() == 3
    outcome, _ = desk.done(changed, ref="case")
    assert counts(outcome) == {"unchanged": 1, "changed": 2}
    assert {c for _, c in desk.active().values()} == {55, 60, 75}


def test_a_row_is_one_case(desk):
    """The same reference or the same identifiers twice, with other content, is an error."""
    text = "case,domain\nC-1,a.example\nC-1,b.example\nC-1,a.example\n"
    outcome, told = desk.done(text, ref="case")
    assert counts(outcome) == {"new": 1, "rejected": 1, "repeated": 1}
    assert told.rejects == [
        (3, "reference C-1 stands in row 2 with other content; one row is one case")
    ]
    outcome, _ = desk.done(text, ref="case")
    assert counts(outcome) == {"unchanged": 1, "rejected": 1, "repeated": 1}
    plain = "domain,confidence\nz.example,5\nz.example,6\n"
    outcome, told = desk.done(plain)
    assert told.rejects == [
        (3, "the same case stands in row 2 with other content; one row is one case")
    ]


def test_repeats_far_apart_are_found_too(desk):
    """Rows of one run are decided about in parts; the first part is sent by then."""
    rows = "".join(f"x{n}.example\n" for n in range(11_000))
    outcome, _told = desk.done("domain\n" + rows + "x7.example\n" + "www.x8.example\n")
    assert counts(outcome) == {"new": 11_000, "repeated": 2}
    assert outcome.batches == 2
    assert desk.home.bodies[0].count(b"\n") == 10_001


def test_batches_are_full(desk):
    """Rows are packed until the next one would not fit."""
    row = ",".join(f"x{{n}}-{i}.example" for i in range(3))
    text = ",".join(["domain"] * 3) + "\n"
    text += "".join(row.format(n=n) + "\n" for n in range(4000))
    outcome, _ = desk.done(text)
    assert [b.count(b"\n") - 1 for b in desk.home.bodies] == [9999, 2001]
    assert outcome.entries == 12_000


def test_a_row_with_too_many_identifiers_is_rejected(desk):
    values = ",".join(f'"x{n}.example"' for n in range(10_000))
    text = '{"domain": [' + values + ']}\n{"domain": "a.example"}\n'
    outcome, told = desk.done(text, name="cases.jsonl")
    assert counts(outcome) == {"new": 1, "rejected": 1}
    assert told.rejects == [(1, "has more than 9999 identifiers")]


def test_rows_that_the_home_would_refuse_are_rejected_here(desk):
    """One of them in a batch would have the hub refuse all of it."""
    world = desk.world
    world.registry(
        world.entry("policy", quorum=0, valid_days={"open-source-investigation": 30})
    )
    text = (
        "domain,valid_until,note\n"
        "a.example,2020-01-01,\n"
        "b.example,2099-01-01,\n"
        "c.example,,call +442079460018\n"
        "d.example,,\n"
    )
    outcome, told = desk.done(text)
    assert counts(outcome) == {"new": 1, "rejected": 3}
    reasons = dict(told.rejects)
    assert reasons[2] == "valid_until: lies in the past"
    assert reasons[3] == "valid_until: at most 30 days after at for this basis"
    assert reasons[4].startswith("note: looks like it holds")
    [case] = desk.ledger.cases.all()
    assert case.until == desk.now + 30 * DAY


def test_a_report_that_ended_by_itself_is_renewed(desk):
    """The row is still in the file and the same; unless it said itself until when."""
    text = "case,domain,valid_until\nC-1,a.example,\nC-2,b.example,2027-02-01\n"
    _, told = desk.done(text, ref="case")
    desk.world.clock.advance(400 * DAY)
    assert desk.active() == {}
    outcome, again = desk.done(text, ref="case")
    assert counts(outcome) == {"renewed": 1, "unchanged": 1}
    assert cases(again) == {2: cases(told)[2]}
    assert desk.domains("a.example", "b.example") == {"a.example"}
    assert desk.check_consistent() == 2


def test_a_new_token_key_publishes_every_row_again(desk):
    """Nobody finds what was published under the old one."""
    _, told = desk.done(FILE, ref="case")
    from keys.voprf import random_scalar

    desk.world.secrets["open-2"] = random_scalar()
    desk.world.registry(desk.world.token_key("open-2"))
    outcome, again = desk.done(FILE, ref="case")
    assert counts(outcome) == {"changed": 3}
    assert cases(again) == cases(told)
    assert {e["key"] for e in desk.entries()[-6:] if e["kind"] == "report"} == {
        "open-2"
    }


# -- what was withdrawn ----------------------------------------------------------


def withdraw(desk, told, row, kind="withdrawn"):
    from hub.publishing import Piece
    from hub.publishing.lines import entry_line
    from hub.store.journal import Change

    case = cases(told)[row]
    line = entry_line("withdrawal", desk.now, case=case, reason="false-positive")
    desk.outbox().post([Piece((line,), (Change(0, kind, case),))], "a withdrawal")
    return case


def test_a_withdrawn_row_stays_withdrawn_until_it_changes_or_is_asked_for(desk):
    """A nightly run must not take back what somebody decided by day."""
    _, told = desk.done(FILE, ref="case")
    case = withdraw(desk, told, 2)
    outcome, _ = desk.done(FILE, ref="case")
    assert counts(outcome) == {"unchanged": 2, "withdrawn": 1}
    assert desk.domains("a.example") == set()
    outcome, again = desk.done(FILE, ref="case", again=True)
    assert counts(outcome) == {"unchanged": 2, "restored": 1}
    assert cases(again) == {2: case}
    assert desk.domains("a.example") == {"a.example"}
    withdraw(desk, again, 2)
    outcome, again = desk.done(FILE.replace(",50", ",55"), ref="case")
    assert counts(outcome) == {"unchanged": 2, "restored": 1}
    assert desk.check_consistent() == 3


def test_a_case_that_is_withdrawn_while_its_row_waits_is_not_published(desk):
    """Another command may withdraw between the decision about a row and its batch."""
    _, told = desk.done(FILE, ref="case")
    tokens = desk.tokens.tokens

    def slow(identifiers):
        desk.tokens.tokens = tokens
        withdraw(desk, told, 2)
        return tokens(identifiers)

    desk.tokens.tokens = slow
    outcome, _ = desk.done(FILE.replace(",50", ",55").replace(",60", ",65"), ref="case")
    assert counts(outcome) == {"unchanged": 1, "changed": 1, "withdrawn": 1}
    assert desk.domains("a.example", "b.example") == {"b.example"}
    assert desk.check_consistent() == 3


def test_an_erased_case_comes_back_only_when_asked_for(desk):
    """A row that changes would else publish a person's data again."""
    _, told = desk.done(FILE, ref="case")
    from hub.publishing import Piece
    from hub.publishing.lines import entry_line
    from hub.store.journal import Change

    case = cases(told)[2]
    line = entry_line("erasure", desk.now, indices=[1], ground="data-subject-request")
    desk.outbox().post([Piece((line,), (Change(0, "erased", case),))], "an erasure")
    outcome, _ = desk.done(FILE, ref="case")
    assert counts(outcome) == {"unchanged": 3}
    changed = FILE.replace(",50", ",55")
    outcome, told = desk.done(changed, ref="case")
    assert counts(outcome) == {"unchanged": 2, "rejected": 1}
    assert "were erased" in told.rejects[0][1]
    outcome, _ = desk.done(changed, ref="case", again=True)
    assert counts(outcome) == {"unchanged": 2, "restored": 1}


# -- references and lists --------------------------------------------------------


def test_a_reference_is_known_in_its_list(desk):
    """The same number of another system is not silently the same case."""
    desk.done("case,domain\n1001,a.example\n", ref="case")
    ticket = "ticket,domain\n1001,b.example\n"
    outcome, told = desk.done(ticket, ref="ticket")
    assert counts(outcome) == {"rejected": 1}
    assert "--list 'case' if it is the same case" in told.rejects[0][1]
    outcome, _ = desk.done(ticket, ref="ticket", of_list="ticket")
    assert counts(outcome) == {"new": 1}
    assert desk.domains("a.example", "b.example") == {"a.example", "b.example"}
    outcome, _ = desk.done(ticket, ref="ticket", of_list="case")
    assert counts(outcome) == {"changed": 1}
    assert desk.domains("a.example", "b.example") == {"b.example"}


def test_rows_get_their_references_later(desk):
    """A file that was published without them is not published twice."""
    _, told = desk.done(FILE)
    outcome, _ = desk.done(FILE, ref="case")
    assert counts(outcome) == {"unchanged": 3}
    assert {c.ref for c in desk.ledger.cases.all()} == {"C-1", "C-2", "C-3"}
    changed, again = desk.done(FILE.replace("a.example", "z.example"), ref="case")
    assert counts(changed) == {"unchanged": 2, "changed": 1}
    assert cases(again) == {2: cases(told)[2]}
    # And without them again: still the same cases, which keep their references.
    outcome, _ = desk.done(FILE.replace("a.example,50", "z.example,51"))
    assert counts(outcome) == {"unchanged": 2, "changed": 1}
    assert {c.ref for c in desk.ledger.cases.all()} == {"C-1", "C-2", "C-3"}


# -- --replace -------------------------------------------------------------------


def rows(*numbers, bad=()):
    lines = [f"C-{n},{'not a host' if n in bad else f'x{n}.example'}" for n in numbers]
    return "case,domain\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("ref", ["case", None])
def test_replace_withdraws_what_the_list_no_longer_has(desk, ref):
    desk.done(rows(1, 2, 3, 4, 5), ref=ref)
    without, _ = desk.done(rows(1, 2, 3), ref=ref)
    assert without.withdrawn == []
    outcome, _ = desk.done(rows(1, 2, 3, 6), ref=ref, replace=True, reason="other")
    assert counts(outcome) == {"unchanged": 3, "new": 1}
    assert len(outcome.withdrawn) == 2
    assert desk.domains(*(f"x{n}.example" for n in range(9))) == {
        f"x{n}.example" for n in (1, 2, 3, 6)
    }
    assert [e["reason"] for e in desk.entries() if e and e["kind"] == "withdrawal"] == [
        "other",
        "other",
    ]
    again, _ = desk.done(rows(1, 2, 3, 6), ref=ref, replace=True)
    assert (counts(again), again.withdrawn) == ({"unchanged": 4}, [])
    # What comes back is published again, as the same case.
    back, _told = desk.done(rows(1, 2, 3, 4, 6), ref=ref, replace=True)
    assert counts(back) == {"unchanged": 4, "restored": 1}
    assert desk.check_consistent() == 6


def test_replace_touches_its_own_list_only(desk):
    desk.done("domain\na.example\nb.example\n", name="one.csv")
    desk.done("domain\nb.example\nc.example\nd.example\n", name="two.csv")
    outcome, _ = desk.done("domain\na.example\n", name="one.csv", replace=True)
    # two.csv holds b.example too, so it is not gone.
    assert outcome.withdrawn == []
    outcome, _ = desk.done(
        "domain\nc.example\nd.example\n", name="two.csv", replace=True
    )
    assert len(outcome.withdrawn) == 1
    everything = [f"{c}.example" for c in "abcd"]
    assert desk.domains(*everything) == {"a.example", "c.example", "d.example"}


def test_replace_never_withdraws_more_than_half_unasked(desk):
    """Half a file is an accident more often than a decision; the additions are sent."""
    desk.done(rows(*range(10)), ref="case")
    outcome, _ = desk.publish(rows(1, 2, 3, 99), ref="case", replace=True)
    assert outcome.stopped.code == "too-many-withdrawals"
    assert "7 of the 11 standing cases" in str(outcome.stopped)
    assert outcome.withdrawn == []
    assert outcome.kept == 7
    assert len(desk.active()) == 11
    outcome, _ = desk.done(rows(1, 2, 3, 99), ref="case", replace=True, force=True)
    assert len(outcome.withdrawn) == 7
    assert len(desk.active()) == 4


def test_replace_keeps_rows_that_were_rejected_this_time(desk):
    """With a reference it is known which case is meant."""
    desk.done(rows(1, 2, 3, 4), ref="case")
    outcome, _ = desk.done(rows(1, 2, 3, bad=[2]), ref="case", replace=True)
    assert counts(outcome) == {"unchanged": 2, "rejected": 1}
    assert len(outcome.withdrawn) == 1
    assert desk.domains("x2.example", "x4.example") == {"x2.example"}


def test_replace_waits_while_a_rejected_row_may_be_the_missing_one(desk):
    """Without a reference nobody can tell what the damaged row was."""
    desk.done("domain\na.example\nb.example\nc.example\njunk one\n")
    outcome, _ = desk.publish(
        "domain\na.example\nb..example\nc.example\njunk one\n", replace=True
    )
    assert outcome.stopped.code == "unclear-rows"
    assert desk.domains("b.example") == {"b.example"}
    # Junk that stood in the list all along hides nothing, so it is in nobody's way.
    outcome, _ = desk.done("domain\na.example\nc.example\njunk one\n", replace=True)
    assert len(outcome.withdrawn) == 1
    # Damaged again while nothing was missing: b.example came back meanwhile.
    desk.done("domain\na.example\nb.example\nc.example\n", replace=True)
    outcome, _ = desk.publish(
        "domain\na.example\nb..example\nc.example\n", replace=True, force=True
    )
    assert len(outcome.withdrawn) == 1


def test_what_was_held_back_by_a_guard_is_not_missing(desk):
    desk.done("domain\na.example\nb.example\n")
    held = {"guard": lambda _k, v: "on a list" if v == "a.example" else None}
    outcome, told = desk.done("domain\na.example\nb.example\n", replace=True, **held)
    assert told.rejects == [(2, "on a list")]
    assert outcome.withdrawn == []


# -- sites, quotas, interruptions ------------------------------------------------


def test_sites_are_published_on_request_and_never_shared_ones(desk):
    text = "domain\nshop.bags.example\nshop.myshopify.com\nfake.instagram.com\n"
    desk.done(text, as_site=True)
    assert ("site", "bags.example") in desk.tokens.asked
    assert ("site", "shop.myshopify.com") in desk.tokens.asked
    assert ("site", "instagram.com") not in desk.tokens.asked
    assert ("domain", "fake.instagram.com") in desk.tokens.asked


def test_variants_of_one_host_give_one_entry(desk):
    text = "0.0.0.0 www.a.example a.example\nA.example.\nhttps://a.example/\n"
    outcome, _ = desk.done(text, name="hosts.txt")
    assert counts(outcome) == {"new": 1, "repeated": 2}
    assert outcome.entries == 1


def test_the_verdicts_of_rows_are_told(desk):
    _, told = desk.done(FILE, ref="case")
    assert {row.verdict for row in told.rows} == {Verdict.NEW}
