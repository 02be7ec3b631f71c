"""What a proof file proves offline: lines, keys, times, and what it cannot say."""

from __future__ import annotations

import pytest

from hub.errors import (
    MalformedError,
    RefusedError,
)
from hub.model import new_case_id, render_time
from hub.officers import registry_entry
from hub.proving import tlog_proof
from tests.hub.proofkit import (
    DAY,
    check,
    line,
    proof,
    publish,
    shared,
)
from tests.simulator import ALLIANCE, START, World


@pytest.fixture
def world(tmp_path):
    """Three nodes, quorum 1; key scarce-1 is shared among them, two are needed."""
    return shared(World(tmp_path))


# -- what a file proves ----------------------------------------------------------------


def test_every_kind_of_line_is_provable(world):
    """Headers, reports, withdrawals, registry lines of every batch."""
    withdrawal = line(world, "withdrawal", case=new_case_id(), reason="other")
    publish(world, "maison", world.members["maison"].report(), withdrawal)
    kinds = [check(world, proof(world, f"maison/{n}"))["kind"] for n in range(3)]
    assert kinds == ["batch", "report", "withdrawal"]
    size = world.nodes["node1"].size("registry")
    found = [check(world, proof(world, f"registry/{n}")) for n in range(size)]
    assert {"batch", "alliance", "member", "key", "home"} <= {f["kind"] for f in found}
    assert {f["signed_by"] for f in found} == {f"{ALLIANCE}/officer/anna"}
    assert found[5]["sha256"] == check(world, proof(world, "registry/5"))["sha256"]


def test_registry_lines_signed_by_officers_who_were_replaced_since(world):
    """The replay knew those of then."""
    from keys.ed25519 import Signer
    from keys.note import NoteSigner

    other = NoteSigner(f"{ALLIANCE}/officer/berta", Signer.generate())
    world.officers(
        registry_entry(
            "alliance",
            START,
            alliance=ALLIANCE,
            threshold=1,
            officers=[other.vkey.render()],
        )
    )
    world.officer = other
    world.officers(registry_entry("member", START, name="late"))
    world.settle()
    size = world.nodes["node1"].size("registry")
    signers = [
        check(world, proof(world, f"registry/{n}"))["signed_by"].rpartition("/")[2]
        for n in (1, size - 1)
    ]
    assert signers == ["anna", "berta"]


def test_a_void_line_is_proved_and_said_to_be_void(world):
    world.members["maison"].publish(1)
    fields = {"owner": "member/maison", "label": "k1", "index": 0, "reason": "stolen"}
    world.officers(registry_entry("key-closed", START, **fields))
    world.settle()
    assert check(world, proof(world, "maison/1"))["void"]
    # And so is its header.
    assert check(world, proof(world, "maison/0"))["void"]


def test_a_suspension_is_said(world):
    world.members["maison"].publish(1)
    until = render_time(START + 90 * DAY)
    fields = {"entries": ["maison/1"], "ground": "court", "until": until}
    world.officers(registry_entry("suspension", START, **fields))
    world.settle()
    assert check(world, proof(world, "maison/1"))["suspended_until"] == until


def test_an_erased_or_missing_line_has_no_proof(world):
    publish(world, "maison", world.members["maison"].report())
    publish(world, "maison", line(world, "erasure", indices=[1], ground="other"))
    for name, code in (("maison/1", "erased"), ("maison/9", "not-found")):
        with pytest.raises(RefusedError) as caught:
            proof(world, name)
        assert caught.value.code == code
    assert check(world, proof(world, "maison/3"))["kind"] == "erasure"


def test_witnesses_say_by_when_it_existed(world):
    """The earliest checkpoint that holds it, though the feed went on; not the home."""
    published = world.clock.now()
    world.members["maison"].publish(1)
    world.clock.advance(DAY)
    world.members["maison"].publish(1)
    world.settle()
    found = check(world, proof(world, "maison/1"))
    assert found["existed_by"] == render_time(published)
    assert [w["node"] for w in found["witnesses"]] == ["node2", "node3"]
    assert found["checkpoint_size"] == 2
    assert found["registry_known_by"]
    assert check(world, proof(world, "maison/3"))["checkpoint_size"] == 4


def test_without_the_quorum_it_takes_what_there_is(tmp_path):
    """Two are asked for, one cosigned: that one is named, and the quorum too."""
    world = World(tmp_path, quorum=2)
    world.nodes["node3"].up = False
    world.members["maison"].publish(1)
    found = check(world, proof(world, "maison/1"))
    assert [w["node"] for w in found["witnesses"]] == ["node2"]
    assert found["quorum"] == 2


def test_a_hub_alone_proves_no_time(tmp_path):
    world = World(tmp_path, nodes=1, quorum=0)
    world.members["maison"].publish(1)
    found = check(world, proof(world, "maison/1"))
    assert (found["existed_by"], found["witnesses"]) == (None, [])


def test_a_witness_key_that_was_closed_before_says_nothing(world):
    """What it signed earlier still counts; a forged line spoils the file."""
    world.members["maison"].publish(1)
    world.settle()
    closed = {"owner": "node/node2", "label": "witness", "reason": "stolen"}
    fields = {"role": "witness", "when": render_time(world.clock.now())}
    later = registry_entry("key-closed", START, **closed, **fields)
    body = proof(world, "maison/1")
    world.officers(later)
    world.settle()
    again = proof(world, "maison/1")
    assert check(world, again)["witnesses"] == check(world, body)["witnesses"]
    text = again["entry_proof"]
    start = text.index("— alliance.example/node/node2 ") + 45
    broken = text[:start] + ("A" if text[start] != "A" else "B") + text[start + 1 :]
    again["entry_proof"] = again["header_proof"] = broken
    with pytest.raises(MalformedError):
        check(world, again)


def test_the_embedded_proofs_are_those_of_the_node(world):
    """``proof/<index>`` answers with the same bytes."""
    world.members["maison"].publish(1)
    world.settle()
    client = world.members["market"].client("node1")
    served = client.get_bytes("/v1/feeds/maison/proof/1")
    assert served.decode() == proof(world, "maison/1")["entry_proof"]
    with world.nodes["node1"].store.read() as tx:
        assert tlog_proof(tx, "maison", 1, 2) == served


def test_a_file_of_a_later_version_still_verifies(world):
    """Further fields are ignored, and registry lines of unknown kinds are skipped."""
    publish(world, "maison", world.members["maison"].report())
    node = world.nodes["node1"]
    from hub.officers import body_of, propose, sign
    from hub.tlog.batch import digests_of

    with node.store.write() as tx:
        replay = node.hub.registry.current(tx)
        new = line(world, "treaty", about="something new")
        proposal = propose(ALLIANCE, replay.head, [new])
        sign(proposal, [world.officer])
        lines = body_of(proposal)[:-1].split(b"\n")
        from hub.feeds import append
        from hub.verifier import open_header

        first = tx.objects.size("registry")
        batch = open_header(replay.directory, "registry", first, lines[0])
        append(tx, ALLIANCE, batch, lines, digests_of(lines), signer=node.log)
    body = proof(world, "maison/1")
    body |= {"comment": "made by a later version"}
    body["registry"]["about"] = [1, 2]
    assert check(world, body)["entry"] == "maison/1"
    assert check(world, proof(world, f"registry/{first + 1}"))["kind"] == "unknown"
