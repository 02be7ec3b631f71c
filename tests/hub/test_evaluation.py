"""A wrong evaluation is evidence, an unsigned one is an error, and a right one neither."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hub.api.context import Serving
from hub.app import create_app
from hub.directory import Key, TokenKey
from hub.errors import MalformedError, MisbehaviourError, ProofError, UnavailableError
from hub.evaluation import (
    SignedEvaluation,
    check_evaluation,
    check_evidence,
    parse_evidence,
    render_evidence,
)
from hub.officers import registry_entry
from hub.tokens import Tokenizer, ask_share
from keys import voprf
from keys.answers import Exchange, sign_answer
from keys.ed25519 import Signer
from keys.keyfile import write_key
from keys.shares import deal
from tests.hub.api.served import NOW, Served

URL = "https://node1.example/v1/tokens/open-1"
KEYID = "alliance.example/node/node1"
SIGNER = Signer.from_seed(bytes(range(32)))
SECRET = voprf.random_scalar()
SHARE = voprf.public_of(SECRET)
ELEMENTS = voprf.blind([b"one", b"two"]).elements
NODES = ("node1", "node2", "node3")
CHECK = {"keyid": KEYID, "public": SIGNER.public, "share": SHARE}


def answered(secret=SECRET, url=URL, signer=SIGNER, key="open-1"):
    """Return what a node says that evaluates with a key of its choice."""
    found = voprf.evaluate(secret, voprf.public_of(secret), ELEMENTS)
    answer = found.proof + found.elements
    exchange = Exchange("POST", url, ELEMENTS, 200, answer)
    fields = sign_answer(exchange, keyid=KEYID, signer=signer, now=NOW)
    signature = fields["Signature-Input"], fields["Signature"]
    return SignedEvaluation("node1", key, url, ELEMENTS, answer, *signature)


def test_a_right_answer_is_no_evidence():
    check_evaluation(answered(), **CHECK)
    with pytest.raises(ProofError) as refused:
        check_evidence(answered(), **CHECK)
    assert refused.value.code == "no-evidence"


def test_a_wrong_answer_convicts_in_front_of_whoever_has_the_registry():
    """The evidence in the error is a file that stands on its own."""
    with pytest.raises(MisbehaviourError) as caught:
        check_evaluation(answered(voprf.random_scalar()), **CHECK)
    assert caught.value.code == "wrong-evaluation"
    found = parse_evidence(caught.value.evidence)
    assert found.node == "node1"
    check_evidence(found, **CHECK)


@pytest.mark.parametrize(
    "changed",
    [
        {"answer": bytes(64 + 64)},
        {"request": ELEMENTS[::-1]},
        {"url": URL.replace("node1", "node2")},
        {"url": URL.replace("open", "scarce"), "key": "scarce-1"},
        {"key": "scarce-1"},
        {"signature": ""},
        {"signature_input": ""},
        {"signature": "hub=:AAAA:"},
    ],
)
def test_what_the_node_did_not_sign_convicts_nobody(changed):
    """Not of itself, and not as evidence: an altered answer proves nothing."""
    altered = replace(answered(voprf.random_scalar()), **changed)
    with pytest.raises(MisbehaviourError) as caught:
        check_evaluation(altered, **CHECK)
    assert (caught.value.code, caught.value.evidence) == ("unsigned-answer", None)
    with pytest.raises(ProofError):
        check_evidence(altered, **CHECK)


def test_an_answer_for_another_key_convicts_nobody():
    """Evaluated under the other key as it should be, and signed; the client asked so."""
    other = answered(url=URL.replace("open", "scarce"))
    with pytest.raises(MisbehaviourError) as caught:
        check_evaluation(other, **CHECK)
    assert caught.value.evidence is None


def test_evidence_goes_round_and_is_read_strictly():
    raw = render_evidence(answered())
    assert render_evidence(parse_evidence(raw)) == raw
    body = json.loads(raw)
    spoiled = [
        b"",
        b"[]",
        b"7",
        b"[" * 100_000,
        raw[:-1],
        raw + b"\n",
        raw.replace(b",", b", ", 1),
        json.dumps({**body, "kind": "fork"}).encode() + b"\n",
        json.dumps({**body, "more": 1}).encode() + b"\n",
        *(
            json.dumps({**body, k: v}, separators=(",", ":")).encode() + b"\n"
            for k in body
            for v in (None, 7, [], "!")
            if k not in ("node", "key", "url", "signature", "signature_input")
            or v != "!"
        ),
        json.dumps(dict(reversed(body.items()))).encode() + b"\n",
        b" " * 1_000_001,
    ]
    for case in spoiled:
        with pytest.raises(MalformedError):
            parse_evidence(case)


class Replayed(Serving):
    """A node whose registry is what the test says."""

    state = None

    def directory(self):
        return self.state


class Shared:
    """A member of an alliance whose key ``open-2`` needs two of three nodes."""

    def __init__(self, served: Served):
        self.served, self.convicted = served, []
        self.secret = voprf.random_scalar()
        shares = dict(zip(NODES, deal(self.secret, 2, 3)[0], strict=True))
        publics = [(n, x, voprf.public_of(s)) for n, (x, s) in shares.items()]
        self.key = TokenKey(
            "open-2", "open", 2, voprf.public_of(self.secret), 2, tuple(publics)
        )
        signers = {n: Signer.generate() for n in NODES}
        state = served.hub.directory()
        kept = tuple(k for k in state.keys if k.owner != "node/node1")
        self.state = replace(
            state,
            nodes=dict.fromkeys(NODES, "http://node.example"),
            token_keys={**state.token_keys, "open-2": self.key},
            keys=kept
            + tuple(
                Key(f"node/{n}", "request", ("request",), s.public, 1)
                for n, s in signers.items()
            ),
        )
        self.nodes = {}
        for name, (_, share) in shares.items():
            config = {**served.hub.config, "self": {"role": "node", "name": name}}
            hub = replace(served.hub, config=config)
            secrets = {"open-2": share}
            node = Replayed(hub, "http://node.example", None, secrets, signers[name])
            node.state = self.state
            self.nodes[name] = node

    def ask(self, node):
        return self.served.client(create_app(self.nodes[node]))

    def tokens(self, name):
        """Return the token of a domain, remembering nothing."""
        tokenizer = Tokenizer(
            self.state, self.ask, Forgetful(), bytes(32), self.convicted.append
        )
        return tokenizer.tokens([("domain", name)])["domain", name]


class Forgetful:
    """A cache that remembers nothing."""

    def get_tokens(self, _handles):
        return {}

    def put_tokens(self, _tokens):
        """Remember nothing."""


def test_a_real_node_signs_its_answers(served):
    state = served.hub.directory()
    key = state.token_keys["open-1"]
    blinding = voprf.blind([voprf.token_input("domain", "a.example")])
    proof, evaluated = ask_share(
        served.client(), state, key, key.shares[0], blinding.elements
    )
    voprf.check(key.public, blinding.elements, evaluated, proof)


def test_a_node_without_a_registered_request_key_is_not_believed(served):
    """Its answers could not be used against it."""
    served.registry(
        registry_entry(
            "key-closed", NOW, owner="node/node1", label="request", reason="stolen"
        )
    )
    state = served.hub.directory()
    key = state.token_keys["open-1"]
    with pytest.raises(UnavailableError) as refused:
        ask_share(served.client(), state, key, key.shares[0], ELEMENTS)
    assert refused.value.code == "no-request-key"


def test_a_node_without_its_request_key_charges_nothing(served):
    served.serving.request_signer = None
    before = served.ask("GET", "/v1/usage").json
    answer = served.ask(
        "POST", "/v1/tokens/open-1", ELEMENTS, "application/octet-stream"
    )
    assert (answer.status_code, answer.json["type"]) == (
        503,
        "urn:alliance-hub:no-request-key",
    )
    assert served.ask("GET", "/v1/usage").json == before


def test_a_node_that_signs_with_another_key_is_caught(served):
    """Its folder has lost the registered key and got another."""
    path, other = served.hub.key_path("request"), Signer.generate()
    path.unlink()
    write_key(path, other.seed, kind="ed25519", passphrase=None)
    served.serving.request_signer = other
    state = served.hub.directory()
    key = state.token_keys["open-1"]
    with pytest.raises(MisbehaviourError) as caught:
        ask_share(served.client(), state, key, key.shares[0], ELEMENTS)
    assert caught.value.code == "unsigned-answer"


def test_a_cheating_node_is_kept_as_a_file(served, monkeypatch):
    """`hub` keeps the evidence in the member's folder; the tokens are not believed."""
    honest = voprf.evaluate
    monkeypatch.setattr(
        voprf, "evaluate", lambda _secret, _public, e: honest(SECRET, SHARE, e)
    )
    member, state = served.member, served.hub.directory()
    ledger = member.ledger()
    tokens = Tokenizer(
        state, lambda _: served.client(), ledger, ledger.secret, member.keep_evidence
    )
    with pytest.raises(MisbehaviourError) as caught:
        tokens.tokens([("domain", "never-asked.example")])
    (file,) = (member.folder / "evidence").iterdir()
    assert file.read_bytes() == caught.value.evidence
    found = parse_evidence(file.read_bytes())
    public = state.requester(KEYID).public
    share = state.token_keys["open-1"].public
    check_evidence(found, keyid=KEYID, public=public, share=share)


