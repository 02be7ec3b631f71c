"""What a node answers is what the schemas of the API say, and so does OpenAPI."""

from __future__ import annotations

import jsonschema_rs
import pytest
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import RAISE, ValidationError

from hub.access import new_bearer
from hub.api.context import Serving
from hub.app import create_app
from hub.model import new_case_id, new_salt, render_time
from hub.publishing import make_batch
from hub.wiring import build_hub
from keys.note import NoteSigner
from schemas import api
from schemas.base import render_line


@pytest.fixture
def node(harmed):
    hub = build_hub(harmed)
    secret, row = new_bearer("script", "member/maison", days=1, now=hub.clock.now())
    with hub.store.write() as tx:
        tx.node.add_bearer(row)
    serving = Serving(hub, "http://node.example", hub.signer("log"))
    web = create_app(serving).test_client()
    yield hub, web, {"Authorization": f"Bearer {secret}"}
    hub.close()


ANSWERS = [
    ("/v1/whoami", 200, api.WhoAmI),
    ("/v1/feeds", 200, api.Heads),
    ("/v1/feeds/maison/checkpoints", 200, api.Checkpoints),
    ("/v1/directory", 200, api.DirectoryAnswer),
    ("/v1/usage", 200, api.Usage),
    ("/healthz", 200, api.Health),
    ("/readyz", 200, api.Readiness),
    ("/v1/feeds/nobody/checkpoint", 404, api.Problem),
    ("/nowhere", 404, api.Problem),
]


def check(schema, body):
    """Both forms of the schema take the answer, which has no undocumented key."""
    assert schema(unknown=RAISE).load(body)
    spec = APISpec("answers", "1", "3.1.0", plugins=[MarshmallowPlugin()])
    spec.components.schema("Answer", schema=schema)
    found = spec.to_dict()["components"]
    rules = {"$ref": "#/components/schemas/Answer", "components": found}
    jsonschema_rs.validate(rules, body)


@pytest.mark.parametrize(("path", "status", "schema"), ANSWERS)
def test_an_answer_is_as_documented(node, path, status, schema):
    _, web, headers = node
    answer = web.get(path, headers=headers)
    assert answer.status_code == status
    check(schema, answer.json)


def test_a_receipt_is_as_documented(node):
    hub, web, _ = node
    maison = build_hub(hub.folder.parent / "maison")
    signer = NoteSigner("alliance.example/member/maison/k1", maison.signer("publish"))
    line = render_line(
        {
            "kind": "withdrawal",
            "salt": new_salt(),
            "at": render_time(hub.clock.now()),
            "case": new_case_id(),
            "reason": "resolved",
        }
    )
    with hub.store.read() as tx:
        head = hub.registry.current(tx).head
    _, body = make_batch("alliance.example/maison", [line], head, signer)
    answer = web.post(
        "/v1/feeds/maison/batches", data=body, content_type="application/x-ndjson"
    )
    assert answer.status_code == 200
    check(api.Receipt, answer.json)


def test_keys_of_a_later_version_are_ignored():
    later = {"owner": "member/maison", "signed": True, "until": 5}
    assert api.WhoAmI().load(later) == {"owner": "member/maison", "signed": True}
    for wrong in ({"owner": "maison", "signed": True}, {"owner": "member/maison"}):
        with pytest.raises(ValidationError):
            api.WhoAmI().load(wrong)


def test_a_problem_may_name_the_home():
    body = {
        "type": "urn:alliance-hub:not-home",
        "title": "not home",
        "status": 421,
        "detail": "the home of maison is node2",
        "home": "http://127.0.0.1:8750",
    }
    check(api.Problem, body)
