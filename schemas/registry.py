"""Entries of the registry, the officers' feed, one schema for each kind.

They have ``kind``, ``salt`` and ``at`` like members' entries. m of n officers sign each
batch; its note, not an entry, names the registry head before it. What an entry may say
given the ones before it is decided by the replay of the registry, not here.

>>> from schemas.fast import check_line
>>> entry = check_line(
...     b'{"kind":"member","salt":"AAAAAAAAAAAAAAAAAAAAAA==",'
...     b'"at":"2026-11-24T08:00:00Z","name":"maison"}',
...     registry=True,
... )
>>> entry["name"]
'maison'
"""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields, validate

from schemas.base import (
    ALLIANCE,
    ENTRY_NAME,
    MEMBER,
    NAME,
    TOKEN_KEY,
    URL,
    Base64,
    Entry,
    EntrySchema,
    Kind,
    Number,
    OneOf,
    Problem,
    StrictSchema,
    Text,
    Time,
    Word,
)
from schemas.entry import BASES, GROUNDS

__all__ = ["CLASSES", "REGISTRY_SCHEMAS", "ROLES"]

ROLES = ("publish", "request", "log", "witness", "seal")
CLASSES = ("open", "scarce")
VKEY = "[a-z0-9./-]{1,200}[+][0-9a-f]{8}[+][A-Za-z0-9+/]{44}"

Fields = dict[str, fields.Field[Any]]


def _name(**more: Any) -> Word:
    return Word(NAME, "a name of 1 to 32 of a-z, 0-9 and -", required=True, **more)


def _member() -> Word:
    expected = "a name of 1 to 32 of a-z, 0-9 and -, not a reserved word,"
    return Word(MEMBER, expected, required=True)


def _owner() -> Word:
    expected = "an owner such as member/maison, auditor/aud1 or node/node1"
    return Word(f"(?:member|auditor|node)/{MEMBER}", expected, required=True)


def _class() -> OneOf:
    return OneOf(CLASSES, required=True)


def _token_key() -> Word:
    return Word(TOKEN_KEY, "a token key such as open-1", required=True)


class Alliance(EntrySchema):
    """The alliance's name, threshold and officers; the first entry of all.

    Required:
        alliance: Its name, such as ``alliance.example``.
        threshold: How many officers must sign a batch.
        officers: Their verifier keys (C2SP signed notes).
    """

    kind = Kind("alliance")
    alliance = Word(ALLIANCE, "a name such as alliance.example", required=True)
    threshold = Number(1, 100, required=True)
    officers = fields.List(
        Word(VKEY, "a verifier key such as alliance.example/officer/anna+1a2b3c4d+…"),
        required=True,
        validate=validate.Length(1, 100),
    )


class Member(EntrySchema):
    """A new member, whose feed bears its name.

    Required:
        name: The name.

    Optional:
        title: The organisation as people call it.
        contact: Whom to ask; public, so no private person's address.
    """

    kind = Kind("member")
    name = _member()
    title = Text(1, 300)
    contact = Text(1, 300)


class MemberLeft(EntrySchema):
    """A member leaves; its access ends at once.

    Required:
        name: The member.
        reports: Whether its reports ``stand`` or are ``suspended``.
    """

    kind = Kind("member-left")
    name = _member()
    reports = OneOf(("stand", "suspended"), required=True)


class Auditor(EntrySchema):
    """A new auditor.

    Required:
        name: The name.

    Optional:
        title: The organisation as people call it.
    """

    kind = Kind("auditor")
    name = _member()
    title = Text(1, 300)


class Node(EntrySchema):
    """A new node, or a node's new URL.

    Required:
        name: The name.
        url: Its public URL, without a path.
    """

    kind = Kind("node")
    name = _member()
    url = Word(URL, "a URL such as https://node1.alliance.example", required=True)


class Key(EntrySchema):
    """A public key, with the proof that its owner holds the private one.

    Required:
        owner: ``member/<name>``, ``auditor/<name>`` or ``node/<name>``.
        label: What tells the owner's keys apart, such as ``k1``.
        roles: One of ``ROLES``; a member's key may have both publish and request.
        public: The key, 32 bytes.
        proof: A signature of possession, 64 bytes; for ``seal``, by the request key.
    """

    kind = Kind("key")
    owner = _owner()
    label = _name()
    roles = fields.List(OneOf(ROLES), required=True, validate=validate.Length(1, 2))
    public = Base64(32, required=True)
    proof = Base64(64, required=True)