@pytest.fixture
def shared(served, monkeypatch):
    made = Shared(served)
    honest = voprf.evaluate

    def evaluate(secret, public, elements):
        if public in made.cheats:
            secret = SECRET
        return honest(secret, voprf.public_of(secret), elements)

    made.cheats = set()
    monkeypatch.setattr(voprf, "evaluate", evaluate)
    return made


def expected(shared, name):
    blinding = voprf.blind([voprf.token_input("domain", name)])
    found = voprf.evaluate(shared.secret, shared.key.public, blinding.elements)
    return voprf.finalise(blinding, [(1, found.elements)])[0][:32]


@pytest.mark.parametrize("cheats", [[], ["node1"], ["node2"], ["node3"]])
def test_two_honest_nodes_of_three_suffice_and_the_third_is_convicted(shared, cheats):
    """Also when nobody needs its answer; node3 is not even asked."""
    shares = {node: public for node, _, public in shared.key.shares}
    shared.cheats |= {shares[n] for n in cheats}
    assert shared.tokens("a.example") == expected(shared, "a.example")
    caught = [parse_evidence(e.evidence).node for e in shared.convicted]
    assert caught == [n for n in cheats if n != "node3"]
    for error in shared.convicted:
        found = parse_evidence(error.evidence)
        keyid = f"alliance.example/node/{found.node}"
        public = shared.state.requester(keyid).public
        check_evidence(found, keyid=keyid, public=public, share=shares[found.node])


def test_with_too_few_honest_nodes_the_cheats_are_named(shared):
    shared.cheats |= {public for _, _, public in shared.key.shares[:2]}
    with pytest.raises(MisbehaviourError):
        shared.tokens("a.example")
    assert len(shared.convicted) == 2
