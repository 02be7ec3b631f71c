"""Files that are damaged, foreign or closed to us: named by every command, never altered."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

from hub.store import opening, schema
from keys.encoding import to_base64
from tests.faultkit import run
from tests.hub.test_faults import Node, report_line


@pytest.fixture
def folders(published, tmp_path):
    """A stopped node and its members, to be harmed."""
    shutil.copytree(published.folder, tmp_path / "alliance")
    return tmp_path / "alliance"


def newer(path):
    with closing(opening.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.names()) + 1}")


def foreign(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE feeds (id)")


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def garbage(path):
    path.write_bytes(b"this is no database but a text of some length\n" * 200)


def empty(path):
    path.write_bytes(b"")


def missing(path):
    path.unlink()


@pytest.mark.parametrize("harm", [newer, foreign, cut, garbage, empty, missing])
@pytest.mark.parametrize("words", [("serve",), ("pull",), ("audit",)])
def test_a_file_that_is_no_database_of_ours(folders, harm, words):
    """The message says what it is and what to do; the file stays as it is."""
    folder = folders / ("node" if words == ("serve",) else "maison")
    path = folder / "hub.db"
    harm(path)
    before = path.read_bytes() if path.exists() else None
    ran = run(folder, *words)
    assert ran.status in (2, 6), ran
    assert ran.err.startswith("hub: ")
    assert len(ran.err.splitlines()) >= 2
    assert (path.read_bytes() if path.exists() else None) == before
    told = run(folder, "doctor")
    assert told.status in (1, 2, 6)
    bad = (
        [c for c in told.out[0]["checks"] if c["state"] == "wrong"] if told.out else []
    )
    assert bad or told.err.startswith("hub: ")


def test_a_folder_that_cannot_be_written(folders):
    """A read-only disk is said to be one."""
    maison, place = folders / "maison", folders / "closed"
    place.mkdir()
    mount = ["mount", "--bind", str(maison), str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        from tests.needs import missing as lacks

        lacks("cannot mount here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        ran = run(place, "pull")
        assert ran.status in (2, 6), ran
        assert ran.err.startswith("hub: ")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _change(folder, table, column, change):
    with closing(sqlite3.connect(folder / "hub.db")) as connection:
        query = f"SELECT rowid, {column} FROM {table}"  # noqa: S608
        for row, value in connection.execute(query).fetchall():
            update = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"  # noqa: S608
            connection.execute(update, (change(value), row))
        connection.commit()


def _alter(packed):
    text = gzip.decompress(packed)
    return gzip.compress(text.replace(b'"confidence":50', b'"confidence":90', 1))


def test_a_flipped_byte_in_a_stored_line_is_named(folders):
    """An audit names the entry; it is no answer and no traceback."""
    _change(folders / "node", "pages", "lines", _alter)
    ran = run(folders / "node", "audit")
    assert ran.status == 1
    kinds = {finding["kind"] for finding in ran.out[0]["findings"]}
    assert "altered-line" in kinds


def test_a_page_that_cannot_be_unpacked_is_named(folders):
    _change(
        folders / "node", "pages", "lines", lambda raw: raw[:20] + b"\xff" + raw[21:]
    )
    ran = run(folders / "node", "audit")
    assert ran.status in (1, 6)
    assert "Traceback" not in ran.err


def test_a_home_signs_nothing_on_top_of_damaged_hashes(harmed):
    """Its next checkpoint would contradict the last one, and convict it."""
    node = Node(harmed)
    lines = [report_line() for _ in range(600)]
    assert node.post(node.batch(*lines)).status_code == 200
    with closing(opening.connect(harmed / "hub.db")) as connection:
        connection.execute("UPDATE hashes SET hash = zeroblob(32)")
    answer = Node(harmed).post(node.batch(report_line()))
    assert (answer.status_code, answer.json["type"]) == (
        503,
        "urn:alliance-hub:corrupt",
    )


LOW_ORDER = bytes([1]) + bytes(31)


@pytest.mark.parametrize("which", ["public", "proof"])
def test_a_request_with_a_bad_key_or_proof_is_refused(folders, which):
    """A key of low order verifies anything; a proof of another key proves nothing."""
    path = folders / "maison" / "request.json"
    request = json.loads(path.read_text())
    value = LOW_ORDER if which == "public" else bytes(64)
    request["key"][which] = to_base64(value)
    request["name"] = "maison2"
    path.write_text(json.dumps(request))
    ran = run(folders / "node", "member", "add", path)
    assert ran.status in (2, 5), ran
    assert ran.err.startswith("hub: ")
