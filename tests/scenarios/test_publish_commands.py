"""The engineer's commands with real processes: their JSON, exit statuses and files."""

from __future__ import annotations

import csv
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from hub.store.ledger import Ledger

ROOT = Path(__file__).parents[2]
HEADING = "Case No,domain,email\n"


def put(alliance, name, text):
    path = alliance.folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def publish(alliance, file, *words, status=0):
    found = alliance.hub("maison", "publish", file, *words, status=status)
    return found[0] if found else None


def test_what_the_engineer_does_after_publishing(alliance):
    """Every command takes references, prints JSON, and does nothing twice."""
    hub = alliance.hub
    file = put(
        alliance,
        "cases.csv",
        HEADING + "C-1,a.example,x@a.example\nC-2,b.example,\nC-3,c.example,\n",
    )
    done = publish(alliance, file, "--ref", "Case No")
    assert set(done) >= {"member", "rows", "rejected", "receipt"}
    assert done["receipt"] == {"feed": "maison", "first": 0, "size": 5, "witnessed": 0}
    assert done["rows"][0]["entries"] == ["maison/1", "maison/2"]
    case = done["rows"][0]["case"]
    assert (done["member"], done["rejected"], done["new"]) == ("maison", [], 3)

    # Reports, whole and filtered, with references.
    hub("maison", "pull")
    [mine] = hub("maison", "reports", "--mine")
    assert [(r["entry"], r["ref"]) for r in mine["reports"]] == [
        ("maison/1", "C-1"),
        ("maison/2", "C-1"),
        ("maison/3", "C-2"),
        ("maison/4", "C-3"),
    ]
    assert hub("maison", "reports", "--mine", "--expiring", "14d") == [{"reports": []}]
    assert len(hub("maison", "reports", "--expiring", "400d")[0]["reports"]) == 4
    hub("market", "pull")
    [theirs] = hub("market", "reports")
    assert {r["ref"] for r in theirs["reports"]} == {None}
    assert hub("market", "reports", "--mine") == [{"reports": []}]

    # A dispute, once.
    [disputed] = hub("market", "dispute", "maison/1", "--reason", "other")
    assert disputed["dispute"] == "market/1"
    [again] = hub("market", "dispute", "maison/1", "--reason", "other")
    assert again == {"dispute": "market/1", "receipt": None}
    hub("market", "dispute", "market/1", "--reason", "other", status=5)
    hub("maison", "pull")
    [found] = hub("maison", "reports", "--mine", "--disputed")
    assert [r["entry"] for r in found["reports"]] == ["maison/1"]
    [shown] = hub("maison", "show", "maison/1")
    assert (shown["state"], shown["ref"]) == ("active", "C-1")
    assert shown["disputes"][0]["by"] == "market/1"
    assert shown["batch"]["size"] == 5
    assert shown["line"]["case"] == case

    # Withdrawals: unknown names stop everything, known ones end, twice is nothing.
    hub("maison", "withdraw", "C-2", "C-9", status=5)
    assert "C-9" in alliance.said
    [done] = hub("maison", "withdraw", "C-2", "C-9", "--skip-unknown")
    assert [w["name"] for w in done["withdrawn"]] == ["C-2"]
    assert done["unknown"] == ["C-9"]
    [done] = hub("maison", "withdraw", "C-2")
    assert (done["withdrawn"], done["receipt"]) == ([], None)
    assert [w["name"] for w in done["already"]] == ["C-2"]
    gone = put(alliance, "gone.csv", "Case No,why\nC-3,closed\n")
    words = ("--file", gone, "--ref", "Case No", "--reason", "resolved")
    [done] = hub("maison", "withdraw", *words)
    assert [w["name"] for w in done["withdrawn"]] == ["C-3"]
    hub("maison", "pull")
    [shown] = hub("maison", "show", "maison/4")
    assert (shown["state"], shown["why"][0]["reason"]) == ("withdrawn", "resolved")

    # What was withdrawn stays so, until it is asked for.
    done = publish(alliance, file, "--ref", "Case No")
    assert (done["rows"], done["left_withdrawn"], done["unchanged"]) == ([], 2, 1)
    done = publish(alliance, file, "--ref", "Case No", "--again")
    assert [r["status"] for r in done["rows"]] == ["restored", "restored"]

    # A list of plain identifiers names its cases too.
    names = put(alliance, "names.txt", "b.example\n")
    [done] = hub("maison", "withdraw", "--file", names)
    assert len(done["withdrawn"]) == 1

    # Renewals and actions.
    time.sleep(1.1)
    [renewed] = hub("maison", "renew", "C-1")
    assert renewed["renewed"] == ["maison/1", "maison/2"]
    [renewed] = hub("maison", "renew", "--expiring", "14d")
    assert (renewed["renewed"], renewed["receipt"]) == ([], None)
    time.sleep(1.1)
    [renewed] = hub("maison", "renew", "--expiring", "400")
    assert len(renewed["renewed"]) == 3
    words = ("--action", "account-closed", "--channel", "online", "--count", "3")
    [told] = hub("maison", "action", "C-1", *words, "--country", "fr")
    [shown] = hub("maison", "show", told["action"], status=5)[:1] or [None]
    hub("maison", "pull")
    [shown] = hub("maison", "show", told["action"])
    assert (shown["line"]["case"], shown["line"]["countries"]) == (case, ["FR"])
    [told] = hub("market", "action", "maison/1", *words)
    assert told["action"] == "market/3"

    # Erasures by reference, once.
    [done] = hub("maison", "erase", "C-1")
    assert {"maison/1", "maison/2"} < set(done["erased"])
    [done] = hub("maison", "erase", "C-1", "maison/1")
    assert (done["erased"], done["receipt"]) == ([], None)
    hub("maison", "erase", "market/1", status=5)
    hub("maison", "erase", "maison/0", status=5)

    hub("auditor1", "pull")
    [report] = hub("auditor1", "audit")
    assert report["ok"], report["findings"]
    _same(alliance)


