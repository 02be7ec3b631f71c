"""What was known at a time: cuts, the registry of then, and what counted under it."""

from __future__ import annotations

import pytest

from hub.audit import audit
from hub.audit.words import limits, terminal
from hub.feeds import delete_due
from hub.model import new_case_id, render_time
from hub.officers import registry_entry
from keys.encoding import to_base64
from tests.hub.proofkit import line, publish
from tests.simulator import ALLIANCE, START, World

DAY = 86_400


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def alone(tmp_path):
    """A hub without others: no witness says anything."""
    return World(tmp_path, nodes=1, quorum=0)


def token(number):
    return to_base64(bytes([number]) * 32)


def seen(world, as_of, node="node1"):
    world.settle()
    store = world.nodes[node].store
    report = audit(store, world.pin, world.clock.now(), as_of)
    assert report.findings == []
    return report


def feed(report, name):
    return next(f for f in report.feeds if f["feed"] == name)


def test_a_batch_is_known_once_the_quorum_cosigned_it(world):
    """Not when its entries say, and not when the first witness saw it."""
    member = world.members["maison"]
    claimed = member.report(at=render_time(START - 10 * DAY), token=token(1))
    published = world.clock.now()
    publish(world, "maison", claimed)
    world.clock.advance(DAY)
    publish(world, "maison", member.report(token=token(2)))
    early = seen(world, published - 1)
    assert (feed(early, "maison")["size"], early.counts["reports"]) == (0, 0)
    assert [o for o in early.open if o.startswith("By its own times maison had 2")]
    then = seen(world, published + 1)
    one = feed(then, "maison")
    assert (one["size"], one["batches"], one["basis"]) == (2, 1, "witnesses")
    assert one["known_by"] == render_time(published)
    assert one["cosignatures"] == 2
    assert then.counts["by_member"] == {"maison": 1}
    now = seen(world, world.clock.now())
    assert (feed(now, "maison")["size"], now.counts["reports"]) == (4, 2)


def test_a_larger_quorum_is_later(tmp_path):
    """With a quorum of two, the second witness decides."""
    world = World(tmp_path, quorum=2)
    published = world.clock.now()
    world.nodes["node3"].up = False
    world.members["maison"].publish(1)
    world.clock.advance(3 * DAY)
    world.nodes["node3"].up = True
    world.settle()
    assert feed(seen(world, published + DAY), "maison")["size"] == 0
    later = feed(seen(world, world.clock.now()), "maison")
    assert later["size"] == 2
    assert later["known_by"] > render_time(published + 3 * DAY)


def test_without_witnesses_it_is_the_members_word_and_the_report_says_so(alone):
    """The cut is before the first batch that says it was written later."""
    first = alone.clock.now()
    alone.members["maison"].publish(2)
    alone.clock.advance(DAY)
    alone.members["maison"].publish(1)
    report = seen(alone, first + 5)
    one = feed(report, "maison")
    assert (one["size"], one["batches"], one["basis"]) == (3, 1, "claims")
    assert (one["known_by"], one["cosignatures"]) == (None, 0)
    assert any("claim, which proves nothing" in said for said in limits(report))
    assert any("nothing here proves when" in sentence for sentence in limits(report))
    assert any("by its own times" in sentence for sentence in terminal(report))


def test_keys_suspensions_and_departures_are_those_of_then(world):
    """A key that was closed later had not been closed, a member that left had not."""
    member = world.members["maison"]
    publish(world, "maison", *(member.report(token=token(n)) for n in range(1, 4)))
    publish(world, "market", world.members["market"].report(token=token(3)))
    before = world.clock.now()
    world.settle()
    for lines in (
        [
            registry_entry(
                "suspension",
                START,
                entries=["maison/1"],
                ground="court",
                until=render_time(START + 90 * DAY),
            )
        ],
        [registry_entry("member-left", START, name="market", reports="suspended")],
        [
            registry_entry(
                "key-closed",
                START,
                owner="member/maison",
                label="k1",
                index=0,
                reason="stolen",
            )
        ],
    ):
        world.clock.advance(DAY)
        world.officers(*lines)
    world.settle()
    counts = [seen(world, before + n * DAY + 60).counts["by_member"] for n in range(4)]
    assert counts == [
        {"maison": 3, "market": 1},
        {"maison": 2, "market": 1},
        {"maison": 2},
        {},
    ]
    assert seen(world, before).void == ["maison/0-3"]
    listers = seen(world, before + 60).counts["by_listers"]
    assert listers == {"1": 2, "2": 1}


