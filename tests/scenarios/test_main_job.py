"""The main job with real processes: publish, pull, screen, withdraw, erase, prove."""

from __future__ import annotations

import json
import shutil

CASES = (
    "\ufeffCase No;domain;email;phone;basis;goods\r\n"
    "C-1;www.fake-bags.example;boss@fake-bags.example;+44 20 7946 0018;test-purchase;18\r\n"
    "C-2;cheap-watches.example;;;court-judgment;14\r\n"
    "C-3;honest-shop.example;;;test-purchase;25\r\n"
    "C-4;not a domain;;;test-purchase;25\r\n"
    "C-5;x.example;;4.42E+11;test-purchase;25\r\n"
)
SECRETS = (b"fake-bags", b"boss@", b"2079460018", b"cheap-watches", b"honest-shop")


def test_the_whole_story(alliance):
    """A report reaches the other member, ends when withdrawn, vanishes when erased."""
    cases = alliance.folder / "cases.csv"
    cases.write_text(CASES)
    sellers = alliance.folder / "sellers.csv"
    sellers.write_text(
        "seller,domain\nS1,http://fake-bags.example/shop\nS2,honest-shop.example\n"
        "S3,clean.example\n"
    )
    alliance.hub("market", "pull")
    alliance.hub("market", "watch", "add", sellers, "--ref", "seller")

    [done] = alliance.hub("maison", "publish", cases, "--ref", "Case No", status=4)
    assert [r["row"] for r in done["rows"]] == [2, 3, 4]
    assert [r["row"] for r in done["rejected"]] == [5, 6]
    assert "spreadsheet" in done["rejected"][1]["reason"]
    [again] = alliance.hub("maison", "publish", cases, "--ref", "Case No", status=4)
    assert (again["rows"], again["unchanged"]) == ([], 3)

    [pulled] = alliance.hub("market", "pull")
    assert [(a["alert"], a["ref"]) for a in pulled["alerts"]] == [
        ("listed", "S1"),
        ("listed", "S2"),
    ]
    assert alliance.hub("market", "pull")[0]["alerts"] == []
    results = alliance.hub("market", "screen", sellers, "--ref", "seller", status=3)
    assert [(r["ref"], r["match"], r["listed_by"]) for r in results] == [
        ("S1", "exact", ["maison"]),
        ("S2", "exact", ["maison"]),
        ("S3", None, []),
    ]

    alliance.hub("maison", "withdraw", "C-3")
    [pulled] = alliance.hub("market", "pull")
    assert [(a["alert"], a["ref"]) for a in pulled["alerts"]] == [("ended", "S2")]
    results = alliance.hub("market", "screen", sellers, "--ref", "seller", status=3)
    assert [r["match"] for r in results] == ["exact", None, None]

    alliance.hub("market", "dispute", "maison/1", "--reason", "authorised-reseller")
    alliance.hub("market", "pull")
    results = alliance.hub("market", "screen", sellers, status=3)
    assert results[0]["disputed"]

    alliance.hub("maison", "pull")
    alliance.hub(
        "maison", "proof", "maison/1", "--disclose", text="fake-bags.example\n"
    )
    proof = alliance.folder / "maison" / "maison-1.proof"
    [found] = alliance.hub("auditor1", "verify", proof)
    assert found["identifier"] == {"type": "domain", "value": "fake-bags.example"}
    body = json.loads(proof.read_text())
    body["line"] = body["line"].replace('"confidence":50', '"confidence":90')
    proof.write_text(json.dumps(body))
    alliance.hub("auditor1", "verify", proof, status=2)
    alliance.hub(
        "maison", "proof", "maison/1", "--disclose", text="other.example\n", status=5
    )

    alliance.hub("maison", "erase", "maison/1")
    alliance.hub("market", "pull")
    results = alliance.hub("market", "screen", sellers)
    assert not any(r["match"] for r in results)

    alliance.hub("auditor1", "pull")
    [report] = alliance.hub("auditor1", "audit")
    assert report["ok"]
    assert {f["feed"] for f in report["feeds"]} == {"registry", "maison", "market"}
    _no_identifier_left(alliance)


