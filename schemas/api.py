"""Answers of a node over HTTP, as JSON; what OpenAPI says of them comes from here.

Whoever reads an answer ignores keys that it does not know, so that keys can be added;
none is ever given another meaning. An error is a problem document (RFC 9457) as
``application/problem+json``: its ``type`` is stable, its words are not.
"""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, fields, validate

from schemas.base import NAME, TOKEN_KEY, Base64, Number, OneOf, Time, Word
from schemas.registry import CLASSES

__all__ = [
    "Checkpoints",
    "DirectoryAnswer",
    "EvidenceList",
    "EvidenceTaken",
    "Heads",
    "Health",
    "Peers",
    "Problem",
    "Readiness",
    "Receipt",
    "Usage",
    "WhoAmI",
]

OWNER = f"(?:member|auditor|node)/{NAME}"


class Answer(Schema):
    """What every answer shares: unknown keys are ignored."""

    class Meta:
        """Keys of a later version are no fault."""

        unknown = EXCLUDE


def _feed() -> Word:
    return Word(NAME, "a feed", required=True)


def _note(**more: Any) -> fields.String:
    return fields.String(validate=validate.Length(1, 1_000_000), **more)


def _named(value: fields.Field[Any]) -> fields.Dict:
    return fields.Dict(keys=fields.String(), values=value, required=True)


def _lines() -> fields.List[Any]:
    return fields.List(
        _note(),
        required=True,
        metadata={"description": "Signature lines of other nodes, so far."},
    )


class WhoAmI(Answer):
    """``GET /v1/whoami``: the caller as this node sees it."""

    owner = Word(
        OWNER,
        "an owner such as member/maison",
        required=True,
        metadata={"description": "Whose key or bearer token was used."},
    )
    signed = fields.Boolean(
        required=True,
        metadata={"description": "Signed with a key, so allowed more than reading."},
    )


class FeedHead(Answer):
    """The head of one feed, as its home signed it."""

    feed = _feed()
    size = Number(0, required=True)
    checkpoint = _note(
        required=True, metadata={"description": "A signed note (C2SP tlog-checkpoint)."}
    )
    cosignatures = _lines()
    frozen = fields.Boolean(
        required=True,
        metadata={"description": "Its home signed two histories; nothing is accepted."},
    )


class Heads(Answer):
    """``GET /v1/feeds``: the heads of all feeds, under one ETag."""

    feeds = fields.List(fields.Nested(FeedHead), required=True)
    evidence = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Names of what convicts somebody: /v1/evidence."},
    )


class EvidenceItem(Answer):
    """One fact that convicts somebody, with the file that proves it."""

    name = fields.String(required=True)
    kind = OneOf(("fork", "repeated-batch", "witness-rollback"), required=True)
    feed = _feed()
    since = Time(required=True)
    file = _note(required=True)


class EvidenceList(Answer):
    """``GET /v1/evidence``: everything that convicts somebody."""

    evidence = fields.List(fields.Nested(EvidenceItem), required=True)


class EvidenceTaken(Answer):
    """``POST /v1/evidence``: what the evidence proves."""

    name = fields.String(required=True)
    kind = OneOf(("fork", "repeated-batch", "witness-rollback"), required=True)
    feed = _feed()


class Checkpoints(Answer):
    """``GET /v1/feeds/<feed>/checkpoints``: signed notes, the smallest size first."""

    checkpoints = fields.List(
        _note(), required=True, validate=validate.Length(max=1000)
    )


class Receipt(Answer):
    """``POST /v1/feeds/<feed>/batches``: where the batch stands, and who vouches."""

    feed = _feed()
    first = Number(
        0, required=True, metadata={"description": "The index of the header."}
    )
    size = Number(
        1, required=True, metadata={"description": "The feed's size with the batch."}
    )
    checkpoint = _note(
        required=True, metadata={"description": "The home's signed note of that size."}
    )
    cosignatures = _lines()
    quorum = Number(
        0,
        100,
        required=True,
        metadata={"description": "How many other nodes' cosignatures are needed."},
    )


