r"""Entries of members' feeds, one schema for each kind: the format of a line.

Every entry has ``kind``, ``salt`` (base64 of 16 random bytes) and ``at`` (UTC time, the
author's claim) beside the fields of its kind, which the schemas below describe. A line:

>>> from schemas.fast import check_line
>>> entry = check_line(
...     b'{"kind":"withdrawal","salt":"AAAAAAAAAAAAAAAAAAAAAA==",'
...     b'"at":"2026-11-24T08:00:00Z","case":"abcdefghijklmnop","reason":"resolved"}'
... )
>>> entry["case"]
'abcdefghijklmnop'

Unknown keys are refused when a line is published and ignored when it is read from a
mirror, as is an unknown kind, so that kinds and fields can be added later. ``batch``
(the header of a batch) and ``tombstone`` (what a node serves in place of an erased
line) are no kinds of entries.

What a schema cannot see is checked by the feed's home: that ``at`` lies at most five
minutes ahead, ``valid_until`` within the policy's limit, ``key`` is of the type's
class, and that what an entry refers to is there.
"""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from schemas.base import (
    ENTRY_NAME,
    MEMBER,
    TOKEN_KEY,
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
from schemas.freetext import find_identifier

__all__ = [
    "ACTIONS",
    "BASES",
    "CHANNELS",
    "DISPUTE_REASONS",
    "GROUNDS",
    "KINDS",
    "MEMBER_SCHEMAS",
    "REASONS",
    "TLP",
]

BASES = (
    "court-judgment",
    "customs-seizure",
    "law-enforcement-action",
    "authority-listing",
    "test-purchase",
    "expert-report",
    "platform-enforcement",
    "trusted-flagger-notice",
    "rights-holder-notice",
    "payment-trace",
    "open-source-investigation",
    "automated-detection",
)
REASONS = ("false-positive", "resolved", "court-order", "superseded", "other")
DISPUTE_REASONS = (
    "not-counterfeit",
    "wrong-identifier",
    "authorised-reseller",
    "resolved",
    "other",
)
ACTIONS = (
    "listing-removed",
    "account-closed",
    "funds-held",
    "goods-seized",
    "raid",
    "suit-filed",
    "judgment",
    "referral",
)
CHANNELS = ("online", "offline")
GROUNDS = ("data-subject-request", "court-order", "member-request", "unlawful", "other")
TLP = ("clear", "green", "amber", "amber+strict")


def _note_problem(entry: Entry) -> Problem:
    note = entry.get("note")
    found = find_identifier(note) if note else None
    if found:
        return "note", f"looks like it holds {found}; take it out, only tokens travel"
    return None


def _one_problem(entry: Entry, one: str, other: str) -> Problem:
    if (one in entry) == (other in entry):
        return one, f"give exactly one of {one} and {other}"
    return None


def _case(**more: Any) -> Word:
    return Word("[a-z2-7]{16}", "a case of 16 characters of a-z and 2-7", **more)


def _type(**more: Any) -> Word:
    return Word("[a-z0-9-]{1,32}", "a type of identifier such as domain", **more)


def _token_key(**more: Any) -> Word:
    return Word(TOKEN_KEY, "a token key such as open-1", **more)


def _words(most: int) -> fields.List[Any]:
    return fields.List(Text(1, 100), validate=validate.Length(0, most))


def _countries() -> fields.List[Any]:
    # The list of countries changes; a mirror that does not know a new one must not
    # void the entry, so only the form of a code is checked.
    code = Word("[A-Z]{2}", "an ISO 3166 code of two capital letters such as FR")
    return fields.List(code, validate=validate.Length(0, 250))


def _note() -> Text:
    return Text(0, 500, lines=True)


class Evidence(StrictSchema):
    """A file that stays at the member: ``sha256`` in hex, and ``media_type``."""

    sha256 = Word(
        "[0-9a-f]{64}", "a SHA-256 of 64 lower-case hex digits", required=True
    )
    media_type = Word(
        "[a-z0-9][a-z0-9.+-]{0,62}/[a-z0-9][a-z0-9.+-]{0,126}",
        "a media type such as application/pdf",
        required=True,
    )


class Report(EntrySchema):
    """An identifier belongs to a seller of counterfeits.

    Required:
        type: The type of identifier (``domain``, ``phone``, ``iban``, …).
        token: Its token, 32 bytes.
        key: The token key that made the token, such as ``open-1``.
        case: What joins the identifiers of one seller: 80 random bits in base 32.
        basis: What the report rests on, one of ``BASES``.
        confidence: 0 to 100, as in STIX.
        valid_until: When the report ends by itself.

    Optional:
        goods: Nice classes, 1 to 45.
        brands: Brands that were copied.
        marketplaces: Where the seller sells.
        countries: ISO 3166 codes of two letters.
        first_seen: A time or a day.
        last_seen: A time or a day.
        tlp: TLP 2.0, one of ``TLP``; amber when absent; red cannot be published.
        evidence: Files that stay at the member, each by SHA-256 and media type.
        note: Up to 500 characters, without identifiers.
    """

    ruled = ("note",)

    @staticmethod
    def rule(entry: Entry) -> Problem:
        """Return (field, problem) if there is one."""
        return _note_problem(entry)

    kind = Kind("report")
    type = _type(required=True)
    token = Base64(32, required=True)
    key = _token_key(required=True)
    case = _case(required=True)
    basis = OneOf(BASES, required=True)
    confidence = Number(0, 100, required=True)
    valid_until = Time(required=True)
    goods = fields.List(Number(1, 45), validate=validate.Length(0, 45))
    brands = _words(50)
    marketplaces = _words(50)
    countries = _countries()
    first_seen = Time(day=True)
    last_seen = Time(day=True)
    tlp = OneOf(TLP)
    evidence = fields.List(fields.Nested(Evidence), validate=validate.Length(0, 50))
    note = _note()


class Withdrawal(EntrySchema):
    """Takes back a case, or one own report, dispute or action.

    Required:
        case: The own case; or
        entry: the name of one own entry, such as ``maison/1234``. Exactly one of them.
        reason: One of ``REASONS``.

    Optional:
        note: Up to 500 characters, without identifiers.
    """

    @staticmethod
    def rule(entry: Entry) -> Problem:
        """Return (field, problem) if there is one."""
        return _one_problem(entry, "case", "entry") or _note_problem(entry)

    kind = Kind("withdrawal")
    case = _case()
    entry = Word(ENTRY_NAME, "the name of an entry such as maison/1234")
    reason = OneOf(REASONS, required=True)
    note = _note()


class Reference(StrictSchema):
    """Another member's entry: ``feed``, ``entry`` (its index), ``digest``."""

    feed = Word(MEMBER, "a member's feed", required=True)
    entry = Number(0, required=True)
    digest = Base64(32, required=True)


class Dispute(EntrySchema):
    """Contradicts another member's report.

    Required:
        report: A reference ``{feed, entry, digest}``, checked against the log.
        reason: One of ``DISPUTE_REASONS``.

    Optional:
        note: Up to 500 characters, without identifiers.
    """

    @staticmethod
    def rule(entry: Entry) -> Problem:
        """Return (field, problem) if there is one."""
        return _note_problem(entry)

    kind = Kind("dispute")
    report = fields.Nested(Reference, required=True)
    reason = OneOf(DISPUTE_REASONS, required=True)
    note = _note()


class Action(EntrySchema):
    """What was done against a seller.

    Required:
        case: The own case; or
        token: a token, with
        type: its type of identifier and
        key: its token key. Exactly one of case and token.
        action: One of ``ACTIONS``.
        channel: Where: one of ``CHANNELS``.

    Optional:
        count: Of how many listings, accounts or goods.
        countries: ISO 3166 codes of two letters.
        note: Up to 500 characters, without identifiers.
    """

    @staticmethod
    def rule(entry: Entry) -> Problem:
        """Return (field, problem) if there is one."""
        problem = _one_problem(entry, "case", "token")
        for name in ("type", "key"):
            # A token says nothing without the key it was made with.
            if not problem and (name in entry) != ("token" in entry):
                problem = name, "goes with a token, and a token with it"
        return problem or _note_problem(entry)

    kind = Kind("action")
    case = _case()
    token = Base64(32)
    type = _type()
    key = _token_key()
    action = OneOf(ACTIONS, required=True)
    channel = OneOf(CHANNELS, required=True)
    count = Number(0)
    countries = _countries()
    note = _note()


class Erasure(EntrySchema):
    """Orders report, dispute or action lines of the own feed to be erased.

    Required:
        indices: The indices of the lines, 1 to 1000 of them.
        ground: One of ``GROUNDS``.
    """

    kind = Kind("erasure")
    indices = fields.List(Number(0), required=True, validate=validate.Length(1, 1000))
    ground = OneOf(GROUNDS, required=True)


MEMBER_SCHEMAS: dict[str, type[EntrySchema]] = {
    "report": Report,
    "withdrawal": Withdrawal,
    "dispute": Dispute,
    "action": Action,
    "erasure": Erasure,
}
KINDS = tuple(MEMBER_SCHEMAS)
