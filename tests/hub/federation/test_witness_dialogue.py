"""``add-checkpoint`` as C2SP tlog-witness has it: every row of its table, in its order."""

from __future__ import annotations

import json

import pytest

from hub.tlog.checkpoint import EMPTY, Checkpoint, peek_checkpoint, sign_checkpoint
from hub.tlog.merkle import prove_consistency
from hub.tlog.submission import Submission, render_submission
from hub.witness import FRESH, REFRESH
from keys.cosignature import check_cosignature
from keys.ed25519 import Signer
from keys.note import COSIGNATURE_V1, VerifierKey, parse_note, parse_signature
from tests.simulator import ALLIANCE, World

ORIGIN = f"{ALLIANCE}/maison"
SIZE = "text/x.tlog.size"


class Dialogue:
    """The home of maison writes three heads that no witness hears of, and then asks."""

    def __init__(self, folder):
        self.world = World(folder, nodes=2)
        self.home, self.witness = self.world.nodes["node1"], self.world.nodes["node2"]
        self.world.cut = {frozenset(("node1", "node2"))}
        self.notes = {}
        for _ in range(3):
            receipt = self.world.members["maison"].publish(1)
            self.notes[receipt["size"]] = receipt["checkpoint"].encode()
        self.world.cut = set()

    def proof(self, old, new):
        if not 0 < old < new:
            return ()
        with self.home.store.read() as tx:
            return tuple(
                prove_consistency(old, new, tx.objects.hash_reader("maison", new))
            )

    def signed(self, size, root=None, *, origin=ORIGIN, signer=None):
        """Return a checkpoint that the log, or somebody else, signed."""
        root = root or peek_checkpoint(self.notes[size]).root
        return sign_checkpoint(Checkpoint(origin, size, root), signer or self.home.log)

    def post(self, body):
        client = self.home.client("node2")
        return client.probe("POST", "/v1/witness/add-checkpoint", body)

    def ask(self, old, note, proof=None):
        if proof is None:
            proof = self.proof(old, peek_checkpoint(note, any_empty=True).size)
        return self.post(render_submission(Submission(old, tuple(proof), note)))

    def line(self, answer, size):
        """Return the time of the witness's line, which must verify."""
        [raw] = answer.body.splitlines()
        name = f"{ALLIANCE}/node/node2"
        vkey = VerifierKey(name, COSIGNATURE_V1, self.witness.witness.public)
        text = parse_note(self.notes[size]).text
        return check_cosignature(text, parse_signature(raw.decode()), vkey)


@pytest.fixture
def dialogue(tmp_path):
    return Dialogue(tmp_path)


OTHER = bytes(32)


def wrong_proof(d):
    return [OTHER, *d.proof(4, 6)[1:]]


# The witness has cosigned 4; of several faults the one that stands first decides.
ROWS = {
    "unknown origin, and all else wrong": (
        lambda d: d.ask(9, d.signed(2, OTHER, origin=f"{ALLIANCE}/nobody"), [OTHER]),
        404,
    ),
    "another alliance": (
        lambda d: d.ask(4, d.signed(6, origin="a.example/maison")),
        404,
    ),
    "no name of a feed": (
        lambda d: d.ask(4, d.signed(6, origin=f"{ALLIANCE}/UP")),
        404,
    ),
    "not signed by the log, and old too large": (
        lambda d: d.ask(9, d.signed(6, signer=Signer.generate())),
        403,
    ),
    "the log's signature is of another text": (
        lambda d: d.ask(4, d.signed(6).replace(b"maison\n6\n", b"maison\n5\n")),
        403,
    ),
    "old is larger than the checkpoint": (lambda d: d.ask(4, d.signed(2)), 400),
    "ill formed": (lambda d: d.post(b"old four\n\n" + d.signed(6)), 400),
    "too many hashes": (
        lambda d: d.post(b"old 4\n" + (b"A" * 43 + b"=\n") * 64 + b"\n" + d.signed(6)),
        400,
    ),
    "no checkpoint": (lambda d: d.post(b"old 4\n\nhello\n"), 400),
    "old 0 of a witness that is further, with a proof": (
        lambda d: d.ask(0, d.signed(6), [OTHER]),
        409,
    ),
    "old below what was cosigned": (lambda d: d.ask(2, d.signed(6)), 409),
    "old above what was cosigned": (lambda d: d.ask(6, d.signed(6)), 409),
    "the proof fails": (lambda d: d.ask(4, d.signed(6), wrong_proof(d)), 422),
    "no proof": (lambda d: d.ask(4, d.signed(6), []), 422),
    "a proof with old = size": (lambda d: d.ask(4, d.signed(4), [OTHER]), 422),
    "fine": (lambda d: d.ask(4, d.signed(6)), 200),
    "the same": (lambda d: d.ask(4, d.signed(4)), 200),
}


@pytest.mark.parametrize(("ask", "status"), ROWS.values(), ids=ROWS)
def test_each_row_of_the_table(dialogue, ask, status):
    """The status is that of the first row that applies; only 409 names a size."""
    assert dialogue.ask(0, dialogue.notes[4]).status == 200
    answer = ask(dialogue)
    assert answer.status == status
    assert (answer.fields["content-type"] == SIZE) == (status == 409)
    if status == 409:
        assert answer.body == b"4\n"
    size = 6 if ask is ROWS["fine"][0] else 4
    with dialogue.witness.store.read() as tx:
        assert tx.federation.witnessed("maison").size == size
    assert not any(map(dialogue.world.evidence, dialogue.world.nodes))


