"""Logs are JSON with a request id, and nothing of what anybody wanted to keep."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from hub.logs import bind_request, configure_logs, request_id_of, unbind_request
from tests.hub.api.served import NDJSON, OCTETS, Served, report_line
from tests.running import running


@pytest.fixture
def stream():
    """What the process would log, in place of its handlers, which come back."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    made = io.StringIO()
    configure_logs(made)
    yield made
    root.handlers[:] = before
    root.setLevel(level)


def lines_of(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_logger_speaks_json_with_the_same_members(stream):
    logging.getLogger("hub.x").info("one", extra={"count": 3})
    logging.getLogger("gunicorn.error").warning("two %s", "words")
    try:
        int("what")
    except ValueError:
        logging.getLogger("apscheduler.x").exception("three")
    logging.getLogger("apscheduler.x").info("a run")
    logging.getLogger("hub.x").debug("unsaid")
    one, two, three = lines_of(stream)
    assert list(one)[:4] == ["time", "level", "logger", "event"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[0-9:.]{8,15}Z", one["time"])
    del one["time"]
    assert one == {
        "level": "info",
        "logger": "hub.x",
        "event": "one",
        "count": 3,
    }
    assert (two["level"], two["event"]) == ("warning", "two words")
    assert "Traceback" in three["exception"]


def test_a_line_break_in_an_event_starts_no_line(stream):
    """Else whoever gets a word into an event could write lines of their own."""
    logging.getLogger("hub.x").info('a\n{"level":"info"}\r\u2028')
    assert len(lines_of(stream)) == 1
    assert stream.getvalue().count("\n") == 1


def test_configured_twice_nothing_is_said_twice(stream):
    configure_logs(stream)
    logging.getLogger("hub.x").info("once")
    assert len(lines_of(stream)) == 1


def test_what_happens_within_a_request_has_its_id(stream):
    bind_request("abc")
    logging.getLogger("hub.x").info("within")
    unbind_request()
    logging.getLogger("hub.x").info("after")
    within, after = lines_of(stream)
    assert within["request"] == "abc"
    assert "request" not in after


@pytest.mark.parametrize(
    "sent",
    ["0123456789abcdef", "6a57ae50-1111-4222-8333-944445555666", "a" * 64],
)
def test_a_well_formed_id_of_a_proxy_is_kept(sent):
    assert request_id_of(sent, "own") == sent


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        "abc",
        "a" * 65,
        "A" * 16,
        "0123456789abcdef\n",
        "someone@shop.example",
        "FR7630006000011234567890189",
        "33123456789012345",
        "4111-1111-1111-1111",
        '0123456789abcde"',
    ],
)
def test_any_other_id_is_replaced(sent):
    """Among them what could be an identifier: no letters, or others than a to f."""
    assert request_id_of(sent, "own") == "own"


def test_a_request_is_one_line(served, stream):
    answer = served.ask("GET", "/v1/feeds/maison/entries?from=1&to=2")
    (line,) = [x for x in lines_of(stream) if x["logger"] == "hub.request"]
    assert line["request"] == answer.headers["X-Request-Id"]
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["path"] == "/v1/feeds/maison/entries"
    assert line["caller"] == "member/maison"
    assert line["sent"] == len(answer.data)
    assert line["ms"] >= 0
    given = {"X-Request-Id": "0123456789abcdef"}
    answer = served.web.get("/v1/feeds", headers=given)
    assert answer.headers["X-Request-Id"] == lines_of(stream)[-1]["request"]
    assert answer.headers["X-Request-Id"] == given["X-Request-Id"]


def test_what_was_refused_is_logged_without_what_was_typed(served, stream):
    for path in (
        "/v1/feeds/someone@shop.example/checkpoint",
        "/v1/tokens/+33199001234",
        "/lookup/someone@shop.example",
        "/v1/feeds/maison/tile/someone@shop.example",
    ):
        served.web.get(path)
        served.web.post(path)
    said = stream.getvalue()
    assert "someone" not in said
    assert "33199001234" not in said
    assert "/v1/feeds/<feed>/checkpoint" in said
    # The names that the registry knows are said.
    assert "/v1/feeds/maison/tile/<path:rest>" in said


