"""Faults planted in a store or told by a node: the audit and the pull name each."""

from __future__ import annotations

import gzip
import json

import pytest

from hub.audit import audit
from hub.conviction import judge
from hub.findings import ADVICE
from hub.model import new_salt, render_time
from hub.officers import registry_entry
from hub.publishing import make_batch
from hub.registry import Registry
from hub.store.engine import sqlite3
from hub.store.memory import MemoryStore
from hub.sync import Mirror, pull
from hub.tlog.checkpoint import Checkpoint, Head, sign_checkpoint
from keys.cosignature import cosign
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.note import NoteSigner, parse_note
from schemas.base import render_line
from tests.hub.test_faults import NOW, Node, kinds, report_line


@pytest.fixture
def node(harmed):
    return Node(harmed)


def line(kind, **fields):
    entry = {"kind": kind, "salt": new_salt(), "at": render_time(NOW), **fields}
    return render_line(entry)


def sql(node, statement, *values):
    connection = sqlite3.connect(node.folder / "hub.db")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def change_lines(node, change):
    """Change the first stored page of maison's feed; digests follow if asked."""
    connection = sqlite3.connect(node.folder / "hub.db")
    row, digests, packed = connection.execute(
        """SELECT p.rowid, p.digests, p.lines FROM pages p JOIN feeds f
        ON f.id = p.feed WHERE f.name = 'maison' ORDER BY p.first LIMIT 1"""
    ).fetchone()
    lines = gzip.decompress(packed)[:-1].split(b"\n")
    parts = [digests[n : n + 32] for n in range(0, len(digests), 32)]
    change(lines, parts)
    connection.execute(
        "UPDATE pages SET digests = ?, lines = ? WHERE rowid = ?",
        (b"".join(parts), gzip.compress(b"\n".join(lines) + b"\n"), row),
    )
    connection.commit()
    connection.close()


def findings(node):
    report = kinds(node.folder)[1]
    return {(f.kind, f.entry) for f in report.findings}, report


# -- lines and batches -----------------------------------------------------------------


def test_reordered_entries_are_named(node):
    """Line and digest were swapped together: the batch's root is another."""

    def swap(lines, digests):
        for values in (lines, digests):
            values[1], values[2] = values[2], values[1]

    change_lines(node, swap)
    found, _ = findings(node)
    assert ("wrong-root", "maison/0") in found
    assert not {k for k, _ in found} & {"altered-line", "fork"}


def test_a_header_that_was_erased_is_named(node):
    """Headers stay; without it the batch has no signature."""
    with node.hub.store.write() as tx:
        tx.objects.erase("maison", [0])
    assert ("erased-header", "maison/0") in findings(node)[0]


def test_a_batch_of_another_feed_is_named(node):
    """Moved by its home: the note names the feed that it was signed for."""
    node.plant(
        make_batch("alliance.example/market", [report_line()], node.head, node.member)[
            1
        ]
    )
    node.plant(node.batch(report_line()), "market")
    found, _ = findings(node)
    assert {("moved-batch", "maison/5"), ("moved-batch", "market/0")} == found


def test_the_walk_goes_on_behind_a_bad_batch(node):
    """One report names all faults, and the batches after them are verified."""
    stranger = NoteSigner(node.member.name, Signer.generate())
    node.plant(node.batch(report_line(), signer=stranger))
    node.plant(node.batch(report_line(type="phone")))
    node.plant(node.batch(report_line(key="open-9")))
    found, report = findings(node)
    assert found == {
        ("bad-signature", "maison/5"),
        ("wrong-token-class", "maison/8"),
        ("unknown-token-key", "maison/10"),
    }
    assert {f["feed"]: f["batches"] for f in report.feeds}["maison"] == 4


def test_a_registry_head_that_never_was_is_named(node):
    """Neither another root, nor a size inside a batch of the registry."""
    origin = "alliance.example/maison"
    with node.hub.store.read() as tx:
        inside = tx.objects.hash_reader("registry", 2)
        from hub.tlog.merkle import Frontier

        between = Head(2, Frontier.of_hashes(2, inside).root())
    for head in (Head(node.head.size, bytes(32)), between):
        body = make_batch(origin, [report_line()], head, node.member)[1]
        assert node.post(body).json["type"].endswith("other-registry")
        node.plant(body)
    found, _ = findings(node)
    assert found == {
        ("unknown-registry-head", "maison/5"),
        ("unknown-registry-head", "maison/7"),
    }


