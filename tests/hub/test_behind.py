"""A home that lost its tail signs nothing that could contradict what it signed before."""

from __future__ import annotations

import shutil

import pytest

from hub.errors import ConfigError, UnavailableError
from hub.marks import Marks
from hub.officers import registry_entry
from hub.publishing import make_batch
from hub.tlog.checkpoint import Head
from keys.encoding import to_base64
from tests.hub.test_faults import NOW, Node, report_line


@pytest.fixture
def node(harmed):
    return Node(harmed)


def restored(node, database):
    """Return the node as it is after an old database was put in its place."""
    node.hub.close()
    for suffix in ("-wal", "-shm"):
        (node.folder / f"hub.db{suffix}").unlink(missing_ok=True)
    shutil.copy(database, node.folder / "hub.db")
    return Node(node.folder)


def copied(node):
    path = node.folder.parent / "old.db"
    node.hub.store.backup(path)
    return path


def newest(answer):
    return to_base64(answer.json["checkpoint"].encode())


def test_it_refuses_below_its_own_mark(node):
    """The file beside the key says what was signed, and the other feeds go on."""
    old = copied(node)
    assert node.post(node.batch(report_line())).status_code == 200
    node = restored(node, old)
    answer = node.post(node.batch(report_line()))
    assert (answer.status_code, answer.json["type"]) == (
        503,
        "urn:alliance-hub:behind-own-signature",
    )
    assert "hub restore" in answer.json["advice"]
    assert node.web.get("/v1/feeds/maison/checkpoint").status_code == 200


def test_a_mark_of_the_registry_stops_every_feed(node):
    """Behind in the registry, it would honour keys that were closed since."""
    old = copied(node)
    node.close_key()
    node = restored(node, old)
    answer = node.post(node.batch(report_line()))
    assert answer.json["type"] == "urn:alliance-hub:behind-own-signature"
    assert "signed registry at" in answer.json["detail"]


def test_the_callers_checkpoint_stops_it_when_the_mark_is_lost(node):
    """Both the database and the mark come from the old backup."""
    old, marks = copied(node), (node.folder / "private" / "log.heads").read_bytes()
    seen = newest(node.post(node.batch(report_line())))
    node = restored(node, old)
    (node.folder / "private" / "log.heads").write_bytes(marks)
    headers = {"Hub-Newest-Checkpoint": seen}
    answer = node.post(node.batch(report_line()), **headers)
    assert answer.json["type"] == "urn:alliance-hub:behind-own-signature"
    # What is not signed by this node's key says nothing about it.
    for nonsense in ("", "x", to_base64(b"x"), seen[:-8] + "AAAAAAA="):
        headers = {"Hub-Newest-Checkpoint": nonsense}
        assert node.post(node.batch(report_line()), **headers).status_code == 200


def test_another_history_than_the_callers_is_a_fork(node):
    """It grew again without its mark: the caller's checkpoint convicts it."""
    old, marks = copied(node), (node.folder / "private" / "log.heads").read_bytes()
    seen = newest(node.post(node.batch(report_line())))
    node = restored(node, old)
    (node.folder / "private" / "log.heads").write_bytes(marks)
    assert node.post(node.batch(report_line())).status_code == 200
    headers = {"Hub-Newest-Checkpoint": seen}
    answer = node.post(node.batch(report_line()), **headers)
    assert (answer.status_code, answer.json["type"]) == (409, "urn:alliance-hub:fork")
    assert "Keep your checkpoint" in answer.json["advice"]


def test_a_writer_that_saw_a_longer_registry_stops_it(node):
    """The batch's own note names the registry that the member saw."""
    old, marks = copied(node), (node.folder / "private" / "log.heads").read_bytes()
    node.registry(registry_entry("member", NOW, name="parcel"))
    body = node.batch(report_line())
    node = restored(node, old)
    (node.folder / "private" / "log.heads").write_bytes(marks)
    answer = node.post(body)
    assert (answer.status_code, answer.json["type"]) == (
        503,
        "urn:alliance-hub:registry-behind",
    )


def test_a_writer_under_another_registry_is_refused(node):
    head = Head(node.head.size, bytes(32))
    body = make_batch("alliance.example/maison", [report_line()], head, node.member)[1]
    answer = node.post(body)
    assert answer.json["type"] == "urn:alliance-hub:other-registry"


def test_a_receipt_holds_after_its_key_was_closed(node):
    """The answer was lost, then the key closed: the same bytes, the same receipt."""
    body = node.batch(report_line())
    first = node.post(body)
    node.close_key()
    again = node.post(body)
    assert (again.status_code, again.data) == (200, first.data)
    refused = node.post(node.batch(report_line()))
    assert refused.json["type"] == "urn:alliance-hub:closed-key"


def test_the_mark_is_made_before_the_receipt_leaves(node):
    """A mark that cannot be written withholds the receipt; it comes with the resend."""
    marks = Marks(node.folder / "private")
    blocker = node.folder / "private" / "log.new"
    blocker.mkdir()
    body = node.batch(report_line())
    answer = node.post(body)
    assert (answer.status_code, answer.json["type"]) == (
        503,
        "urn:alliance-hub:disk-failed",
    )
    assert marks.log_sizes()["maison"] == 5
    blocker.rmdir()
    answer = node.post(body)
    assert (answer.status_code, answer.json["first"]) == (200, 5)
    assert marks.log_sizes()["maison"] == 7


@pytest.mark.parametrize(
    "raw", ["", "{", "[]", "7", '{"maison":"7"}', '{"maison":1.5}']
)
def test_a_damaged_mark_is_named(node, raw):
    path = node.folder / "private" / "log.heads"
    path.write_text(raw)
    with pytest.raises(ConfigError, match="is damaged") as caught:
        Marks(path.parent).log_sizes()
    assert caught.value.advice
    answer = node.post(node.batch(report_line()))
    assert answer.json["type"] == "urn:alliance-hub:damaged-marks"
    with node.hub.store.read() as tx:
        assert tx.heads.get("maison").size == 5


def test_marks_never_go_back(tmp_path):
    marks = Marks(tmp_path)
    assert marks.log_sizes() == {}
    marks.note_log("maison", 4)
    marks.note_log("maison", 3)
    marks.note_log("market", 2)
    assert marks.log_sizes() == {"maison": 4, "market": 2}


def test_the_mark_of_a_witness_never_goes_back_unless_it_starts_anew(tmp_path):
    """Two processes commit in one order and note in the other."""
    marks = Marks(tmp_path)
    marks.note_witness("maison", 12, 200)
    marks.note_witness("maison", 10, 199)
    assert marks.witnessed("maison") == (12, 200)
    marks.note_witness("maison", 12, 150)
    marks.note_witness("maison", 11, 210)
    assert marks.witnessed("maison") == (12, 210)
    marks.start("maison", 5, bytes(32))
    assert marks.witnessed("maison") == (5, 210)


def test_a_disk_that_fails_is_said_so(tmp_path):
    with pytest.raises(UnavailableError):
        Marks(tmp_path / "nowhere").note_log("maison", 1)