class TokenKeyAnswer(Answer):
    """A token key and the nodes that evaluate it."""

    class Meta(Answer.Meta):
        """``class`` is a keyword in Python and a field here."""

        include: ClassVar[dict[str, fields.Field[Any]]] = {
            "class": OneOf(CLASSES, required=True)
        }

    key = Word(TOKEN_KEY, "a token key such as open-1", required=True)
    public = Base64(32, required=True)
    threshold = Number(1, 100, required=True)
    nodes = fields.List(Word(NAME, "a node"), required=True)


class PolicyAnswer(Answer):
    """What the officers decided for everybody."""

    quorum = Number(0, 100, required=True)
    quotas = _named(Number(0))
    valid_days = _named(Number(1, 36_500))


class DirectoryAnswer(Answer):
    """``GET /v1/directory``: the replayed registry.

    It is for people and for looking around. Who must not trust the node replays the
    registry's lines instead.
    """

    alliance = fields.String(required=True)
    registry = Number(
        0, required=True, metadata={"description": "The registry's size."}
    )
    threshold = Number(1, 100, required=True)
    officers = fields.List(
        fields.String(), required=True, metadata={"description": "Verifier keys."}
    )
    members = _named(fields.String(metadata={"description": "The member's title."}))
    left = _named(OneOf(("stand", "suspended")))
    auditors = _named(fields.String(metadata={"description": "The auditor's title."}))
    nodes = _named(fields.String(metadata={"description": "The node's URL."}))
    homes = _named(Word(NAME, "a node", metadata={"description": "By feed."}))
    token_keys = fields.List(fields.Nested(TokenKeyAnswer), required=True)
    policy = fields.Nested(PolicyAnswer, required=True)


class ClassUsage(Answer):
    """Evaluations of one class within the last 24 hours."""

    used = Number(0, required=True)
    quota = Number(0, required=True)


class Usage(Answer):
    """``GET /v1/usage``: by class, what the caller used and may use in 24 hours."""

    open = fields.Nested(ClassUsage, required=True)
    scarce = fields.Nested(ClassUsage, required=True)


class Health(Answer):
    """``GET /healthz``: the process answers."""

    ok = fields.Boolean(required=True)


class Readiness(Health):
    """``GET /readyz``: the node can do its work."""

    feeds = Number(0, required=True)
    time = Number(
        0, required=True, metadata={"description": "The node's POSIX seconds."}
    )
    free = Number(
        0, required=True, metadata={"description": "Bytes that are free on its disk."}
    )


class Peer(Answer):
    """Another node as this one sees it."""

    node = Word(NAME, "a node", required=True)
    url = fields.String(required=True)
    last_success = Time(required=True, allow_none=True)
    last_error = fields.String(required=True, allow_none=True)
    failures = Number(0, required=True)
    next_try = Time(required=True, allow_none=True)
    lag_entries = Number(0, required=True)
    lag_seconds = fields.Integer(required=True, allow_none=True, strict=True)
    cosigned = Number(0, required=True)
    heads = Number(0, required=True)


class Peers(Answer):
    """``GET /v1/peers``: every other node, and what the operator should look at."""

    peers = fields.List(fields.Nested(Peer), required=True)
    alarms = fields.List(fields.String(), required=True)


class Problem(Answer):
    """Every error: a problem document (RFC 9457)."""

    type = Word(
        "urn:alliance-hub:[a-z0-9-]{1,60}",
        "a type such as urn:alliance-hub:not-home",
        required=True,
        metadata={"description": "What went wrong; stable, for programs."},
    )
    title = fields.String(required=True)
    status = Number(400, 599, required=True)
    detail = fields.String(
        required=True, metadata={"description": "What went wrong; for people."}
    )
    advice = fields.String(metadata={"description": "What to do about it."})
    home = fields.Url(
        schemes={"http", "https"},
        require_tld=False,
        metadata={"description": "With not-home: the URL of the feed's home."},
    )
    time = Number(
        0, metadata={"description": "With clock-skew: the node's POSIX seconds."}
    )
    reasons = fields.List(
        fields.String(), metadata={"description": "With not-ready: sentences."}
    )
