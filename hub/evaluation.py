"""A node's signed answer to blinded elements, and the evidence when it is wrong. Pure.

A node signs what it answered, to which request (``keys/answers.py``). The answer holds
a proof that the node's share was used. So a signed answer whose proof fails convicts
the node, and everybody who has the registry can see it. The evidence is one JSON object
on one line, its keys in this order and nothing else in it (broken for the page)::

    {"format":"alliance-hub-evidence/v1","kind":"wrong-evaluation",
     "node":"<name>","key":"<token key>","url":"<the request's URL>",
     "request":"<base64 of the blinded elements>",
     "answer":"<base64 of proof and evaluated elements>",
     "signature_input":"<the answer's field>","signature":"<the answer's field>"}

The elements are blinded, so the evidence says nothing of any identifier.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from hub.errors import MalformedError, MisbehaviourError, ProofError
from keys import voprf
from keys.answers import Exchange, open_answer
from keys.encoding import from_base64, to_base64
from keys.errors import KeysError, SignatureError, TokenError

__all__ = [
    "MAX_BYTES",
    "SignedEvaluation",
    "check_evaluation",
    "check_evidence",
    "parse_evidence",
    "render_evidence",
]

MAX_BYTES = 1_000_000
PROOF = 64
_FORMAT = "alliance-hub-evidence/v1"
_KIND = "wrong-evaluation"


@dataclass(frozen=True, slots=True)
class SignedEvaluation:
    """What a node answered to blinded elements; nothing in it is verified.

    Args:
        node: The node's name.
        key: The token key's name.
        url: The request's URL, of the node's public URL.
        request: The blinded elements.
        answer: The proof and the evaluated elements.
        signature_input: The answer's field of that name, empty if it was not there.
        signature: The same.
    """

    node: str
    key: str
    url: str
    request: bytes
    answer: bytes
    signature_input: str
    signature: str


def _open(evaluation: SignedEvaluation, keyid: str, public: bytes) -> None:
    """Check that the node signed it, and with it the token key that was asked for."""
    if not evaluation.url.endswith(f"/v1/tokens/{evaluation.key}"):
        raise SignatureError("the answer is to a request for another token key")
    headers = {
        "Signature-Input": evaluation.signature_input,
        "Signature": evaluation.signature,
    }
    if not all(headers.values()):
        raise SignatureError("the answer is not signed")
    exchange = Exchange(
        "POST", evaluation.url, evaluation.request, 200, evaluation.answer
    )
    open_answer(exchange, headers, {keyid: public}.get)


def _check_proof(evaluation: SignedEvaluation, share: bytes) -> None:
    proof, evaluated = evaluation.answer[:PROOF], evaluation.answer[PROOF:]
    voprf.check(share, evaluation.request, evaluated, proof)


def check_evaluation(
    evaluation: SignedEvaluation, *, keyid: str, public: bytes, share: bytes
) -> None:
    """Check that a node signed an answer and evaluated with its share.

    Args:
        evaluation: What it answered.
        keyid: The name of the node's request key.
        public: That key, as the registry holds it.
        share: The public half of the node's share of the token key.

    Raises:
        MisbehaviourError: Not signed so (code ``unsigned-answer``, without evidence),
            or signed and wrong (code ``wrong-evaluation``, with evidence).
    """
    try:
        _open(evaluation, keyid, public)
    except KeysError as error:
        raise MisbehaviourError(
            f"{evaluation.node} did not sign its answer: {error}",
            code="unsigned-answer",
            advice="Pull, as the officers may have replaced the node's request key; "
            "then tell the node's operator.",
        ) from None
    try:
        _check_proof(evaluation, share)
    except TokenError as error:
        raise MisbehaviourError(
            f"{evaluation.node} evaluated wrongly: {error}",
            code="wrong-evaluation",
            evidence=render_evidence(evaluation),
            advice="The node signed it. Show the file, which is kept in the folder "
            "`evidence`, to the officers.",
        ) from None


def render_evidence(evaluation: SignedEvaluation) -> bytes:
    """Return the bytes of the evidence file."""
    body = {
        "format": _FORMAT,
        "kind": _KIND,
        "node": evaluation.node,
        "key": evaluation.key,
        "url": evaluation.url,
        "request": to_base64(evaluation.request),
        "answer": to_base64(evaluation.answer),
        "signature_input": evaluation.signature_input,
        "signature": evaluation.signature,
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode() + b"\n"


def parse_evidence(raw: bytes) -> SignedEvaluation:
    """Read an evidence file; nothing in it is verified.

    Raises:
        MalformedError: Not exactly such a file.
    """
    try:
        if len(raw) <= MAX_BYTES:
            body = json.loads(raw)
            values = [str(body[field.name]) for field in fields(SignedEvaluation)]
            node, key, url, request, answer, *signature = values
            found = SignedEvaluation(
                node, key, url, from_base64(request), from_base64(answer), *signature
            )
            if render_evidence(found) == raw:
                return found
    except (ValueError, LookupError, TypeError, RecursionError, KeysError):
        # Whatever is wrong with it, a stranger's file is refused in one way.
        pass
    raise MalformedError("not evidence of a wrong evaluation", code="bad-evidence")


def check_evidence(
    evaluation: SignedEvaluation, *, keyid: str, public: bytes, share: bytes
) -> None:
    """Check that a node signed a wrong answer; the arguments are those of a check.

    Raises:
        ProofError: It did not sign it, or the answer is right (``no-evidence``).
    """
    try:
        _open(evaluation, keyid, public)
    except KeysError as error:
        raise ProofError(f"the signature does not count: {error}") from None
    try:
        _check_proof(evaluation, share)
    except TokenError:
        return
    raise ProofError(f"{evaluation.node} evaluated as it should", code="no-evidence")