def test_withdrawals_disputes_and_expiry_count_as_of_then(world):
    member, case = world.members["maison"], new_case_id()
    short = render_time(world.clock.now() + 2 * DAY)
    publish(
        world,
        "maison",
        member.report(token=token(1), case=case),
        member.report(token=token(2), valid_until=short),
    )
    before = world.clock.now()
    with world.nodes["node1"].store.read() as tx:
        digest = to_base64(tx.objects.digests("maison", 2, 3)[0])
    world.clock.advance(DAY)
    reference = {"feed": "maison", "entry": 2, "digest": digest}
    dispute = line(world, "dispute", report=reference, reason="other")
    publish(world, "market", dispute)
    publish(world, "maison", line(world, "withdrawal", case=case, reason="resolved"))
    world.clock.advance(2 * DAY)
    for offset, expected in ((60, (2, 0)), (DAY + 60, (1, 1)), (3 * DAY, (0, 0))):
        counts = seen(world, before + offset).counts
        assert (counts["reports"], counts["disputed"]) == expected


def test_erasures_count_from_when_they_were_known(world):
    """What was erased since cannot be counted, and the report says how much that is."""
    member = world.members["maison"]
    publish(world, "maison", *(member.report(token=token(n)) for n in range(1, 4)))
    before = world.clock.now()
    world.clock.advance(DAY)
    publish(world, "maison", line(world, "erasure", indices=[2], ground="other"))
    hidden = seen(world, before + 60).counts
    assert (hidden["reports"], hidden["erased_since"]) == (3, 0)
    assert seen(world, world.clock.now()).counts["reports"] == 2
    world.clock.advance(4 * DAY)
    assert delete_due(world.nodes["node1"].store, world.clock.now()) == 1
    gone = seen(world, before + 60).counts
    assert (gone["reports"], gone["erased_since"]) == (2, 1)
    later = seen(world, world.clock.now()).counts
    assert (later["reports"], later["erased_since"]) == (2, 0)
    assert seen(world, before).erased == [{"entry": "maison/2", "by": "maison/5"}]


def test_faults_of_later_are_findings_all_the_same(world):
    """Nobody calls a copy good because of what it was before."""
    world.members["maison"].publish(1)
    world.settle()
    before = world.clock.now()
    world.clock.advance(DAY)
    world.members["maison"].publish(1)
    store = world.nodes["node1"].store
    with store.write() as tx:
        tx.objects.erase("maison", [3])
    report = audit(store, world.pin, world.clock.now(), before)
    assert [f.kind for f in report.findings] == ["tombstone-without-erasure"]


def test_a_witness_that_went_back_is_convicted(world):
    """It cosigned a smaller head after a larger one."""
    world.members["maison"].publish(1)
    world.members["maison"].publish(1)
    world.settle()
    from hub.conviction import judge
    from keys.cosignature import cosign
    from keys.note import parse_note

    store, witness = world.nodes["node1"].store, world.nodes["node2"].witness
    with store.write() as tx:
        text = parse_note(tx.heads.checkpoints("maison", 2, 1)[0][1]).text
        time, name = world.clock.now() + 60, f"{ALLIANCE}/node/node2"
        raw = cosign(text, time=time, name=name, signer=witness).render().encode()
        tx.heads.add_cosignature("maison", 2, "node2", time, raw)
    report = audit(store, world.pin, time)
    assert [(f.kind, f.entry) for f in report.findings] == [
        ("witness-rollback", "maison/2")
    ]
    [raw] = report.evidence.values()
    directory = world.nodes["node1"].directory
    assert judge(raw, directory, time).kind == "witness-rollback"


def test_a_head_that_was_not_cosigned_lately_is_a_warning(world):
    """And a finding when freshness is required; without a quorum nobody asks."""
    world.members["maison"].publish(1)
    world.settle()
    store, later = world.nodes["node1"].store, world.clock.now() + 25 * 3600
    assert audit(store, world.pin, world.clock.now()).warnings == []
    report = audit(store, world.pin, later)
    assert (report.findings, len(report.warnings)) == ([], 2)
    assert "last 25 hours ago" in report.warnings[0]
    strict = audit(store, world.pin, later, require_fresh=True)
    assert {(f.kind, f.feed) for f in strict.findings} == {
        ("stale-head", "registry"),
        ("stale-head", "maison"),
    }
    # A second batch that no other node saw yet.
    for node in ("node2", "node3"):
        world.nodes[node].up = False
    world.members["maison"].publish(1)
    report = audit(store, world.pin, world.clock.now())
    assert report.warnings == ["maison: 0 of 1 nodes cosigned the head of 4"]


def test_a_hub_alone_has_no_freshness(alone):
    alone.members["maison"].publish(1)
    store, later = alone.nodes["node1"].store, alone.clock.now() + 99 * DAY
    assert audit(store, alone.pin, later, require_fresh=True).findings == []