class KeyClosed(EntrySchema):
    """A key that signs no more.

    Required:
        owner: Whose key.
        label: Which key.
        reason: Why.
        index: The first index of the member's feed that it may not sign; required for
            a member's key.

    Optional:
        role: Its role.
        when: From which time a witness's cosignatures do not count.
    """

    @staticmethod
    def rule(entry: Entry) -> Problem:
        """Return (field, problem) if there is one."""
        if entry["owner"].startswith("member/") and "index" not in entry:
            return "index", "say from which index on the member's key does not count"
        return None

    kind = Kind("key-closed")
    owner = _owner()
    label = _name()
    role = OneOf(ROLES)
    index = Number(0)
    when = Time()
    reason = Text(1, 300, required=True)


class Home(EntrySchema):
    """The node that signs a feed's checkpoints above ``size``.

    Required:
        feed: A member's feed, or ``registry``.
        node: The node.
        key: Its log key for this feed, 32 bytes.
        size: The head from which the feed goes on there: its size,
        root: and its root.
    """

    kind = Kind("home")
    feed = _name()
    node = _member()
    key = Base64(32, required=True)
    size = Number(0, required=True)
    root = Base64(32, required=True)


class Suspension(EntrySchema):
    """Entries that the officers make inactive for a time.

    Required:
        entries: Their names, such as ``maison/1234``.
        ground: Why.
        until: Until when.
    """

    kind = Kind("suspension")
    entries = fields.List(
        Word(ENTRY_NAME, "the name of an entry such as maison/1234"),
        required=True,
        validate=validate.Length(1, 1000),
    )
    ground = Text(1, 300, required=True)
    until = Time(required=True)


class RegistryErasure(EntrySchema):
    """Orders report, dispute or action lines of any feed to be erased.

    Required:
        feed: The member's feed.
        indices: The indices of the lines, 1 to 1000 of them.
        ground: One of ``GROUNDS``.
    """

    kind = Kind("erasure")
    feed = _member()
    indices = fields.List(Number(0), required=True, validate=validate.Length(1, 1000))
    ground = OneOf(GROUNDS, required=True)


class Share(StrictSchema):
    """The public half of one node's share: ``node``, ``x``, ``public``."""

    node = _member()
    x = Number(1, 1000, required=True)
    public = Base64(32, required=True)


class TokenKey(EntrySchema):
    """A token key; as many nodes as ``threshold`` says evaluate it together.

    Required:
        key: Its name, ``<class>-<epoch>``.
        class: ``open`` or ``scarce``.
        epoch: 1 or more.
        public: The whole key's public half, 32 bytes.
        threshold: How many shares are needed.
        shares: Of each node: ``node``, ``x`` and its share's ``public``.
    """

    class Meta(StrictSchema.Meta):
        """``class`` is a keyword in Python and a field here."""

        include: ClassVar[Fields] = {"class": _class()}

    kind = Kind("token-key")
    key = _token_key()
    epoch = Number(1, 999_999, required=True)
    public = Base64(32, required=True)
    threshold = Number(1, 100, required=True)
    shares = fields.List(
        fields.Nested(Share), required=True, validate=validate.Length(1, 100)
    )


class TokenKeyRetired(EntrySchema):
    """A token key that is used no more.

    Required:
        key: Its name.
    """

    kind = Kind("token-key-retired")
    key = _token_key()


class Grant(EntrySchema):
    """More quota for one member, until a time.

    Required:
        member: Who.
        class: ``open`` or ``scarce``.
        count: How many evaluations a day more.
        until: Until when.
    """

    class Meta(StrictSchema.Meta):
        """``class`` is a keyword in Python and a field here."""

        include: ClassVar[Fields] = {"class": _class()}

    kind = Kind("grant")
    member = _member()
    count = Number(1, required=True)
    until = Time(required=True)


class ValidDays(StrictSchema):
    """For a basis, how many days a report may be valid."""

    class Meta(StrictSchema.Meta):
        """One field for each basis; names with a dash are no Python names."""

        include: ClassVar[Fields] = {basis: Number(1, 36_500) for basis in BASES}


class Quotas(StrictSchema):
    """For a class, how many evaluations a member has in 24 hours."""

    class Meta(StrictSchema.Meta):
        """One field for each class."""

        include: ClassVar[Fields] = {name: Number(0) for name in CLASSES}


class Policy(EntrySchema):
    """What the officers decided for everybody; the latest one counts.

    Required:
        quorum: How many other nodes must cosign a checkpoint.

    Optional:
        valid_days: For a basis, how many days after ``at`` a report may end.
        quotas: For ``open`` and ``scarce``, evaluations of a member in 24 hours.
        fresh_hours: How old a quorum's newest cosignature may be.
    """

    kind = Kind("policy")
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
