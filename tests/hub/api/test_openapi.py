"""The document says what the node does: valid, whole, and true under a fuzzer."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks as openapi_checks
from schemathesis.specs.openapi.definitions import OPENAPI_31

from schemas import api as shapes
from tests.hub.api.served import NDJSON, OCTETS, Served

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ANSWERS = {
    ("get", "/v1/whoami"): "WhoAmI",
    ("get", "/v1/feeds"): "Heads",
    ("get", "/v1/feeds/{feed}/checkpoints"): "Checkpoints",
    ("get", "/v1/feeds/{feed}/receipts/{first}"): "Receipt",
    ("post", "/v1/feeds/{feed}/batches"): "Receipt",
    ("get", "/v1/directory"): "DirectoryAnswer",
    ("get", "/v1/usage"): "Usage",
    ("get", "/v1/peers"): "Peers",
    ("get", "/v1/evidence"): "EvidenceList",
    ("post", "/v1/evidence"): "EvidenceTaken",
    ("get", "/healthz"): "Health",
    ("get", "/readyz"): "Readiness",
}


@pytest.fixture
def document(served):
    answer = served.web.get("/openapi.json")
    assert answer.content_type == "application/json"
    return answer.json


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method, path, operation


def test_the_document_is_openapi_3_1(document):
    """By the official schema of OpenAPI 3.1; its schemas are JSON Schema 2020-12."""
    assert document["openapi"] == "3.1.0"
    jsonschema_rs.validate(OPENAPI_31, document)
    named = document["components"]["schemas"]
    assert named
    for schema in named.values():
        jsonschema_rs.meta.validate({"$schema": DRAFT, **schema})
        # Every reference leads somewhere.
        whole = {**schema, "components": document["components"]}
        jsonschema_rs.Draft202012Validator(whole)


def test_every_route_is_in_it(served, document):
    """With every method that is not made up by the framework."""
    rules = set()
    for rule in served.app.url_map.iter_rules():
        if rule.rule in ("/openapi.json", "/static/<path:filename>"):
            continue
        path = re.sub(r"<(?:[a-z]+:)?([a-z]+)>", r"{\1}", rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            rules.add((method.lower(), path))
    assert rules == {(method, path) for method, path, _ in operations(document)}


def test_every_answer_is_linked_to_its_schema(document):
    found = {}
    for method, path, operation in operations(document):
        error = operation["responses"]["default"]
        assert error == {"$ref": "#/components/responses/DEFAULT_ERROR"}
        good = operation["responses"]["200"]["content"]
        (media,) = good
        if media == "application/json":
            name = good[media]["schema"]["$ref"].rpartition("/")[2]
            found[method, path] = name
            assert hasattr(shapes, name)
    assert found == ANSWERS
    problem = document["components"]["responses"]["DEFAULT_ERROR"]["content"]
    assert list(problem) == ["application/problem+json"]


def test_bodies_and_authentication_are_described(document):
    by_name = {(m, p): o for m, p, o in operations(document)}
    schemes = document["components"]["securitySchemes"]
    assert set(schemes) == {"signature", "bearer", "basic"}
    for method, _, operation in operations(document):
        assert operation["summary"]
        assert ("requestBody" in operation) == (method == "post")
        for choice in operation.get("security", []):
            assert set(choice) <= set(schemes)
    batch = by_name["post", "/v1/feeds/{feed}/batches"]
    assert list(batch["requestBody"]["content"]) == [NDJSON]
    tokens = by_name["post", "/v1/tokens/{key}"]
    assert tokens["security"] == [{"signature": []}]
    assert list(tokens["requestBody"]["content"]) == [OCTETS]
    readers = {
        p for (_, p), o in by_name.items() if {"bearer": []} in o.get("security", [])
    }
    assert readers == {
        "/v1/feeds/{feed}/entries",
        "/v1/whoami",
        "/v1/usage",
        "/v1/peers",
    }


def test_what_needs_authentication_is_what_says_so(served, document):
    """Nothing else answers 401 to a stranger, and all of that does."""
    for method, path, operation in operations(document):
        filled = path.replace("{feed}", "maison").replace("{key}", "open-1")
        filled = re.sub(r"\{[a-z]+\}", "0", filled)
        media = next(iter(operation.get("requestBody", {}).get("content", {})), None)
        answer = served.web.open(
            filled, method=method.upper(), data=bytes(32), content_type=media
        )
        assert (answer.status_code == 401) == bool(operation.get("security")), path


# What a random request may break. That a well-formed one is accepted is not among them:
# a random batch is signed by nobody.
WANTED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "missing_required_header",
]


@schemathesis.serializer(NDJSON)
def as_lines(_context, value):
    """Send whatever the fuzzer thought of as lines."""
    lines = value if isinstance(value, list) else [value]
    return b"".join(
        (x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_a_fuzzer_finds_no_answer_that_the_document_does_not_say(harmed, mode):
    """Every operation, with random parameters, headers and bodies, in this process."""
    node = Served(harmed)
    node.serving.limits._most = dict.fromkeys(node.serving.limits._most, 0)
    schema = schemathesis.openapi.from_wsgi("/openapi.json", node.app)
    known = vars(openapi_checks) | {"not_a_server_error": not_a_server_error}
    checks = [known[name] for name in WANTED]
    seen = SimpleNamespace(count=0, statuses=set())
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=15,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
        def ask(case):
            sent = bearer(node) if seen.count % 2 else {}
            answer = case.call(headers=sent)
            seen.count += 1
            seen.statuses.add(answer.status_code)
            # A token that is good makes a bad signature beside it harmless.
            asked = [c for c in checks if not sent or c.__name__ != "ignored_auth"]
            case.validate_response(answer, checks=asked, headers=sent)

        try:
            ask()
        except Unsatisfiable:
            # What takes no parameter and no body cannot be asked wrongly.
            assert mode == "negative"
            assert not operation.body
    assert seen.count > 100
    assert 500 not in seen.statuses
    node.close()


def bearer(node):
    return {"Authorization": f"Bearer {node.bearer()}"}
