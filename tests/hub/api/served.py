"""A real node in this process, and callers that sign what they send."""

from __future__ import annotations

import secrets

import httpx2

from hub.access import new_bearer
from hub.api.context import Serving
from hub.app import create_app
from hub.client import Client
from hub.clock import FixedClock, SystemClock
from hub.model import new_case_id, new_salt, render_time
from hub.officers import body_of, propose, sign
from hub.publishing import make_batch
from hub.wiring import build_hub
from keys.encoding import to_base64
from keys.note import NoteSigner
from keys.requests import sign_request
from schemas.base import render_line

NOW = SystemClock().now()
URL = "http://node.example"
NDJSON = "application/x-ndjson"
OCTETS = "application/octet-stream"


class Served:
    """The node of a folder, beside which is that of maison; its clock stands still."""

    def __init__(self, folder):
        self.clock = FixedClock(NOW)
        self.hub = build_hub(folder, self.clock)
        self.member = build_hub(folder.parent / "maison", self.clock)
        self.serving = Serving(
            self.hub,
            URL,
            self.hub.signer("log"),
            self.hub.held_token_keys(),
            self.hub.signer("request"),
        )
        self.app = create_app(self.serving)
        self.web = self.app.test_client()
        self.identity = self.member.identity()

    def close(self):
        self.hub.close()
        self.member.close()

    def client(self, app=None):
        """Return what ``hub`` itself asks with, joined to the application."""
        transport = httpx2.WSGITransport(app=app or self.app)
        return Client(URL, self.clock, self.identity, transport)

    def headers(self, method, path, body=b"", **more):
        """Return the headers of a request that maison signs now."""
        headers = {}
        chosen = {
            "keyid": self.identity.keyid,
            "signer": self.identity.signer,
            "now": self.clock.now(),
            "nonce": secrets.token_urlsafe(16),
        }
        sign_request(method, URL + path, headers, body, **{**chosen, **more})
        return headers

    def ask(self, method, path, body=b"", content_type=None, **more):
        """Send a request that maison signs now."""
        headers = self.headers(method, path, body, **more)
        if content_type:
            headers["Content-Type"] = content_type
        return self.web.open(path, method=method, data=body, headers=headers)

    def bearer(self, days=1):
        secret, row = new_bearer(
            secrets.token_hex(4), "member/maison", days=days, now=self.clock.now()
        )
        with self.hub.store.write() as tx:
            tx.node.add_bearer(row)
        return secret

    @property
    def head(self):
        with self.hub.store.read() as tx:
            return self.hub.registry.current(tx).head

    def registry(self, *lines):
        """Have the officer add entries to the registry."""
        proposal = propose("alliance.example", self.head, lines)
        name = "alliance.example/officer/officer1"
        sign(proposal, [NoteSigner(name, self.hub.signer("officer1"))])
        answer = self.publish(body_of(proposal), "registry")
        assert answer.status_code == 200, answer.json

    def batch(self, *lines):
        signer = NoteSigner(self.identity.keyid, self.member.signer("publish"))
        return make_batch("alliance.example/maison", list(lines), self.head, signer)[1]

    def publish(self, body, feed="maison"):
        path = f"/v1/feeds/{feed}/batches"
        return self.web.post(path, data=body, content_type=NDJSON)


def report_line(**changes):
    entry = {
        "kind": "report",
        "salt": new_salt(),
        "at": render_time(NOW),
        "type": "domain",
        "token": to_base64(bytes(range(32))),
        "key": "open-1",
        "case": new_case_id(),
        "basis": "test-purchase",
        "confidence": 50,
        "valid_until": render_time(NOW + 86400),
        **changes,
    }
    return render_line(entry)


def slug(answer):
    """Return the stable part of a problem's type."""
    assert answer.content_type == "application/problem+json", answer.data
    return answer.json["type"].removeprefix("urn:alliance-hub:")
