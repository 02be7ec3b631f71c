"""Proof files, disclosures and evidence: every way to spoil them."""

from __future__ import annotations

import copy
import itertools
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.directory import Directory
from hub.errors import (
    HubError,
    MalformedError,
    MisbehaviourError,
    ProofError,
    RefusedError,
    UnavailableError,
)
from hub.evaluation import SignedEvaluation, render_evidence
from hub.model import new_case_id
from hub.officers import registry_entry
from hub.proving import disclose, tlog_proof
from hub.verifying import registry_of, verify_evidence, verify_proof
from keys import voprf
from keys.encoding import from_base64, to_base64
from tests.hub.proofkit import (
    check,
    fork_evidence,
    line,
    proof,
    publish,
    shared,
    token,
)
from tests.simulator import ALLIANCE, START, World


@pytest.fixture
def world(tmp_path):
    """Three nodes, quorum 1; key scarce-1 is shared among them, two are needed."""
    return shared(World(tmp_path))


# -- what spoils a file ----------------------------------------------------------------


def test_a_registry_line_cannot_be_left_out(world):
    """Who could would hide that a key was closed."""
    world.members["maison"].publish(1)
    fields = {"owner": "member/maison", "label": "k1", "index": 0, "reason": "stolen"}
    world.officers(registry_entry("key-closed", START, **fields))
    world.settle()
    body = proof(world, "maison/1")
    for change in (
        lambda lines: lines[:-1],
        lambda lines: lines[:-2],
        lambda lines: [*lines[:-1], None],
        lambda lines: [*lines[:-1], ""],
    ):
        bad = copy.deepcopy(body)
        bad["registry"]["lines"] = change(bad["registry"]["lines"])
        with pytest.raises(HubError):
            check(world, bad)


def test_another_pin_proves_nothing(world, tmp_path):
    world.members["maison"].publish(1)
    other = World(tmp_path / "other")
    with pytest.raises(HubError):
        verify_proof(json.dumps(proof(world, "maison/1")).encode(), other.pin)


@pytest.mark.parametrize(
    "change",
    [
        lambda a, b: a | {"line": b["line"]},
        lambda a, b: a | {"entry": b["entry"]},
        lambda a, b: a | {"entry_proof": b["entry_proof"]},
        lambda a, b: a | {"header_proof": b["entry_proof"]},
        lambda a, b: a | {"batch_path": b["batch_path"]},
        lambda a, b: a | {"header": b["line"]},
        lambda a, _: a | {"line": a["line"].replace(":50", ":90")},
        lambda a, _: a | {"line": a["header"], "entry_proof": a["header_proof"]},
    ],
    ids=[
        "line",
        "entry",
        "proof",
        "header-proof",
        "path",
        "header",
        "altered",
        "header-as-line",
    ],
)
def test_parts_of_another_proof_do_not_fit(world, change):
    world.members["maison"].publish(2)
    one, two = proof(world, "maison/1"), proof(world, "maison/2")
    with pytest.raises(HubError):
        check(world, change(one, two))


