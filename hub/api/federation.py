"""What nodes say to each other: cosignatures (C2SP tlog-witness) and evidence."""

from __future__ import annotations

import json

from flask import Response, g
from flask_smorest import Blueprint

from hub.api import serving
from hub.api.bodies import bound, read_rest
from hub.api.described import READER, TEXT, path, raw
from hub.api.described import body as taken
from hub.conviction import accept
from hub.errors import RefusedError
from hub.model import render_time
from hub.peering import alarms, peerings
from hub.tlog.evidence import MAX_BYTES as MAX_EVIDENCE
from hub.tlog.submission import MAX_BYTES, parse_submission
from hub.witness import SizeConflictError, visible
from keys.note import add_signatures, parse_signature
from schemas.api import EvidenceList, EvidenceTaken, Peers

__all__ = ["blueprint", "cosigned"]

blueprint = Blueprint("federation", __name__, url_prefix="/v1", description=__doc__)


def cosigned(checkpoint: bytes, lines: list[bytes]) -> bytes:
    """Return a checkpoint note with cosignature lines added to it."""
    texts = [line.decode().removesuffix("\n") for line in lines]
    return add_signatures(checkpoint, *map(parse_signature, texts))


@blueprint.route("/witness/add-checkpoint", methods=["POST"])
@blueprint.response(200, **raw(TEXT, "Signature lines of this node."))
@blueprint.alt_response(
    409,
    schema={"type": "string"},
    content_type="text/x.tlog.size",
    description="Another size was cosigned last: that size.",
)
@blueprint.doc(
    requestBody=taken("text/plain", "A checkpoint and its proof (C2SP tlog-witness).")
)
def add_checkpoint() -> Response:
    """Cosign a checkpoint, after storing everything below it."""
    node = serving()
    bound(MAX_BYTES)
    if node.federation is None:
        raise RefusedError("this node has no witness key", code="unknown-origin")
    submission = parse_submission(read_rest(MAX_BYTES))
    try:
        line = node.federation.receive(submission)
    except SizeConflictError as error:
        # SPEC: tlog-witness: 409 with the size that was cosigned last.
        body = f"{error.size}\n"
        return Response(body, status=409, content_type="text/x.tlog.size")
    return Response(line, content_type="text/plain; charset=utf-8")


@blueprint.route(
    "/witness/<origin>/checkpoint",
    parameters=[path("origin", "[0-9a-f]{64}", "SHA-256 of an origin, in hex.")],
)
@blueprint.response(
    200, **raw(TEXT, "A checkpoint that this node cosigned.", Cache_Control="no-cache")
)
def witnessed(origin: str) -> Response:
    """The newest checkpoint of a feed, by the hex SHA-256 of its origin."""
    import hashlib  # noqa: PLC0415 - Only here.

    node = serving()
    with node.hub.store.read() as tx:
        directory = node.hub.registry.directory(tx)
        for feed in tx.heads.all():
            name = f"{directory.alliance}/{feed}"
            if hashlib.sha256(name.encode()).hexdigest() != origin:
                continue
            node.check_log(feed)
            head = visible(tx, directory, feed)
            rows = tx.heads.cosignatures(feed, head.size) if head else []
            own = [r.line for r in rows if r.node == node.hub.name]
            if head and own:
                body = cosigned(head.checkpoint, own[-1:])
                answer = Response(body, content_type="text/plain; charset=utf-8")
                answer.headers["Cache-Control"] = "no-cache"
                return answer
    raise RefusedError("nothing of that origin was cosigned", code="not-found")


@blueprint.route("/evidence")
@blueprint.response(200, EvidenceList, description="Everything that convicts somebody.")
def list_evidence() -> Response:
    """The evidence that this node holds, each file verbatim."""
    with serving().hub.store.read() as tx:
        rows = tx.federation.evidence()
    body = {
        "evidence": [
            {
                "name": row.name,
                "kind": row.kind,
                "feed": row.feed,
                "since": render_time(row.at),
                "file": row.raw.decode(),
            }
            for row in rows
        ]
    }
    return Response(json.dumps(body), content_type="application/json")


@blueprint.route("/evidence", methods=["POST"])
@blueprint.response(200, EvidenceTaken, description="What the evidence proves.")
@blueprint.doc(requestBody=taken("application/json", "An evidence file, verbatim."))
def post_evidence() -> Response:
    """Verify an evidence file and keep it."""
    node = serving()
    bound(MAX_EVIDENCE)
    file = read_rest(MAX_EVIDENCE)
    row = accept(node.hub.store, node.directory(), file, node.hub.clock.now())
    body = {"name": row.name, "kind": row.kind, "feed": row.feed}
    return Response(json.dumps(body), content_type="application/json")


@blueprint.route("/peers")
@blueprint.response(
    200, Peers, description="Every other node as this one sees it; alarms."
)
@blueprint.doc(security=READER)
def list_peers() -> Response:
    """Lag, last success, last error and cosigned heads of every other node."""
    node = serving()
    if not g.caller.owner:
        raise RefusedError("the request is not signed", code="unauthenticated")
    federation = node.federation
    known = peerings(federation) if federation else []
    body = {
        "peers": [peer.to_json(node.hub.clock.now()) for peer in known],
        "alarms": list(alarms(federation)) if federation else [],
    }
    return Response(json.dumps(body), content_type="application/json")