def _same(alliance):
    """The ledger says of every case what the mirror says."""
    alliance.hub("maison", "pull")
    active = {
        r["case"] for r in alliance.hub("maison", "reports", "--mine")[0]["reports"]
    }
    ledger = Ledger(alliance.folder / "maison" / "ledger.db")
    assert ledger.journal.waiting() == []
    for case in ledger.cases.all():
        if not case.hidden:
            assert (case.case in active) == (case.withdrawn is None), case
    ledger.close()


def test_lookup_prints_own_references(alliance):
    file = put(alliance, "cases.csv", HEADING + "C-1,a.example,\n")
    publish(alliance, file, "--ref", "Case No")
    alliance.hub("maison", "pull")
    words = ("lookup", "--type", "domain")
    [found] = alliance.hub("maison", *words, text="www.a.example\n", status=3)
    assert found["reports"][0]["ref"] == "C-1"


def test_dry_run_sends_nothing_and_says_what_would_be_sent(alliance):
    text = HEADING + "C-1,a.example,x@a.example\nC-2,b.example,\nC-3,nothing here,\n"
    file = put(alliance, "cases.csv", text)
    done = publish(alliance, file, "--ref", "Case No", "--dry-run", status=4)
    assert (done["dry_run"], done["new"], done["batches"]) == (True, 2, 1)
    assert done["entries"] == {"report": 3}
    assert done["types"] == {"domain": 2, "email": 1}
    assert done["classes"] == {"open": 2, "scarce": 1}
    assert done["tokens"] == {"open-1": 2, "scarce-1": 1}
    assert done["quota_left"] == {"open": 2_000_000, "scarce": 50_000}
    assert [r["row"] for r in done["rejected"]] == [4]
    assert len(done["first"]) == 3
    shown = json.dumps(done["first"])
    assert "a.example" not in shown
    assert not {"token", "salt"} & set(done["first"][0])
    assert done["first"][0]["row"] == 2
    # Nothing was asked for, kept or written.
    assert not file.with_name("cases.csv.rejected.csv").exists()
    usage = alliance.hub("maison", "usage")[0]
    assert {u["used"] for u in usage.values()} == {0}
    assert not list((alliance.folder / "maison").glob(".rehearsal*"))
    done = publish(alliance, file, "--ref", "Case No", status=4)
    assert done["receipt"]["first"] == 0
    changed = put(alliance, "cases.csv", text.replace("b.example", "z.example"))
    done = publish(alliance, changed, "--ref", "Case No", "--dry-run", status=4)
    assert (done["changed"], done["unchanged"]) == (1, 1)
    assert done["entries"] == {"withdrawal": 1, "report": 1}
    assert done["tokens"] == {"open-1": 1}
    fewer = put(alliance, "cases.csv", HEADING + "C-1,a.example,x@a.example\n")
    words = ("--ref", "Case No", "--replace", "--dry-run")
    done = publish(alliance, fewer, *words)
    assert [w["ref"] for w in done["withdrawn"]] == ["C-2"]
    # Without the hub it goes by what was pulled.
    alliance.stop()
    done = publish(alliance, fewer, *words)
    assert (len(done["withdrawn"]), done["quota_left"]) == (1, None)


