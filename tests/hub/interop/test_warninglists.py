"""Warning lists hold what they say, and nothing that only looks similar."""

import json
from pathlib import Path

import pytest

from hub.errors import MalformedError
from hub.interop.warninglists import (
    guard,
    is_shared_host,
    is_shared_site,
    parse_warning_list,
    shared_hosts,
)

DATA = Path(__file__).parents[4] / "shared" / "data" / "warninglists"


def matcher(kind, *values):
    body = {"name": "n", "type": kind, "version": 1, "list": values}
    return parse_warning_list(json.dumps(body).encode()).match


def test_hostnames_hold_for_the_host_and_below():
    match = matcher("hostname", "Host.Example", ".other.example")
    assert match("domain", "host.example") == "host.example"
    assert match("domain", "a.b.host.example") == "host.example"
    assert match("url", "a.other.example:8080/x") == "other.example"
    assert match("url", "shop.example/host.example") is None
    assert match("email", "a@host.example") == "host.example"
    assert match("domain", "myhost.example") is None
    assert match("domain", "example") is None
    assert match("seller", "host.example") is None


def test_strings_substrings_and_patterns():
    assert matcher("string", "A@shop.example")("email", "a@shop.example")
    assert not matcher("string", "a@shop")("email", "a@shop.example")
    assert matcher("substring", "SHOP")("domain", "my-shop.example") == "shop"
    match = matcher("regex", "/^(abuse|noc)\\@.*$/i", "^x")
    assert match("email", "abuse@shop.example")
    assert match("domain", "x.example") == "^x"
    assert match("email", "my-abuse@shop.example") is None


def test_networks():
    match = matcher("cidr", "192.0.2.0/25", "198.51.100.7", "2001:db8::/32")
    assert match("ip", "192.0.2.127") == "192.0.2.0/25"
    assert match("ip", "192.0.2.128") is None
    assert match("ip", "198.51.100.7") == "198.51.100.7/32"
    assert match("ip", "2001:db8::1") == "2001:db8::/32"
    assert match("domain", "shop.example") is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"name": "n", "type": "hostname"}',
        b'{"name": "n", "type": "other", "list": []}',
        b'{"name": "n", "type": "string", "list": [1]}',
        b'{"name": "n", "type": "string", "list": "abc"}',
        b'{"name": "n", "type": "regex", "list": ["/(/"]}',
        b'{"name": "n", "type": "cidr", "list": ["shop.example"]}',
        b'{"name": "n", "type": [], "list": []}',
    ],
)
def test_what_is_no_warning_list(raw):
    with pytest.raises(MalformedError, match="warning list"):
        parse_warning_list(raw)


def test_shared_hosts_ship():
    assert is_shared_host("url", "linktr.ee/somebody")
    assert is_shared_host("domain", "shop1.myshopify.com")
    assert not is_shared_host("domain", "shop.example")
    assert shared_hosts().kind == "hostname"


def test_sites_of_shared_hosts():
    """A name of one's own under a builder is not shared; what lies above a host is."""
    assert is_shared_site("linktr.ee")
    assert is_shared_site("google.com")
    assert not is_shared_site("shop1.myshopify.com")
    assert not is_shared_site("shop.example")


def test_real_warning_lists():
    """Every list of the MISP project is read, and holds an element of its own."""
    files = sorted(DATA.glob("*.json"))
    if not files:
        pytest.skip(
            "needs ../shared/data/warninglists, which is no part of the project"
        )
    for file in files:
        found = parse_warning_list(file.read_bytes())
        first = json.loads(file.read_bytes())["list"][0]
        if found.kind in ("hostname", "string"):
            assert found.match("domain", first.lower().strip(".")), file.name


def test_matching_attributes_say_for_which_types_a_list_holds():
    """A list of popular hosts says nothing against a mailbox there."""
    body = {"name": "n", "type": "hostname", "version": 1, "list": ["host.example"]}
    body["matching_attributes"] = ["hostname", "domain", "url"]
    match = parse_warning_list(json.dumps(body).encode()).match
    assert match("domain", "host.example")
    assert match("url", "host.example/x")
    assert match("email", "a@host.example") is None
    body["matching_attributes"] = ["email-src"]
    match = parse_warning_list(json.dumps(body).encode()).match
    assert match("email", "a@host.example")
    assert match("domain", "host.example") is None
    for wrong in ("domain", [1], {}):
        raw = json.dumps({**body, "matching_attributes": wrong}).encode()
        with pytest.raises(MalformedError, match="matching_attributes"):
            parse_warning_list(raw)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("domain", "instagram.com"),
        ("domain", "m.facebook.com"),
        ("domain", "de.aliexpress.com"),
        ("domain", "google.com"),
        ("domain", "docs.google.com"),
        ("domain", "myshopify.com"),
        ("site", "instagram.com"),
        ("url", "instagram.com"),
        ("url", "linktr.ee:8080"),
    ],
)
def test_a_shared_host_as_such_is_held_back(kind, value):
    assert "strangers have pages" in guard(())(kind, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("url", "instagram.com/fakes"),
        ("url", "docs.google.com/forms/d/1"),
        ("domain", "fakes.myshopify.com"),
        ("site", "fakes.myshopify.com"),
        ("domain", "fakes.bigcartel.com"),
        ("domain", "shop.example"),
        ("email", "boss@outlook.example"),
        ("email", "x@facebook.com"),
        ("seller", "instagram.com"),
    ],
)
def test_one_page_or_shop_on_a_shared_host_is_not(kind, value):
    assert guard(())(kind, value) is None


def test_the_guard_asks_every_list_and_names_the_one_that_holds():
    """The reason names the list and the type, and never the identifier."""
    lists = [
        parse_warning_list(
            json.dumps({"name": n, "type": "string", "version": 1, "list": v}).encode()
        )
        for n, v in (("One", ["a.example"]), ("Two", ["b.example"]))
    ]
    held = guard(lists)
    assert (
        held("domain", "b.example")
        == "domain is on the allow list 'Two'; or say --force"
    )
    assert held("domain", "c.example") is None
