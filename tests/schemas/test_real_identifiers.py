"""Real lists: nothing crashes, every refusal is right, spellings of one give one form."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.identifiers import IdentifierError, canonicalise, variants

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real input stands beside the project and is absent"
)
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def lines(name):
    return (DATA / name).read_text(encoding="utf-8").split("\n")


def warninglist(name):
    return json.loads((DATA / "warninglists" / f"{name}.json").read_text())["list"]


def shops():
    return sorted(
        {r["domain"] for r in csv.DictReader(lines("scam_shop_lifecycle_2024.csv"))}
    )


def hosts():
    rows = lines("scam_shops_durablenapkin_hosts.txt")
    return [w for r in rows if r and r[0] != "#" for w in r.split()[1:]]


def patterns():
    return list(filter(None, lines("fake_shops_jp_exoego.txt")))


def sort_out(kind, texts):
    """Return {text: form} of those that are good, {text: reason} of the others."""
    good, bad = {}, {}
    for text in texts:
        try:
            good[text] = canonicalise(kind, text)
        except IdentifierError as error:
            bad[text] = str(error)
    assert all(canonicalise(kind, form) == form for form in good.values())
    return good, bad


def test_hosts_of_block_lists():
    """One of 3,179 patterns is no host but an expression over addresses."""
    good, bad = sort_out("domain", patterns())
    assert len(good) == 3178
    assert [b for b in bad if not b.startswith("/^")] == []
    # Two lines have a scheme in the middle, so that their host is in doubt; the table
    # reader takes the host before it, the canonical form takes none.
    good, bad = sort_out("domain", hosts())
    assert all("://" in b for b in bad)
    assert len(bad) <= 2
    for host, form in good.items():
        assert good.get(f"www.{host}", form) == form


def test_domains_of_shops():
    good, bad = sort_out("domain", shops())
    assert len(good) == 21_014
    assert all(
        re.fullmatch("[0-9.]+", b) and "type ip" in why for b, why in bad.items()
    )
    assert len(sort_out("ip", bad)[0]) == len(bad)
    pages, bad = sort_out("url", [f"https://www.{d}/a/?b=c" for d in good])
    assert not bad
    for form in pages.values():
        assert ("domain", form.partition("/")[0]) in variants("url", form)


def test_sites_of_shops():
    """Names that lend theirs to strangers are public suffixes: they have no site."""
    good, bad = sort_out("site", sort_out("domain", shops())[0])
    assert len(good) == 21_010
    assert all(b == "eth.limo" or b.endswith(".eth.limo") for b in bad)


def test_mail_hosts():
    """A host that is good as a domain is good behind an @."""
    names = {*filter(None, lines("disposable_email_domains.txt"))}
    names |= {*warninglist("disposable-email")}
    good, bad = sort_out("email", [f"Jane.Doe+1@{name}" for name in names])
    assert not bad
    assert all(canonicalise("domain", f.partition("@")[2]) for f in good.values())
    [*inboxes] = {v for f in good.values() for v in variants("email", f)}
    assert all(v.startswith("jane.doe@") for _, v in inboxes)


@pytest.mark.parametrize(
    ("name", "refused"),
    [("tranco10k", 0), ("bank-website", 1), ("url-shortener", 0), ("link-in-bio", 0)],
)
def test_popular_hosts(name, refused):
    """What is refused is a top-level domain that somebody owns."""
    _, bad = sort_out("domain", warninglist(name))
    assert len(bad) == refused
    assert all("." not in b.strip(".") for b in bad)


def test_addresses_of_parking_services():
    texts = [n.partition("/")[0] for n in warninglist("parking-domain")]
    assert not sort_out("ip", texts)[1]


def changed(address):
    """Yield an address with each of its characters changed in turn."""
    letters, start = BASE58, 0
    if address.startswith("bc1"):
        letters, start = BECH32, 3
    for place in range(start, len(address)):
        other = letters[(letters.index(address[place]) + 1 + place) % len(letters)]
        if other != address[place]:
            yield address[:place] + other + address[place + 1 :]


@pytest.mark.parametrize("asset", ["XBT", "LTC", "TRX", "USDT", "ZEC", "ETH", "XMR"])
def test_wallets(asset):
    """All are accepted but a payment id, and every slip is noticed that can be."""
    texts = list(filter(None, lines(f"crypto_addresses/{asset}.txt")))
    good, bad = sort_out("wallet", texts)
    assert all(re.fullmatch("[0-9a-f]{64}", b) for b in bad)
    assert len(bad) == (asset == "XMR")
    for address in good:
        if address.startswith("0x"):
            assert canonicalise("wallet", f"0x{address[2:].upper()}") == address.lower()
        elif asset != "XMR":
            assert not sort_out("wallet", changed(address))[0]


def spellings(pattern):
    """Return a strategy of numbers that a pattern of the list describes."""
    body = pattern[1 : pattern.rindex("/")]
    return st.from_regex(body, fullmatch=True).filter(str.isascii)


@pytest.mark.parametrize(
    ("region", "code", "abroad"),
    [("GB", "44", "00"), ("SE", "46", "00"), ("AU", "61", "0011")],
)
def test_numbers_that_nobody_has(region, code, abroad):
    """Made of the ranges that are kept free for films: all spellings are one number."""
    ranges = [p for p in warninglist("phone_numbers") if f"00){code})" in p]
    assert ranges

    @settings(suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(ranges).flatmap(spellings))
    def all_alike(text):
        national = re.sub(rf"^(?:\+|00){code}", "", text)
        texts = [
            canonicalise("phone", f"{front}{code}{national[:3]} {national[3:]}", region)
            for front in ("+", abroad)
        ]
        if national.startswith("0"):
            texts.append(canonicalise("phone", national, region))
            texts.append(canonicalise("phone", f"+{code} (0){national[1:]}"))
            texts.append(canonicalise("phone", f"+{code}{national[1:]} ext. 1"))
        assert len(set(texts)) == 1
        assert texts[0].startswith(f"+{code}")

    all_alike()
