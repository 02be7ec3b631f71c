"""Signed answers: the published vector, and that every byte is bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keys import voprf
from keys.answers import Exchange, open_answer, sign_answer
from keys.ed25519 import Signer, verifier_for
from keys.errors import SignatureError
from tests.keys.test_requests import NOW, URL, Vectors, base_of, signature_of

NODE = "alliance.example/node/node1"
SIGNER = Signer.from_seed(bytes(range(32)))
EXCHANGE = Exchange("POST", URL, b"asked", 200, b"answered")


def find(name):
    return SIGNER.public if name == NODE else None


def signed(exchange=EXCHANGE):
    return sign_answer(exchange, keyid=NODE, signer=SIGNER, now=NOW)


def test_the_documented_answer_is_what_a_node_signs_byte_for_byte():
    """It is a right evaluation too: RFC 9497's own vector."""
    signer = Signer.from_seed(Vectors.bytes(f"seed of `{NODE}`"))
    request = Vectors.bytes("body of the request")
    proof, element = (Vectors.bytes(f"{n} in the answer") for n in ("proof", "element"))
    exchange = Exchange("POST", URL, request, 200, proof + element)
    made = sign_answer(exchange, keyid=NODE, signer=signer, now=NOW + 1)
    fields = Vectors.fields(Vectors.answer)
    assert made == {k: fields[k] for k in made}
    values = {
        '"@status"': "200",
        '"content-digest"': fields["Content-Digest"],
        '"@method";req': "POST",
        '"@target-uri";req': URL,
        '"content-digest";req': Vectors.fields(Vectors.request)["Content-Digest"],
    }
    assert base_of(fields, values) == Vectors.answer_base
    verifier_for(signer.public).verify(
        signature_of(fields), Vectors.answer_base.encode()
    )
    assert open_answer(exchange, fields, {NODE: signer.public}.get) == NOW + 1
    public = Vectors.bytes("public key of the token key")
    voprf.check(public, request, element, proof)


def test_what_is_signed_is_opened_however_the_fields_are_written():
    headers = signed()
    assert open_answer(EXCHANGE, headers, find) == NOW
    assert open_answer(EXCHANGE, {k.lower(): v for k, v in headers.items()}, find)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"url": URL + "x"},
        {"url": URL.replace("node1", "node2")},
        {"request": b"askeD"},
        {"request": b""},
        {"status": 201},
        {"answer": b"answereD"},
        {"answer": b""},
    ],
)
def test_another_request_or_answer_is_refused(changed):
    """The digest that was sent does not count, only that of the bodies."""
    with pytest.raises(SignatureError):
        open_answer(replace(EXCHANGE, **changed), signed(), find)


@pytest.mark.parametrize("lost", ["Signature-Input", "Signature"])
def test_an_answer_without_a_field_is_not_signed(lost):
    headers = signed()
    del headers[lost]
    with pytest.raises(SignatureError, match="not signed"):
        open_answer(EXCHANGE, headers, find)


def test_an_answer_under_another_name_or_key_is_refused():
    with pytest.raises(SignatureError):
        open_answer(EXCHANGE, signed(), {}.get)
    with pytest.raises(SignatureError):
        open_answer(EXCHANGE, signed(), {NODE: Signer.generate().public}.get)


def test_a_signed_request_is_no_signed_answer():
    """A node that signs requests to peers does not thereby sign answers."""
    from keys.requests import sign_request

    headers = {}
    sign_request(
        "POST", URL, headers, b"answered", keyid=NODE, signer=SIGNER, now=NOW, nonce="n"
    )
    with pytest.raises(SignatureError):
        open_answer(EXCHANGE, headers, find)
