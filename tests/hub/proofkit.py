"""Makes proof files and evidence in a small alliance, for their tests."""

from __future__ import annotations

import json

from hub.model import EntryName, new_salt, render_time
from hub.officers import registry_entry
from hub.proving import make_proof
from hub.publishing import make_batch
from hub.tlog.checkpoint import Checkpoint, sign_checkpoint
from hub.tlog.evidence import ForkEvidence
from hub.tlog.evidence import render_evidence as render_fork
from hub.verifying import verify_proof
from keys import voprf
from keys.encoding import to_base64
from keys.shares import deal
from schemas.base import render_line
from tests.simulator import ALLIANCE, START

DAY = 86_400


def shared(world, threshold=2):
    secret = voprf.random_scalar()
    dealt, _ = deal(secret, threshold, len(world.nodes))
    shares = []
    for (x, share), (name, node) in zip(dealt, world.nodes.items(), strict=True):
        node.app.extensions["hub"].token_secrets["scarce-1"] = share
        shares.append(
            {"node": name, "x": x, "public": to_base64(voprf.public_of(share))}
        )
    world.officers(
        registry_entry(
            "token-key",
            START,
            key="scarce-1",
            class_="scarce",
            epoch=1,
            public=to_base64(voprf.public_of(secret)),
            threshold=threshold,
            shares=shares,
        )
    )
    world.settle()
    world.secret = secret
    return world


def token(world, kind, value):
    blinding = voprf.blind([voprf.token_input(kind, value)])
    found = voprf.evaluate(
        world.secret, voprf.public_of(world.secret), blinding.elements
    )
    return to_base64(voprf.finalise(blinding, [(1, found.elements)])[0][:32])


def publish(world, name, *lines):
    member = world.members[name]
    node = world.nodes[world.home_of(name)]
    with node.store.read() as tx:
        head = node.hub.registry.current(tx).head
    body = make_batch(f"{ALLIANCE}/{name}", list(lines), head, member.key)[1]
    return member.client(node.name).publish(name, body)


def line(world, kind, **fields):
    at = render_time(world.clock.now())
    return render_line({"kind": kind, "salt": new_salt(), "at": at, **fields})


def proof(world, name, node="node1"):
    hub = world.nodes[node].hub
    with hub.store.read() as tx:
        return make_proof(tx, EntryName.parse(name), hub.registry.directory(tx))


def check(world, body):
    return verify_proof(json.dumps(body).encode(), world.pin)


def fork_evidence(world):
    with world.nodes["node1"].store.read() as tx:
        head = tx.heads.get("maison")
    other = Checkpoint(f"{ALLIANCE}/maison", head.size, bytes(32))
    signed = sign_checkpoint(other, world.nodes["node1"].log)
    return render_fork(ForkEvidence(head.checkpoint, signed))
