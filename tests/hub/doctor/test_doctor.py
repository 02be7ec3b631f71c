"""The doctor names each fault of a folder and of a hub's proxy, and says what to do."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from hub.clock import FixedClock, SystemClock
from hub.doctor import examine_folder, examine_url, is_well
from hub.wiring import build_hub
from keys.keyfile import inspect_key, write_key
from tests.certificates import Authority
from tests.running import ROOT, free_port, running


def doctor(folder, *words, status=0, **environ):
    """Run the command; return its checks, by name and state."""
    done = subprocess.run(
        [sys.executable, "-m", "hub", "--dir", str(folder), "--json", "doctor", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environ},
    )
    assert done.returncode == status, (done.stdout, done.stderr)
    body = json.loads(done.stdout)
    assert body["ok"] == (status == 0)
    for check in body["checks"]:
        assert check["advice"] or check["state"] in ("ok", "skipped"), check
    return body["checks"]


def states(checks, name):
    found = [
        c["state"] if isinstance(c, dict) else c.state
        for c in checks
        if (c["check"] if isinstance(c, dict) else c.name) == name
    ]
    assert found, name
    return found


def detail(checks, name):
    return " ".join(c["detail"] for c in checks if c["check"] == name)


def test_a_trial_node_is_well_and_told_about_whole_keys(harmed):
    checks = doctor(harmed)
    assert states(checks, "storage") == ["ok"]
    assert states(checks, "token-keys") == ["warning"]
    assert "could test guesses" in detail(checks, "token-keys")
    for name in ("log", "witness", "request", "seal", "token-open-1", "officer1"):
        assert states(checks, f"key {name}") == ["ok"], name
    assert "seal of node/node1" in detail(checks, "key seal")
    assert "a share of open-1" in detail(checks, "key token-open-1")
    assert "officer/officer1" in detail(checks, "key officer1")


def test_folders_without_a_pin_are_told_so(tmp_path):
    """Of an officer and of a node, before the alliance is founded."""
    for words in (
        ["officer", "new", "alliance.example", "anna"],
        ["node", "new", "--alliance", "alliance.example", "--name", "node1"],
    ):
        folder = tmp_path / words[0]
        subprocess.run(
            [sys.executable, "-m", "hub", "--dir", str(folder), *words],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        checks = doctor(folder, status=1)
        assert states(checks, "pin-and-database") == ["wrong"]
        assert states(checks, "canonical-forms") == ["ok", "ok"]
        assert any(c["check"].startswith("key ") for c in checks)


def test_key_files_open_to_others_are_wrong(harmed):
    private = harmed / "private"
    (private / "log.key").chmod(0o644)
    private.chmod(0o755)
    checks = doctor(harmed, status=1)
    assert states(checks, "keys") == ["wrong"]
    assert states(checks, "key log") == ["wrong"]
    assert states(checks, "key witness") == ["ok"]


def test_a_damaged_key_file_is_wrong(harmed):
    path = harmed / "private" / "request.key"
    path.write_text("nothing\n")
    assert states(doctor(harmed, status=1), "key request") == ["wrong"]


def test_a_sealed_key_needs_its_passphrase_to_be_compared(harmed):
    path = harmed / "private" / "witness-2.key"
    write_key(path, bytes(range(32)), kind="ed25519", passphrase="secret")
    assert inspect_key(path).sealed
    assert states(doctor(harmed), "key witness-2") == ["warning"]
    checks = doctor(harmed, HUB_PASSPHRASE="secret")
    assert "does not know" in detail(checks, "key witness-2")
    wrong = doctor(harmed, status=1, HUB_PASSPHRASE="other")
    assert states(wrong, "key witness-2") == ["wrong"]


def test_a_damaged_database_is_wrong(harmed):
    """Storage is read through, and a node with a damaged file is told at once."""
    database = harmed / "hub.db"
    damaged = bytearray(database.read_bytes())
    for place in range(3 * 4096, len(damaged), 4096):
        damaged[place : place + 64] = bytes(range(64))
    database.write_bytes(damaged)
    checks = doctor(harmed, status=1)
    wrong = [c["check"] for c in checks if c["state"] == "wrong"]
    assert set(wrong) <= {"storage", "pin-and-database"}
    assert wrong


def test_a_newcomer_is_not_in_the_registry_yet(harmed):
    """A warning: it works as far as it can."""
    folder = harmed.parent / "maison"
    config = folder / "config.toml"
    config.write_text(config.read_text().replace('"maison"', '"other"'))
    (folder / "private" / "publish.key").unlink()
    write_key(folder / "private" / "publish.key", bytes(range(32)), kind="ed25519")
    hub = build_hub(folder)
    checks = [c.to_json() for c in examine_folder(hub)]
    hub.close()
    assert states(checks, "registry") == ["warning"]
    assert states(checks, "key publish") == ["warning"]


class Proxy:
    """Stands in front of a node and may spoil what passes, as configured proxies do."""

    def __init__(self, node):
        self.limit = 0
        self.headers = {}
        self.dropped = ()
        self.path = lambda path: path
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def pass_on(self):
                length = int(self.headers.get("Content-Length", 0))
                if proxy.limit and length > proxy.limit:
                    # As nginx does, before it reads the body.
                    self.send_response(413)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    self.close_connection = True
                    return
                body = self.rfile.read(length)
                inner = http.client.HTTPConnection("127.0.0.1", node, timeout=60)
                inner.request(
                    self.command, proxy.path(self.path), body, dict(self.headers)
                )
                answer = inner.getresponse()
                data = answer.read()
                self.send_response_only(answer.status)
                fields = {
                    k: v for k, v in answer.getheaders() if k not in proxy.dropped
                }
                fields |= {"Content-Length": str(len(data)), **proxy.headers}
                fields.pop("Transfer-Encoding", None)
                fields.pop("Connection", None)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                inner.close()

            # The library finds its methods by these names.
            do_GET = do_POST = pass_on  # noqa: N815

            def log_message(self, *words):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @contextlib.contextmanager
    def serving(self):
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            thread.join()
            self.server.server_close()


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A node whose public URL is a proxy's, the proxy, and the member's folder."""
    folder = tmp_path_factory.mktemp("behind")
    port = free_port()
    proxy = Proxy(port)
    node, member = folder / "node", folder / "maison"

    def hub(where, *words):
        subprocess.run(
            [sys.executable, "-m", "hub", "--dir", str(where), *map(str, words)],
            cwd=ROOT,
            check=True,
            capture_output=True,
            timeout=120,
        )

    words = ("--alliance", "alliance.example", "--node", "node1", "--url", proxy.url)
    hub(node, "init", *words, "--listen", f"127.0.0.1:{port}")
    url = {"HUB__SERVER__PUBLIC_URL": proxy.url}
    with proxy.serving(), running(node, port=port, **url):
        pin = node / "pin.json"
        hub(
            member,
            "join",
            proxy.url,
            "--pin",
            pin,
            "--as",
            "member",
            "--name",
            "maison",
        )
        hub(node, "member", "add", member / "request.json")
        hub(member, "pull")
        yield proxy, member