def test_a_registry_head_above_ours_is_open_and_no_finding(node):
    """The mirror may be behind: it says so instead of accusing somebody."""
    later = Head(node.head.size + 10, bytes(32))
    body = make_batch("alliance.example/maison", [report_line()], later, node.member)[1]
    node.plant(body)
    found, report = findings(node)
    assert found == set()
    assert len(report.open) == 1
    assert f"signed at registry size {later.size}" in report.open[0]


def test_references_to_nothing_are_named(node):
    """Disputes name another member's line by its digest, withdrawals an own earlier one."""
    with node.hub.store.read() as tx:
        digest = to_base64(tx.objects.digests("maison", 1, 2)[0])

    def dispute(entry, digest):
        reference = {"feed": "maison", "entry": entry, "digest": digest}
        return line("dispute", report=reference, reason="other")

    lines = [
        dispute(1, digest),
        dispute(2, digest),
        dispute(99, digest),
        line("withdrawal", entry="maison/1", reason="other"),
        line("withdrawal", entry="market/9", reason="other"),
    ]
    signer = NoteSigner("alliance.example/member/market/k1", Signer.generate())
    proof = registry_key(node, "market", "k2", signer.signer)
    node.registry(proof)
    signer = NoteSigner("alliance.example/member/market/k2", signer.signer)
    body = make_batch("alliance.example/market", lines, node.head, signer)[1]
    node.plant(body, "market")
    node.plant(node.batch(dispute(1, digest)))
    found, report = findings(node)
    assert found == {
        ("bad-reference", "market/2"),
        ("bad-reference", "market/4"),
        ("bad-reference", "market/5"),
        ("bad-reference", "maison/6"),
    }
    assert [o[:8] for o in report.open] == ["market/3"]


def registry_key(node, member, label, signer):
    from keys.enrol import prove_possession

    owner, roles = f"member/{member}", ["publish", "request"]
    proof = prove_possession("alliance.example", owner, roles, signer)
    fields = {"public": to_base64(signer.public), "proof": to_base64(proof)}
    return registry_entry("key", NOW, owner=owner, label=label, roles=roles, **fields)


# -- heads, hashes, cosignatures -------------------------------------------------------


def note(node, size, root, key=None):
    tree = Checkpoint("alliance.example/maison", size, root)
    return sign_checkpoint(tree, key or node.log)


def plant_note(node, size, raw):
    sql(
        node,
        """INSERT OR REPLACE INTO checkpoints
        SELECT id, ?, ? FROM feeds WHERE name = 'maison'""",
        size,
        raw,
    )


def test_an_older_checkpoint_with_another_root_convicts_the_home(node):
    """It signed both, and no tree of its last head has the older root."""
    node.post(node.batch(report_line()))
    plant_note(node, 5, note(node, 5, bytes(32)))
    found, report = findings(node)
    assert found == {("fork", "maison/5")}
    [raw] = report.evidence.values()
    row = judge(raw, node.hub.directory(), NOW)
    assert (row.kind, row.feed, row.size) == ("fork", "maison", 5)


def test_a_checkpoint_inside_a_batch_is_named(node):
    """Heads end where batches end; with a wrong root it is a fork as well."""
    with node.hub.store.read() as tx:
        reader = tx.objects.hash_reader("maison", 3)
        from hub.tlog.merkle import Frontier

        root = Frontier.of_hashes(3, reader).root()
    plant_note(node, 3, note(node, 3, root))
    assert findings(node)[0] == {("checkpoint-between-batches", "maison/3")}
    plant_note(node, 3, note(node, 3, bytes(32)))
    found, report = findings(node)
    assert found == {
        ("checkpoint-between-batches", "maison/3"),
        ("fork", "maison/3"),
    }
    assert judge(*report.evidence.values(), node.hub.directory(), NOW).kind == "fork"


