"""Bearer tokens, who read what, and bringing an old database up to date."""

from __future__ import annotations

import base64
import json

import pytest
from click.testing import CliRunner

from hub.cli import hub
from hub.errors import ConfigError, MalformedError, RefusedError, UnavailableError
from hub.model import render_time
from hub.store import schema
from hub.store.sqlite import SqliteStore
from tests.hub.api.served import NOW, Served, slug
from tests.running import running


def run(folder, *words):
    """Run a command in this process and return what it says as JSON."""
    done = CliRunner().invoke(
        hub, ["--dir", str(folder), "--json", *map(str, words)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_a_token_reads_until_it_is_revoked(harmed):
    token = run(harmed, "access", "new", "script", "--owner", "member/maison")["token"]
    node = Served(harmed)
    headers = {"Authorization": f"Bearer {token}"}

    def ask(path, method="GET", **more):
        return node.web.open(path, method=method, headers=headers, **more)

    assert ask("/v1/whoami").json == {"owner": "member/maison", "signed": False}
    assert ask("/v1/feeds/maison/entries").status_code == 200
    # It only reads: evaluating is for keys.
    refused = ask(
        "/v1/tokens/open-1",
        "POST",
        data=bytes(32),
        content_type="application/octet-stream",
    )
    assert slug(refused) == "unauthenticated"
    run(harmed, "access", "revoke", "script")
    assert slug(ask("/v1/whoami")) == "bad-bearer"
    node.close()


@pytest.mark.parametrize("user", ["", "script", "a:b".partition(":")[0], "ä"])
def test_a_token_may_be_a_password(harmed, user):
    """For clients that know nothing but Basic, whatever name they send."""
    token = run(harmed, "access", "new", "script", "--owner", "member/maison")["token"]
    node = Served(harmed)
    for secret, status in ((token, 200), (token + "x", 401), ("", 401)):
        packed = base64.b64encode(f"{user}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {packed}"}
        assert node.web.get("/v1/whoami", headers=headers).status_code == status
    for field in ("Basic", "Basic !", "Basic " + token, f"Digest {token}", "x", token):
        headers = {"Authorization": field}
        assert slug(node.web.get("/v1/whoami", headers=headers)) == "bad-bearer"
    node.close()


def test_a_token_ends(harmed):
    node = Served(harmed)
    headers = {"Authorization": f"Bearer {node.bearer(days=1)}"}
    node.clock.time += 86399
    assert node.web.get("/v1/whoami", headers=headers).status_code == 200
    node.clock.time += 1
    assert slug(node.web.get("/v1/whoami", headers=headers)) == "bad-bearer"
    node.close()


@pytest.mark.parametrize("owner", ["member/nobody", "maison", "officer/officer1", ""])
def test_a_token_has_an_owner_of_the_registry(harmed, owner):
    with pytest.raises(RefusedError) as refused:
        run(harmed, "access", "new", "script", "--owner", owner)
    assert refused.value.code == "unknown-owner"
    assert run(harmed, "access", "list")["tokens"] == []


def test_who_read_what_is_shown(harmed):
    """Lines of members' feeds; the registry and the log are for everybody."""
    node = Served(harmed)
    for path in (
        "/v1/feeds/maison/entries?from=1&to=3",
        "/v1/feeds/registry/entries",
        "/v1/feeds/maison/checkpoint",
        "/v1/feeds",
    ):
        assert node.ask("GET", path).status_code == 200
    node.clock.time += 86400
    assert node.ask("GET", "/v1/feeds/maison/entries?from=0").status_code == 200
    assert node.web.get("/v1/feeds/maison/entries").status_code == 401
    node.close()
    first, second = run(harmed, "access", "reads")["reads"]
    read = {"at": render_time(NOW), "who": "member/maison", "feed": "maison"}
    assert first == {**read, "from": 1, "to": 3}
    assert (second["from"], second["to"]) == (0, 5)
    later = render_time(NOW + 1)
    assert run(harmed, "access", "reads", "--since", later)["reads"] == [second]
    assert run(harmed, "access", "reads", "--who", "member/market")["reads"] == []
    one = run(harmed, "access", "reads", "--limit", 1)
    assert (one["reads"], one["more"]) == ([first], True)
    text = CliRunner().invoke(
        hub, ["--dir", str(harmed), "access", "reads", "--limit", "1"]
    )
    assert "There are more" in text.output
    with pytest.raises(MalformedError):
        run(harmed, "access", "reads", "--since", "yesterday")


@pytest.fixture
def newer(monkeypatch):
    """A hub that knows one migration more than the one that wrote the database."""
    known = list(schema.MIGRATIONS._migrations)
    monkeypatch.setattr(schema.MIGRATIONS, "_migrations", known)

    @schema.MIGRATIONS(name="9999_extra")
    def _extra(db):
        db.execute("CREATE TABLE extra (id)")


@pytest.mark.usefixtures("newer")
def test_an_old_database_is_copied_and_brought_up_to_date(harmed):
    with pytest.raises(ConfigError) as refused:
        run(harmed, "access", "list")
    assert "hub migrate" in refused.value.advice
    planned = run(harmed, "migrate", "--dry-run")
    assert planned == {"migrations": ["9999_extra"], "applied": False, "kept": None}
    done = run(harmed, "migrate")
    assert done["migrations"] == ["9999_extra"]
    SqliteStore(harmed / "hub.db").close()
    from pathlib import Path

    kept = Path(done["kept"])
    assert kept.parent == harmed
    # What was kept is the old database, which still needs the same step.
    kept.replace(harmed / "hub.db")
    assert run(harmed, "migrate", "--dry-run")["migrations"] == ["9999_extra"]
    again = run(harmed, "migrate")
    assert again["migrations"] == ["9999_extra"]
    assert run(harmed, "migrate")["kept"] is None
    assert run(harmed, "access", "list")["tokens"] == []


@pytest.mark.usefixtures("newer")
def test_nothing_is_migrated_while_it_is_served(harmed):
    """The server knows no newer version, and this command does."""
    with running(harmed), pytest.raises(UnavailableError) as refused:
        run(harmed, "migrate")
    assert refused.value.code == "already-served"
    assert not list(harmed.glob("hub.db.version-*"))
