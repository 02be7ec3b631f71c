"""The documented proxy configuration, run by nginx itself in front of a hub."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.needs import missing
from tests.running import ROOT, free_port, read_all, running

DOCUMENTED = ROOT / "docs" / "nginx.conf"
UPLOAD = (
    "POST /v1/feeds/maison/batches HTTP/1.1\r\nHost: x\r\n"
    "Content-Type: application/x-ndjson\r\nContent-Length: 9999\r\n\r\n"
)
WRAPPER = """
daemon off;
user {user};
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/hub.conf;
}}
"""


def nginx():
    """Return the program; it is in /usr/sbin, which is not on everybody's path."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    return found or missing("nginx (Debian: nginx-light)")


def adapted(folder, hub_port, port, certificate, key):
    """Return the documented file with other ports and paths, and nothing else."""
    text = DOCUMENTED.read_text()
    for old, new in (
        ("server 127.0.0.1:8750;", f"server 127.0.0.1:{hub_port};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("/etc/ssl/hub.alliance.example.crt", str(certificate)),
        ("/etc/ssl/hub.alliance.example.key", str(key)),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextmanager
def proxied(folder, hub_port, port, certificate, key):
    program = nginx()
    folder.mkdir()
    (folder / "hub.conf").write_text(adapted(folder, hub_port, port, certificate, key))
    user = subprocess.check_output(["id", "-un"], text=True).strip()
    main = folder / "nginx.conf"
    main.write_text(WRAPPER.format(folder=folder, user=user))
    log = folder / "nginx.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [program, "-p", str(folder), "-c", str(main)], stdout=file, stderr=file
        )
    try:
        for _ in range(100):
            assert process.poll() is None, log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


class Proxied:
    """An alliance whose node is only reached through nginx."""

    def __init__(self, folder, node, port, authority):
        self.folder, self.node, self.port = folder, node, port
        self.authority = authority
        self.url = f"https://127.0.0.1:{port}"

    def hub(self, who, *words, status=0):
        done = subprocess.run(
            [sys.executable, "-m", "hub", "--dir", str(self.folder / who), "--json"]
            + [str(w) for w in words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env={**os.environ, "HUB__CLIENT__CA": str(self.authority.file)},
        )
        assert done.returncode == status, (words, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def connect(self, source="127.0.0.1", port=None):
        """Return a TLS connection to nginx, or a plain one to the hub itself."""
        plain = socket.create_connection(
            ("127.0.0.1", port or self.port), 30, source_address=(source, 0)
        )
        if port:
            return plain
        context = ssl.create_default_context(cafile=self.authority.file)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def say(self, text, **where):
        """Send a request and return header and body of the answer."""
        with self.connect(**where) as client:
            client.sendall(text.encode())
            head, _, body = read_all(client).partition(b"\r\n\r\n")
        return head.decode(), body


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxied")
    port, listen = free_port(), free_port()
    made = folder / "authority"
    made.mkdir()
    authority = Authority(made)
    certificate, key = authority.issue("127.0.0.1")
    alliance = Proxied(folder, None, port, authority)
    words = ("--alliance", "alliance.example", "--node", "node1")
    alliance.hub("node", "init", *words, "--url", alliance.url)
    with (
        running(
            folder / "node",
            port=listen,
            HUB__SERVER__PUBLIC_URL=alliance.url,
            HUB__SERVER__BEHIND_PROXY="true",
            HUB__SERVER__THREADS="2",
        ) as node,
        proxied(folder / "nginx", node.port, port, certificate, key),
    ):
        alliance.node = node
        pin = folder / "node" / "pin.json"
        for name, role in (
            ("maison", "member"),
            ("market", "member"),
            ("auditor1", "auditor"),
        ):
            trust = ("--ca", authority.file)
            who = ("--as", role, "--name", name)
            alliance.hub(name, "join", alliance.url, "--pin", pin, *who, *trust)
            alliance.hub("node", role, "add", folder / name / "request.json")
        yield alliance


def test_the_main_job_through_the_proxy(proxy):
    """Signed requests, uploads, signed answers, gzip pages and an audit."""
    file = proxy.folder / "cases.csv"
    rows = "".join(f"C-{n},shop{n}.example\n" for n in range(300))
    file.write_text("case,domain\n" + rows)
    (done,) = proxy.hub("maison", "publish", file, "--ref", "case")
    assert done["receipt"]["size"] == 301
    proxy.hub("market", "pull")
    found = proxy.hub("market", "screen", file, "--ref", "case", status=3)
    assert found
    proxy.hub("auditor1", "pull")
    (report,) = proxy.hub("auditor1", "audit")
    assert (report["ok"], report["findings"]) == (True, [])
    assert proxy.hub("maison", "whoami")[0]["owner"] == "member/maison"


def test_packed_pages_pass_unchanged(proxy):
    """The bytes that the hub stored are those that arrive."""
    token = proxy.hub("node", "access", "new", "script", "--owner", "member/market")
    ask = (
        "GET /v1/feeds/registry/entries HTTP/1.1\r\nHost: hub.alliance.example\r\n"
        f"Authorization: Bearer {token[0]['token']}\r\nAccept-Encoding: gzip\r\n"
        "Connection: close\r\n\r\n"
    )
    head, body = proxy.say(ask)
    straight, same = proxy.say(ask, port=proxy.node.port)
    for answer in (head, straight):
        assert "Content-Encoding: gzip" in answer
        assert "application/x-ndjson" in answer
    assert body == same
    assert gzip.decompress(body).startswith(b'{"kind":"batch"')


def test_a_request_has_one_name_in_all_logs(proxy):
    head, _ = proxy.say(
        "GET /v1/feeds HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "X-Request-Id: 0123456789abcdef\r\n\r\n"
    )
    (name,) = re.findall(r"X-Request-Id: ([0-9a-f]{32})\r", head + "\r")
    assert any(line.get("request") == name for line in proxy.node.lines())


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
def test_what_is_for_the_operator_is_not_for_others(proxy, path):
    ask = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert proxy.say(ask)[0].startswith("HTTP/1.1 200")
    assert proxy.say(ask, source="127.0.0.2")[0].startswith("HTTP/1.1 403")


def test_a_body_that_is_too_long_ends_at_the_proxy(proxy):
    before = len(proxy.node.lines())
    head, _ = proxy.say(
        "POST /v1/feeds/maison/batches HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Content-Type: application/x-ndjson\r\nContent-Length: 10000000000\r\n\r\n"
    )
    assert head.startswith("HTTP/1.1 413")
    assert len(proxy.node.lines()) == before


def test_addresses_are_those_of_the_clients(proxy):
    """The proxy replaces what a client claims, so nobody gets rid of the limit so."""
    from hub.api.limits import address_of

    seen = DOCUMENTED.read_text()
    assert re.search(r"X-Forwarded-For \$remote_addr;", seen)
    assert address_of("127.0.0.1", "127.0.0.2", behind_proxy=True) == "127.0.0.2"


def test_slow_clients_do_not_reach_the_hub(proxy):
    """Sixty of them hang on nginx; the hub, with two threads, serves the others."""
    stop = threading.Event()
    before = len(proxy.node.lines())

    def drip(client):
        while not stop.wait(0.5):
            try:
                client.sendall(b"x")
            except OSError:
                return

    with ExitStack() as stack:
        for number in range(60):
            client = stack.enter_context(proxy.connect())
            start = (
                "",
                "GET /v1/feeds HTTP/1.1\r\nHost: x\r\nX-Slow: ",
                UPLOAD,
            )[number % 3]
            client.sendall(start.encode())
            if start:
                threading.Thread(target=drip, args=(client,), daemon=True).start()
        time.sleep(1)
        slowest = 0.0
        for _ in range(10):
            began = time.monotonic()
            head, _ = proxy.say(
                "GET /v1/feeds HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            assert head.startswith("HTTP/1.1 200")
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2
        # Only the ten were seen by the hub.
        assert len(proxy.node.lines()) == before + 10
        stop.set()


def test_a_hub_that_is_down_is_a_clear_error(proxy, tmp_path):
    """The proxy's own answer is no problem document, and `hub` copes with it."""
    port, nobody = free_port(), free_port()
    certificate, key = proxy.authority.issue("127.0.0.1")
    with proxied(tmp_path / "nginx", nobody, port, certificate, key):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "hub",
                "--dir",
                str(proxy.folder / "market"),
                "pull",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={
                **os.environ,
                "HUB__CLIENT__HUBS": f"https://127.0.0.1:{port}",
                "HUB__CLIENT__CA": str(proxy.authority.file),
            },
        )
    assert done.returncode == 6, done.stderr
    assert "502" in done.stderr


def test_nginx_itself_finds_nothing_wrong(proxy):
    """It only says which bodies it kept in files, as it should."""
    log = Path(proxy.folder / "nginx" / "nginx.log").read_text()
    said = [line for line in log.splitlines() if "to a temporary file" not in line]
    assert not [line for line in said if "[warn]" in line or "[emerg]" in line]