def test_a_head_that_the_lines_do_not_lead_to_is_named(node):
    """The last head itself is wrong, so nothing else is left to contradict it."""
    plant_note(node, 5, note(node, 5, bytes(32)))
    found, report = findings(node)
    assert found == {("wrong-root", "maison/5")}
    assert not report.evidence


def test_a_repeated_batch_convicts_the_home(node):
    """The evidence holds both headers and their proofs to one signed head."""
    body = node.batch(report_line())
    node.post(body)
    node.plant(body)
    found, report = findings(node)
    assert found == {("repeated-batch", "maison/7")}
    [raw] = report.evidence.values()
    assert judge(raw, node.hub.directory(), NOW).kind == "repeated-batch"


def test_a_feed_without_a_head_is_named(node):
    """Its lines are there and nobody vouches for them."""
    sql(
        node,
        "DELETE FROM heads WHERE feed = (SELECT id FROM feeds WHERE name = 'maison')",
    )
    assert findings(node)[0] == {("missing-head", "maison/0")}


def test_an_altered_tree_hash_is_named(node):
    """Proofs would be made of it, though every line is right."""
    node.post(node.batch(*(report_line() for _ in range(300))))
    sql(node, "UPDATE hashes SET hash = ? WHERE level = 1", bytes(32))
    assert {k for k, _ in findings(node)[0]} >= {"altered-hash"}


def test_forged_cosignatures_are_named_and_not_counted(node):
    """A signature that fails, a key that nobody registered, a line that is none."""
    with node.hub.store.read() as tx:
        text = parse_note(tx.heads.get("maison").checkpoint).text
    name = "alliance.example/node/node1"
    good = node.hub.signer("witness")
    forged = cosign(text, time=NOW, name=name, signer=good)
    broken = forged.render().replace("AAA", "AAB", 1).encode()
    unknown = cosign(text, time=NOW, name=name, signer=Signer.generate())
    with node.hub.store.write() as tx:
        tx.heads.add_cosignature("maison", 5, "node7", NOW, broken)
        tx.heads.add_cosignature("maison", 5, "node8", NOW, unknown.render().encode())
        tx.heads.add_cosignature("maison", 5, "node9", NOW, b"\xff")
    found, report = findings(node)
    assert found == {("bad-cosignature", "maison/5")}
    assert len(report.findings) == 3
    assert all(f["cosignatures"] == 0 for f in report.feeds)


def test_the_homes_own_cosignature_counts_for_nothing(node):
    """A node does not vouch for itself."""
    with node.hub.store.write() as tx:
        text = parse_note(tx.heads.get("maison").checkpoint).text
        name = "alliance.example/node/node1"
        own = cosign(text, time=NOW, name=name, signer=node.hub.signer("witness"))
        tx.heads.add_cosignature("maison", 5, "node1", NOW, own.render().encode())
    found, report = findings(node)
    assert found == set()
    assert all(f["cosignatures"] == 0 for f in report.feeds)


def test_every_kind_of_finding_has_advice(node):
    """Whoever reads a report knows what to do next."""
    assert all(text.endswith(".") for text in ADVICE.values())
    with node.hub.store.write() as tx:
        tx.objects.erase("maison", [0])
    assert findings(node)[1].findings[0].advice == ADVICE["erased-header"]


# -- told by a node --------------------------------------------------------------------


def pulled(node, change=lambda _feed, lines: lines):
    """Pull from a node that changes its lines on the way; return what went wrong."""

    class Peer(Mirror):
        def lines(self, feed, start, stop):
            return change(feed, super().lines(feed, start, stop))

    store, registry = MemoryStore(), Registry(node.hub.registry.pin)
    found = pull(store, registry, Peer(node.hub.store, "peer"), NOW)
    # Nothing of a bad feed is kept, and the audit of what was kept is clean.
    kept = audit(store, registry.pin, NOW)
    assert all(f.detail.startswith("evidence: ") for f in kept.findings)
    return {feed: problem.code for feed, problem in found.problems.items()}


def of_maison(change):
    return lambda feed, lines: change(lines) if feed == "maison" else lines


