"""Each planted fault is named by the audit; each bad upload is refused, whole."""

from __future__ import annotations

import copy
import gzip
import json

import pytest

from hub.api.context import Serving
from hub.app import create_app
from hub.audit import audit
from hub.clock import FixedClock
from hub.feeds import append, delete_due
from hub.indexing import catch_up
from hub.model import new_salt, render_time
from hub.officers import body_of, propose, registry_entry, sign
from hub.publishing import make_batch
from hub.screening import outlook_of
from hub.store.engine import sqlite3
from hub.tlog.batch import digests_of, is_header
from hub.tlog.checkpoint import Head
from hub.verifier import OpenBatch, open_header
from hub.wiring import build_hub
from keys.ed25519 import Signer
from keys.note import NoteSigner
from schemas.base import render_line
from tests.hub.api.served import NOW, report_line


def kinds(folder):
    hub = build_hub(folder)
    report = audit(hub.store, hub.registry.pin, NOW)
    return {f.kind for f in report.findings}, report


class Node:
    """A node's folder in this process, with what a hostile operator has."""

    def __init__(self, folder):
        self.folder = folder
        self.hub = build_hub(folder)
        self.log = self.hub.signer("log")
        serving = Serving(self.hub, "http://node.example", self.log)
        self.web = create_app(serving).test_client()
        self.member = NoteSigner(
            "alliance.example/member/maison/k1",
            build_hub(folder.parent / "maison").signer("publish"),
        )
        officer = self.hub.signer("officer1")
        self.officer = NoteSigner("alliance.example/officer/officer1", officer)

    @property
    def head(self):
        with self.hub.store.read() as tx:
            return self.hub.registry.current(tx).head

    def batch(self, *lines, signer=None):
        signer = signer or self.member
        origin = "alliance.example/maison"
        return make_batch(origin, list(lines), self.head, signer)[1]

    def post(self, body, feed="maison", **headers):
        return self.web.post(
            f"/v1/feeds/{feed}/batches",
            data=body,
            content_type="application/x-ndjson",
            headers=headers,
        )

    def plant(self, body, feed="maison", key=None):
        """Append a batch as a hostile home would, checking nothing."""
        lines = body[:-1].split(b"\n")
        with self.hub.store.write() as tx:
            first = tx.objects.size(feed)
            from hub.tlog.batch import parse_batch_note, parse_header
            from keys.note import parse_note

            note = parse_batch_note(parse_note(parse_header(lines[0])).text)
            taken = tx.batches.find(feed, note.batch_id)
            if taken:
                # The store refuses a repeated id by itself; a hostile one would not.
                from dataclasses import replace

                note = replace(note, batch_id=bytes(16))
            public = key or self.log.public
            batch = OpenBatch(feed, first, note, public, "", void=False)
            append(
                tx, "alliance.example", batch, lines, digests_of(lines), signer=self.log
            )

    def proposed(self, *lines):
        """Return a registry batch that the officer signed."""
        proposal = propose("alliance.example", self.head, lines)
        sign(proposal, [self.officer])
        return body_of(proposal)

    def registry(self, *lines):
        answer = self.post(self.proposed(*lines), "registry")
        assert answer.status_code == 200, answer.json

    def close_key(self):
        self.registry(
            registry_entry(
                "key-closed",
                NOW,
                owner="member/maison",
                label="k1",
                index=0,
                reason="stolen",
            )
        )


@pytest.fixture
def node(harmed):
    return Node(harmed)


def test_an_untouched_node_has_no_finding(node):
    assert kinds(node.folder)[0] == set()


def _rewrite(folder, change):
    """Change the stored page of maison's feed."""
    connection = sqlite3.connect(folder / "hub.db")
    query = """SELECT p.rowid, p.digests, p.lines FROM pages p JOIN feeds f
        ON f.id = p.feed WHERE f.name = 'maison' ORDER BY p.first LIMIT 1"""
    row, digests, lines = connection.execute(query).fetchone()
    digests, text = change(digests, gzip.decompress(lines))
    connection.execute(
        "UPDATE pages SET digests = ?, lines = ? WHERE rowid = ?",
        (digests, gzip.compress(text), row),
    )
    connection.commit()
    connection.close()


def test_an_altered_line_is_named(node):
    _rewrite(
        node.folder,
        lambda d, t: (d, t.replace(b'"confidence":50', b'"confidence":90', 1)),
    )
    found, report = kinds(node.folder)
    assert found == {"altered-line"}
    assert report.findings[0].entry == "maison/1"


def test_an_altered_digest_is_named(node):
    _rewrite(node.folder, lambda d, t: (d[:40] + bytes([d[40] ^ 1]) + d[41:], t))
    assert "wrong-root" in kinds(node.folder)[0]