@pytest.fixture
def proxy(behind):
    """The proxy, spoiling nothing."""
    made, _ = behind
    made.limit, made.headers, made.dropped = 0, {}, ()
    made.path = lambda path: path
    return made


@pytest.fixture
def member(behind):
    return behind[1]


def look(member, url, clock=None):
    hub = build_hub(member, clock)
    try:
        return [c.to_json() for c in examine_url(hub, url)]
    finally:
        hub.close()


def test_a_good_proxy_passes_every_check(proxy, member):
    checks = doctor(member, "--url", proxy.url)
    for name in ("reach", "tls", "clock", "alliance", "public-url", "signed-request"):
        assert states(checks, name) == ["ok"], name
    assert states(checks, "large-body") == ["ok"]
    assert states(checks, "caching") == ["ok", "ok"]


def test_nothing_is_published_by_looking(proxy, member):
    before = sizes(member)
    look(member, proxy.url)
    assert sizes(member) == before


def sizes(member):
    hub = build_hub(member)
    heads, _ = hub.client().heads()
    hub.close()
    return heads["feeds"]


def test_a_proxy_that_takes_small_bodies_alone(proxy, member):
    """Most proxies refuse more than a mebibyte unless told otherwise."""
    proxy.limit = 1 << 20
    checks = look(member, proxy.url)
    assert states(checks, "large-body") == ["wrong"]
    assert "413" in detail(checks, "large-body")


