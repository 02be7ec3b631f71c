"""The auditor's day: audit a mirror and a node, prove an entry, convict a home."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from hub.model import render_time
from hub.tlog.checkpoint import Checkpoint, sign_checkpoint
from hub.wiring import build_hub


@pytest.fixture
def published(alliance):
    cases = alliance.folder / "cases.csv"
    cases.write_text("case,domain\nC-1,fake-bags.example\nC-2,cheap-watches.example\n")
    alliance.hub("maison", "publish", cases, "--ref", "case")
    return alliance


def test_audit_a_mirror_and_a_node(published, tmp_path):
    """Terminal, JSON and page; now, and as of a day before anything was there."""
    page = tmp_path / "out" / "audit.html"
    published.hub("auditor1", "pull")
    [report] = published.hub("auditor1", "audit", "--html", page)
    assert list(report)[:4] == ["ok", "as_of", "feeds", "findings"]
    assert report["ok"] is True
    assert [f["feed"] for f in report["feeds"]] == ["registry", "maison"]
    assert "no finding" in page.read_text()
    assert "<script" not in page.read_text()
    [before] = published.hub("auditor1", "audit", "--as-of", "2020-01-01")
    assert before["as_of"] == "2020-01-01T23:59:59Z"
    assert [f["size"] for f in before["feeds"]] == [0, 0]
    assert before["counts"]["reports"] == 0
    now = render_time(build_hub(published.folder / "auditor1").clock.now() + 5)
    [then] = published.hub("auditor1", "audit", "--as-of", now)
    assert then["counts"]["by_member"] == {"maison": 2}
    [remote] = published.hub("auditor1", "audit", "--node", published.url)
    assert remote["nodes"] == [
        {"url": published.url, "problem": "", "behind": {"registry": 0, "maison": 0}}
    ]
    assert remote["feeds"] == report["feeds"]
    published.hub("auditor1", "audit", "--as-of", "yesterday", status=2)
    assert "Write 2026-11-24" in published.said
    published.hub("auditor1", "audit", "--as-of", now, "--require-fresh", status=2)
    published.hub("auditor1", "audit", "--node", "http://127.0.0.1:9", status=6)


def test_a_finding_is_status_one_and_names_the_entry(published):
    """And the node itself, asked over HTTP, is still clean."""
    published.hub("auditor1", "pull")
    store = build_hub(published.folder / "auditor1").store
    with closing(store), store.write() as tx:
        tx.objects.erase("maison", [2])
    [report] = published.hub("auditor1", "audit", status=1)
    assert report["ok"] is False
    [finding] = report["findings"]
    assert set(finding) == {"kind", "feed", "entry", "detail"}
    assert (finding["kind"], finding["entry"]) == (
        "tombstone-without-erasure",
        "maison/2",
    )
    [remote] = published.hub("auditor1", "audit", "--node", published.url)
    assert remote["ok"] is True


def test_a_proof_file_in_a_folder_with_nothing_but_the_pin(published, tmp_path):
    """No mirror, no keys, no network."""
    published.hub("maison", "pull")
    court = tmp_path / "court"
    court.mkdir()
    shutil.copy(published.folder / "node" / "pin.json", court)
    file = court / "entry.proof"
    words = ("proof", "maison/1", "--out", file, "--disclose")
    published.hub("maison", *words, text="fake-bags.example\n")
    published.stop()
    [found] = published.hub(court, "verify", file)
    assert found["entry"] == "maison/1"
    assert found["identifier"] == {"type": "domain", "value": "fake-bags.example"}
    assert (found["existed_by"], found["witnesses"]) == (None, [])
    for name in ("registry/1", "maison/0"):
        published.hub("maison", "proof", name, "--out", court / "other.proof")
        assert published.hub(court, "verify", court / "other.proof")
    body = json.loads(file.read_text())
    body["registry"]["lines"].pop()
    file.write_text(json.dumps(body))
    published.hub(court, "verify", file, status=2)
    for bad in ("pin.json", "missing"):
        published.hub(court, "verify", court / bad, status=2)
    assert "Traceback" not in published.said


def test_evidence_convicts_offline(published, tmp_path):
    """A second head that the home signed: found by the audit, checked with a proof file."""
    published.stop()
    node = published.folder / "node"
    hub = build_hub(node)
    other = Checkpoint("alliance.example/maison", 1, bytes(32))
    raw = sign_checkpoint(other, hub.signer("log"))
    hub.close()
    with closing(sqlite3.connect(node / "hub.db")) as connection:
        query = "INSERT INTO checkpoints SELECT id, 1, ? FROM feeds WHERE name = ?"
        connection.execute(query, (raw, "maison"))
        connection.commit()
    court = tmp_path / "court"
    court.mkdir()
    shutil.copy(node / "pin.json", court)
    [report] = published.hub("node", "audit", "--evidence", court, status=1)
    assert {f["kind"] for f in report["findings"]} == {
        "checkpoint-between-batches",
        "fork",
    }
    [name] = report["evidence"]
    published.hub("node", "proof", "registry/1", "--out", court / "registry.proof")
    words = ("verify", court / name)
    [found] = published.hub(court, *words, "--registry", court / "registry.proof")
    assert (found["evidence"], found["feed"]) == ("fork", "maison")
    published.hub(court, *words, status=2)
    assert "--registry" in published.said
    # In a folder with a mirror, the mirror's registry does.
    assert published.hub("node", *words)
    file = court / name
    file.write_bytes(file.read_bytes().replace(b'"kind":"fork"', b'"kind":"fork2"'))
    published.hub("node", *words, status=2)
