"""RFC 9497 vectors, an outside implementation, and hostile requests and answers."""

from __future__ import annotations

import doctest
import json
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import voprf
from keys.errors import ElementError, EvaluationError, TokenError
from keys.ristretto import ORDER, multiply_each, render_scalar

VECTORS = Path(__file__).parents[1] / "vectors" / "rfc9497-ristretto255-sha512.json"
SUITE = next(s for s in json.loads(VECTORS.read_text())["suites"] if s["mode"] == 1)
SECRET = voprf.derive_key(bytes(32), b"tests")
PUBLIC = voprf.public_of(SECRET)
OTHER = voprf.derive_key(bytes(32), b"other")


def _hex(text):
    return [bytes.fromhex(part) for part in text.split(",")]


def _constant(size):
    return bytes(size)


def test_official_key_derivation():
    """DeriveKeyPair gives the key pair of RFC 9497 appendix A.1.2."""
    secret = voprf.derive_key(*(_hex(SUITE[k])[0] for k in ("seed", "keyInfo")))
    assert [secret.hex(), voprf.public_of(secret).hex()] == [
        SUITE["skSm"],
        SUITE["pkSm"],
    ]


@pytest.mark.parametrize("case", SUITE["vectors"])
def test_official_vectors_byte_for_byte(case):
    """Blinding, evaluation, proof and output are those of RFC 9497 appendix A.1.2."""
    secret, public = bytes.fromhex(SUITE["skSm"]), bytes.fromhex(SUITE["pkSm"])
    blinds = iter(_hex(case["Blind"]))
    blinding = voprf.blind(_hex(case["Input"]), lambda _: next(blinds) + bytes(32))
    assert blinding == voprf.blind_with(_hex(case["Input"]), _hex(case["Blind"]))
    assert blinding.elements == b"".join(_hex(case["BlindedElement"]))
    evaluated = b"".join(_hex(case["EvaluationElement"]))
    assert voprf.evaluate(secret, public, blinding.elements).elements == evaluated
    nonce = bytes.fromhex(case["Proof"]["r"])
    proof = voprf._prove(secret, public, blinding.elements, evaluated, nonce)
    assert proof.hex() == case["Proof"]["proof"]
    voprf.check(public, blinding.elements, evaluated, proof)
    assert voprf.finalise(blinding, [(1, evaluated)]) == _hex(case["Output"])


def test_the_blind_does_not_show_in_the_output():
    """Two blindings of one input differ, and finalise to one output."""
    one, other = voprf.blind([b"input"]), voprf.blind([b"input"])
    assert one.elements != other.elements
    outputs = [
        voprf.finalise(b, [(1, voprf.evaluate(SECRET, PUBLIC, b.elements).elements)])
        for b in (one, other)
    ]
    assert outputs[0] == outputs[1]


# An outside implementation


@pytest.fixture(scope="module")
def rust():
    """The wheel that wraps the Rust crate ``voprf``; absolute, for our own is keys'."""
    return import_module("voprf.ristretto")


def test_an_outside_server_answers_our_client(rust):
    """Its key is ours, its proof verifies here, and our output is its own."""
    inputs = [b"input %d" % n for n in range(5)]
    server = rust.Evaluator.from_seed(bytes(32), b"tests")
    assert server.public_key.serialize() == PUBLIC
    blinding = voprf.blind(inputs)
    sent = [
        rust.BlindedInput.deserialize(blinding.elements[at : at + 32])
        for at in range(0, len(blinding.elements), 32)
    ]
    raw = server.evaluate_batch(sent).serialize()
    proof, evaluated = raw[:64], raw[64:]
    voprf.check(PUBLIC, blinding.elements, evaluated, proof)
    outputs = voprf.finalise(blinding, [(1, evaluated)])
    assert outputs == [server.evaluate_known_input(i) for i in inputs]


def test_our_server_answers_outside_clients(rust):
    """They accept our proof for their batch and reach our tokens."""
    inputs = [b"input %d" % n for n in range(5)]
    pairs = [rust.Client.blind(i) for i in inputs]
    made = voprf.evaluate(SECRET, PUBLIC, b"".join(b.serialize() for _, b in pairs))
    output = rust.VerifiableBatchOutput.deserialize(made.proof + made.elements)
    key = rust.PublicKey.deserialize(PUBLIC)
    clients = [client for client, _ in pairs]
    found = rust.Client.finalize_batch(clients, output, key)
    blinding = voprf.blind(inputs)
    ours = voprf.evaluate(SECRET, PUBLIC, blinding.elements).elements
    assert voprf.finalise(blinding, [(1, ours)]) == found