def test_a_proxy_that_tidies_up_the_query(proxy, member):
    """Signatures cover the target as it was sent."""
    proxy.path = unquote
    proxy.path = lambda path: unquote(path).replace(" ", "+")
    checks = look(member, proxy.url)
    assert states(checks, "signed-request") == ["wrong"]


def test_a_proxy_without_etags_and_with_a_cache(proxy, member):
    proxy.dropped = ("ETag",)
    assert states(look(member, proxy.url), "caching") == ["wrong", "ok"]
    proxy.dropped, proxy.headers = (), {"Age": "30"}
    assert states(look(member, proxy.url), "caching") == ["wrong", "ok"]
    proxy.headers = {"Cache-Control": "no-store"}
    assert states(look(member, proxy.url), "caching") == ["ok", "warning"]


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(0, "ok"), (100, "warning"), (-100, "warning"), (900, "wrong")],
)
def test_a_clock_that_is_off(proxy, member, seconds, state):
    clock = FixedClock(SystemClock().now() + seconds)
    checks = look(member, proxy.url, clock)
    assert states(checks, "clock") == [state]


def test_another_name_of_the_hub_is_not_its_public_url(proxy, member):
    other = proxy.url.replace("127.0.0.1", "localhost")
    checks = look(member, other)
    assert states(checks, "public-url") == ["wrong"]
    assert proxy.url in detail(checks, "public-url")


def test_what_is_no_hub_or_another_alliance(member, harmed):
    """Nothing answers; something else answers; a hub of other officers answers."""
    [check] = look(member, f"http://127.0.0.1:{free_port()}")
    assert (check["check"], check["state"]) == ("reach", "wrong")
    with running(harmed) as node:
        checks = look(member, node.url)
        assert states(checks, "alliance") == ["wrong"]


def test_plain_http_over_a_network_is_wrong():
    from hub.client import Answer
    from hub.doctor.url import _tls

    answer = Answer(200, {}, b"")
    assert _tls("http://hub.alliance.example", answer, 0).state == "wrong"
    assert _tls("http://127.0.0.1:8750", answer, 0).state == "ok"
    ending = Answer(200, {}, b"", "TLSv1.3", 5 * 86400)
    assert _tls("https://hub.alliance.example", ending, 0).state == "warning"
    assert "5 days" in _tls("https://hub.alliance.example", ending, 0).detail


def test_tls_is_checked_with_its_authority(harmed, tmp_path):
    """An unknown authority is a fault; with it, version and host are named."""
    folder = tmp_path / "authority"
    folder.mkdir()
    authority = Authority(folder)
    certificate, key = authority.issue("127.0.0.1")
    settings = {
        "HUB__SERVER__TLS_CERT": str(certificate),
        "HUB__SERVER__TLS_KEY": str(key),
        "HUB__SERVER__PUBLIC_URL": "",
    }
    member = harmed.parent / "maison"
    with running(harmed, **settings) as node:
        url = f"https://127.0.0.1:{node.port}"
        checks = doctor(member, "--url", url, status=1)
        assert states(checks, "reach") == ["wrong"]
        assert "certificate" in detail(checks, "reach").lower()
        checks = doctor(
            member, "--url", url, status=1, HUB__CLIENT__CA=str(authority.file)
        )
        assert states(checks, "tls") != ["wrong"]
        assert "TLSv1" in detail(checks, "tls")
        assert states(checks, "signed-request") == ["ok"]


def test_warnings_alone_are_well():
    from hub.doctor.checks import ok, skipped, warning, wrong

    fine = [ok("a", ""), warning("b", "", "x"), skipped("c", "")]
    assert is_well(fine)
    assert not is_well([*fine, wrong("d", "", "x")])


def test_a_copy_of_a_folder_works_without_the_hub(harmed):
    """The plain doctor needs no hub: what cannot be compared is said to be so."""
    folder = harmed.parent / "copy"
    shutil.copytree(harmed.parent / "maison", folder)
    checks = doctor(folder)
    assert states(checks, "clock") == ["skipped"]
