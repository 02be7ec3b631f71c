"""Canonical forms and tokens come out as the published table says."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from hub.errors import ConfigError
from hub.selftest import check_forms, drifted_libraries, token_under_test_key
from keys import voprf
from keys.encoding import from_base64
from schemas.identifiers import (
    DATA_VERSIONS,
    TEST_KEY,
    TYPES,
    IdentifierError,
    self_test_tokens,
)

ROOT = Path(__file__).parents[2]
TABLE = json.loads(
    resources.files("schemas.identifiers").joinpath("selftest.json").read_text("utf-8")
)


def test_forms_and_tokens_agree():
    forms, tokens = check_forms()
    assert forms == len(TABLE["forms"]) + len(TABLE["variants"])
    assert tokens == len(TYPES)


def test_a_token_is_that_of_the_whole_key_without_blinding():
    """A blind of one leaves the input as it is: the token does not depend on it."""
    [kind, canonical, expected] = TABLE["tokens"][0]
    secret = voprf.derive_key(*TEST_KEY)
    one = (1).to_bytes(32, "little")
    blinding = voprf.blind_with([voprf.token_input(kind, canonical)], [one])
    answer = voprf.evaluate(secret, voprf.public_of(secret), blinding.elements)
    [output] = voprf.finalise(blinding, [(1, answer.elements)])
    assert output[:32] == from_base64(expected, 32)


def test_another_token_is_told():
    with pytest.raises(IdentifierError, match=r"domain 'shop\.example' has token AAAA"):
        self_test_tokens(lambda _kind, _canonical: "AAAA")


def test_a_client_that_differs_is_told_what_to_do(monkeypatch):
    table = {**TABLE, "forms": [["domain", "a.example", "", "b.example"]]}
    monkeypatch.setattr("schemas.identifiers._table", lambda: table)
    with pytest.raises(ConfigError, match=r"not those of other members: domain 'a\.ex"):
        check_forms()


def test_other_data_than_the_table_was_made_with_are_told(monkeypatch):
    assert drifted_libraries() == []
    monkeypatch.setitem(DATA_VERSIONS, "ada-url", "3.0.0")
    [told] = drifted_libraries()
    assert told.startswith("ada-url is 4")
    assert told.endswith("made with 3.0.0")


def test_the_doctor_checks_both_and_names_the_libraries(harmed):
    done = subprocess.run(
        [sys.executable, "-m", "hub", "--dir", str(harmed), "doctor"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    forms = len(TABLE["forms"]) + len(TABLE["variants"])
    assert f"{forms} forms and {len(TYPES)} tokens agree" in done.stdout
    assert f"python-stdnum {DATA_VERSIONS['python-stdnum']}" in done.stdout
    assert "made with" not in done.stdout


def test_one_value_has_another_token_under_every_type():
    found = {token_under_test_key(kind, "a.example") for kind in TYPES}
    assert len(found) == len(TYPES)