NEVER = {
    "a proof with old 0": (lambda d: d.ask(0, d.signed(4), [OTHER]), 422),
    "size 0 with another root": (lambda d: d.ask(0, d.signed(0, OTHER)), 422),
    "size 0": (lambda d: d.ask(0, d.signed(0, EMPTY.root)), 422),
    "old 2": (lambda d: d.ask(2, d.signed(4)), 409),
    "size 0 with another root, not the log's": (
        lambda d: d.ask(0, d.signed(0, OTHER, signer=Signer.generate())),
        403,
    ),
}


@pytest.mark.parametrize(("ask", "status"), NEVER.values(), ids=NEVER)
def test_rows_about_what_was_never_cosigned(dialogue, ask, status):
    """The last size is 0 then; an empty tree is never cosigned."""
    answer = ask(dialogue)
    assert answer.status == status
    if status == 409:
        assert (answer.body, answer.fields["content-type"]) == (b"0\n", SIZE)
    with dialogue.witness.store.read() as tx:
        assert tx.federation.witnessed("maison") is None


@pytest.mark.parametrize("size", [2, 4])
def test_another_root_is_422_or_409_and_convicts_the_log(dialogue, size):
    """SPEC: old = size and another root is 422; what the log signed is evidence."""
    assert dialogue.ask(0, dialogue.notes[4]).status == 200
    answer = dialogue.ask(size, dialogue.signed(size, OTHER))
    assert answer.status == (422 if size == 4 else 409)
    name = f"fork/maison/{dialogue.home.log.public.hex()}"
    assert dialogue.world.evidence("node2") == {name}
    # What follows is refused: the feed is frozen.
    assert dialogue.ask(4, dialogue.notes[6]).status == 403


def test_what_is_asked_again_gets_a_new_time(dialogue):
    """SPEC: old = size with the same root is how to get a fresh timestamp.

    Within a minute the line is the one that was made, since anybody may ask.
    """
    clock = dialogue.world.clock
    first = dialogue.line(dialogue.ask(0, dialogue.notes[4]), 4)
    assert first == clock.now()
    clock.advance(REFRESH - 1)
    assert dialogue.line(dialogue.ask(4, dialogue.notes[4]), 4) == first
    clock.advance(1)
    assert dialogue.line(dialogue.ask(4, dialogue.notes[4]), 4) == first + REFRESH
    assert REFRESH < FRESH


def test_a_dialogue_of_nine_requests(dialogue):
    """The shape of a dialogue that other witnesses are tested with: 2, 4, 6."""
    d = dialogue
    stranger = Signer.generate()
    said = [
        d.ask(0, d.signed(2, signer=stranger)),
        d.ask(0, d.notes[2]),
        d.ask(0, d.notes[2]),
        d.ask(2, d.notes[2]),
        d.ask(2, d.notes[4], [OTHER]),
        d.ask(2, d.notes[4]),
        d.ask(2, d.notes[6]),
        d.ask(4, d.notes[6]),
        d.ask(4, d.notes[6]),
    ]
    statuses = [403, 200, 409, 200, 422, 200, 409, 200, 409]
    assert [answer.status for answer in said] == statuses
    sizes = [answer.body for answer in said if answer.status == 409]
    assert sizes == [b"2\n", b"4\n", b"6\n"]
    for place, size in ((1, 2), (3, 2), (5, 4), (7, 6)):
        d.line(said[place], size)
    assert d.witness.size("maison") == 6


def test_a_later_head_with_its_quorum_is_a_receipt_too(dialogue):
    """A witness that cosigned a later head first never cosigns the earlier one."""
    d = dialogue
    assert d.ask(0, d.notes[6]).status == 200
    assert d.ask(0, d.notes[2]).status == 409
    path = "/v1/feeds/maison/receipts/0"
    member = d.world.members["maison"].client("node1")
    assert member.probe("GET", path).status == 202
    d.home.sync("node2")
    answer = member.probe("GET", path)
    assert answer.status == 200
    body = json.loads(answer.body)
    assert (body["first"], body["size"]) == (0, 6)
    assert any("/node/node2 " in line for line in body["cosignatures"])


def test_a_batch_far_below_the_first_quorum_has_its_receipt(dialogue):
    """However many heads lie between, and for who sends the batch again as well."""
    d = dialogue
    maison = d.world.members["maison"]
    client = maison.client("node1")
    with d.home.store.read() as tx:
        head = d.home.hub.registry.current(tx).head
    d.world.split({"node1", "maison"}, {"node2"})
    body = maison.batch(1, head)
    first = client.publish("maison", body)
    assert first["cosignatures"] == []
    for _ in range(110):
        last = client.publish("maison", maison.batch(1, head))
    path = f"/v1/feeds/maison/receipts/{first['first']}"
    assert client.probe("GET", path).status == 202
    d.world.split()
    # The peer is shown the newest head, which it cosigns; it never gets to the older.
    again = client.publish("maison", body)
    assert (again["first"], again["size"]) == (first["first"], last["size"])
    assert len(again["cosignatures"]) == 1
    answer = client.probe("GET", path)
    assert answer.status == 200
    assert json.loads(answer.body) == again
