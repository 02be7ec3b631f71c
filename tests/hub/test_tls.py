"""TLS by certificate files, under an authority that only the alliance knows."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from hub.client import Client
from hub.clock import SystemClock
from hub.errors import ConfigError, UnavailableError
from tests.certificates import Authority
from tests.hub.test_server import GET, HURRIED
from tests.running import ROOT, free_port, read_all, running


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


def secured(harmed, authority, *names, **more):
    """Serve with a certificate for names, by default the loopback address."""
    certificate, key = authority.issue(*(names or ("127.0.0.1",)))
    return running(
        harmed,
        HUB__SERVER__TLS_CERT=str(certificate),
        HUB__SERVER__TLS_KEY=str(key),
        HUB__SERVER__PUBLIC_URL="",
        **more,
    )


def hub(folder, *words, **environ):
    import os

    return subprocess.run(
        [sys.executable, "-m", "hub", "--dir", str(folder), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environ},
    )


def test_a_member_signs_and_pulls_through_tls(harmed, authority):
    """The URL that is signed says https, as the server does without being told."""
    member = harmed.parent / "maison"
    with secured(harmed, authority) as node:
        https = f"https://127.0.0.1:{node.port}"
        settings = {"HUB__CLIENT__HUBS": https, "HUB__CLIENT__CA": str(authority.file)}
        done = hub(member, "whoami", **settings)
        assert (done.returncode, "member/maison" in done.stdout) == (0, True), done
        done = hub(member, "pull", **settings)
        assert done.returncode == 0, done.stderr


def test_a_newcomer_keeps_the_authority_that_it_joined_with(harmed, authority):
    folder = harmed.parent / "late"
    pin = harmed / "pin.json"
    with secured(harmed, authority) as node:
        https = f"https://127.0.0.1:{node.port}"
        words = ("join", https, "--pin", str(pin), "--as", "member", "--name", "late")
        refused = hub(folder, *words)
        assert refused.returncode == 6
        assert "certificate" in refused.stderr.lower()
        assert not folder.exists()
        # The registry names the address of the test alliance, so joining ends there,
        # after the registry was read through TLS.
        done = hub(folder, *words, "--ca", str(authority.file))
        assert "is not the public URL of a node" in done.stderr, done


def test_who_is_trusted(harmed, authority, tmp_path):
    """Neither another authority, nor the system's alone, nor another host."""
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority(other, "Another authority")
    with secured(harmed, authority) as node:
        https = f"https://127.0.0.1:{node.port}"
        for ca, url, works in (
            (authority.file, https, True),
            (stranger.file, https, False),
            (None, https, False),
            (authority.file, f"https://localhost:{node.port}", False),
        ):
            client = Client(url, SystemClock(), ca=ca)
            if works:
                assert client.heads()[0]["feeds"]
            else:
                with pytest.raises(UnavailableError, match=r"(?i:certificate)"):
                    client.heads()
            client.close()


@pytest.mark.parametrize("text", [None, "", "nonsense", "-----BEGIN CERTIFICATE-----"])
def test_a_file_without_certificates_is_a_fault_of_the_configuration(tmp_path, text):
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError):
        Client("https://node.example", SystemClock(), ca=file)


def test_nothing_is_served_without_tls_or_with_an_old_one(harmed, authority):
    with secured(harmed, authority) as node:
        raw = node.say(GET)
        assert not raw.startswith(b"HTTP/1.1 200")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            node.connect() as plain,
            pytest.raises((ssl.SSLError, ConnectionError)),
            old.wrap_socket(plain) as client,
        ):
            client.sendall(GET)


def test_slow_handshakes_hold_up_nobody_for_long(harmed, authority):
    """With two threads and sixteen clients that begin a handshake and stop."""
    trusting = ssl.create_default_context(cafile=authority.file)
    with (
        secured(harmed, authority, prelude=HURRIED, HUB__SERVER__THREADS="2") as node,
        ExitStack() as stack,
    ):
        for _ in range(16):
            client = stack.enter_context(node.connect())
            client.sendall(b"\x16\x03\x01")
        start = time.monotonic()
        plain = stack.enter_context(
            socket.create_connection(("127.0.0.1", node.port), 60)
        )
        client = stack.enter_context(
            trusting.wrap_socket(plain, server_hostname="127.0.0.1")
        )
        client.sendall(GET)
        assert read_all(client).startswith(b"HTTP/1.1 200")
        # Half a second for each of them, two at a time, and some for the machine.
        assert time.monotonic() - start < 40


def test_a_missing_certificate_is_a_clear_error(harmed):
    port = free_port()
    with running(
        harmed,
        wait=False,
        HUB__SERVER__LISTEN=f"127.0.0.1:{port}",
        HUB__SERVER__TLS_CERT="none.crt",
        HUB__SERVER__TLS_KEY="none.key",
    ) as node:
        assert node.process.wait(60) == 2
        assert "none.crt" in node.log.read_text()
        assert "Traceback" not in node.log.read_text()