def altered(lines):
    return [
        lines[0],
        lines[1].replace(b'"confidence":50', b'"confidence":90'),
        *lines[2:],
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (altered, "wrong-root"),
        (lambda lines: [lines[0], *reversed(lines[1:])], "wrong-root"),
        (lambda lines: [*lines[1:], lines[0]], "malformed"),
        (lambda lines: lines[:-1], "malformed"),
        (lambda lines: [*lines[:-1], report_line()], "wrong-root"),
    ],
    ids=["altered", "reordered", "rotated", "short", "exchanged"],
)
def test_a_pull_names_lines_that_a_node_changed(node, change, code):
    """Altered, reordered, cut short, exchanged."""
    assert pulled(node, of_maison(change)) == {"maison": code}


@pytest.mark.parametrize("label", ["k1", "k2"])
def test_a_pull_names_a_foreign_signature_and_an_unregistered_key(node, label):
    signer = NoteSigner(f"alliance.example/member/maison/{label}", Signer.generate())
    node.plant(node.batch(report_line(), signer=signer))
    assert pulled(node) == {"maison": "bad-signature"}


def test_a_pull_names_a_moved_and_a_repeated_batch(node):
    body = node.batch(report_line())
    node.plant(body, "market")
    assert pulled(node) == {"market": "bad-signature"}
    node.post(body)
    node.plant(body)
    assert pulled(node)["maison"] == "repeated-batch"
    # Also when it comes after the mirror had the first one.
    store, registry = MemoryStore(), Registry(node.hub.registry.pin)
    peer = Mirror(node.hub.store, "peer")
    node.post(node.batch(report_line()))
    assert pull(store, registry, peer, NOW).problems["maison"].evidence
    with store.read() as tx:
        [row] = tx.federation.evidence()
    assert judge(row.raw, node.hub.directory(), NOW).kind == "repeated-batch"


def test_a_pull_names_a_registry_that_the_officers_did_not_sign(node):
    """And takes nothing of it; members' feeds go on under what was signed."""
    from hub.officers import body_of, propose, sign

    proposal = propose(
        "alliance.example", node.head, [registry_entry("member", NOW, name="intruder")]
    )
    sign(proposal, [NoteSigner(node.officer.name, Signer.generate())])
    node.plant(body_of(proposal), "registry")
    assert pulled(node)["registry"] == "bad-signature"


def test_a_pull_names_a_rolled_back_head(node):
    """The home shows less than it did."""
    store, registry = MemoryStore(), Registry(node.hub.registry.pin)
    node.post(node.batch(report_line()))
    url = next(iter(node.hub.directory().nodes.values()))
    pull(store, registry, Mirror(node.hub.store, url), NOW)

    class Older(Mirror):
        def heads(self, etag=""):
            body, tag = super().heads(etag)
            with self.store.read() as tx:
                older = tx.heads.checkpoints("maison", 5, 1)[0][1].decode()
            body["feeds"] = [
                {**f, "checkpoint": older} if f["feed"] == "maison" else f
                for f in body["feeds"]
            ]
            return json.loads(json.dumps(body)), tag

    found = pull(store, registry, Older(node.hub.store, url), NOW)
    assert found.problems["maison"].code == "rollback"


def test_a_pull_names_a_fork(node):
    """Another history of the same size, signed by the same key."""
    store, registry = MemoryStore(), Registry(node.hub.registry.pin)
    pull(store, registry, Mirror(node.hub.store, "peer"), NOW)

    class Forked(Mirror):
        def heads(self, etag=""):
            body, tag = super().heads(etag)
            for feed in body["feeds"]:
                if feed["feed"] == "maison":
                    feed["checkpoint"] = note(node, 5, bytes(32)).decode()
            return body, tag

    found = pull(store, registry, Forked(node.hub.store, "peer"), NOW)
    assert found.problems["maison"].code == "fork"
    with store.read() as tx:
        [row] = tx.federation.evidence("maison")
    assert judge(row.raw, node.hub.directory(), NOW).kind == "fork"
    # What convicts somebody is in the audit of whoever keeps it.
    report = audit(store, registry.pin, NOW)
    assert {f.kind for f in report.findings} == {"fork"}
    assert list(report.evidence.values()) == [row.raw]