def test_an_outside_client_refuses_what_our_client_refuses(rust):
    """Our server under another key is found out there as well."""
    client, blinded = rust.Client.blind(b"input")
    made = voprf.evaluate(OTHER, PUBLIC, blinded.serialize())
    output = rust.VerifiableOutput.deserialize(made.proof + made.elements)
    with pytest.raises(Exception, match=r"(?i)verif|proof"):
        client.finalize(output, rust.PublicKey.deserialize(PUBLIC))


# Hostile answers

SENT = voprf.blind([b"a", b"b", b"c"])
GOOD = voprf.evaluate(SECRET, PUBLIC, SENT.elements)


def test_another_key_is_found_out():
    """Neither its own proof, nor the right one, nor a proof for its own key helps."""
    lie = voprf.evaluate(OTHER, voprf.public_of(OTHER), SENT.elements)
    claimed = voprf.evaluate(OTHER, PUBLIC, SENT.elements)
    for elements, proof in (
        (lie.elements, lie.proof),
        (lie.elements, GOOD.proof),
        (GOOD.elements, lie.proof),
        (claimed.elements, claimed.proof),
    ):
        with pytest.raises(EvaluationError):
            voprf.check(PUBLIC, SENT.elements, elements, proof)


def test_one_wrong_element_in_a_batch_is_found_out():
    """A node that uses another key for one element only cannot prove the batch."""
    wrong = multiply_each(OTHER, SENT.elements[32:64])
    evaluated = GOOD.elements[:32] + wrong + GOOD.elements[64:]
    proof = voprf._prove(SECRET, PUBLIC, SENT.elements, evaluated, render_scalar(7))
    with pytest.raises(EvaluationError):
        voprf.check(PUBLIC, SENT.elements, evaluated, proof)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (1, 2, 0), (0, 1), (0, 1, 1)])
def test_a_reordered_or_cut_batch_proves_nothing(order):
    """A proof holds for the whole batch in its order."""

    def taken(points):
        return b"".join(points[32 * i : 32 * i + 32] for i in order)

    sent, evaluated = taken(SENT.elements), taken(GOOD.elements)
    with pytest.raises(EvaluationError):
        voprf.check(PUBLIC, sent, evaluated, GOOD.proof)
    with pytest.raises((EvaluationError, ElementError)):
        voprf.check(PUBLIC, SENT.elements, evaluated, GOOD.proof)


