"""An owner's keys, their files and labels, and the request that names them."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.directory import Directory
from hub.enrolment import (
    Enrolment,
    key_names,
    label_of,
    parse_request,
    render_request,
)
from hub.errors import HubError, MalformedError, RefusedError
from hub.officers import admission, registry_entry
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.keyfile import read_key
from keys.voprf import public_of
from keys.x25519 import sealing_public
from tests.hub.officerkit import ALLIANCE, NOW, home, key, officer

URL = "https://node2.alliance.example"


@pytest.fixture
def state():
    """An alliance whose registry is at node1."""
    log = Signer.generate()
    vkeys = [officer(n).vkey.render() for n in ("anna", "berta")]
    made = Directory(ALLIANCE, 2, tuple(vkeys), size=9)
    node = registry_entry("node", NOW, name="node1", url="https://n.example")
    for entry in (
        json.loads(node),
        key("node/node1", "log", ["log"], log),
        home("registry", "node1", log),
    ):
        made = made.apply(entry)
    return made


def admitted(state, request):
    for one in admission(request, state, NOW):
        state = state.apply(json.loads(one))
    return state


def test_a_members_request_is_admitted_with_its_feeds_home(tmp_path, state):
    request = Enrolment(tmp_path, ALLIANCE, "member", "maison").newcomer()
    parsed = parse_request(render_request(request), "member", ALLIANCE)
    after = admitted(state, parsed)
    assert after.home("maison").node == "node1"
    [mine] = [k for k in after.keys if k.owner == "member/maison"]
    secret = read_key(tmp_path / "private" / "publish.key", kind="ed25519")
    assert (mine.public, mine.label) == (Signer(secret).public, "k1")
    assert mine.roles == ("publish", "request")


def test_an_auditors_key_signs_requests_alone(tmp_path, state):
    request = Enrolment(tmp_path, ALLIANCE, "auditor", "aud").newcomer()
    after = admitted(state, parse_request(render_request(request), "auditor", ALLIANCE))
    assert [k.roles for k in after.keys if k.owner == "auditor/aud"] == [("request",)]


def test_a_node_has_a_key_for_each_role(tmp_path, state):
    enrolment = Enrolment(tmp_path, ALLIANCE, "node", "node2")
    request = enrolment.node(URL, with_token_keys=False)
    after = admitted(state, parse_request(render_request(request), "node", ALLIANCE))
    roles = [k.roles for k in after.keys if k.owner == "node/node2"]
    assert roles == [("log",), ("witness",), ("request",), ("seal",)]
    secret = read_key(tmp_path / "private" / "seal.key", kind="x25519")
    [seal] = after.with_role("seal")
    assert seal.public == sealing_public(secret)


def test_a_first_node_brings_whole_token_keys_and_no_other_does(tmp_path, state):
    enrolment = Enrolment(tmp_path, ALLIANCE, "node", "node2")
    request = enrolment.node(URL, with_token_keys=True)
    assert [k["key"] for k in request["token_keys"]] == ["open-1", "scarce-1"]
    secret = read_key(tmp_path / "private" / "token-open-1.key", kind="voprf")
    public = to_base64(public_of(secret))
    assert request["token_keys"][0]["shares"] == [
        {"node": "node2", "x": 1, "public": public}
    ]
    with pytest.raises(MalformedError, match="only a first node"):
        admission(request, state, NOW)


def test_no_secret_is_in_a_request(tmp_path):
    request = Enrolment(tmp_path, ALLIANCE, "node", "node2").node(
        URL, with_token_keys=True
    )
    text = render_request(request)
    for path in (tmp_path / "private").glob("*.key"):
        secret = path.read_text().split()[-1]
        assert secret not in text, path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_further_keys_have_files_and_labels_of_their_own(tmp_path):
    enrolment = Enrolment(tmp_path, ALLIANCE, "member", "maison")
    enrolment.newcomer()
    for number in range(2, 12):
        label = f"k{number}"
        request = enrolment.further(["publish", "request"], label, None, None)
        assert request["key"]["label"] == label
    names = key_names(tmp_path, "publish")
    assert names == ["publish", *(f"publish-k{n}" for n in range(2, 12))]
    assert [label_of(tmp_path, n) for n in names] == [f"k{n}" for n in range(1, 12)]


def test_a_nodes_labels_bear_their_role(tmp_path):
    enrolment = Enrolment(tmp_path, ALLIANCE, "node", "node2")
    enrolment.node(URL, with_token_keys=False)
    enrolment.further(["log"], "log-2", None, "log")
    assert key_names(tmp_path, "log") == ["log", "log-2"]
    assert [label_of(tmp_path, n) for n in ("log", "log-2")] == ["log", "log-2"]


def test_a_lost_first_key_is_followed_by_one_in_its_place(tmp_path):
    enrolment = Enrolment(tmp_path, ALLIANCE, "member", "maison")
    enrolment.newcomer()
    (tmp_path / "private" / "publish.key").unlink()
    enrolment.further(["publish", "request"], "k2", None, "k1")
    assert key_names(tmp_path, "publish") == ["publish"]
    assert label_of(tmp_path, "publish") == "k2"


def test_a_passphrase_seals_every_key(tmp_path):
    enrolment = Enrolment(tmp_path, ALLIANCE, "auditor", "aud", "secret")
    enrolment.newcomer()
    text = (tmp_path / "private" / "request.key").read_text()
    assert "argon2id" in text


def test_a_request_for_another_alliance_or_of_another_kind_is_refused(tmp_path):
    request = Enrolment(tmp_path, "other.example", "member", "maison").newcomer()
    text = render_request(request)
    with pytest.raises(RefusedError, match=r"not for alliance\.example"):
        parse_request(text, "member", ALLIANCE)
    for kind in ("auditor", "node", "key"):
        with pytest.raises(MalformedError, match="not a request"):
            parse_request(text, kind, "other.example")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "market"},
        {"key": {"owner": "member/market"}},
        {"key": 7},
        {"key": []},
        {"kind": "officer"},
        {"more": 1},
    ],
)
def test_a_request_is_about_one_owner(tmp_path, change):
    """Else a member could slip a key of somebody else under an officer's eyes."""
    request = Enrolment(tmp_path, ALLIANCE, "member", "maison").newcomer()
    with pytest.raises(MalformedError):
        parse_request(json.dumps({**request, **change}), "member", ALLIANCE)


@given(
    st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps),
    st.sampled_from(["member", "auditor", "node", "key"]),
)
def test_any_text_is_a_request_or_an_error_of_ours(text, kind):
    with pytest.raises(HubError):
        parse_request(text, kind, ALLIANCE)


def test_fields_of_a_request_are_checked_when_it_is_admitted(tmp_path, state):
    request = Enrolment(tmp_path, ALLIANCE, "member", "maison").newcomer()
    request["key"]["more"] = 1
    with pytest.raises(MalformedError):
        admission(request, state, NOW)
    del request["key"]["more"]
    request["key"]["proof"] = to_base64(bytes(64))
    with pytest.raises(MalformedError, match="does not verify"):
        admitted(state, request)
