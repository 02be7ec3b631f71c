"""Every refusal is a problem document with a documented slug."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hub.api.errors import SLUGS
from hub.tlog.batch import MAX_BYTES
from keys.requests import content_digest
from tests.hub.api.served import NDJSON, NOW, OCTETS, report_line, slug

ROOT = Path(__file__).parents[3]
BATCHES = "/v1/feeds/maison/batches"
TOKENS = "/v1/tokens/open-1"

# What these modules say to commands and clients, never in an answer over HTTP.
NOT_OVER_HTTP = {
    "already-served",
    "bad-encoding",
    "bad-evaluation",
    "bad-path",
    "bad-request-file",
    "being-replaced",
    "configuration",
    "erased",
    "error",
    "file-exists",
    "foreign-database",
    "foreign-ledger",
    "forged-tile",
    "in-use",
    "key-file",
    "keys",
    "newer-database",
    "newer-ledger",
    "no-database",
    "not-sealed",
    "not-that",
    "older-database",
    "other-alliance",
    "token",
    "too-few-shares",
    "unknown-peer",
    "unknown-token",
    "unsigned-answer",
    "wrong-evaluation",
}


def serving_files():
    """Return the source of every module that a server loads."""
    program = "import hub.app, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for name in done.stdout.split():
        path = ROOT / name.replace(".", "/")
        if name.partition(".")[0] in ("hub", "keys", "schemas"):
            module = path.with_suffix(".py")
            yield module if module.exists() else path / "__init__.py"


def raised_slugs():
    """Yield every slug that stands in the code: in a call, or as a class's own."""
    for path in serving_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield from (
                    k.value.value
                    for k in node.keywords
                    if k.arg == "code" and isinstance(k.value, ast.Constant)
                )
            if isinstance(node, ast.ClassDef):
                yield from (
                    a.value.value
                    for a in node.body
                    if isinstance(a, ast.Assign)
                    and a.targets[0].id in ("code", "default_code")
                )


def test_every_slug_that_the_code_raises_has_a_status_or_never_leaves_a_machine():
    """A new slug is put into SLUGS, or into the set above, on purpose."""
    raised = set(raised_slugs())
    assert raised - set(SLUGS) - NOT_OVER_HTTP == set()
    assert not NOT_OVER_HTTP & set(SLUGS)


def test_the_stores_own_slugs_have_a_status():
    from hub.store.session import _ADVICE

    assert {code for _, code, _ in _ADVICE.values()} <= set(SLUGS)


