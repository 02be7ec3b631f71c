"""Each kind takes what it should, refuses what it must, and names the field."""

from __future__ import annotations

import time

import pytest
from marshmallow import ValidationError

from schemas.entry import MEMBER_SCHEMAS
from schemas.freetext import find_identifier
from schemas.registry import REGISTRY_SCHEMAS

COMMON = {"salt": "A" * 22 + "==", "at": "2026-11-24T08:00:00Z"}
TOKEN = "A" * 43 + "="
LONG = "A" * 86 + "=="
CASE = "abcdefghijklmnop"
REFERENCE = {"feed": "maison", "entry": 7, "digest": TOKEN}

MEMBER = {
    "report": {
        "type": "domain",
        "token": TOKEN,
        "key": "open-1",
        "case": CASE,
        "basis": "test-purchase",
        "confidence": 80,
        "valid_until": "2027-11-24T08:00:00Z",
        "goods": [18, 25],
        "brands": ["Aurum"],
        "marketplaces": ["bazar"],
        "countries": ["FR"],
        "first_seen": "2026-02-28",
        "last_seen": "2026-11-01T00:00:00Z",
        "tlp": "amber+strict",
        "evidence": [{"sha256": "0" * 64, "media_type": "image/png"}],
        "note": "Bought on 2026-11-01 for 39.90; the label is stitched wrongly.",
    },
    "withdrawal": {"case": CASE, "reason": "resolved"},
    "dispute": {"report": REFERENCE, "reason": "wrong-identifier", "note": "ours"},
    "action": {
        "token": TOKEN,
        "type": "domain",
        "key": "open-1",
        "action": "raid",
        "channel": "offline",
        "count": 300,
        "countries": ["DE", "FR"],
    },
    "erasure": {"indices": [1, 2], "ground": "court-order"},
}
REGISTRY = {
    "alliance": {
        "alliance": "a.example",
        "threshold": 1,
        "officers": ["a.example/officer/anna+1a2b3c4d+" + "A" * 44],
    },
    "member": {"name": "maison", "title": "Maison", "contact": "desk"},
    "member-left": {"name": "maison", "reports": "stand"},
    "auditor": {"name": "aud1", "title": "Auditor"},
    "node": {"name": "node1", "url": "https://hub.example:8443"},
    "key": {
        "owner": "member/maison",
        "label": "k1",
        "roles": ["publish", "request"],
        "public": TOKEN,
        "proof": LONG,
    },
    "key-closed": {
        "owner": "node/node1",
        "label": "k1",
        "index": 5,
        "when": "2026-11-24T08:00:00Z",
        "reason": "lost",
    },
    "home": {"feed": "maison", "node": "n1", "key": TOKEN, "size": 0, "root": TOKEN},
    "suspension": {
        "entries": ["maison/4"],
        "ground": "court order",
        "until": "2027-01-01T00:00:00Z",
    },
    "erasure": {"feed": "maison", "indices": [4], "ground": "unlawful"},
    "token-key": {
        "key": "open-1",
        "class": "open",
        "epoch": 1,
        "public": TOKEN,
        "threshold": 1,
        "shares": [{"node": "node1", "x": 1, "public": TOKEN}],
    },
    "token-key-retired": {"key": "open-1"},
    "grant": {
        "member": "maison",
        "class": "scarce",
        "count": 9,
        "until": "2027-01-01T00:00:00Z",
    },
    "policy": {
        "quorum": 2,
        "valid_days": {"test-purchase": 365},
        "quotas": {"open": 5},
        "fresh_hours": 24,
    },
}
KINDS = [(False, kind) for kind in MEMBER] + [(True, kind) for kind in REGISTRY]


def entry_of(kind, *, registry=False, **changes):
    body = (REGISTRY if registry else MEMBER)[kind]
    entry = {"kind": kind, **COMMON, **body, **changes}
    return {key: value for key, value in entry.items() if value is not ...}


def problems(entry, *, registry=False):
    schemas = REGISTRY_SCHEMAS if registry else MEMBER_SCHEMAS
    try:
        schemas[entry["kind"]]().load(entry)
    except ValidationError as error:
        return error.messages
    return {}


def test_every_kind_has_an_example_here():
    assert set(MEMBER) == set(MEMBER_SCHEMAS)
    assert set(REGISTRY) == set(REGISTRY_SCHEMAS)


@pytest.mark.parametrize(("registry", "kind"), KINDS)
def test_an_example_of_each_kind_is_taken_as_it_is(registry, kind):
    """Loading converts nothing: what was signed is what is read."""
    entry = entry_of(kind, registry=registry)
    schemas = REGISTRY_SCHEMAS if registry else MEMBER_SCHEMAS
    assert schemas[kind]().load(entry) == entry


