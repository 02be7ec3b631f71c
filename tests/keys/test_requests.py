"""Signed requests: the published vector, and all that is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest
from http_message_signatures import HTTPMessageSigner, algorithms
from hypothesis import given
from hypothesis import strategies as st

from keys._httpsig import _Private
from keys.ed25519 import Signer, verifier_for
from keys.encoding import from_base64
from keys.errors import SignatureError
from keys.requests import (
    COVERED,
    LIFETIME,
    ClockError,
    check_body,
    content_digest,
    open_request,
    sign_request,
)

NOW = 1_795_500_000
URL = "https://node1.alliance.example/v1/tokens/open-1"
NAME = "alliance.example/member/maison/k1"
SIGNER = Signer.from_seed(bytes(range(32)))
DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


class Vectors:
    """What docs/protocol.md says under "Vectors of both"."""

    section = DOCUMENT.split("## Vectors of both\n")[1].split("\n## ")[0]
    values: ClassVar = dict(
        re.findall(r"^\| (.+) \| `([0-9a-f]+)` \|$", section, re.MULTILINE)
    )
    blocks = re.findall(r"```(?:http)?\n(.*?)\n```", section, re.DOTALL)
    request, request_base, answer, answer_base = blocks

    @classmethod
    def bytes(cls, name):
        return bytes.fromhex(cls.values[name])

    @staticmethod
    def fields(message):
        """Return the header fields of a message as it is written in the document."""
        return dict(line.split(": ", 1) for line in message.split("\n")[1:])


def base_of(fields, values):
    """Build a signature base by hand, as RFC 9421 section 2.5 says."""
    inner = fields["Signature-Input"].removeprefix("hub=")
    names = re.findall(r'"[^"]+"(?:;req)?', inner.partition(")")[0])
    lines = [f"{name}: {values[name]}" for name in names]
    return "\n".join([*lines, f'"@signature-params": {inner}'])


def signature_of(fields):
    return from_base64(fields["Signature"].removeprefix("hub=:").removesuffix(":"))


def signed(method="POST", url=URL, body=b"body", now=NOW, nonce="n1", signer=SIGNER):
    headers = {}
    sign_request(
        method, url, headers, body, keyid=NAME, signer=signer, now=now, nonce=nonce
    )
    return headers


def opened(headers, method="POST", url=URL, now=NOW, public=SIGNER.public):
    return open_request(method, url, headers, find_key={NAME: public}.get, now=now)


def test_the_documented_request_is_what_we_sign_byte_for_byte():
    """Whoever writes another client compares with docs/protocol.md."""
    signer = Signer.from_seed(Vectors.bytes(f"seed of `{NAME}`"))
    body = Vectors.bytes("body of the request")
    fields = Vectors.fields(Vectors.request)
    made = signed(body=body, nonce="bm9uY2Utb2YtYS12ZWN0b3I", signer=signer)
    assert made == {k: fields[k] for k in made}
    values = {
        '"@method"': "POST",
        '"@target-uri"': URL,
        '"content-digest"': fields["Content-Digest"],
    }
    assert base_of(fields, values) == Vectors.request_base
    verifier = verifier_for(signer.public)
    verifier.verify(signature_of(fields), Vectors.request_base.encode())
    found = opened(fields, public=signer.public)
    check_body(found, body)
    assert (found.keyid, found.expires) == (NAME, NOW + LIFETIME)


@given(
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    path=st.from_regex(r"/[a-z0-9/._~-]{0,40}(\?[a-z0-9=&]{0,40})?", fullmatch=True),
    body=st.binary(max_size=100),
    nonce=st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True),
)
def test_what_is_signed_is_opened(method, path, body, nonce):
    url = "https://node1.alliance.example" + path
    headers = signed(method, url, body, nonce=nonce)
    found = opened(headers, method, url)
    assert (found.keyid, found.nonce) == (NAME, nonce)
    check_body(found, body)
    with pytest.raises(SignatureError):
        check_body(found, body + b"x")


def test_another_method_url_or_digest_is_refused():
    headers = signed()
    changed = {**headers, "Content-Digest": content_digest(b"other")}
    for call in (
        lambda: opened(headers, method="PUT"),
        lambda: opened(headers, url=URL + "?"),
        lambda: opened(headers, url=URL.replace("https", "http")),
        lambda: opened(headers, url=URL.replace("node1", "node2")),
        lambda: opened(changed),
        lambda: opened(headers, public=Signer.generate().public),
    ):
        with pytest.raises(SignatureError):
            call()


@pytest.mark.parametrize("lost", ["Content-Digest", "Signature-Input", "Signature"])
def test_a_missing_field_is_refused(lost):
    headers = signed()
    del headers[lost]
    with pytest.raises(SignatureError):
        opened(headers)


@pytest.mark.parametrize("away", [-LIFETIME, -10, 10, LIFETIME])
def test_five_minutes_either_way_are_accepted_by_the_clock_that_is_passed_in(away):
    """The machine's own clock has no say: NOW is not the time of this machine."""
    assert opened(signed(), now=NOW + away).nonce == "n1"


