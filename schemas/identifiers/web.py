"""Web identifiers: ``domain`` (a host), ``site`` (registrable domain), ``url``, ``ip``.

A host is lower-case A-labels (UTS 46, non-transitional, as browsers do it), without a
leading ``www.`` and final dot; letters of several scripts in one label stay as they
are. The registrable domain follows the public suffix list, private section included, so
that a shop on a shared platform is its own site. A page is host, port unless 80 or 443,
and path: its letters keep their case, percent-encodings are upper-case and only where
they must be, the slash at the end is dropped, and so is the query, except the keys that
name the page on platforms of :data:`schemas.identifiers.platforms.QUERY_IDS`.
"""

from __future__ import annotations

import ipaddress
import re
from functools import cache

import ada_url
from publicsuffixlist import PublicSuffixList

from schemas.identifiers.cards import refuse_card
from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    Variants,
    clean,
    refang,
)
from schemas.identifiers.platforms import QUERY_IDS

__all__ = ["TYPES", "exact_host", "host_of", "site_of"]

_HOST = re.compile(
    r"(?=.{4,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+"
    r"[a-z][a-z0-9-]{0,61}[a-z0-9]\Z"
)
# A scheme has no dot here: a.example//x is a page. People forget the colon.
_SCHEME = re.compile(r"([a-z][a-z0-9+-]*|\*)?:?//", re.IGNORECASE)
_PERCENT = re.compile(r"%([0-9a-fA-F]{2})?")
# Addresses that many have, each in a network of their own.
_LOCAL_NETWORKS = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 "
    "192.168.0.0/16 224.0.0.0/3 ::/127 fc00::/7 fe80::/10 ff00::/8"
)
_LOCAL = [ipaddress.ip_network(n) for n in _LOCAL_NETWORKS.split()]


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def host_of(text: str) -> str:
    """Return the canonical host of a host, a pattern or a URL.

    Raises:
        IdentifierError: There is no host name in it.
    """
    value = refang(clean(text))
    scheme = _SCHEME.match(value)
    value = value[scheme.end() :] if scheme else value
    value = re.split(r"[/?#\\]", value, maxsplit=1)[0]
    if "@" in value:
        # The host behind it has many mailboxes, and only one of them is meant.
        raise IdentifierError(
            "is a mail address or holds a user's name; write the host"
        )
    host = exact_host(re.sub(r":[0-9]{1,5}\Z", "", value).removeprefix("*"))
    # www.co.uk is a site of its own: what is left must not be a public suffix.
    while host.startswith("www.") and _suffixes().privatesuffix(host[4:]):
        host = host[4:]
    return host


def exact_host(text: str) -> str:
    """Return a bare host name in A-labels, with its ``www.`` if it has one.

    Raises:
        IdentifierError: It is none.
    """
    value = text.strip(".")
    _refuse_address(value)
    host = _a_labels(value)
    if not _HOST.match(host):
        raise IdentifierError("is not a host name")
    return host


def _a_labels(value: str) -> str:
    lower = value.lower()
    if value.isascii() and "xn--" not in lower:
        return lower
    if not re.search(r"[\s%@:]", value):
        try:
            return str(ada_url.URL(f"https://{value}").hostname)
        except ValueError:
            pass
    raise IdentifierError("is not a host name")


def _refuse_address(value: str) -> None:
    if not value[-1:].isdigit() and ":" not in value:
        return
    try:
        ipaddress.ip_address(value.strip("[]"))
    except ValueError:
        return
    raise IdentifierError("is an IP address; report it as type ip")


def site_of(host: str) -> str:
    """Return the registrable domain of a canonical host, or nothing."""
    return _suffixes().privatesuffix(host) or ""


def _domain(text: str, _region: str) -> str:
    return host_of(text)


def _site(text: str, _region: str) -> str:
    found = site_of(host_of(text))
    if not found:
        raise IdentifierError("is a public suffix, not a site")
    return found


