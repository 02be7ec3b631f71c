"""Canonical forms and tokens come out as the published table says."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from hub.selftest import check_forms, token_under_test_key
from keys import voprf
from keys.encoding import from_base64
from schemas.identifiers import TEST_KEY, TYPES, IdentifierError, self_test_tokens

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


def test_one_value_has_another_token_under_every_type():
    found = {token_under_test_key(kind, "a.example") for kind in TYPES}
    assert len(found) == len(TYPES)
