"""An identifier never leaves the machine, nor stays on it outside the files it came in.

The whole story is told through a proxy that keeps every byte between the clients and the
node. Traffic, databases and logs are then searched for every identifier in every usual
form, and for its plain hashes.
"""

from __future__ import annotations

import json

import pytest

from hub.store.sqlite import SqliteStore
from tests.conftest import Alliance
from tests.recording import Recorder, Talk, forms, leaks, messages, stored
from tests.running import free_port

CASES = (
    "Case No,domain,email,phone,url,iban,brands\n"
    "C-1,www.fake-bags.example,boss@fake-bags.example,+44 20 7946 0018,,,Maison\n"
    "C-2,cheap-watches.example,,,https://outlet.example/sneakers/sale,,Maison\n"
    "C-3,honest-shop.example,,,,GB33BUKB20201555555555,\n"
    "C-4,still-broken name,nobody-knows@,,,,\n"
)
CHANGED = CASES.replace("cheap-watches", "cheaper-watches").replace("C-3,", "C-7,")
SELLERS = (
    "seller,domain,email\nS1,http://fake-bags.example/shop,\n"
    "S2,clean-seller.example,owner@clean-seller.example\n"
)
IDENTIFIERS = (
    "fake-bags.example",
    "boss@fake-bags.example",
    "+44 20 7946 0018",
    "+442079460018",
    "cheap-watches.example",
    "cheaper-watches.example",
    "outlet.example/sneakers/sale",
    "outlet.example",
    "honest-shop.example",
    "GB33BUKB20201555555555",
    "still-broken name",
    "nobody-knows@",
    "clean-seller.example",
    "owner@clean-seller.example",
    "looked-up.example",
)
INPUTS = {"cases.csv", "sellers.csv", "cases.csv.rejected.csv", "disclosed.proof"}


@pytest.fixture
def recorded(tmp_path):
    port = free_port()
    recorder = Recorder(port)
    made = Alliance(tmp_path, f"http://127.0.0.1:{recorder.port}")
    words = ("--alliance", "alliance.example", "--node", "node1", "--url", made.url)
    made.hub("node", "init", *words, "--listen", f"127.0.0.1:{port}")
    try:
        made.serve()
        made.recorder = recorder
        yield made
    finally:
        made.stop()
        recorder.close()


def test_no_identifier_leaves(recorded):
    """Publish, change, replace, screen, watch, look up, dispute, prove, erase, audit."""
    hub = recorded.hub
    for name in ("maison", "market"):
        recorded.admit(name)
    recorded.admit("auditor1", "auditor")
    cases, sellers = recorded.folder / "cases.csv", recorded.folder / "sellers.csv"
    sellers.write_text(SELLERS)
    words = ("publish", cases, "--ref", "Case No", "--as-site")
    cases.write_text(CASES)
    hub("maison", *words, "--dry-run", status=4)
    hub("maison", *words, status=4)
    cases.write_text(CHANGED)
    hub("maison", *words, "--replace", "--force", status=4)
    hub("market", "pull")
    hub("market", "watch", "add", sellers, "--ref", "seller")
    hub("market", "screen", sellers, "--ref", "seller", "--looser", status=3)
    hub("market", "lookup", "--type", "domain", text="looked-up.example\n")
    hub("market", "dispute", "maison/1", "--reason", "other")
    hub("market", "pull")
    hub("maison", "pull")
    proof = recorded.folder / "disclosed.proof"
    hub(
        *("maison", "proof", "maison/1", "--disclose", "--out", proof),
        text="fake-bags.example\n",
    )
    hub("maison", "renew", "--expiring", "500d")
    hub("maison", "withdraw", "C-2")
    hub("maison", "erase", "C-1")
    hub("auditor1", "pull")
    assert hub("auditor1", "audit")[0]["ok"]
    recorded.stop()

    said = bytearray()
    for talk in recorded.recorder.talks:
        said += talk.sent + talk.answered
        for head, body in (*messages(talk.sent), *messages(talk.answered)):
            said += head + b"\n" + body + b"\n"
    # The story was told through the proxy, and the answers were unpacked.
    assert said.count(b"POST /v1/feeds/maison/batches") >= 4
    assert said.count(b"POST /v1/tokens/") >= 4
    assert said.count(b'"kind":"report"') > 20
    assert leaks(bytes(said), IDENTIFIERS) == []
    # Own references are nobody's business either.
    assert b"C-1" not in said
    assert b"Case No" not in said

    searched = 0
    for path in recorded.folder.rglob("*"):
        if path.is_file() and path.name not in INPUTS:
            assert leaks(stored(path), IDENTIFIERS) == [], path
            searched += 1
    assert searched > 20
    store = SqliteStore(recorded.folder / "market" / "hub.db")
    with store.read() as tx:
        size = tx.objects.size("maison")
        lines = [x.raw for x in tx.objects.lines("maison", 0, size) if x.raw]
    store.close()
    assert len(lines) > 10
    assert leaks(b"\n".join(lines), IDENTIFIERS) == []


@pytest.mark.parametrize("packing", ["plain", "gzip", "chunked"])
def test_the_search_finds_what_it_should(packing):
    """A search that finds nothing proves something only if it can find."""
    import gzip

    for form in forms("fake-bags.example"):
        body = b"{...}" + form + b"{...}"
        head = b"POST / HTTP/1.1\r\n"
        if packing == "gzip":
            body = gzip.compress(body[:9]) + gzip.compress(body[9:])
            head += b"Content-Encoding: gzip\r\n"
        if packing == "chunked":
            first, rest = body[:4], body[4:]
            parts = (b"%x\r\n%s\r\n" % (len(p), p) for p in (first, rest, b""))
            head, body = head + b"Transfer-Encoding: chunked\r\n", b"".join(parts)
        else:
            head += b"Content-Length: %d\r\n" % len(body)
        talk = Talk(bytearray((head + b"\r\n" + body) * 2))
        found = list(messages(talk.sent))
        assert len(found) == 2
        assert all(leaks(b, ["fake-bags.example"]) for _, b in found), form
    text = json.dumps({"note": "x" * 7 + "fake-bags.example"})
    assert leaks(text.encode(), ["fake-bags.example"])
    import base64

    for shift in range(3):
        raw = b"q" * shift + b"see fake-bags.example!"
        assert leaks(base64.b64encode(raw), ["fake-bags.example"])
