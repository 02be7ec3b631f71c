"""Every registry entry has a sentence for the officer who is asked to sign it."""

from __future__ import annotations

import json

import pytest

from hub.directory import Directory, Home, Policy
from hub.officers import registry_entry
from hub.tlog.merkle import EMPTY_ROOT
from hub.wording import describe
from keys.ed25519 import Signer
from keys.encoding import to_base64
from schemas.registry import REGISTRY_SCHEMAS
from tests.hub.officerkit import ALLIANCE, EMPTY, NOW, key, officer

ANNA, BERTA, NEW = officer("anna"), officer("berta"), officer("anna")
K1 = Signer.generate()
PUBLIC = to_base64(K1.public)


def vkeys(*officers):
    return [o.vkey.render() for o in officers]


STATE = Directory(
    ALLIANCE,
    2,
    tuple(vkeys(ANNA, BERTA)),
    size=7,
    nodes={"node1": "https://old.example"},
    homes={"maison": (Home("maison", "node1", K1.public, 0, EMPTY_ROOT),)},
    policy=Policy(0, {"test-purchase": 100}),
)
SHARE = {"node": "node1", "x": 1, "public": PUBLIC}
CASES = [
    (
        "alliance",
        {"alliance": ALLIANCE, "threshold": 1, "officers": vkeys(NEW, BERTA)},
        (
            "Changes the officers (anna comes, anna goes); 1 of 2 officers sign: "
            "anna, berta."
        ),
    ),
    (
        "member",
        {"name": "maison", "title": "Maison SA"},
        "Admits the member maison (Maison SA).",
    ),
    ("auditor", {"name": "aud"}, "Admits the auditor aud."),
    (
        "member-left",
        {"name": "maison", "reports": "suspended"},
        "The member maison leaves; its reports are suspended.",
    ),
    (
        "node",
        {"name": "node1", "url": "https://new.example"},
        "The node node1 moves from https://old.example to https://new.example.",
    ),
    (
        "node",
        {"name": "node2", "url": "https://new.example"},
        "Admits the node node2 at https://new.example.",
    ),
    (
        "key-closed",
        {"owner": "member/maison", "label": "k1", "index": 9, "reason": "stolen"},
        (
            "Closes the key k1 of member/maison (stolen); what it signed at maison/9 or "
            "above is void."
        ),
    ),
    (
        "key-closed",
        {
            "owner": "node/node1",
            "label": "witness",
            "role": "witness",
            "when": "2026-11-24T08:00:00Z",
            "reason": "lost",
        },
        (
            "Closes the key witness of node/node1 as witness key (lost); its cosignatures "
            "from 2026-11-24T08:00:00Z on do not count."
        ),
    ),
    (
        "home",
        {"feed": "market", "node": "node1", "key": PUBLIC, "size": 0, "root": EMPTY},
        "node1 is the home of market.",
    ),
    (
        "home",
        {"feed": "maison", "node": "node2", "key": PUBLIC, "size": 4, "root": EMPTY},
        (
            "The home of maison is node2 instead of node1, from 4 lines on, with the log "
            f"key {PUBLIC}; lines above that under an earlier key are void."
        ),
    ),
    (
        "suspension",
        {
            "entries": ["maison/1"],
            "ground": "complaint",
            "until": "2026-12-01T00:00:00Z",
        },
        "Suspends maison/1 until 2026-12-01T00:00:00Z (complaint).",
    ),
    (
        "erasure",
        {"feed": "maison", "indices": [1, 4], "ground": "court-order"},
        "Orders maison/1, maison/4 to be erased, for good (court-order).",
    ),
    (
        "token-key",
        {
            "key": "open-1",
            "class_": "open",
            "epoch": 1,
            "public": PUBLIC,
            "threshold": 1,
            "shares": [SHARE],
        },
        "Makes open-1 a token key; 1 of node1 evaluate it.",
    ),
    ("token-key-retired", {"key": "open-1"}, "Retires the token key open-1."),
    (
        "grant",
        {
            "member": "maison",
            "class_": "open",
            "count": 5,
            "until": "2026-12-01T00:00:00Z",
        },
        "Lets maison ask for 5 more open tokens a day until 2026-12-01T00:00:00Z.",
    ),
    (
        "policy",
        {
            "quorum": 1,
            "quotas": {"open": 5, "scarce": 50_000},
            "valid_days": {"test-purchase": 90},
            "fresh_hours": 12,
        },
        (
            "Sets the policy: 1 other nodes must cosign; quotas of open 5, was 2000000; "
            "valid_days of test-purchase 90, was 100; a quorum is fresh for 12 hours."
        ),
    ),
]


@pytest.mark.parametrize(("kind", "fields", "sentence"), CASES)
def test_an_entry_says_what_it_changes(kind, fields, sentence):
    entry = json.loads(registry_entry(kind, NOW, **fields))
    assert describe(entry, STATE) == sentence


def test_a_key_is_shown_whole():
    """So that an officer can compare it with what the owner says on the phone."""
    entry = key("member/maison", "k1", ["publish", "request"], K1)
    assert describe(entry, STATE) == (
        f"Registers the key k1 of member/maison for publish and request: {PUBLIC}"
    )


def test_the_first_entry_founds():
    fields = {"alliance": ALLIANCE, "threshold": 2, "officers": vkeys(ANNA, BERTA)}
    entry = json.loads(registry_entry("alliance", NOW, **fields))
    empty = Directory(ALLIANCE, 2, tuple(vkeys(ANNA, BERTA)))
    assert describe(entry, empty) == (
        f"Founds the alliance {ALLIANCE}; 2 of 2 officers sign: anna, berta."
    )


def test_every_kind_has_a_sentence():
    assert {kind for kind, _, _ in CASES} | {"key"} == set(REGISTRY_SCHEMAS)
    assert describe({"kind": "new-kind"}, STATE) == "new-kind: unknown here"