def test_a_withheld_line_without_erasure_is_named(node):
    with node.hub.store.write() as tx:
        tx.objects.erase("maison", [2])
    assert kinds(node.folder)[0] == {"tombstone-without-erasure"}


def test_a_dropped_batch_is_named(node):
    connection = sqlite3.connect(node.folder / "hub.db")
    connection.execute(
        "DELETE FROM pages WHERE feed = (SELECT id FROM feeds WHERE name = 'maison')"
    )
    connection.commit()
    connection.close()
    assert "rolled-back-head" in kinds(node.folder)[0]


def test_a_foreign_signature_is_named(node):
    stranger = NoteSigner("alliance.example/member/market/k1", Signer.generate())
    node.plant(node.batch(report_line(), signer=stranger))
    assert "bad-signature" in kinds(node.folder)[0]


def test_a_never_registered_key_is_named(node):
    unknown = NoteSigner("alliance.example/member/maison/k2", Signer.generate())
    node.plant(node.batch(report_line(), signer=unknown))
    assert "bad-signature" in kinds(node.folder)[0]


def test_a_repeated_batch_is_named(node):
    body = node.batch(report_line())
    assert node.post(body).status_code == 200
    node.plant(body)
    assert kinds(node.folder)[0] == {"repeated-batch"}


def test_the_wrong_token_class_is_named(node):
    node.plant(node.batch(report_line(type="phone")))
    assert kinds(node.folder)[0] == {"wrong-token-class"}


def test_a_bad_registry_signature_is_named(node):
    line = registry_entry("member", NOW, name="intruder")
    proposal = propose("alliance.example", node.head, [line])
    sign(proposal, [NoteSigner(node.officer.name, Signer.generate())])
    node.plant(body_of(proposal), "registry")
    assert "bad-signature" in kinds(node.folder)[0]


def test_a_checkpoint_of_another_key_is_named(node):
    with node.hub.store.read() as tx:
        raw = tx.heads.get("maison").checkpoint
    forged = raw.replace(b"\n5\n", b"\n4\n")
    connection = sqlite3.connect(node.folder / "hub.db")
    connection.execute(
        "UPDATE checkpoints SET checkpoint = ? WHERE checkpoint = ?", (forged, raw)
    )
    connection.commit()
    connection.close()
    assert kinds(node.folder)[0] == {"bad-checkpoint"}


def test_lines_under_a_closed_key_are_void_and_no_finding(node):
    node.close_key()
    found, report = kinds(node.folder)
    assert found == set()
    assert report.void == ["maison/0-4"]
    catch_up(node.hub.store, node.hub.registry.directory)
    with node.hub.store.read() as tx:
        assert not tx.index.all_active(outlook_of(node.hub.directory(), NOW))
    assert node.post(node.batch(report_line())).json["type"].endswith("closed-key")


def test_a_suspended_entry_is_inactive_until_its_day(node):
    node.registry(
        registry_entry(
            "suspension",
            NOW,
            entries=["maison/1"],
            ground="court order 1",
            until=render_time(NOW + 100),
        )
    )
    catch_up(node.hub.store, node.hub.registry.directory)
    directory = node.hub.directory()
    with node.hub.store.read() as tx:
        now = tx.index.all_active(outlook_of(directory, NOW + 1))
        later = tx.index.all_active(outlook_of(directory, NOW + 101))
    assert len(later) == len(now) + 1


def test_an_erased_line_is_hidden_at_once_and_deleted_after_72_hours(node):
    entry = {
        "kind": "erasure",
        "salt": new_salt(),
        "at": render_time(NOW),
        "indices": [2],
        "ground": "other",
    }
    assert node.post(node.batch(render_line(entry))).status_code == 200
    with node.hub.store.read() as tx:
        assert 2 in tx.erasures.hidden("maison", 0, 5)
    assert delete_due(node.hub.store, NOW + 71 * 3600) == 0
    assert delete_due(node.hub.store, NOW + 73 * 3600) == 1
    with node.hub.store.read() as tx:
        assert next(tx.objects.lines("maison", 2, 3)).raw is None
    assert kinds(node.folder)[0] == set()


