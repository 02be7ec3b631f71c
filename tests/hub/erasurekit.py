"""Orders to erase, and readers of the node that serves them, for their tests."""

from __future__ import annotations

import json

from hub.access import new_bearer
from hub.audit import audit
from hub.errors import UnavailableError
from hub.indexing import catch_up
from hub.model import new_case_id, new_salt, render_time
from hub.officers import registry_entry
from hub.registry import Registry
from hub.screening import outlook_of
from hub.store.memory import MemoryStore
from hub.sync import pull
from schemas.base import render_line
from tests.hub.test_faults import NOW

HOURS = 3600


def line(kind, **fields):
    entry = {"kind": kind, "salt": new_salt(), "at": render_time(NOW), **fields}
    return render_line(entry)


def erasure(*indices):
    return line("erasure", indices=list(indices), ground="other")


def withdrawal():
    return line("withdrawal", case=new_case_id(), reason="other")


def officers_erasure(*indices, feed="maison"):
    fields = {"feed": feed, "indices": list(indices), "ground": "court-order"}
    return registry_entry("erasure", NOW, **fields)


def publish(node, *lines):
    answer = node.post(node.batch(*lines))
    assert answer.status_code == 200, answer.json
    return answer.json["first"] + 1


def close_key(node, index):
    fields = {"owner": "member/maison", "label": "k1", "index": index}
    node.registry(registry_entry("key-closed", NOW, **fields, reason="stolen"))


class Served:
    """The node as a reader sees it over HTTP; a test may step between the requests."""

    url = "http://node.example"

    def __init__(self, node, between=None, after=0):
        self.node, self.between, self.after = node, between, after
        secret, row = new_bearer(new_case_id(), "member/market", days=1, now=NOW)
        with node.hub.store.write() as tx:
            tx.node.add_bearer(row)
        self.headers = {"Authorization": f"Bearer {secret}"}

    def ask(self, path):
        answer = self.node.web.get(path, headers=self.headers)
        if answer.status_code != 200:
            raise UnavailableError(f"{path}: {answer.status_code}")
        return answer.data

    def heads(self, etag=""):
        found = json.loads(self.ask("/v1/feeds"))
        if self.between:
            step, self.between = self.between, None
            step()
        return found, etag

    def lines(self, feed, start, stop):
        path = f"/v1/feeds/{feed}/entries?from={start}&to={stop}"
        return self.ask(path)[:-1].split(b"\n")

    def get_json(self, path):
        return json.loads(self.ask(path))

    def get_bytes(self, path):
        return self.ask(path)


class Reader:
    """A mirror of its own."""

    def __init__(self, node):
        self.store, self.registry = MemoryStore(), Registry(node.hub.registry.pin)

    def pull(self, peer, now=NOW):
        return pull(self.store, self.registry, peer, now)

    def raw(self, index):
        with self.store.read() as tx:
            return next(tx.objects.lines("maison", index, index + 1)).raw

    def hidden(self):
        with self.store.read() as tx:
            return tx.erasures.hidden("maison", 0, tx.objects.size("maison"))

    def audit(self):
        return audit(self.store, self.registry.pin, NOW)

    def active(self):
        with self.store.read() as tx:
            directory = self.registry.directory(tx)
        catch_up(self.store, self.registry.directory)
        with self.store.read() as tx:
            rows = tx.index.all_active(outlook_of(directory, NOW)).values()
        return {str(r.entry) for many in rows for r in many}


def audited(node):
    return audit(node.hub.store, node.hub.registry.pin, NOW)