def test_the_documented_table_is_the_table():
    text = (ROOT / "docs" / "protocol.md").read_text().split("## Problems")[1]
    found = {}
    for status, slugs in re.findall(r"^\| ([0-9]{3}) \| (.*) \|$", text, re.MULTILINE):
        listed = re.findall(r"`([a-z-]+)`", slugs.split(";")[0])
        assert listed == sorted(listed)
        found |= dict.fromkeys(listed, int(status))
    assert found == SLUGS


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/v1", 404, "not-found"),
        ("GET", "/v1/feeds/", 404, "not-found"),
        ("GET", "/v1//feeds", 404, "not-found"),
        ("GET", "//v1/feeds", 404, "not-found"),
        ("GET", "/v1/feeds/maison", 404, "not-found"),
        ("GET", "/v1/feeds/%FF/checkpoint", 404, "unknown-feed"),
        ("GET", "/v1/feeds/%00/checkpoint", 404, "unknown-feed"),
        ("GET", "/v1/feeds/..%2fmaison/checkpoint", 404, "not-found"),
        ("GET", "/v1/feeds/nobody/checkpoint", 404, "unknown-feed"),
        ("GET", "/v1/feeds/nobody/entries", 401, "unauthenticated"),
        ("GET", "/v1/feeds/maison/proof/-1", 404, "not-found"),
        ("GET", "/v1/feeds/maison/proof/x", 404, "not-found"),
        ("GET", "/v1/feeds/maison/proof/99999999999999999999", 404, "out-of-range"),
        ("GET", "/v1/feeds/maison/tile/0/x", 404, "not-found"),
        ("GET", "/v1/feeds/maison/checkpoints?from=x", 422, "bad-parameter"),
        ("GET", "/v1/feeds/maison/checkpoints?from=1&from=2", 422, "bad-parameter"),
        ("GET", "/v1/feeds/maison/checkpoints?limit=-1", 422, "bad-parameter"),
        ("GET", "/v1/whoami", 401, "unauthenticated"),
        ("GET", "/v1/usage", 401, "unauthenticated"),
        ("POST", "/v1/whoami", 405, "method-not-allowed"),
        ("DELETE", "/v1/feeds", 405, "method-not-allowed"),
        ("PUT", BATCHES, 405, "method-not-allowed"),
        ("GET", BATCHES, 405, "method-not-allowed"),
        ("TRACE", "/v1/feeds", 405, "method-not-allowed"),
        ("FOO", "/v1/feeds", 405, "method-not-allowed"),
        ("POST", TOKENS, 415, "bad-media-type"),
        ("POST", BATCHES, 415, "bad-media-type"),
        ("POST", "/v1/tokens/open-9", 404, "unknown-token-key"),
    ],
)
def test_whatever_is_asked_is_answered_with_a_problem(
    served, method, path, status, expected
):
    answer = served.web.open(path, method=method)
    assert (answer.status_code, slug(answer)) == (status, expected)
    assert answer.json["status"] == status
    assert answer.json["detail"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert SLUGS[expected] == status
    if status == 405:
        assert answer.headers["Allow"]
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Signature")


def test_head_is_answered_like_get_without_a_body(served):
    for path in ("/v1/feeds", "/v1/feeds/maison/tile/0/000.p/5", "/nowhere"):
        head, get = served.web.head(path), served.web.get(path)
        assert head.status_code == get.status_code
        assert head.data == b""
        for name in ("Content-Length", "Content-Type", "Cache-Control"):
            assert head.headers[name] == get.headers[name], name


def test_options_says_what_is_allowed(served):
    answer = served.web.options(BATCHES)
    assert (answer.status_code, answer.data) == (200, b"")
    assert set(answer.allow) == {"POST", "OPTIONS"}


@pytest.mark.parametrize("media", ["application/json", "text/plain", NDJSON + "x", ""])
def test_another_media_type_is_refused(served, media):
    for path in (BATCHES, TOKENS):
        answer = served.web.post(path, data=b"x", content_type=media)
        assert (answer.status_code, slug(answer)) == (415, "bad-media-type")


def test_an_encoded_body_is_refused(served):
    """Its limit would be one of packed bytes."""
    answer = served.web.post(
        BATCHES,
        data=b"x",
        content_type=NDJSON,
        headers={"Content-Encoding": "gzip"},
    )
    assert (answer.status_code, slug(answer)) == (415, "bad-media-type")


@pytest.mark.parametrize(
    ("path", "media", "limit"),
    [(BATCHES, NDJSON, MAX_BYTES), (TOKENS, OCTETS, 4096 * 32)],
)
def test_a_body_that_claims_too_much_is_refused_unread(served, path, media, limit):
    class Unread:
        def read(self, *_sizes):
            raise AssertionError("nothing is read")

        readline = read

    for claim in (limit + 1, 10**10, 10**30):
        answer = served.web.post(
            path,
            content_type=media,
            environ_overrides={
                "CONTENT_LENGTH": str(claim),
                "wsgi.input": Unread(),
            },
        )
        assert (answer.status_code, slug(answer)) == (413, "too-large")


class Endless:
    """A body in chunks that says nothing of its length."""

    def __init__(self):
        self.sent = 0

    def read(self, size=-1):
        self.sent += max(size, 0)
        return b"x" * max(size, 0)


def test_a_body_without_a_length_is_bounded(served):
    body = Endless()
    chunked = {"wsgi.input": body, "wsgi.input_terminated": True}
    answer = served.web.post(TOKENS, content_type=OCTETS, environ_overrides=chunked)
    assert (answer.status_code, slug(answer)) == (413, "too-large")
    assert body.sent <= 4096 * 32 + 1


def test_a_body_with_its_digest_is_compared(served):
    body = served.batch(report_line())
    for digest, expected in (
        (content_digest(body + b"x"), "wrong-digest"),
        ("sha-256=:AAAA:", "wrong-digest"),
        ("nonsense", "wrong-digest"),
        ("crc32c=:AAAAAA==:", "wrong-digest"),
    ):
        answer = served.web.post(
            BATCHES,
            data=body,
            content_type=NDJSON,
            headers={"Content-Digest": digest},
        )
        assert (answer.status_code, slug(answer)) == (422, expected), digest
    right = {"Content-Digest": content_digest(body)}
    answer = served.web.post(BATCHES, data=body, content_type=NDJSON, headers=right)
    assert answer.status_code == 200


def test_a_signed_request_with_another_body_is_refused(served):
    """Also a batch, whose own signature would do."""
    body = served.batch(report_line())
    for path, media, sent in ((BATCHES, NDJSON, body), (TOKENS, OCTETS, bytes(32))):
        headers = served.headers("POST", path, sent + b"x")
        headers["Content-Type"] = media
        answer = served.web.post(path, data=sent, headers=headers)
        assert (answer.status_code, slug(answer)) == (401, "bad-request-signature")


def test_a_clock_error_tells_the_nodes_time(served):
    """So that a client can say by how much its clock is wrong."""
    answer = served.ask("GET", "/v1/whoami", now=NOW - 301)
    assert (answer.status_code, slug(answer)) == (401, "clock-skew")
    assert answer.json["time"] == NOW
    assert "time" not in served.web.get("/v1/whoami").json


def test_a_replayed_request_is_refused_also_by_a_restarted_node(served):
    headers = served.headers("GET", "/v1/whoami")
    assert served.web.get("/v1/whoami", headers=headers).status_code == 200
    assert slug(served.web.get("/v1/whoami", headers=headers)) == "replayed-nonce"
    again = type(served)(served.hub.folder)
    try:
        assert slug(again.web.get("/v1/whoami", headers=headers)) == "replayed-nonce"
    finally:
        again.close()


def test_an_unsigned_nonce_is_not_spent(served):
    """Else a stranger could spend the nonces of others."""
    headers = served.headers("GET", "/v1/whoami", nonce="one")
    forged = {**headers, "Signature": served.headers("GET", "/v1/usage")["Signature"]}
    answer = served.web.get("/v1/whoami", headers=forged)
    assert slug(answer) == "bad-request-signature"
    assert served.web.get("/v1/whoami", headers=headers).status_code == 200


def test_a_bug_is_told_without_its_reason(served, monkeypatch):
    def fail(*_words):
        raise AssertionError("a secret of ours")

    monkeypatch.setattr(type(served.serving), "directory", fail)
    answer = served.web.get("/v1/directory")
    assert (answer.status_code, slug(answer)) == (500, "internal")
    assert b"secret" not in answer.data
    assert answer.headers["X-Request-Id"] in answer.json["detail"]


def test_a_fault_of_the_folder_is_for_its_operator_alone(served, monkeypatch):
    from hub.errors import ConfigError

    def fail(*_words):
        raise ConfigError("/srv/hub/private is missing")

    monkeypatch.setattr(type(served.serving), "directory", fail)
    answer = served.web.get("/v1/directory")
    assert (answer.status_code, slug(answer)) == (500, "internal")
    assert b"private" not in answer.data


@pytest.mark.parametrize("index", [2**63 - 1, 2**63, 10**40])
@pytest.mark.parametrize("what", ["receipts", "proof"])
def test_an_index_that_no_store_can_hold_is_refused(served, what, index):
    """A fuzzer asked for one, and SQLite could not be asked for it."""
    answer = served.web.get(f"/v1/feeds/maison/{what}/{index}")
    assert answer.status_code in (404, 416)
    assert slug(answer) in ("not-found", "out-of-range")
    assert served.web.get(f"/v1/feeds/nobody/{what}/{index}").status_code == 404
