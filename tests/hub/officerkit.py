"""Builds registry entries and batches of two officers, for tests of their rules."""

from __future__ import annotations

import hashlib
import json

from hub.directory import Pin
from hub.officers import body_of, propose, registry_entry, sign
from hub.registry import new_replay
from hub.tlog.batch import digests_of
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.enrol import prove_possession
from keys.note import NoteSigner
from keys.x25519 import new_sealing, sealing_public

NOW = 1_800_000_000
ALLIANCE = "alliance.example"
EMPTY = to_base64(hashlib.sha256(b"").digest())


def officer(name):
    return NoteSigner(f"{ALLIANCE}/officer/{name}", Signer.generate())


def entry(kind, **fields):
    """An entry as the replay reads it, its salt and time filled in."""
    return json.loads(registry_entry(kind, NOW, **fields))


def key(owner, label, roles, signer):
    proof = prove_possession(ALLIANCE, owner, roles, signer)
    fields = {"owner": owner, "label": label, "roles": list(roles)}
    fields |= {"public": to_base64(signer.public), "proof": to_base64(proof)}
    return entry("key", **fields)


def sealing(owner, signer, secret=None):
    public = sealing_public(secret or new_sealing())
    proof = prove_possession(ALLIANCE, owner, ["seal"], signer, public=public)
    fields = {"owner": owner, "label": "seal", "roles": ["seal"]}
    fields |= {"public": to_base64(public), "proof": to_base64(proof)}
    return entry("key", **fields)


def home(feed, node, log, size=0, root=EMPTY):
    fields = {"feed": feed, "node": node, "key": to_base64(log.public)}
    return entry("home", **fields, size=size, root=root)


def close(owner, label, **more):
    return entry("key-closed", owner=owner, label=label, reason="lost", **more)


class Officers:
    """Two officers and a registry that they extend."""

    def __init__(self):
        self.signers = [officer("anna"), officer("berta")]
        vkeys = tuple(s.vkey.render() for s in self.signers)
        self.replay = new_replay(Pin(ALLIANCE, 2, vkeys))
        first = {"alliance": ALLIANCE, "threshold": 2, "officers": list(vkeys)}
        self.first = registry_entry("alliance", NOW, **first)

    def batch(self, *lines, head=None):
        proposal = propose(ALLIANCE, head or self.replay.head, lines)
        sign(proposal, self.signers)
        sent = body_of(proposal)[:-1].split(b"\n")
        return sent, digests_of(sent)
