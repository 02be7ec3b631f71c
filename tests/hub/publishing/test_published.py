"""What a person reads after publishing."""

import pytest

from hub.cli.published import published_text
from hub.publishing import Outcome
from hub.publishing.rows import Job


@pytest.mark.parametrize(
    ("witnessed", "needed", "said"),
    [
        (1, 1, "Cosigned by 1 node; the quorum is 1."),
        (3, 2, "Cosigned by 3 nodes; the quorum is 2."),
        (
            1,
            2,
            (
                "Cosigned by 1 node of the 2 of the quorum so far; other members see it "
                "once the rest did."
            ),
        ),
    ],
)
def test_publishing_says_who_vouches(witnessed, needed, said):
    outcome = Outcome()
    outcome.receipt = {"witnessed": witnessed}
    lines = list(published_text(outcome, Job("f", "f"), 0, 0, needed))
    assert said in lines


def test_a_home_without_other_nodes_has_no_quorum_to_tell_of():
    outcome = Outcome()
    outcome.receipt = {"witnessed": 0}
    lines = list(published_text(outcome, Job("f", "f"), 0, 0, 0))
    assert not any("quorum" in line for line in lines)