def test_rejected_rows_can_be_mended_and_published(alliance):
    """The file holds their cells; it is replaced and removed, unless somebody mends it."""
    text = HEADING + "C-1,a.example,\nC-2,not a host,\nC-3,c.example,+nobody\n"
    file = put(alliance, "cases.csv", text)
    rejects = alliance.folder / "cases.csv.rejected.csv"
    done = publish(alliance, file, "--ref", "Case No", status=4)
    assert [r["row"] for r in done["rejected"]] == [3, 4]
    found = list(csv.reader(rejects.read_text().splitlines()))
    assert found[0] == ["row", "reason", "Case No", "domain", "email"]
    assert found[1][2:] == ["C-2", "not a host", ""]
    assert found[2][2:] == ["C-3", "c.example", "'+nobody"]
    mended = rejects.read_text().replace("not a host", "b.example")
    mended = mended.replace("'+nobody", "x@c.example")
    copy = put(alliance, "mended.csv", mended)
    done = publish(alliance, copy, "--ref", "Case No")
    assert [r["status"] for r in done["rows"]] == ["new", "new"]
    # Ours is replaced; one that somebody changed is kept.
    publish(alliance, file, "--ref", "Case No", status=4)
    assert len(list(csv.reader(rejects.read_text().splitlines()))) == 3
    rejects.write_text(mended)
    publish(alliance, file, "--ref", "Case No", status=4)
    assert rejects.read_text() == mended
    second = alliance.folder / "cases.csv.rejected-2.csv"
    assert second.exists()
    put(alliance, "cases.csv", HEADING + "C-1,a.example,\n")
    publish(alliance, file, "--ref", "Case No")
    assert rejects.read_text() == mended


def test_a_rerun_that_rejects_nothing_removes_its_own_file(alliance):
    file = put(alliance, "cases.csv", "domain\nnothing here\na.example\n")
    rejects = alliance.folder / "cases.csv.rejected.csv"
    publish(alliance, file, status=4)
    assert rejects.exists()
    put(alliance, "cases.csv", "domain\na.example\n")
    publish(alliance, file)
    assert not rejects.exists()
    rejects.write_text("row,reason\nmine\n")
    publish(alliance, file)
    assert rejects.exists()


def test_the_guard_holds_back_shared_hosts_and_allow_lists(alliance):
    own = {"name": "Ours", "type": "hostname", "version": 1, "list": ["maison.example"]}
    more = {"name": "More", "type": "string", "version": 1, "list": ["c.example"]}
    put(alliance, "maison/own.json", json.dumps(own))
    listed = put(alliance, "more.json", json.dumps(more))
    config = alliance.folder / "maison" / "config.toml"
    config.write_text(config.read_text() + '[publish]\nallow_lists = ["own.json"]\n')
    text = (
        "domain,email\ninstagram.com,\nshop.maison.example,\nfakes.myshopify.com,\n"
        "c.example,\nd.example,x@gmail.com\n"
    )
    file = put(alliance, "cases.csv", text)
    done = publish(alliance, file, "--allow-list", listed, status=4)
    assert [r["row"] for r in done["rows"]] == [4, 6]
    reasons = {r["row"]: r["reason"] for r in done["rejected"]}
    assert "strangers have pages" in reasons[2]
    assert "'Ours'" in reasons[3]
    assert "'More'" in reasons[5]
    done = publish(alliance, file, "--allow-list", listed, "--force")
    assert [r["row"] for r in done["rows"]] == [2, 3, 5]
    listed.write_text("{}")
    publish(alliance, file, "--allow-list", listed, status=2)
    assert "more.json" in alliance.said
    publish(alliance, file, "--allow-list", alliance.folder / "absent.json", status=2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "empty"),
        ("blank.csv", b"\n\n", "empty"),
        ("columns.csv", b"Foo,Bar\nx,y\n", "no column is known: Foo, Bar"),
        ("book.csv", b"PK\x03\x04" + bytes(100), "XLSX"),
        ("text.xlsx", b"domain\na.example\n", "not an XLSX file"),
        ("scan.pdf", b"%PDF-1.7\n", "PDF"),
        ("folder.csv", None, "directory"),
        ("absent.csv", False, "No such file"),
        ("long.csv", b"domain," + b"x" * 2**21, "longer than a mebibyte"),
    ],
)
def test_files_that_cannot_be_read(alliance, name, content, said):
    """A clear error, nothing published, and no file of rejected rows."""
    path = alliance.folder / name
    if content is None:
        path.mkdir()
    elif content is not False:
        path.write_bytes(content)
    assert publish(alliance, path, status=2) is None
    assert said in alliance.said
    assert "Traceback" not in alliance.said
    assert not path.with_name(f"{name}.rejected.csv").exists()
    publish(alliance, path, "--ref", "x", status=2)