@given(st.data())
def test_no_bit_of_an_answer_may_change(data):
    """Every bit of proof, elements, request and public key counts."""
    parts = [PUBLIC, SENT.elements, GOOD.elements, GOOD.proof]
    which = data.draw(st.integers(0, 3))
    bit = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    changed = bytearray(parts[which])
    changed[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(changed)
    with pytest.raises((EvaluationError, ElementError)):
        voprf.check(*parts)


@pytest.mark.parametrize("size", [0, 63, 65, 96])
def test_a_proof_has_64_bytes(size):
    """A shorter or longer one is refused before any arithmetic."""
    with pytest.raises(ElementError, match="length"):
        voprf.check(PUBLIC, SENT.elements, GOOD.elements, bytes(size))


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("value", [0, ORDER, 2**256 - 1])
def test_the_scalars_of_a_proof_are_canonical(half, value):
    """Were c + L accepted for c, everybody could make a second proof out of one."""
    halves = [GOOD.proof[:32], GOOD.proof[32:]]
    halves[half] = value.to_bytes(32, "little")
    with pytest.raises(ElementError, match="scalar"):
        voprf.check(PUBLIC, SENT.elements, GOOD.elements, b"".join(halves))


@pytest.mark.parametrize("public", [b"", PUBLIC[:31], PUBLIC + b"\0", bytes(32)])
def test_a_public_share_is_an_element(public):
    """A registry with a wrong public share makes no answer verify."""
    with pytest.raises(ElementError):
        voprf.check(public, SENT.elements, GOOD.elements, GOOD.proof)


# Hostile requests

INVALID = {
    "identity": bytes(32),
    "negative": b"\x01" + bytes(31),
    "above the field": b"\xff" * 32,
    "the field's order": (2**255 - 19).to_bytes(32, "little"),
    "high bit set": PUBLIC[:31] + bytes([PUBLIC[31] | 0x80]),
}


@pytest.mark.parametrize("element", INVALID.values(), ids=INVALID)
def test_identity_and_non_canonical_elements_are_refused(element):
    """By the server, named by place; by the client on both sides; and at the end."""
    batch = SENT.elements[:64] + element
    with pytest.raises(ElementError, match="element 2 is"):
        voprf.evaluate(SECRET, PUBLIC, batch)
    with pytest.raises(ElementError):
        voprf.check(PUBLIC, SENT.elements, batch, GOOD.proof)
    with pytest.raises(ElementError):
        voprf.check(PUBLIC, batch, GOOD.elements, GOOD.proof)
    with pytest.raises(ElementError):
        voprf.finalise(SENT, [(1, batch)])


@pytest.mark.parametrize("size", [0, 1, 31, 33, 32 * 4097])
def test_a_batch_has_1_to_4096_whole_elements(size):
    """Neither side does arithmetic for another size."""
    batch = (PUBLIC * 4097 + b"\0")[:size]
    with pytest.raises(ElementError, match="batch"):
        voprf.evaluate(SECRET, PUBLIC, batch)
    with pytest.raises(ElementError, match="batch"):
        voprf.check(PUBLIC, batch, batch, bytes(64))


@pytest.mark.parametrize("count", [0, 4097])
def test_a_client_asks_for_no_more_than_a_node_answers(count):
    """It hears of the limit before it spends its quota."""
    with pytest.raises(ElementError, match="batch"):
        voprf.blind([b"x"] * count)


@pytest.mark.parametrize("secret", [b"", SECRET[:31], SECRET + b"\0", bytes(32)])
def test_a_share_has_32_bytes_and_is_not_zero(secret):
    """The library is never called with less to read than it reads."""
    with pytest.raises(ElementError):
        voprf.evaluate(secret, PUBLIC, SENT.elements)
    with pytest.raises(ElementError):
        voprf.public_of(secret)


# Randomness


def _nonce(evaluation, secret):
    c, s = (
        int.from_bytes(p, "little")
        for p in (evaluation.proof[:32], evaluation.proof[32:])
    )
    return (s + c * int.from_bytes(secret, "little")) % ORDER


def test_broken_randomness_does_not_reveal_the_share():
    """The nonce differs with the batch, the public share and the secret."""
    made = [
        (voprf.evaluate(SECRET, PUBLIC, SENT.elements, _constant), SECRET),
        (voprf.evaluate(SECRET, PUBLIC, SENT.elements[:64], _constant), SECRET),
        (voprf.evaluate(SECRET, SENT.elements[:32], SENT.elements, _constant), SECRET),
        (voprf.evaluate(OTHER, PUBLIC, SENT.elements, _constant), OTHER),
    ]
    assert len({_nonce(*m) for m in made}) == len(made)


def test_the_nonce_is_random():
    """Two proofs of one batch differ, and both verify."""
    again = voprf.evaluate(SECRET, PUBLIC, SENT.elements)
    assert again.proof != GOOD.proof
    voprf.check(PUBLIC, SENT.elements, again.elements, again.proof)


def test_broken_randomness_blinds_nothing():
    """A blind of zero is refused rather than replaced by something predictable."""
    with pytest.raises(TokenError, match="randomness"):
        voprf.blind([b"input"], _constant)


# Large batches


def test_a_batch_in_parts_is_the_batch():
    """A pool of threads gives the bytes that one thread gives, and the same errors."""
    count = 2 * voprf.CHUNK + 3
    sent = voprf.blind([b"%d" % n for n in range(count)])
    alone = voprf.evaluate(SECRET, PUBLIC, sent.elements, _constant)
    with ThreadPoolExecutor(2) as pool:
        made = voprf.evaluate(SECRET, PUBLIC, sent.elements, _constant, pool.map)
        assert made == alone
        voprf.check(PUBLIC, sent.elements, made.elements, made.proof, pool.map)
        bad = sent.elements[:-32] + bytes(32)
        with pytest.raises(ElementError, match=f"element {count - 1} is"):
            voprf.evaluate(SECRET, PUBLIC, bad, spread=pool.map)
    swapped = made.elements[-32:] + made.elements[32:-32] + made.elements[:32]
    with pytest.raises(EvaluationError):
        voprf.check(PUBLIC, sent.elements, swapped, made.proof)


# Client side


@pytest.mark.parametrize("blind", [bytes(32), ORDER.to_bytes(32, "little"), b"\1", b""])
def test_a_disclosed_blind_is_a_canonical_scalar(blind):
    """Blinds come from strangers when a token is disclosed."""
    with pytest.raises(ElementError, match="scalar"):
        voprf.blind_with([b"input"], [blind])


def test_as_many_blinds_as_inputs():
    """A blind too many is a mistake, not something to drop."""
    with pytest.raises(ElementError, match="one blind for each"):
        voprf.blind_with([b"input"], [SECRET, SECRET])


def test_an_input_has_a_length_of_16_bits():
    """An empty one and the longest are blinded, a longer one is refused."""
    assert len(voprf.blind([b"", bytes(65535)]).elements) == 64
    with pytest.raises(TokenError, match="65535"):
        voprf.blind([bytes(65536)])


def test_answers_that_do_not_fit_are_refused():
    """Too few elements, too many, no answer, or one share twice."""
    for evaluated in (b"", GOOD.elements[:64], GOOD.elements + GOOD.elements[:32]):
        with pytest.raises(ElementError):
            voprf.finalise(SENT, [(1, evaluated)])
    for xs in ((), (1, 1), (0,), (-1, 1)):
        with pytest.raises(TokenError, match="distinct positive"):
            voprf.finalise(SENT, [(x, GOOD.elements) for x in xs])


def test_answers_that_cancel_each_other_give_no_token():
    """The identity would give everybody's input of these nodes one known token.

    At x = 1 and 2 the coefficients are 2 and -1, so twice the first answer cancels it.
    """
    double = multiply_each(render_scalar(2), GOOD.elements)
    with pytest.raises(ElementError, match="cancel"):
        voprf.finalise(SENT, [(1, GOOD.elements), (2, double)])


# Keys and inputs


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_has_32_bytes(size):
    """SPEC: RFC 9497 section 3.2.1: seed has Ns bytes."""
    with pytest.raises(TokenError, match="32 bytes"):
        voprf.derive_key(bytes(size), b"info")


def test_a_long_info_is_refused():
    """SPEC: RFC 9497 section 3.2.1: the length of info takes 16 bits."""
    with pytest.raises(TokenError, match="65535"):
        voprf.derive_key(bytes(32), bytes(65536))


def test_derivation_skips_zero_and_gives_up_in_the_end(monkeypatch):
    """SPEC: RFC 9497 section 3.2.1: the counter goes to 255, then DeriveKeyPairError."""
    monkeypatch.setattr(
        voprf, "_expand_to_key", lambda m: bytes([m[-1] == 255]) + bytes(63)
    )
    assert voprf.derive_key(bytes(32), b"") == render_scalar(1)
    monkeypatch.setattr(voprf, "_expand_to_key", lambda _: bytes(64))
    with pytest.raises(TokenError, match="no key"):
        voprf.derive_key(bytes(32), b"")


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2))
def test_the_parts_of_a_token_input_can_be_told_apart(parts):
    """So no two identifiers of any types share an input."""
    data, read = voprf.token_input(*parts), []
    while data:
        size = int.from_bytes(data[:2], "big")
        read.append(data[2 : 2 + size].decode())
        data = data[2 + size :]
    assert read == ["ach1", *parts]


@pytest.mark.parametrize("canonical", ["a" * 65536, "\ud800"])
def test_what_has_no_token_input_is_refused(canonical):
    """Neither a length above 16 bits nor half a character can be framed."""
    with pytest.raises(TokenError):
        voprf.token_input("domain", canonical)


def test_the_examples_of_the_docstring_are_true():
    """The format that the docstring shows is the format."""
    assert doctest.testmod(voprf) == (0, 1)
