"""RFC 9497 vectors, an outside implementation, shares, and hostile answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from itertools import combinations
from pathlib import Path

import pytest

from keys import voprf
from keys.errors import ElementError, EvaluationError, TokenError
from keys.shares import check_share, deal, interpolate_public, share_public

VECTORS = Path(__file__).parents[1] / "vectors" / "rfc9497-ristretto255-sha512.json"
SUITE = next(s for s in json.loads(VECTORS.read_text())["suites"] if s["mode"] == 1)


def _hex(text):
    return [bytes.fromhex(part) for part in text.split(",")]


@pytest.mark.parametrize("case", SUITE["vectors"])
def test_official_vectors_byte_for_byte(case):
    secret = voprf.derive_key(*(_hex(SUITE[k])[0] for k in ("seed", "keyInfo")))
    public = voprf.public_of(secret)
    assert [secret.hex(), public.hex()] == [SUITE["skSm"], SUITE["pkSm"]]
    blinding = voprf.blind_with(_hex(case["Input"]), _hex(case["Blind"]))
    assert blinding.elements == b"".join(_hex(case["BlindedElement"]))
    evaluated = b"".join(_hex(case["EvaluationElement"]))
    nonce = int.from_bytes(bytes.fromhex(case["Proof"]["r"]), "little")
    made = voprf._prove(secret, public, blinding.elements, evaluated, nonce)
    assert made.proof.hex() == case["Proof"]["proof"]
    assert voprf.evaluate(secret, public, blinding.elements).elements == evaluated
    voprf.check(public, blinding.elements, evaluated, made.proof)
    assert voprf.finalise(blinding, [(1, evaluated)]) == _hex(case["Output"])


@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 3), (2, 3), (3, 5), (5, 7)])
def test_any_t_shares_give_the_token_of_the_whole_key(t, n):
    secret = voprf.random_scalar()
    shares, commitments = deal(secret, t, n)
    blinding = voprf.blind([b"one", b"two"])

    def under(scalar):
        return voprf.evaluate(
            scalar, voprf.public_of(scalar), blinding.elements
        ).elements

    whole = voprf.finalise(blinding, [(1, under(secret))])
    parts = {x: (x, under(share)) for x, share in shares}
    for chosen in combinations(parts, t):
        assert voprf.finalise(blinding, [parts[x] for x in chosen]) == whole
    publics = [(x, share_public(x, commitments)) for x, _ in shares]
    assert interpolate_public(publics[:t]) == voprf.public_of(secret)
    if t > 1:
        assert voprf.finalise(blinding, list(parts.values())[: t - 1]) != whole
    for x, share in shares:
        check_share(x, share, commitments)
    with pytest.raises(TokenError):
        check_share(1, voprf.random_scalar(), commitments)


def test_a_lying_node_is_caught():
    """Another key, another order, a cut batch, another proof."""
    secret = voprf.random_scalar()
    public = voprf.public_of(secret)
    sent = voprf.blind([b"a", b"b"]).elements
    good = voprf.evaluate(secret, public, sent)
    voprf.check(public, sent, good.elements, good.proof)
    other = voprf.random_scalar()
    lie = voprf.evaluate(other, voprf.public_of(other), sent)
    swapped = good.elements[32:] + good.elements[:32]
    for elements, proof in (
        (lie.elements, lie.proof),
        (lie.elements, good.proof),
        (swapped, good.proof),
    ):
        with pytest.raises(EvaluationError):
            voprf.check(public, sent, elements, proof)
    with pytest.raises(ElementError):
        voprf.check(public, sent, good.elements[:32], good.proof)
    with pytest.raises(ElementError):
        voprf.check(public, sent, good.elements, b"\xff" * 64)


@pytest.mark.parametrize("element", [bytes(32), b"\xff" * 32, b"\x01" + bytes(31), b""])
def test_identity_and_non_canonical_elements_are_refused(element):
    secret = voprf.random_scalar()
    with pytest.raises(ElementError):
        voprf.evaluate(secret, voprf.public_of(secret), element)


def test_share_numbers_are_distinct():
    with pytest.raises(TokenError):
        voprf.lagrange([1, 1])
    with pytest.raises(TokenError):
        deal(voprf.random_scalar(), 3, 2)


def test_an_outside_server_answers_our_client():
    """The Rust evaluator's answer verifies here and gives its own output."""
    rust = import_module("voprf.ristretto")

    server = rust.Evaluator.from_seed(bytes(32), b"info")
    public = server.public_key.serialize()
    assert public == voprf.public_of(voprf.derive_key(bytes(32), b"info"))
    blinding = voprf.blind([b"input"])
    raw = server.evaluate(rust.BlindedInput.deserialize(blinding.elements)).serialize()
    proof, evaluated = raw[:64], raw[64:]
    voprf.check(public, blinding.elements, evaluated, proof)
    outputs = voprf.finalise(blinding, [(1, evaluated)])
    assert outputs == [server.evaluate_known_input(b"input")]


def test_our_server_answers_an_outside_client():
    """The Rust client accepts our proof and reaches our token."""
    rust = import_module("voprf.ristretto")

    secret = voprf.random_scalar()
    public = voprf.public_of(secret)
    client, blinded = rust.Client.blind(b"input")
    made = voprf.evaluate(secret, public, blinded.serialize())
    output = rust.VerifiableOutput.deserialize(made.proof + made.elements)
    found = client.finalize(output, rust.PublicKey.deserialize(public))
    blinding = voprf.blind([b"input"])
    ours = voprf.evaluate(secret, public, blinding.elements).elements
    assert voprf.finalise(blinding, [(1, ours)]) == [found]


def test_the_wheel_serves_where_the_system_has_no_libsodium(tmp_path):
    """The same vectors under the wheel's library, and no copy of it left behind."""
    code = (
        "from keys import voprf; s = voprf.derive_key(bytes([0xA3]) * 32, b'test key');"
        "print(voprf.public_of(s).hex())"
    )
    environ = {"ALLIANCE_HUB_SODIUM": "rbcl", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == SUITE["pkSm"]
    assert not list(tmp_path.iterdir())
