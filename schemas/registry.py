"""Entries of the registry, the officers' feed, one schema for each kind."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from schemas.base import ENTRY_NAME, NAME, Base64, EntrySchema, Number, Time, Word
from schemas.entry import BASES, GROUNDS

__all__ = ["REGISTRY_SCHEMAS"]

OWNER = "^(member|auditor|node)/[a-z0-9-]{1,32}$"
ROLES = ("publish", "request", "log", "witness", "seal")
CLASSES = ("open", "scarce")
KEY = "^(open|scarce)-[0-9]{1,6}$"


def _kind(name: str) -> fields.String:
    return fields.String(required=True, validate=validate.OneOf((name,)))


def _name(pattern: str = NAME) -> fields.String:
    return Word(pattern, "a name of a-z, 0-9 and - expected", required=True)


def _class() -> fields.String:
    return fields.String(required=True, validate=validate.OneOf(CLASSES))


def _text(*, required: bool = False) -> fields.String:
    return fields.String(required=required, validate=validate.Length(1, 300))


class Alliance(EntrySchema):
    """The alliance's name, threshold and officers."""

    kind = _kind("alliance")
    alliance = _text(required=True)
    threshold = Number(1, 100, required=True)
    officers = fields.List(_text(), required=True, validate=validate.Length(1, 100))


class Member(EntrySchema):
    """A new member."""

    kind = _kind("member")
    name = _name()
    title = _text()
    contact = _text()


class MemberLeft(EntrySchema):
    """A member leaves; its reports stand or are suspended."""

    kind = _kind("member-left")
    name = _name()
    reports = fields.String(
        required=True, validate=validate.OneOf(("stand", "suspended"))
    )


class Auditor(EntrySchema):
    """A new auditor."""

    kind = _kind("auditor")
    name = _name()
    title = _text()


class Node(EntrySchema):
    """A node, or its new URL."""

    kind = _kind("node")
    name = _name()
    url = Word("^https?://[^/ ]+$", "a URL without a path expected", required=True)


class Key(EntrySchema):
    """A public key with the proof that its owner holds the private one."""

    kind = _kind("key")
    owner = _name(OWNER)
    label = _name()
    roles = fields.List(
        fields.String(validate=validate.OneOf(ROLES)),
        required=True,
        validate=validate.Length(1, 2),
    )
    public = Base64(32, required=True)
    proof = Base64(64, required=True)


class KeyClosed(EntrySchema):
    """A key that may not sign at ``index`` of its feed or above."""

    kind = _kind("key-closed")
    owner = _name(OWNER)
    label = _name()
    index = Number(0)
    when = Time()
    reason = _text(required=True)


class Home(EntrySchema):
    """The node that signs a feed's checkpoints above ``size``."""

    kind = _kind("home")
    feed = _name()
    node = _name()
    key = Base64(32, required=True)
    size = Number(0, required=True)
    root = Base64(32, required=True)


class Suspension(EntrySchema):
    """Entries that the officers make inactive for a time."""

    kind = _kind("suspension")
    entries = fields.List(
        Word(ENTRY_NAME, "an entry name expected"),
        required=True,
        validate=validate.Length(1, 1000),
    )
    ground = _text(required=True)
    until = Time(required=True)


class RegistryErasure(EntrySchema):
    """Orders lines of any feed to be erased."""

    kind = _kind("erasure")
    feed = _name()
    indices = fields.List(Number(0), required=True, validate=validate.Length(1, 1000))
    ground = fields.String(required=True, validate=validate.OneOf(GROUNDS))


class Share(Schema):
    """The public half of one node's share."""

    node = _name()
    x = Number(1, 1000, required=True)
    public = Base64(32, required=True)


class TokenKey(EntrySchema):
    """A token key: its class, epoch, public key and the nodes' public shares."""

    class Meta(EntrySchema.Meta):
        """``class`` is a keyword in Python and a field here."""

        include: ClassVar[dict[str, fields.Field[Any]]] = {"class": _class()}

    kind = _kind("token-key")
    key = _name(KEY)
    epoch = Number(1, 999_999, required=True)
    public = Base64(32, required=True)
    threshold = Number(1, 100, required=True)
    shares = fields.List(
        fields.Nested(Share), required=True, validate=validate.Length(1, 100)
    )


class TokenKeyRetired(EntrySchema):
    """A token key that is used no more."""

    kind = _kind("token-key-retired")
    key = _name(KEY)


class Grant(EntrySchema):
    """More quota for one member until a day."""

    class Meta(EntrySchema.Meta):
        """``class`` is a keyword in Python and a field here."""

        include: ClassVar[dict[str, fields.Field[Any]]] = {"class": _class()}

    kind = _kind("grant")
    member = _name()
    count = Number(1, required=True)
    until = Time(required=True)


# One key for each known word: JSON Schema made from a ``Dict`` loses the keys' rule.
ValidDays = Schema.from_dict(
    {basis: Number(1, 36_500) for basis in BASES}, name="ValidDays"
)
Quotas = Schema.from_dict({name: Number(0) for name in CLASSES}, name="Quotas")


class Policy(EntrySchema):
    """What the officers decided for everybody."""

    kind = _kind("policy")
    quorum = Number(0, 100, required=True)
    valid_days = fields.Nested(ValidDays)
    quotas = fields.Nested(Quotas)
    fresh_hours = Number(1, 8760)


REGISTRY_SCHEMAS: dict[str, type[EntrySchema]] = {
    "alliance": Alliance,
    "member": Member,
    "member-left": MemberLeft,
    "auditor": Auditor,
    "node": Node,
    "key": Key,
    "key-closed": KeyClosed,
    "home": Home,
    "suspension": Suspension,
    "erasure": RegistryErasure,
    "token-key": TokenKey,
    "token-key-retired": TokenKeyRetired,
    "grant": Grant,
    "policy": Policy,
}