def _url(text: str, _region: str) -> str:
    value = refang(clean(text))
    found = _SCHEME.match(value)
    scheme = (found[1] or "https").lower() if found else "https"
    value = value[found.end() :] if found else value
    if scheme not in ("http", "https"):
        raise IdentifierError("is not a web address")
    if not found and "@" in re.split(r"[/?#\\]", value, maxsplit=1)[0]:
        raise IdentifierError("is a mail address; report it as type email")
    try:
        parsed = ada_url.URL(f"{scheme}://{value}")
    except ValueError:
        raise IdentifierError("is not a URL") from None
    host = host_of(parsed.hostname)
    port = "" if parsed.port in ("", "80", "443") else f":{parsed.port}"
    path = _decoded(parsed.pathname).rstrip("/")
    # What is in the name of a host, everybody can see in DNS.
    return f"{host}{port}{refuse_card(path + _query(host, parsed.search))}"


def _decoded(text: str) -> str:
    return _PERCENT.sub(_octet, text) if "%" in text else text


def _octet(found: re.Match[str]) -> str:
    # SPEC: RFC 3986 section 6.2.2: an unreserved character is the same as its octet,
    # and hex digits are equal in either case. A stray % stands for itself.
    if found[1] is None:
        return "%25"
    letter = chr(int(found[1], 16))
    if letter.isascii() and (letter.isalnum() or letter in "-._~"):
        return letter
    return found[0].upper()


def _query(host: str, search: str) -> str:
    if not search:
        return ""
    names = QUERY_IDS.get(host) or QUERY_IDS.get(site_of(host), ())
    pairs = [_decoded(pair) for pair in search[1:].split("&")]
    kept = {p for p in pairs if p.partition("=")[0] in names and p.partition("=")[2]}
    return f"?{'&'.join(sorted(kept))}" if kept else ""


def _ip(text: str, _region: str) -> str:
    value = refang(clean(text)).removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise IdentifierError("is not an IP address") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise IdentifierError("names an interface of one machine; leave out %…")
        address = address.ipv4_mapped or address
    if any(address in network for network in _LOCAL):
        raise IdentifierError("is an address of local networks, which many have")
    return address.compressed


def _of_domain(domain: str) -> Variants:
    site = site_of(domain)
    return [("site", site)] if site else []


def _of_url(url: str) -> Variants:
    host = re.split(r"[:/?]", url, maxsplit=1)[0]
    return [("domain", host), *_of_domain(host)]


TYPES = (
    IdentifierType(
        "domain",
        "open",
        "public in DNS and in certificate logs",
        "host: A-labels, lower case, no `www.`",
        "a host name; `ada-url`",
        _domain,
        (
            "host",
            "hostname",
            "fqdn",
            "domain name",
            "shop domain",
            "domaine",
            "nom de domaine",
            "domäne",
            "domainname",
            "dominio",
            "nombre de dominio",
            "nome di dominio",
            "domein",
            "domeinnaam",
            "domínio",
            "domena",
            "nazwa domeny",
        ),
        _of_domain,
        cards=False,
    ),
    IdentifierType(
        "site",
        "open",
        "public in DNS",
        "registrable domain, private suffixes too",
        "not a public suffix; `publicsuffixlist`",
        _site,
        cards=False,
        by_heading=False,
    ),
    IdentifierType(
        "url",
        "open",
        "public, and too many to list",
        "`host[:port]/path`; of the query only ids on some platforms",
        "a web address; `ada-url`",
        _url,
        (
            "link",
            "shop url",
            "web address",
            "site",
            "website",
            "web site",
            "webpage",
            "homepage",
            "lien",
            "adresse web",
            "site web",
            "webseite",
            "internetseite",
            "webadresse",
            "enlace",
            "sitio web",
            "página web",
            "sito web",
            "indirizzo web",
            "webadres",
            "ligação",
            "endereço web",
            "strona internetowa",
            "adres strony",
        ),
        _of_url,
        cards=False,
    ),
    IdentifierType(
        "ip",
        "open",
        "public, and says little by itself",
        "RFC 5952; IPv4 in IPv6 as IPv4",
        "not of a local network; `ipaddress`",
        _ip,
        ("ip address", "ipv4", "ipv6", "adresse ip", "ip-adresse", "dirección ip"),
        cards=False,
    ),
)
