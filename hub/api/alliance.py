"""The alliance over HTTP: directory, who am I, usage, token evaluation, health."""

from __future__ import annotations

import hashlib
import json

from flask import Response, g, request
from flask_smorest import Blueprint

from hub.api import serving
from hub.api.bodies import expect, read_rest
from hub.api.described import KEY, OCTETS, READER, SIGNED, body, field, raw, said
from hub.api.errors import problem
from hub.errors import RefusedError
from hub.tokens import evaluate, quota_of
from keys.encoding import to_base64
from keys.voprf import MAX_BATCH
from schemas.api import DirectoryAnswer, Health, Readiness, Usage, WhoAmI

__all__ = ["blueprint", "health"]

blueprint = Blueprint("alliance", __name__, url_prefix="/v1", description=__doc__)
health = Blueprint("health", __name__, description="Health and readiness.")


def _json(value: object) -> Response:
    answer = Response(json.dumps(value), content_type="application/json")
    # It tells of the caller or of this moment.
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


@blueprint.route("/whoami")
@blueprint.response(
    200, WhoAmI, description="The owner of the key or token that was used."
)
@blueprint.doc(security=READER)
def whoami() -> Response:
    """Who this node thinks is asking."""
    if not g.caller.owner:
        raise RefusedError("the request is not signed", code="unauthenticated")
    return _json({"owner": g.caller.owner, "signed": g.caller.writes})


@blueprint.route("/directory")
@blueprint.response(
    200,
    DirectoryAnswer,
    description="The replayed registry.",
    headers=said(ETag="Of the whole answer.", Cache_Control="no-cache"),
)
@blueprint.alt_response(304, description="Nothing changed since that ETag.")
@blueprint.doc(parameters=[field("If-None-Match", "The ETag of an earlier answer.")])
def directory() -> Response:
    """Members, auditors, nodes, token keys and policy as of the registry's head."""
    state = serving().directory()
    answer = _json(
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
    answer.headers["Cache-Control"] = "no-cache"
    answer.set_etag(hashlib.sha256(answer.get_data()).hexdigest()[:32])
    answer.make_conditional(request)
    return answer


@blueprint.route("/usage")
@blueprint.response(
    200, Usage, description="Evaluations of the last 24 hours, by class."
)
@blueprint.doc(security=READER)
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


@blueprint.route("/tokens/<key>", methods=["POST"], parameters=[KEY])
@blueprint.response(
    200,
    **raw(
        OCTETS,
        "A proof of 64 bytes and the evaluated elements.",
        Content_Digest="RFC 9530, sha-256.",
        Signature_Input="RFC 9421; docs/protocol.md has the components and a vector.",
        Signature="By the node's request key.",
    ),
)
@blueprint.doc(
    security=SIGNED,
    requestBody=body(OCTETS, "1 to 4,096 blinded elements of 32 bytes."),
)
def post_tokens(key: str) -> Response:
    """Evaluate blinded elements under a token key."""
    node = serving()
    state = node.directory()
    held, named = node.token_secret(key), state.token_keys.get(key)
    if held is None or named is None or key in state.retired:
        raise RefusedError(f"no key {key} here", code="unknown-token-key")
    # Nothing is charged that could not be answered.
    node.answer_signer()
    expect(OCTETS, 32 * MAX_BATCH)
    elements = read_rest(32 * MAX_BATCH)
    answer = evaluate(
        node.hub.store, state, g.caller, named, held, elements, node.hub.clock.now()
    )
    signature = node.sign_answer(elements, answer)
    return Response(answer, headers=signature, content_type=OCTETS)


@health.route("/healthz")
@health.response(200, Health, description="The process answers.")
def healthz() -> Response:
    """Tell that the process answers."""
    return _json({"ok": True})


@health.route("/readyz")
@health.response(200, Readiness, description="The node can do its work.")
def readyz() -> Response:
    """Tell that the node can do its work, or why not."""
    found = serving().watch.look()
    if found.reasons:
        detail, advice = "; ".join(found.reasons), "Look at docs/operations.md."
        return problem(503, "not-ready", detail, advice, reasons=list(found.reasons))
    figures = {"feeds": found.feeds, "time": found.time, "free": found.free}
    return _json({"ok": True, **figures})