@pytest.mark.parametrize("away", [-LIFETIME - 1, LIFETIME + 1, -86400, 86400])
def test_another_time_is_told_from_a_bad_signature(away):
    with pytest.raises(ClockError):
        opened(signed(), now=NOW + away)
    with pytest.raises(SignatureError) as refused:
        opened(signed(), now=NOW + away, public=Signer.generate().public)
    assert not isinstance(refused.value, ClockError)


def by_hand(covered=COVERED, created=NOW, expires=NOW + 60, **more):
    """Sign as the library lets anybody do, with whatever parameters."""
    from datetime import UTC, datetime

    from keys._httpsig import request_message

    headers = {"Content-Digest": content_digest(b"body"), "X-Other": "1"}
    HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519, key_resolver=_Private(SIGNER)
    ).sign(
        request_message("POST", URL, headers),
        key_id=NAME,
        created=datetime.fromtimestamp(created, UTC),
        expires=None if expires is None else datetime.fromtimestamp(expires, UTC),
        covered_component_ids=covered,
        use_existing_digest=True,
        **{"nonce": "n1", "tag": "alliance-hub", "label": "x", **more},
    )
    return headers


def test_what_a_foreign_client_may_do():
    """Any label, no algorithm, more that is covered, a shorter life."""
    assert opened(by_hand()).nonce == "n1"
    assert opened(by_hand(include_alg=False)).nonce == "n1"
    assert opened(by_hand(covered=(*COVERED, "x-other"))).nonce == "n1"


@pytest.mark.parametrize(
    "more",
    [
        {"covered": COVERED[:2]},
        {"covered": COVERED[1:]},
        {"covered": ("@method", "content-digest")},
        {"expires": None},
        {"expires": NOW},
        {"expires": NOW - 1},
        {"expires": NOW + LIFETIME + 1},
        {"nonce": None},
        {"nonce": ""},
        {"nonce": "n" * 129},
        {"tag": "another"},
        {"tag": None},
    ],
)
def test_what_a_foreign_client_must_do(more):
    with pytest.raises(SignatureError):
        opened(by_hand(**more))


def test_a_second_signature_of_ours_is_refused():
    """Else it would be open which of the two nonces is spent."""
    first, second = by_hand(label="a"), by_hand(label="b", nonce="n2")
    both = {k: f"{first[k]}, {second[k]}" for k in ("Signature-Input", "Signature")}
    with pytest.raises(SignatureError):
        opened({**first, **both})


def test_a_proxys_signature_beside_ours_does_no_harm():
    ours, other = (
        by_hand(label="a"),
        by_hand(label="b", tag="proxy", created=NOW - 9999),
    )
    both = {k: f"{other[k]}, {ours[k]}" for k in ("Signature-Input", "Signature")}
    assert opened({**ours, **both}).nonce == "n1"


@given(st.text(max_size=80), st.text(max_size=80))
def test_nonsense_is_refused(first, second):
    with pytest.raises(SignatureError):
        opened(
            {
                "Signature-Input": first,
                "Signature": second,
                "Content-Digest": content_digest(b""),
            }
        )


def test_a_low_order_key_signs_nothing():
    """Under it, one signature fits many requests."""
    weak = bytes([1]) + bytes(31)
    forged = signed()
    forged["Signature"] = (
        "hub=:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAA==:"
    )
    with pytest.raises(SignatureError):
        opened(forged, public=weak)