def test_a_bug_is_logged_with_its_traceback_and_the_requests_id(
    served, stream, monkeypatch
):
    def fail(*_words):
        raise AssertionError("broken")

    monkeypatch.setattr("hub.api.alliance._json", fail)
    answer = served.web.get("/healthz")
    said = [x for x in lines_of(stream) if "exception" in x]
    assert [x["request"] for x in said] == [answer.headers["X-Request-Id"]]
    assert "broken" in said[0]["exception"]


SECRETS = {
    "a bearer token": "ahub_" + "Zz9" * 14,
    "a password": "c2VjcmV0LXBhc3N3b3Jk",
    "an identifier": "someone@shop.example",
    "a phone": "33199001234",
    "a signature": "c2lnbmF0dXJlLW9mLW5vYm9keQ==",
    "a nonce": "nonce-of-nobody",
}


def test_nothing_of_a_whole_story_is_in_the_logs(alliance):
    """Publish, pull, screen, and every way of being refused; then look for secrets."""
    folder = alliance.folder
    file = folder / "cases.csv"
    file.write_text("case,domain,email,phone\nC-1,whole.example,who@whole.example,\n")
    alliance.hub("maison", "publish", file, "--ref", "case")
    alliance.hub("market", "pull")
    alliance.hub("market", "screen", file, "--ref", "case", status=3)
    token = alliance.hub("node", "access", "new", "script", "--owner", "member/maison")[
        0
    ]["token"]
    alliance.stop()
    member = Served(folder / "node")
    signed = member.headers("GET", "/v1/whoami", nonce=SECRETS["a nonce"])
    batch = member.batch(report_line())
    member.close()
    with running(folder / "node") as node:
        good = f"Authorization: Bearer {token}"
        for head in (
            "GET /v1/feeds/maison/entries HTTP/1.1\r\n" + good,
            "GET /v1/whoami HTTP/1.1\r\nAuthorization: Bearer "
            + SECRETS["a bearer token"],
            "GET /v1/whoami HTTP/1.1\r\nAuthorization: Basic " + SECRETS["a password"],
            "GET /v1/feeds/someone@shop.example/entries?q=33199001234 HTTP/1.1",
            "GET /v1/feeds?q=someone@shop.example HTTP/1.1",
            "GET /someone@shop.example HTTP/1.1",
            "SOMEONE@SHOP.EXAMPLE /33199001234 HTTP/1.1",
            "GET /v1/feeds HTTP/1.1\r\nsomeone@shop.example",
            "GET /v1/feeds HTTP/1.1\r\nExpect: someone@shop.example",
            "GET /v1/feeds HTTP/1.1\r\nX-Request-Id: someone@shop.example",
            "GET /v1/whoami HTTP/1.1\r\n"
            + "\r\n".join(f"{k}: {v}" for k, v in signed.items()),
            "GET /v1/whoami HTTP/1.1\r\nSignature: hub=:"
            + SECRETS["a signature"]
            + ":\r\nSignature-Input: "
            + signed["Signature-Input"],
        ):
            node.say(f"{head}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        for path, media, body in (
            ("/v1/feeds/maison/batches", NDJSON, batch),
            ("/v1/feeds/maison/batches", NDJSON, b"someone@shop.example\n"),
            ("/v1/tokens/open-1", OCTETS, b"someone@shop.example"),
            ("/v1/tokens/open-1", "text/someone@shop.example", b"33199001234"),
        ):
            head = (
                f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            node.say(head.encode(), body)
        assert node.stop() == 0
        statuses = [x["status"] for x in node.lines() if x["event"] == "answered"]
        assert {200, 401, 404, 415, 422} <= set(statuses)
        said = node.log.read_text() + (folder / "node.log").read_text()
    for line in said.splitlines():
        assert {"time", "level", "logger", "event"} <= set(json.loads(line)), line
    seeds = [
        line
        for path in (folder / "node" / "private").glob("*.key")
        for line in path.read_text().splitlines()
        if len(line) > 30
    ]
    assert seeds
    hidden = [*SECRETS.values(), token, "whole.example", *seeds, *signed.values()]
    for secret in hidden:
        assert secret.lower() not in said.lower(), secret
