"""The alliance over HTTP: directory, who am I, usage, token evaluation, health."""

from __future__ import annotations

import json

from flask import Response, g
from flask_smorest import Blueprint

from hub.api import serving
from hub.api.bodies import expect, read_rest
from hub.errors import RefusedError
from hub.tokens import evaluate, quota_of
from keys.encoding import to_base64
from keys.voprf import MAX_BATCH

__all__ = ["blueprint", "health"]

blueprint = Blueprint("alliance", __name__, url_prefix="/v1", description=__doc__)
_READY_SECONDS = 5
health = Blueprint("health", __name__, description="Health and readiness.")


def _json(body: object) -> Response:
    return Response(json.dumps(body), content_type="application/json")


@blueprint.route("/whoami")
@blueprint.response(200, description="The owner of the key or token that was used.")
def whoami() -> Response:
    """Who this node thinks is asking."""
    if not g.caller.owner:
        raise RefusedError("the request is not signed", code="unauthenticated")
    return _json({"owner": g.caller.owner, "signed": g.caller.writes})


@blueprint.route("/directory")
@blueprint.response(200, description="The replayed registry.")
def directory() -> Response:
    """Members, auditors, nodes, token keys and policy as of the registry's head."""
    state = serving().directory()
    return _json(
        {
            "alliance": state.alliance,
            "registry": state.size,
            "threshold": state.threshold,
            "officers": list(state.officers),
            "members": dict(state.members),
            "left": dict(state.left),
            "auditors": dict(state.auditors),
            "nodes": dict(state.nodes),
            "homes": {f: h[-1].node for f, h in state.homes.items()},
            "token_keys": [
                {
                    "key": k.name,
                    "class": k.token_class,
                    "public": to_base64(k.public),
                    "threshold": k.threshold,
                    "nodes": [n for n, _, _ in k.shares],
                }
                for k in state.token_keys.values()
            ],
            "policy": {
                "quorum": state.policy.quorum,
                "quotas": dict(state.policy.quotas),
                "valid_days": dict(state.policy.valid_days),
            },
        }
    )


@blueprint.route("/usage")
@blueprint.response(200, description="Evaluations of the last 24 hours, by class.")
def usage() -> Response:
    """How much of its quotas the caller used."""
    node = serving()
    if not g.caller.owner:
        raise RefusedError("the request is not signed", code="unauthenticated")
    now, state = node.hub.clock.now(), node.directory()
    with node.hub.store.read() as tx:
        used = tx.node.usage(g.caller.owner, now)
    return _json(
        {
            name: {
                "used": used.get(name, 0),
                "quota": quota_of(state, g.caller.member, name, now),
            }
            for name in state.policy.quotas
        }
    )


@blueprint.route("/tokens/<key>", methods=["POST"])
@blueprint.response(200, description="A proof of 64 bytes and the evaluated elements.")
def post_tokens(key: str) -> Response:
    """Evaluate blinded elements under a token key."""
    node = serving()
    state = node.directory()
    held, named = node.token_secret(key), state.token_keys.get(key)
    if held is None or named is None or key in state.retired:
        raise RefusedError(f"no key {key} here", code="unknown-token-key")
    # Nothing is charged that could not be answered.
    node.answer_signer()
    expect("application/octet-stream", 32 * MAX_BATCH)
    body = read_rest(32 * MAX_BATCH)
    answer = evaluate(
        node.hub.store, state, g.caller, named, held, body, node.hub.clock.now()
    )
    signature = node.sign_answer(body, answer)
    return Response(answer, headers=signature, content_type="application/octet-stream")


@health.route("/healthz")
@health.response(200, description="The process answers.")
def healthz() -> Response:
    """Tell that the process answers."""
    return _json({"ok": True})


@health.route("/readyz")
@health.response(200, description="The store can be read and written.")
def readyz() -> Response:
    """Tell that the store can be read and written, and the node's time."""
    node = serving()
    store, now = node.hub.store, node.hub.clock.now()
    with store.read() as tx:
        feeds, last = len(tx.heads.all()), tx.node.get_meta("ready")
    # Only a write tells that the disk takes one. Anybody may ask, so not each time.
    if last is None or abs(now - int(last)) >= _READY_SECONDS:
        with store.write() as tx:
            tx.node.set_meta("ready", str(now))
    return _json({"ok": True, "feeds": feeds, "time": now})
