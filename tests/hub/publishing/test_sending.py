"""Batches on their way: quotas, lost receipts, refusals, and answers that are no receipt."""

from __future__ import annotations

import pytest

from hub.errors import QuotaError, RefusedError
from tests.hub.publishing.desk import UNREACHABLE

FILE = "case,domain,confidence\nC-1,a.example,50\nC-2,b.example,60\nC-3,c.example,70\n"


def counts(outcome):
    return {str(k): v for k, v in outcome.counts.items() if v}


def test_a_used_up_quota_sends_what_has_its_tokens(desk):
    """The next run goes on with the others."""
    text = "domain\n" + "".join(f"x{n}.example\n" for n in range(2500))
    tokens = desk.tokens.tokens

    def limited(identifiers):
        if len(desk.tokens.asked) >= 2000:
            raise QuotaError("too much", retry_after=60)
        return tokens(identifiers)

    desk.tokens.tokens = limited
    outcome, _ = desk.publish(text)
    assert isinstance(outcome.stopped, QuotaError)
    assert counts(outcome) == {"new": 2000}
    desk.tokens.tokens = tokens
    outcome, _ = desk.done(text)
    assert counts(outcome) == {"unchanged": 2000, "new": 500}
    assert desk.check_consistent() == 2500


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lost_receipt_publishes_nothing_twice(desk, moment):
    """Whether the hub stored the batch or never saw it."""
    desk.home.fail[moment] = UNREACHABLE
    outcome, told = desk.publish(FILE, ref="case")
    assert outcome.stopped is UNREACHABLE
    assert told.rows == []
    outcome, _ = desk.done(FILE, ref="case")
    assert counts(outcome) == {"unchanged": 3}
    assert len(desk.entries()) == 4
    assert desk.home.bodies[0] == desk.home.bodies[1]
    assert desk.check_consistent() == 3


def test_a_waiting_batch_that_is_refused_names_its_rows_and_goes(desk):
    """The file of the next run need not be the one that the batch was of."""
    desk.home.fail["before"] = UNREACHABLE
    desk.publish(FILE, ref="case")
    desk.home.fail["before"] = RefusedError("closed", code="closed-key")
    desk.done("domain\nz.example\n", name="other.csv")
    [refused] = desk.refused
    assert str(refused) == "the hub refused a batch of cases.csv, rows 2-4: closed"
    outcome, _ = desk.done(FILE, ref="case")
    assert counts(outcome) == {"new": 3}


def test_a_refused_batch_that_is_in_the_feed_is_settled(desk):
    """Its receipt was lost, then its key was closed: it must not be signed again."""
    desk.home.fail["after"] = UNREACHABLE
    desk.publish(FILE, ref="case")
    desk.home.fail["before"] = RefusedError("closed", code="closed-key")
    outcome, _ = desk.done(FILE, ref="case")
    assert (counts(outcome), desk.refused) == ({"unchanged": 3}, [])
    assert desk.check_consistent() == 3


@pytest.mark.parametrize("code", ["http-403", "clock-skew", "not-home", "malformed"])
def test_what_may_pass_later_is_kept(desk, code):
    """A proxy's refusal, a wrong clock or a moved home are mended by somebody."""
    desk.home.fail["before"] = RefusedError("no", code=code)
    outcome, _ = desk.publish(FILE, ref="case")
    assert outcome.stopped.code == code
    assert len(desk.ledger.journal.waiting()) == 1
    outcome, _ = desk.done(FILE, ref="case")
    assert counts(outcome) == {"unchanged": 3}


def test_a_receipt_is_believed_only_if_the_home_signed_it(desk):
    publish = desk.home.publish

    def forged(feed, body, *, newest=None):
        answer = publish(feed, body, newest=newest)
        desk.home.publish = publish
        return {**answer, "size": 40, "first": 36}

    desk.home.publish = forged
    outcome, _ = desk.publish(FILE, ref="case")
    assert outcome.stopped.code == "no-receipt"
    outcome, _ = desk.done(FILE, ref="case")
    assert counts(outcome) == {"unchanged": 3}
