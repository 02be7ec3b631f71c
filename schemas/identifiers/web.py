"""Web identifiers: ``domain`` (a host), ``site`` (registrable domain), ``url``.

A host is lower-case A-labels (UTS 46, non-transitional), without a leading ``www.`` and
final dot. The registrable domain follows the public suffix list, private section
included, so that a shop on a shared platform is its own site.
"""

from __future__ import annotations

import ipaddress
import re
from functools import cache

import ada_url
import idna
from publicsuffixlist import PublicSuffixList

from schemas.identifiers.kinds import IdentifierError, IdentifierType, clean

__all__ = ["TYPES", "host_of"]

_HOST = re.compile(
    r"(?=.{4,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+"
    r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*|\*):?//", re.IGNORECASE)
_UNRESERVED = re.compile(r"%(2[dDeE]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF]|7[eE])")


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def host_of(text: str) -> str:
    """Return the canonical host of a host, a pattern or a URL.

    Raises:
        IdentifierError: There is no host name in it.
    """
    value = _SCHEME.sub("", clean(text), count=1)
    value = re.split(r"[/?#\\]", value, maxsplit=1)[0].rpartition("@")[2]
    value = re.sub(r":[0-9]{1,5}\Z", "", value).removeprefix("*.").rstrip(".")
    _refuse_address(value)
    try:
        host = idna.encode(value, uts46=True, transitional=False).decode().lower()
    except idna.IDNAError:
        host = value.lower()
    while host.startswith("www.") and host.count(".") > 1:
        host = host.removeprefix("www.")
    if not _HOST.match(host):
        raise IdentifierError("is not a host name")
    return host


def _refuse_address(value: str) -> None:
    try:
        ipaddress.ip_address(value.strip("[]"))
    except ValueError:
        return
    raise IdentifierError("is an IP address; report it as type ip")


def _domain(text: str, _region: str) -> str:
    return host_of(text)


def _site(text: str, _region: str) -> str:
    found = _suffixes().privatesuffix(host_of(text))
    if not found:
        raise IdentifierError("is a public suffix, not a site")
    return str(found)


def _url(text: str, _region: str) -> str:
    value = clean(text)
    value = value if _SCHEME.match(value) else f"https://{value}"
    try:
        parsed = ada_url.URL(value)
    except ValueError:
        raise IdentifierError("is not a URL") from None
    if parsed.protocol not in ("http:", "https:"):
        raise IdentifierError("is not a web address")
    path = _UNRESERVED.sub(lambda m: chr(int(m[1], 16)), parsed.pathname).rstrip("/")
    port = f":{parsed.port}" if parsed.port else ""
    return f"{host_of(parsed.hostname)}{port}{path}"


def _ip(text: str, _region: str) -> str:
    try:
        return ipaddress.ip_address(clean(text).strip("[]")).compressed
    except ValueError:
        raise IdentifierError("is not an IP address") from None


def _of_domain(domain: str) -> list[tuple[str, str]]:
    try:
        return [("site", _site(domain, ""))]
    except IdentifierError:
        return []


def _of_url(url: str) -> list[tuple[str, str]]:
    host = re.split(r"[:/]", url, maxsplit=1)[0]
    return [("domain", host), *_of_domain(host)]


TYPES = (
    IdentifierType(
        "domain",
        "open",
        _domain,
        (
            "host",
            "hostname",
            "fqdn",
            "domain name",
            "dominio",
            "domaine",
            "shop domain",
        ),
        _of_domain,
    ),
    IdentifierType("site", "open", _site, ("website", "registrable domain")),
    IdentifierType(
        "url", "open", _url, ("link", "shop url", "web address", "address"), _of_url
    ),
    IdentifierType("ip", "open", _ip, ("ip address", "ipv4", "ipv6")),
)