BAD_LINES = {
    "duplicate key": b'{"kind":"report","kind":"report"}',
    "float": b'{"kind":"report","confidence":50.0}',
    "unknown key": report_line(surprise=1),
    "17 KiB": b'{"kind":"report","note":"' + b"a" * 17 * 1024 + b'"}',
    "invalid UTF-8": b'{"kind":"\xff"}',
    "NUL": b'{"kind":"report","note":"\\u0000"}',
    "tombstone": b'{"kind":"tombstone"}',
    "header": b'{"kind":"batch","note":"x"}',
    "future": report_line(at=render_time(NOW + 3600)),
    "wrong class": report_line(type="phone"),
    "unknown token key": report_line(key="open-9"),
    "valid for ever": report_line(valid_until="2099-01-01T00:00:00Z"),
    "tlp red": report_line(tlp="red"),
    "identifier in a note": report_line(note="write to someone@shop.example"),
    "not a card in goods": report_line(goods=[46]),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_refuses_the_whole_batch_and_is_named(node, name):
    answer = node.post(node.batch(report_line(), BAD_LINES[name]))
    assert answer.status_code == 422, answer.json
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == "urn:alliance-hub:invalid-line"
    assert "line 3" in answer.json["detail"]
    with node.hub.store.read() as tx:
        assert tx.heads.get("maison").size == 5


def test_the_same_bytes_get_the_same_answer_and_the_id_is_spent(node):
    body = node.batch(report_line())
    first, second = node.post(body), node.post(body)
    assert first.data == second.data
    assert first.status_code == second.status_code == 200
    lines = body.split(b"\n")
    other = copy.copy(lines)
    other[1] = report_line()
    answer = node.post(b"\n".join(other))
    # The header is the one that was signed, so what was stored is what is answered.
    assert answer.data == first.data


def test_truncated_wrong_count_and_wrong_root(node):
    body = node.batch(report_line(), report_line())
    assert node.post(body[:-10]).json["type"].endswith("truncated")
    lines = body.split(b"\n")
    short = b"\n".join([*lines[:2], b""])
    assert node.post(short).json["type"].endswith("wrong-count")
    changed = b"\n".join([lines[0], lines[1], report_line(), b""])
    assert node.post(changed).json["type"].endswith("wrong-root")


def test_who_may_publish(node):
    stranger = NoteSigner("alliance.example/member/maison/k1", Signer.generate())
    refused = node.post(node.batch(report_line(), signer=stranger))
    assert (refused.status_code, refused.json["type"]) == (
        403,
        "urn:alliance-hub:bad-signature",
    )
    assert node.post(node.batch(report_line()), "nobody").status_code == 404
    assert node.post(node.batch(report_line()), "market").status_code == 403
    assert node.post(b"not a header\n").status_code == 422
    big = node.web.post(
        "/v1/feeds/maison/batches",
        content_type="application/x-ndjson",
        environ_overrides={"CONTENT_LENGTH": str(10**10)},
    )
    assert big.status_code == 413


def test_a_stale_registry_proposal_is_refused(node):
    line = registry_entry("member", NOW, name="late")
    proposal = propose("alliance.example", Head(0, bytes(32)), [line])
    sign(proposal, [node.officer])
    answer = node.post(body_of(proposal), "registry")
    assert answer.json["type"] == "urn:alliance-hub:stale-proposal"


def test_lines_of_members_are_not_for_everybody_and_the_log_is(node):
    assert node.web.get("/v1/feeds/maison/entries").status_code == 401
    assert node.web.get("/v1/feeds/registry/entries").status_code == 200
    for path in ("checkpoint", "tile/0/000.p/5", "tile/entries/000.p/5", "proof/1"):
        assert node.web.get(f"/v1/feeds/maison/{path}").status_code == 200
    for path in ("tile/0/000", "tile/0/000.p/6", "tile/0/0", "proof/9"):
        assert node.web.get(f"/v1/feeds/maison/{path}").status_code == 404
    headers = {"Authorization": "Bearer nonsense"}
    answer = node.web.get("/v1/feeds/maison/entries", headers=headers)
    assert answer.json["type"] == "urn:alliance-hub:bad-bearer"


def test_the_openapi_document_names_every_route(node):
    paths = node.web.get("/openapi.json").json["paths"]
    assert {"/v1/feeds", "/v1/feeds/{feed}/batches", "/v1/tokens/{key}"} <= set(paths)


def test_headers_are_told_from_entries(node):
    line = node.batch(report_line()).split(b"\n")[0]
    assert is_header(line)
    batch = open_header(node.hub.directory(), "maison", 5, line)
    assert (batch.note.count, batch.void) == (1, False)
    assert json.loads(line)["kind"] == "batch"
    assert FixedClock(3).now() == 3


def test_a_bearer_token_ends_with_its_owners_membership(node):
    """It reads as its owner does, and no longer."""
    from hub.access import new_bearer

    secret, row = new_bearer("script", "member/maison", days=1, now=NOW)
    with node.hub.store.write() as tx:
        tx.node.add_bearer(row)
    headers = {"Authorization": f"Bearer {secret}"}
    path = "/v1/feeds/maison/entries"
    assert node.web.get(path, headers=headers).status_code == 200
    node.registry(registry_entry("member-left", NOW, name="maison", reports="stand"))
    assert node.web.get(path, headers=headers).status_code == 401