def test_mixed_encodings_marks_and_line_ends_in_one_file(alliance):
    """Good rows go whatever bytes stand around them."""
    rows = [
        "\ufeffdomain;brands\r\n".encode(),
        "a.example;Café\r\n".encode(),
        "b.example;Café\n".encode("cp1252"),
        b"c.example;\x81\r\n",
        b'"d.example";x\x00y\n',
        b"e.example;" + b"x" * 2**21 + b"\n",
        b"f.example;ok",
    ]
    file = put(alliance, "cases.csv", b"".join(rows))
    done = publish(alliance, file, status=4)
    assert [r["row"] for r in done["rows"]] == [2, 3, 7]
    assert [r["row"] for r in done["rejected"]] == [4, 5, 6]


def test_two_at_once_publish_everything_once(alliance):
    """One waits a moment, or says why it cannot; nothing is published twice."""
    text = "case,domain\n" + "".join(f"C-{n},x{n}.example\n" for n in range(3000))
    file = put(alliance, "cases.csv", text)
    command = [sys.executable, "-m", "hub", "--dir", str(alliance.folder / "maison")]
    command += ["publish", str(file), "--ref", "case"]
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [p.communicate(timeout=280)[1] for p in started]
    codes = [p.returncode for p in started]
    assert set(codes) <= {0, 5}, said
    assert 0 in codes
    for code, text in zip(codes, said, strict=True):
        assert code == 0 or "another hub publish is at work" in text
    alliance.hub("maison", "pull")
    [found] = alliance.hub("maison", "reports", "--mine")
    assert len(found["reports"]) == 3000
    alliance.hub("auditor1", "pull")
    [report] = alliance.hub("auditor1", "audit")
    assert [f["size"] for f in report["feeds"] if f["feed"] == "maison"] == [3001]


def test_ctrl_c_stops_and_the_next_run_goes_on(alliance):
    text = "domain\n" + "".join(f"x{n}.example\n" for n in range(6000))
    file = put(alliance, "cases.csv", text)
    command = [sys.executable, "-m", "hub", "--dir", str(alliance.folder / "maison")]
    # A suite that runs in the background ignores Ctrl-C, and would hand that on.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        running = subprocess.Popen(
            [*command, "publish", str(file)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    ledger = alliance.folder / "maison" / "ledger.db-wal"
    for _ in range(600):
        if ledger.exists() and ledger.stat().st_size > 200_000:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 2
    assert "Traceback" not in said
    done = publish(alliance, file)
    assert len(done["rows"]) + done["unchanged"] == 6000
    alliance.hub("maison", "pull")
    assert len(alliance.hub("maison", "reports", "--mine")[0]["reports"]) == 6000


def test_an_older_ledger_is_moved_and_a_newer_one_refused(alliance):
    import sqlite3

    file = put(alliance, "cases.csv", "domain\na.example\n")
    publish(alliance, file)
    path = alliance.folder / "maison" / "ledger.db"
    shutil.copy(path, path.with_suffix(".kept"))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()
    publish(alliance, file, status=2)
    assert "newer hub" in alliance.said


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_bar_for_persons_at_a_terminal_and_none_for_scripts(alliance, words):
    text = "domain\n" + "".join(f"x{n}.example\n" for n in range(2500))
    file = put(alliance, "cases.csv", text)
    command = [sys.executable, "-m", "hub", "--dir", str(alliance.folder / "maison")]
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*command, *words, "publish", str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        check=True,
    )
    os.close(theirs)
    shown = ""
    with suppress(OSError):
        # At the end of what a terminal was sent, Linux answers with an error.
        while part := os.read(ours, 1 << 16):
            shown += part.decode()
    os.close(ours)
    if words:
        assert shown == ""
        assert json.loads(done.stdout)["new"] == 2500
        return
    assert "publishing" in shown
    assert "rows/s" in shown
    assert "left" in shown
    assert "Published 2500 cases in 2500 entries and 1 batch: 2500 new." in done.stdout
