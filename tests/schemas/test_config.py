"""What an operator wrote is understood, or refused by name; never dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import SchemaError
from schemas.config import DEFAULTS, load_config_text, overlay

ROOT = Path(__file__).parents[2]


def refused(text, environ=None):
    with pytest.raises(SchemaError) as caught:
        load_config_text(text, environ or {})
    return caught.value


def test_the_annotated_file_is_the_defaults():
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    assert load_config_text(text, {}) == DEFAULTS
    assert load_config_text("", {}) == DEFAULTS


def test_the_annotated_file_names_every_setting():
    """A default that nobody can find is no default."""
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    for section, keys in DEFAULTS.items():
        body = text.split(f"[{section}]\n")[1].split("\n[")[0]
        written = [line.split(" = ")[0] for line in body.splitlines() if " = " in line]
        assert written == list(keys), section


def test_a_loaded_configuration_shares_nothing_with_the_defaults():
    load_config_text("", {})["client"]["hubs"].append("https://a.example")
    load_config_text("", {})["server"]["threads"] = 1
    assert load_config_text("", {}) == DEFAULTS
    assert DEFAULTS["client"]["hubs"] == []


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("[server]\nlisen = 'x'", "server.lisen", "did you mean server.listen"),
        ("[sever]", "sever", "did you mean server"),
        ("[sever]\nlisten = 'x'", "sever", "did you mean server"),
        ("listen = 'x'", "listen", "in a section"),
        ("[[server]]", "server", "in a section"),
        ("[server]\nthreads = 'many'", "server.threads", "type int"),
        ("[server]\nthreads = true", "server.threads", "type int"),
        ("[server]\nthreads = 4.0", "server.threads", "type int"),
        ("[server]\nthreads = 0", "server.threads", "1 to 1000"),
        ("[server]\nbehind_proxy = 1", "server.behind_proxy", "type bool"),
        ("[server]\nbehind_proxy = 'no'", "server.behind_proxy", "type bool"),
        ("[server]\nlisten = 8750", "server.listen", "type str"),
        ("[client]\nhubs = 'https://a.example'", "client.hubs", "type list"),
        ("[client]\nhubs = [1]", "client.hubs.0", "type str"),
        ("[server]\nlisten = '127.0.0.1'", "server.listen", "like 127.0.0.1:8750"),
        ("[server]\nlisten = '127.0.0.1:'", "server.listen", "like 127.0.0.1:8750"),
        ("[server]\nlisten = ':80'", "server.listen", "like 127.0.0.1:8750"),
        ("[server]\nlisten = 'a:65536'", "server.listen", "like 127.0.0.1:8750"),
        ("[server]\npublic_url = 'https://a.example/'", "server.public_url", "a URL"),
        ("[server]\npublic_url = 'a.example'", "server.public_url", "a URL"),
        ("[server]\ntls_cert = 'a.pem'", "server.tls_key", "goes with tls_cert"),
        ("[server]\ntls_key = 'a.pem'", "server.tls_cert", "goes with tls_key"),
        ("[client]\nhubs = ['a.example']", "client.hubs.0", "a URL such as"),
        ("[client]\nregion = 'France'", "client.region", "two letters"),
        ("[alerts]\nwebhook = 'a.example'", "alerts.webhook", "a URL such as"),
        ("[alliance]\nname = 'My Alliance'", "alliance.name", "alliance.example"),
        ("[alliance]\npin = ''", "alliance.pin", "path of a file"),
        ("[storage]\npath = ''", "storage.path", "path of a file"),
        ("[self]\nname = 'Maison'", "self.name", "a-z"),
        ("[self]\nrole = 'boss'", "self.role", "member, auditor, node"),
        ("[worker]\npull_minutes = -5", "worker.pull_minutes", "1 to"),
        ("[server", "", "not TOML"),
        ("[server]\nthreads = 1\nthreads = 2", "", "not TOML"),
    ],
)
def test_a_wrong_setting_is_named(text, field, message):
    error = refused(text)
    assert error.field == field
    assert message in error.message


def test_the_environment_overlays_the_file():
    environ = {
        "HUB__SERVER__THREADS": "8",
        "HUB__SERVER__BEHIND_PROXY": "True",
        "HUB__CLIENT__HUBS": "https://a.example, https://b.example,",
        "HUB__SELF__NAME": "maison",
        "HUB_DIR": "/elsewhere",
        "PATH": "/bin",
    }
    config = load_config_text("[server]\nthreads = 4\nlisten = '[::1]:80'", environ)
    assert config["server"]["threads"] == 8
    assert config["server"]["listen"] == "[::1]:80"
    assert config["server"]["behind_proxy"] is True
    assert config["client"]["hubs"] == ["https://a.example", "https://b.example"]
    assert config["self"]["name"] == "maison"


@pytest.mark.parametrize(
    "listen",
    ["127.0.0.1:0", "[::1]:80", "localhost:65535", "0.0.0.0:443", "unix:/run/hub.sock"],
)
def test_addresses_to_listen_on(listen):
    text = f"[server]\nlisten = '{listen}'"
    assert load_config_text(text, {})["server"]["listen"] == listen


def test_the_overlay_changes_nothing_that_it_was_given():
    given = {"server": {"threads": 4}}
    found = overlay(given, {"HUB__SERVER__THREADS": "8", "HUB__SELF__ROLE": "node"})
    assert found == {"server": {"threads": 8}, "self": {"role": "node"}}
    assert given == {"server": {"threads": 4}}


def test_an_empty_variable_is_an_empty_list():
    text = "[client]\nhubs = ['https://a.example']"
    assert load_config_text(text, {"HUB__CLIENT__HUBS": ""})["client"]["hubs"] == []


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("HUB__SERVER__LISEN", "x", "server.lisen"),
        ("HUB__SERVER", "x", "server."),
        ("HUB__SERVER__THREADS__X", "8", "server.threads__x"),
        ("HUB__SERVER__BEHIND_PROXY", "treu", "server.behind_proxy"),
        ("HUB__SERVER__THREADS", "1_0", "server.threads"),
        ("HUB__SERVER__THREADS", " 8", "server.threads"),
        ("HUB__SERVER__THREADS", "8\n", "server.threads"),
        ("HUB__SERVER__THREADS", "٨", "server.threads"),
        ("HUB__SERVER__THREADS", "9" * 5000, "server.threads"),
    ],
)
def test_a_wrong_variable_is_named(name, value, field):
    assert refused("", {name: value}).field == field


@given(st.sampled_from(list(DEFAULTS)), st.data())
def test_any_value_loads_as_written_or_is_refused(section, data):
    """A setting is never turned into something else."""
    key = data.draw(st.sampled_from(list(DEFAULTS[section])))
    value = data.draw(
        st.one_of(st.booleans(), st.integers(-9, 9), st.lists(st.just("a"), max_size=2))
    )
    text = f"[{section}]\n{key} = {json.dumps(value)}\n"
    try:
        found = load_config_text(text, {})[section][key]
    except SchemaError:
        return
    assert found == value
    assert type(found) is type(value)
