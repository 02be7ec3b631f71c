"""What caches may keep, and what only readers see."""

from __future__ import annotations

import pytest

from tests.hub.api.served import Served, report_line, slug

LOG = [
    "/v1/feeds/maison/checkpoint",
    "/v1/feeds/maison/checkpoints",
    "/v1/feeds/maison/tile/0/000.p/5",
    "/v1/feeds/maison/tile/entries/000.p/5",
    "/v1/feeds/maison/proof/1",
    "/v1/feeds/maison/receipts/0",
]


def test_tiles_are_for_ever_and_heads_are_not(served):
    lines = [report_line() for _ in range(300)]
    assert served.publish(served.batch(*lines)).status_code == 200
    for tile in ("0/000", "0/001.p/50", "entries/000", "entries/001.p/50", "1/000.p/1"):
        answer = served.web.get(f"/v1/feeds/maison/tile/{tile}")
        assert answer.status_code == 200, tile
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.content_type == "application/octet-stream"
    for path in ("checkpoint", "proof/1"):
        answer = served.web.get(f"/v1/feeds/maison/{path}")
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.content_type == "text/plain; charset=utf-8"


def test_what_is_not_there_yet_is_not_kept(served):
    for path in ("tile/0/001", "tile/0/000.p/6", "proof/99", "receipts/1"):
        answer = served.web.get(f"/v1/feeds/maison/{path}")
        assert answer.status_code == 404
        assert answer.headers["Cache-Control"] == "no-store"


def test_lines_are_the_callers_alone(served):
    answer = served.ask("GET", "/v1/feeds/maison/entries")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Authorization" in answer.headers["Vary"]
    for path in ("/v1/whoami", "/v1/usage"):
        assert "private" in served.ask("GET", path).headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/v1/feeds", "/v1/directory"])
def test_an_etag_saves_the_body_until_something_changes(served, path):
    first = served.web.get(path)
    again = served.web.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == "no-cache"
    other = served.web.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.data) == (200, first.data)
    from hub.officers import registry_entry
    from tests.hub.api.served import NOW

    served.registry(registry_entry("member", NOW, name="late"))
    changed = served.web.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200


def test_the_log_is_public_unless_the_operator_says_otherwise(harmed, monkeypatch):
    """Then it needs a reader, but for the registry's: a newcomer begins with it."""
    public = Served(harmed)
    for path in LOG:
        assert public.web.get(path).status_code == 200, path
    assert {f["feed"] for f in public.web.get("/v1/feeds").json["feeds"]} == {
        "maison",
        "registry",
    }
    public.close()
    monkeypatch.setenv("HUB__SERVER__PUBLIC_LOG", "false")
    closed = Served(harmed)
    for path in LOG:
        answer = closed.web.get(path)
        assert (answer.status_code, slug(answer)) == (401, "unauthenticated"), path
        read = closed.ask("GET", path)
        assert read.status_code == 200
        assert "public" not in read.headers.get("Cache-Control", "")
        assert closed.web.get(path.replace("maison", "registry")).status_code in (
            200,
            404,
        )
    assert [f["feed"] for f in closed.web.get("/v1/feeds").json["feeds"]] == [
        "registry"
    ]
    assert len(closed.ask("GET", "/v1/feeds").json["feeds"]) == 2
    assert closed.web.get("/v1/feeds/registry/entries").status_code == 200
    closed.close()