def test_a_header_elsewhere_in_the_feed_is_not_the_batchs(world):
    """The line is of one batch and the header of another."""
    world.members["maison"].publish(1)
    world.members["maison"].publish(1)
    one, two = proof(world, "maison/1", "node1"), proof(world, "maison/3")
    two |= {k: one[k] for k in ("entry", "line", "batch_path")}
    with world.nodes["node1"].store.read() as tx:
        two["entry_proof"] = tlog_proof(tx, "maison", 1, 4).decode()
    with pytest.raises(HubError):
        check(world, two)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.text(max_size=20)
    | st.sampled_from(["registry/1", "AAAA", to_base64(bytes(32)), "\ud800", "— a b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)


def places(value, path=()):
    """Yield the path of everything in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield from places(inner, (*path, key))


def put(value, path, new):
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A disclosed proof, and evidence of each kind, made once."""
    world = shared(World(tmp_path_factory.mktemp("world")))
    phone = token(world, "phone", "+442079460018")
    report = {"type": "phone", "key": "scarce-1", "token": phone}
    publish(world, "maison", world.members["maison"].report(**report))
    world.settle()
    body = proof(world, "maison/1")
    market = world.members["market"]
    directory = world.nodes["node1"].directory
    disclose(body, "+44 20 7946 0018", "GB", directory, market.client)
    return world, body, json.loads(fork_evidence(world))


@settings(max_examples=settings().max_examples * 6)
@given(data=st.data())
def test_no_change_of_a_proof_file_is_a_traceback(samples, data):
    """Every field may be anything; the file verifies or is refused in our words."""
    world, body, _ = samples
    path = data.draw(st.sampled_from(list(places(body))))
    raw = json.dumps(put(body, path, data.draw(JSON))).encode()
    with suppress(HubError):
        assert verify_proof(raw, world.pin)["entry"] == "maison/1"


@settings(max_examples=settings().max_examples * 4)
@given(data=st.data())
def test_no_change_of_evidence_is_a_traceback(samples, data):
    world, _, evidence = samples
    path = data.draw(st.sampled_from(list(places(evidence))))
    changed = put(evidence, path, data.draw(JSON))
    text = json.dumps(changed, ensure_ascii=False, separators=(",", ":"))
    raw = text.encode(errors="surrogatepass") + b"\n"
    directory = world.nodes["node1"].directory
    with suppress(HubError):
        assert verify_evidence(raw, directory)["evidence"] == "fork"


@given(raw=st.binary(max_size=200))
def test_bytes_that_are_no_file_are_refused(samples, raw):
    world = samples[0]
    with pytest.raises(MalformedError):
        verify_proof(raw, world.pin)
    with pytest.raises(MalformedError):
        verify_evidence(raw, world.nodes["node1"].directory)


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"format":' * 50_000, b"7", b'"x"'])
def test_deep_and_odd_json_is_refused(samples, raw):
    world = samples[0]
    for verify in (
        lambda: verify_proof(raw, world.pin),
        lambda: registry_of(raw, world.pin),
        lambda: verify_evidence(raw, world.nodes["node1"].directory),
    ):
        with pytest.raises(MalformedError):
            verify()


# -- disclosure ------------------------------------------------------------------------


def test_a_disclosure_by_any_two_of_three(samples):
    """Every combination of shares that suffices shows the same; one alone does not."""
    world, body, _ = samples
    assert check(world, body)["identifier"] == {
        "type": "phone",
        "value": "+442079460018",
    }
    disclosure = body["disclosure"]
    blind = from_base64(disclosure["blind"])
    data = voprf.token_input("phone", "+442079460018")
    elements = voprf.blind_with([data], [blind]).elements
    every = []
    for x, node in enumerate(world.nodes.values(), 1):
        share = node.app.extensions["hub"].token_secrets["scarce-1"]
        answer = voprf.evaluate(share, voprf.public_of(share), elements)
        parts = {"proof": answer.proof, "evaluated": answer.elements}
        every.append({"x": x, **{k: to_base64(v) for k, v in parts.items()}})
    for count in (1, 2, 3):
        for some in itertools.permutations(every, count):
            changed = {**body, "disclosure": {**disclosure, "evaluations": list(some)}}
            if count > 1:
                assert check(world, changed)["identifier"]
                continue
            with pytest.raises(MalformedError) as caught:
                check(world, changed)
            assert caught.value.code == "too-few-shares"
    twice = {**body, "disclosure": {**disclosure, "evaluations": every[:1] * 2}}
    with pytest.raises(MalformedError):
        check(world, twice)


@pytest.mark.parametrize(
    "change",
    [
        {"value": "+442079460019"},
        {"type": "email"},
        {"key": "open-1"},
        {"key": "scarce-9"},
        {"blind": to_base64(bytes(32))},
        {"evaluations": []},
    ],
    ids=["value", "type", "key", "unknown-key", "blind", "none"],
)
def test_a_disclosure_of_something_else_fails(samples, change):
    world, body, _ = samples
    changed = {**body, "disclosure": {**body["disclosure"], **change}}
    with pytest.raises(HubError):
        check(world, changed)


def test_a_swapped_share_fails(samples):
    """A share's proof is its own."""
    world, body, _ = samples
    one, two = body["disclosure"]["evaluations"]
    swapped = [{**one, "x": two["x"]}, {**two, "x": one["x"]}]
    changed = {**body, "disclosure": {**body["disclosure"], "evaluations": swapped}}
    with pytest.raises(HubError):
        check(world, changed)


def test_the_identifier_must_be_that_of_the_entry(world):
    """Another one is refused before anything is written, and so is a withdrawal."""
    phone = token(world, "phone", "+442079460018")
    report = {"type": "phone", "key": "scarce-1", "token": phone}
    withdrawal = line(world, "withdrawal", case=new_case_id(), reason="other")
    publish(world, "maison", world.members["maison"].report(**report), withdrawal)
    market, directory = world.members["market"], world.nodes["node1"].directory
    body = proof(world, "maison/1")
    with pytest.raises(RefusedError) as caught:
        disclose(body, "+44 20 7946 0019", "GB", directory, market.client)
    assert caught.value.code == "not-that"
    assert "disclosure" not in body
    other = proof(world, "maison/2")
    with pytest.raises(MalformedError):
        disclose(other, "+44 20 7946 0018", "GB", directory, market.client)


def test_it_takes_the_nodes_that_answer_rightly(world):
    """One is down, one cheats: with two of three the rest does not suffice."""
    phone = token(world, "phone", "+442079460018")
    report = {"type": "phone", "key": "scarce-1", "token": phone}
    publish(world, "maison", world.members["maison"].report(**report))
    market, directory = world.members["market"], world.nodes["node1"].directory
    body = proof(world, "maison/1")
    world.nodes["node1"].up = False
    disclose(body, "+442079460018", "GB", directory, market.client)
    assert [e["x"] for e in body["disclosure"]["evaluations"]] == [2, 3]
    secrets = world.nodes["node2"].app.extensions["hub"].token_secrets
    world.nodes["node3"].up = False
    with pytest.raises(UnavailableError):
        disclose(body, "+442079460018", "GB", directory, market.client)
    world.nodes["node3"].up = True
    secrets["scarce-1"] = voprf.random_scalar()
    with pytest.raises((MisbehaviourError, UnavailableError, RefusedError)):
        disclose(body, "+442079460018", "GB", directory, market.client)


# -- evidence --------------------------------------------------------------------------


def test_evidence_is_checked_under_the_registry_of_any_proof_file(samples):
    """Offline: the pin, one proof file, and the evidence."""
    world, body, evidence = samples
    text = json.dumps(evidence, ensure_ascii=False, separators=(",", ":"))
    raw = text.encode() + b"\n"
    directory = registry_of(json.dumps(body).encode(), world.pin)
    assert isinstance(directory, Directory)
    found = verify_evidence(raw, directory)
    assert (found["evidence"], found["feed"], found["size"]) == ("fork", "maison", 2)
    assert "cannot both be true" in found["says"]
    with pytest.raises(MalformedError):
        registry_of(raw, world.pin)


def test_a_wrong_evaluation_is_judged_by_every_share_of_the_node(world):
    """A signed answer convicts only when it fits none of them."""
    from keys.answers import Exchange, sign_answer

    node, directory = world.nodes["node2"], world.nodes["node1"].directory
    url = f"{node.url}/v1/tokens/scarce-1"
    elements = voprf.blind([b"x"]).elements
    held = node.app.extensions["hub"].token_secrets["scarce-1"]

    def evidence(share):
        answer = voprf.evaluate(share, voprf.public_of(share), elements)
        raw = answer.proof + answer.elements
        exchange = Exchange("POST", url, elements, 200, raw)
        keyid = f"{ALLIANCE}/node/node2"
        fields = sign_answer(
            exchange, keyid=keyid, signer=node.request, now=world.clock.now()
        )
        signed = (fields["Signature-Input"], fields["Signature"])
        return render_evidence(
            SignedEvaluation("node2", "scarce-1", url, elements, raw, *signed)
        )

    found = verify_evidence(evidence(voprf.random_scalar()), directory)
    assert (found["evidence"], found["name"]) == (
        "wrong-evaluation",
        "wrong-evaluation/node2/scarce-1",
    )
    with pytest.raises(ProofError):
        verify_evidence(evidence(held), directory)
    stranger = evidence(held).replace(b'"node":"node2"', b'"node":"node9"')
    with pytest.raises(ProofError):
        verify_evidence(stranger, directory)
