"""The officers' threshold counts people's keys, not the names they sign under."""

from __future__ import annotations

import json

import pytest

from hub.directory import Directory, Pin
from hub.errors import MalformedError, RefusedError
from hub.officers import body_of, propose, registry_entry, sign
from hub.tlog.checkpoint import EMPTY
from hub.verifier import open_header
from keys.ed25519 import Signer
from keys.note import ED25519, NoteSigner, VerifierKey

NOW = 1_800_000_000
ALLIANCE = "alliance.example"


def pin_text(*vkeys, threshold=2):
    body = {"alliance": ALLIANCE, "threshold": threshold, "officers": list(vkeys)}
    return json.dumps(body)


def officer(name, signer=None):
    return NoteSigner(f"{ALLIANCE}/officer/{name}", signer or Signer.generate())


def test_one_key_under_two_names_is_no_pin():
    one = Signer.generate()
    twice = [officer(n, one).vkey.render() for n in ("anna", "berta")]
    with pytest.raises(MalformedError, match="of their own"):
        Pin.parse(pin_text(*twice))


@pytest.mark.parametrize("officers", [[1], ["no vkey"], [None], "x"])
def test_a_pin_of_nonsense_is_refused(officers):
    with pytest.raises(MalformedError):
        Pin.parse(json.dumps({"alliance": "a", "threshold": 1, "officers": officers}))


def test_a_low_order_officer_key_is_refused():
    weak = VerifierKey(f"{ALLIANCE}/officer/anna", ED25519, bytes(32)).render()
    with pytest.raises(MalformedError):
        Pin.parse(pin_text(weak, threshold=1))


def test_an_alliance_entry_with_one_key_twice_is_refused():
    a, b = officer("anna"), officer("berta")
    state = Directory(ALLIANCE, 2, (a.vkey.render(), b.vkey.render()), size=5)
    twice = [a.vkey.render(), officer("carla", a.signer).vkey.render()]
    entry = {"kind": "alliance", "alliance": ALLIANCE, "threshold": 2}
    with pytest.raises(MalformedError, match="of their own"):
        state.apply({**entry, "officers": twice})


def test_m_distinct_officers_are_needed():
    """One signature, or one officer's twice, is not two officers."""
    a, b = officer("anna"), officer("berta")
    pin = Pin.parse(pin_text(a.vkey.render(), b.vkey.render()))
    line = registry_entry("member", NOW, name="maison")
    for signers in ([a], [a, a]):
        proposal = propose(ALLIANCE, EMPTY, [line])
        sign(proposal, signers)
        header = body_of(proposal).split(b"\n")[0]
        with pytest.raises(RefusedError, match="1 of 2"):
            open_header(Directory.of_pin(pin), "registry", 0, header)
    proposal = propose(ALLIANCE, EMPTY, [line])
    sign(proposal, [a, b])
    header = body_of(proposal).split(b"\n")[0]
    assert open_header(Directory.of_pin(pin), "registry", 0, header).note.count == 1
