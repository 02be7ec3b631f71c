"""What an officer's command believes of a node, and what it never overwrites."""

from __future__ import annotations

import json

import click
import pytest

from hub.cli.office import Office, shown_head, waiting
from hub.errors import MalformedError, RefusedError, UnavailableError
from hub.officers import parse_proposal, propose, registry_entry, render_proposal, sign
from hub.signings import Signings
from hub.tlog.batch import parse_batch_note
from hub.tlog.checkpoint import EMPTY, Checkpoint, Head, sign_checkpoint
from hub.wiring import build_hub
from keys.ed25519 import Signer
from keys.note import NoteSigner
from tests.hub.officerkit import ALLIANCE, NOW


class Showing:
    """A node that shows one checkpoint, or refuses to."""

    url = "https://node1.alliance.example"

    def __init__(self, raw=None, problem=None):
        self.raw, self.problem = raw, problem

    def get_bytes(self, path):
        assert path == "/v1/feeds/maison/checkpoint"
        if self.problem:
            raise self.problem
        return self.raw


@pytest.fixture
def hub(harmed):
    made = build_hub(harmed)
    yield made
    made.close()


@pytest.fixture
def office(hub, tmp_path):
    context = click.Context(
        click.Command("x"), obj={"folder": hub.folder, "json": True}
    )
    return Office(context, hub, tmp_path / "proposal.json")


def signed(signer, size=9):
    origin = f"{ALLIANCE}/maison"
    return sign_checkpoint(Checkpoint(origin, size, bytes(range(32))), signer)


def test_a_head_is_believed_when_the_feeds_home_signed_it(hub):
    directory = hub.directory()
    raw = signed(hub.signer("log"))
    head = shown_head(Showing(raw), directory, "maison")
    assert head == Head(9, bytes(range(32)))


def test_a_head_of_somebody_else_is_not_believed(hub):
    """Else whoever answers decides where a feed is cut, or a key closed."""
    directory = hub.directory()
    for raw in (signed(Signer.generate()), signed(hub.signer("witness")), b"x\n"):
        with pytest.raises(MalformedError):
            shown_head(Showing(raw), directory, "maison")


def test_a_feed_without_lines_is_empty_and_a_silent_node_is_not(hub):
    directory = hub.directory()
    none = RefusedError("there is no feed", code="unknown-feed")
    assert shown_head(Showing(problem=none), directory, "maison") == EMPTY
    for problem in (RefusedError("no"), UnavailableError("away")):
        with pytest.raises(type(problem)):
            shown_head(Showing(problem=problem), directory, "maison")


def made(office, name="pay"):
    line = registry_entry("member", NOW, name=name)
    return propose(ALLIANCE, office.replay().head, [line])


def test_an_unfinished_proposal_is_not_written_over(office):
    one, two = made(office), made(office, "parcel")
    office.write(one)
    with pytest.raises(RefusedError, match="not finished"):
        office.write(two)
    assert parse_proposal(office.out.read_text()) == one
    # More signatures on the same one are no other one.
    sign(one, office.signers())
    office.write(one)
    assert parse_proposal(office.out.read_text())["signatures"]


@pytest.mark.parametrize("text", ["", "my notes\n", '{"text":1}'])
def test_a_file_that_is_no_proposal_is_not_written_over(office, text):
    office.out.write_text(text)
    with pytest.raises(RefusedError, match="not finished"):
        office.write(made(office))
    assert office.out.read_text() == text


def test_a_stale_proposal_makes_room(office):
    line = registry_entry("member", NOW, name="market")
    office.out.write_text(render_proposal(propose(ALLIANCE, EMPTY, [line])))
    fresh = made(office)
    office.write(fresh)
    assert parse_proposal(office.out.read_text()) == fresh


def test_one_folder_signs_one_successor_of_a_head(office, hub):
    """Two that are accepted somewhere convict whoever signed both."""
    one, two = made(office), made(office, "parcel")
    office.sign(one, office.signers())
    with pytest.raises(RefusedError) as caught:
        office.sign(two, office.signers())
    assert caught.value.code == "signed-another"
    assert two["signatures"] == []
    # Remembered before the signature was there, in the folder of the key.
    remembered = Signings(hub.folder / "private" / "signed.jsonl")
    assert len(remembered.others(parse_batch_note(two["text"]))) == 1
    office.although = True
    assert office.sign(two, office.signers()).complete


def test_what_the_registry_would_refuse_is_not_signed(office):
    bad, path = made(office, "maison"), office.hub.folder / "private" / "signed.jsonl"
    before = path.read_text()
    with pytest.raises(MalformedError, match="taken"):
        office.sign(bad, office.signers())
    assert bad["signatures"] == []
    assert path.read_text() == before


def test_only_officers_of_now_sign(office):
    [named] = office.signers()
    assert named.name == f"{ALLIANCE}/officer/officer1"
    stranger = NoteSigner(f"{ALLIANCE}/officer/zoe", Signer.generate())
    proposal = made(office)
    with pytest.raises(RefusedError):
        office.sign(proposal, [stranger])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"cosignatures": [], "quorum": 0}, False),
        ({"cosignatures": []}, False),
        ({"cosignatures": ["a"], "quorum": 1}, False),
        ({"cosignatures": ["a"], "quorum": 2}, True),
        ({"cosignatures": [], "quorum": "2"}, False),
    ],
)
def test_an_officer_is_told_when_a_batch_waits_for_its_quorum(answer, told):
    assert bool(waiting(answer)) == told


def test_json_of_a_proposal_has_what_scripts_need(office, capsys):
    """A folder without an officer's key writes a proposal that nobody signed yet."""
    proposal = made(office)
    office._pass_on(proposal, office.sign(proposal, []))
    body = json.loads(capsys.readouterr().out)
    assert body == {"proposal": str(office.out), "signatures": 0, "threshold": 1}
    assert parse_proposal(office.out.read_text()) == proposal