def _no_identifier_left(alliance):
    """No raw identifier is in any database or log but the files it came in."""
    inputs = {"cases.csv", "sellers.csv", "cases.csv.rejected.csv", "maison-1.proof"}
    for path in alliance.folder.rglob("*"):
        if path.is_file() and path.name not in inputs:
            data = path.read_bytes()
            assert not any(s in data for s in SECRETS), path


def test_kill_the_node_and_go_on(alliance):
    """Killed between batches, the node has every receipt; a resend gets the same one."""
    cases = alliance.folder / "cases.csv"
    cases.write_text("domain\na.example\n")
    [first] = alliance.hub("maison", "publish", cases)
    alliance.stop(hard=True)
    cases.write_text("domain\na.example\nb.example\n")
    # Tokens come first, so nothing is signed while the node is away.
    alliance.hub("maison", "publish", cases, status=6)
    alliance.serve()
    [second] = alliance.hub("maison", "publish", cases)
    assert second["receipt"]["first"] == first["receipt"]["size"]
    assert len(second["rows"]) == 1
    alliance.hub("auditor1", "pull")
    assert alliance.hub("auditor1", "audit")[0]["ok"]


def test_a_journalled_batch_is_sent_once(alliance):
    """The receipt was lost: the next run sends the same bytes and gets the same place."""
    cases = alliance.folder / "cases.csv"
    cases.write_text("domain\na.example\n")
    alliance.hub("maison", "publish", cases)
    from hub.store.ledger import Ledger

    path = alliance.folder / "maison" / "ledger.db"
    ledger = Ledger(path)
    ledger.close()
    shutil.copy(path, path.with_suffix(".kept"))
    cases.write_text("domain\na.example\nb.example\n")
    alliance.stop()
    alliance.serve()
    [sent] = alliance.hub("maison", "publish", cases)
    [again] = alliance.hub("maison", "publish", cases)
    assert sent["receipt"]["size"] == 4
    assert again["unchanged"] == 2


def test_a_node_restored_from_an_old_backup_never_forks(alliance):
    """Its key signed a larger head, so it refuses to sign until it is whole again."""
    cases = alliance.folder / "cases.csv"
    cases.write_text("domain\na.example\n")
    alliance.hub("maison", "publish", cases)
    backup = alliance.folder / "old.db"
    alliance.hub("node", "backup", backup)
    cases.write_text("domain\na.example\nb.example\n")
    alliance.hub("maison", "publish", cases)
    alliance.hub("market", "pull")
    alliance.stop()
    database = alliance.folder / "node" / "hub.db"
    for name in ("hub.db-wal", "hub.db-shm"):
        database.with_name(name).unlink(missing_ok=True)
    shutil.copy(backup, database)
    alliance.serve()
    cases.write_text("domain\nc.example\n")
    alliance.hub("maison", "publish", cases, status=6)
    assert "signed maison at 4" in alliance.said
    # A member's mirror has what the backup lacks; with it the node goes on.
    alliance.stop()
    mirror = alliance.folder / "market" / "hub.db"
    alliance.hub("node", "restore", backup, "--from-mirror", mirror)
    alliance.serve()
    [done] = alliance.hub("maison", "publish", cases)
    assert done["receipt"]["first"] == 4
    alliance.hub("auditor1", "pull")
    assert alliance.hub("auditor1", "audit")[0]["ok"]


def test_two_servers_on_one_file_are_refused(alliance):
    """The second says so and touches nothing."""
    alliance.hub("node", "serve", status=6)


def test_a_public_address_needs_a_proxy(alliance):
    environ = {"HUB__SERVER__LISTEN": "192.0.2.1:80"}
    alliance.hub("node", "serve", status=2, environ=environ)
    assert "--behind-proxy" in alliance.said
