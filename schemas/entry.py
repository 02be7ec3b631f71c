"""Entries of members' feeds, one schema for each kind.

``report`` says that an identifier belongs to a counterfeit seller, ``withdrawal`` takes
a case or an entry back, ``dispute`` contradicts another member's report, ``action``
says what was done, ``erasure`` orders lines of the own feed to be erased.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from schemas.base import ENTRY_NAME, NAME, Base64, EntrySchema, Number, Time, Word

__all__ = ["BASES", "MEMBER_SCHEMAS", "REASONS", "TLP", "check_rules"]

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
GROUNDS = ("data-subject-request", "court-order", "member-request", "unlawful", "other")
TLP = ("clear", "green", "amber", "amber+strict")

_MAIL = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
_LINK = re.compile(r"[A-Za-z]:/|[A-Za-z0-9]\.[A-Za-z]{2,}/")
# A telephone or account number: eight digits with little between them. Every IBAN
# but those that spell an account in letters has such a run too.
_NUMBER = re.compile(r"\d(?:[ ()./-]{0,3}\d){7}")
# The search starts at digits, which are rare, and looks back from there.
_IBAN = re.compile(r"\d\d(?<=\b[A-Za-z]{2}\d\d)(?: ?[A-Za-z0-9]{4}){3}")
_DATE = re.compile(r"\b(?:19|20)\d\d-[01]\d-[0-3]\d(?![\d-])")

Entry = dict[str, Any]


def holds_identifier(note: str) -> bool:
    """Tell whether a text looks like it holds a mail address, link or number.

    It stops slips, not intent: whoever wants to smuggle a number can spell it.
    """
    if not note.isascii():
        # Full-width and other variant forms are read as what they look like.
        note = unicodedata.normalize("NFKC", note)
    if "@" in note and _MAIL.search(note):
        return True
    if ("/" in note and _LINK.search(note)) or "www." in note.lower():
        return True
    if _IBAN.search(note):
        return True
    return bool(_NUMBER.search(note) and _NUMBER.search(_DATE.sub("date", note)))


def check_rules(entry: Entry) -> tuple[str, str] | None:
    """Return (field, problem) of a rule that no field states alone, or None."""
    note = entry.get("note")
    if note and holds_identifier(note):
        return "note", "looks like it holds an identifier; identifiers never travel"
    kind = entry.get("kind")
    if kind == "withdrawal" and ("case" in entry) == ("entry" in entry):
        return "case", "name a case or an entry"
    if kind == "action" and ("case" in entry) == ("token" in entry):
        return "case", "name a case or a token"
    if kind == "action":
        # A token says nothing without the key it was made with.
        for name in ("type", "key"):
            if (name in entry) != ("token" in entry):
                return name, "goes with a token, and a token with it"
    return None


def _case(**more: Any) -> fields.String:
    return Word("^[a-z2-7]{16}$", "16 of a-z and 2-7 expected", **more)


def _type(**more: Any) -> fields.String:
    return Word(NAME, "an identifier type expected", **more)


def _key(**more: Any) -> fields.String:
    return Word("^(open|scarce)-[0-9]{1,6}$", "a token key expected", **more)


def _words(most: int) -> fields.List[Any]:
    word = fields.String(validate=validate.Length(1, 100))
    return fields.List(word, validate=validate.Length(0, most))


def _countries() -> fields.List[Any]:
    code = Word("^[A-Z]{2}$", "a two-letter country code expected")
    return fields.List(code, validate=validate.Length(0, 250))


def _one_of(values: tuple[str, ...], *, required: bool = True) -> fields.String:
    return fields.String(required=required, validate=validate.OneOf(values))


class _Member(EntrySchema):
    @validates_schema
    def _rules(self, data: Entry, **_more: Any) -> None:
        problem = check_rules(data)
        if problem:
            raise ValidationError(problem[1], problem[0])


class Evidence(Schema):
    """A file that stays at the member: its SHA-256 and media type."""

    sha256 = Word("^[0-9a-f]{64}$", "64 hex digits expected", required=True)
    media_type = Word("^[a-z0-9.+-]+/[a-z0-9.+-]+$", "a media type expected")


class Report(_Member):
    """An identifier of a counterfeit seller, as a token."""

    kind = _one_of(("report",))
    type = _type(required=True)
    token = Base64(32, required=True)
    key = _key(required=True)
    case = _case(required=True)
    basis = _one_of(BASES)
    confidence = Number(0, 100, required=True)
    valid_until = Time(required=True)
    goods = fields.List(Number(1, 45), validate=validate.Length(0, 45))
    brands = _words(50)
    marketplaces = _words(50)
    countries = _countries()
    first_seen = Time(date=True)
    last_seen = Time(date=True)
    tlp = _one_of(TLP, required=False)
    evidence = fields.List(fields.Nested(Evidence), validate=validate.Length(0, 50))
    note = fields.String(validate=validate.Length(0, 500))


class Withdrawal(_Member):
    """Takes back a case, or one own report, dispute or action."""

    kind = _one_of(("withdrawal",))
    case = _case()
    entry = Word(ENTRY_NAME, "an entry name expected")
    reason = _one_of(REASONS)
    note = fields.String(validate=validate.Length(0, 500))


class Reference(Schema):
    """Another member's entry, checked against the log."""

    feed = Word(NAME, "a feed expected", required=True)
    entry = Number(0, required=True)
    digest = Base64(32, required=True)


class Dispute(_Member):
    """Contradicts another member's report."""

    kind = _one_of(("dispute",))
    report = fields.Nested(Reference, required=True)
    reason = _one_of(DISPUTE_REASONS)
    note = fields.String(validate=validate.Length(0, 500))


class Action(_Member):
    """What was done against a case or a token."""

    kind = _one_of(("action",))
    case = _case()
    token = Base64(32)
    type = _type()
    key = _key()
    action = _one_of(ACTIONS)
    channel = _one_of(("online", "offline"))
    count = Number(0)
    countries = _countries()
    note = fields.String(validate=validate.Length(0, 500))


class Erasure(_Member):
    """Orders report, dispute or action lines of the own feed to be erased."""

    kind = _one_of(("erasure",))
    indices = fields.List(Number(0), required=True, validate=validate.Length(1, 1000))
    ground = _one_of(GROUNDS)


MEMBER_SCHEMAS: dict[str, type[EntrySchema]] = {
    "report": Report,
    "withdrawal": Withdrawal,
    "dispute": Dispute,
    "action": Action,
    "erasure": Erasure,
}