@pytest.mark.parametrize(("registry", "kind"), KINDS)
def test_every_kind_needs_its_common_fields_and_takes_no_others(registry, kind):
    for name in ("salt", "at"):
        entry = entry_of(kind, registry=registry, **{name: ...})
        assert name in problems(entry, registry=registry)
    entry = entry_of(kind, registry=registry, email="x")
    assert "email" in problems(entry, registry=registry)


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        ("report", {"tlp": "red"}, "tlp"),
        ("report", {"goods": [46]}, "goods"),
        ("report", {"goods": [0]}, "goods"),
        ("report", {"countries": ["fr"]}, "countries"),
        ("report", {"confidence": 101}, "confidence"),
        ("report", {"confidence": True}, "confidence"),
        ("report", {"confidence": 50.0}, "confidence"),
        ("report", {"confidence": "50"}, "confidence"),
        ("report", {"token": "A" * 42 + "B="}, "token"),
        ("report", {"token": TOKEN + "\n"}, "token"),
        ("report", {"first_seen": "2026-02-29"}, "first_seen"),
        ("report", {"at": "2026-11-24"}, "at"),
        ("report", {"at": "2026-11-24T24:00:00Z"}, "at"),
        ("report", {"at": "2026-11-24T08:00:60Z"}, "at"),
        ("report", {"at": "2026-11-24T08:00:00+00:00"}, "at"),
        ("report", {"note": "x" * 501}, "note"),
        ("report", {"note": "mail shop@b.example"}, "note"),
        ("report", {"evidence": [{"sha256": "0" * 63}]}, "evidence"),
        ("report", {"evidence": [{"sha256": "0" * 64, "phone": "1"}]}, "evidence"),
        ("withdrawal", {"case": ...}, "case"),
        ("withdrawal", {"entry": "maison/3"}, "case"),
        ("withdrawal", {"case": ..., "entry": "maison/03"}, "entry"),
        ("dispute", {"report": {**REFERENCE, "entry": -1}}, "report"),
        ("dispute", {"report": {**REFERENCE, "extra": 1}}, "report"),
        ("dispute", {"note": "+33 1 99 00 12 34"}, "note"),
        ("action", {"case": CASE}, "case"),
        ("action", {"token": ...}, "case"),
        ("action", {"key": ...}, "key"),
        ("action", {"type": ...}, "type"),
        ("erasure", {"indices": []}, "indices"),
    ],
)
def test_what_must_not_travel_is_refused_by_name(kind, changes, field):
    assert field in problems(entry_of(kind, **changes))


def test_policy_knows_its_words():
    """A misspelt basis would otherwise leave its reports without a cap."""
    for wrong in ({"valid_days": {"test-buy": 1}}, {"quotas": {"scare": 1}}):
        entry = entry_of("policy", registry=True, **wrong)
        assert problems(entry, registry=True)


@pytest.mark.parametrize(
    "note",
    [
        "write to shop@mail.example",
        "write to shop＠mail.example",  # noqa: RUF001 - The trap itself.
        "see https://shop.example",
        "see ftp://shop.example",
        "see WWW.shop.example",
        "see shop.example/contact",
        "call +33 1 99 00 12 34",
        "call +1 (212) 555-0100",
        "call +49 (0)30 1234567",
        "call 0199001234.",
        "call ٠١٢٣٤٥٦٧٨٩",
        "pay to NO9386011117947",
        "pay to GB82 WEST 1234 5698 7654 32",
        "pay to gb82west12345698765432",
        "on 2026-11-01-2233445566",
    ],
)
def test_notes_with_identifiers_are_refused(note):
    assert find_identifier(note)
    assert MEMBER_SCHEMAS["report"].rule({"note": note})


@pytest.mark.parametrize(
    "note",
    [
        "",
        "Bought on 2026-11-01, arrived 2026-11-09.",
        "Price 39.90 instead of 1 250.00, sizes 36/38/40.",
        "Seized 3000 pairs in 2 lots; 45 % of them fake.",
        "Étiquette mal cousue, vendu à moitié prix",
        "Seller and/or shipper; e.g. wrong buttons @ cuff",
        "C:\\u0000 and EU27 rules",
    ],
)
def test_ordinary_notes_are_taken(note):
    assert not find_identifier(note)


@pytest.mark.parametrize(
    "piece", ["1-", "a@", "a.", "A" * 9, "1 ", "(", "ab12", "2026-"]
)
def test_no_note_takes_long_to_judge(piece):
    """Patterns do not backtrack over each other: 500 characters take moments."""
    started = time.perf_counter()
    find_identifier((piece * 500)[:500])
    assert time.perf_counter() - started < 0.5
