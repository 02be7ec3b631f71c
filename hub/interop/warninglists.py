"""Lists of what is no sign of a counterfeiter: shared hosts, role mailboxes, and so on.

The form is that of the MISP project's warning lists, a JSON object::

    {"name": "...", "type": "hostname", "version": 1, "list": ["host.example"]}

with these types: ``hostname`` (the host or a parent of it), ``substring``, ``string``
(the whole value), ``regex`` (``/pattern/flags`` or a pattern) and ``cidr``. With
``matching_attributes`` a list holds only for the identifier types that these MISP
attributes stand for. Lists warn or guard; they never decide that something is harmless.

A list with the names of hosts on which strangers have pages ships; the site of such a
host is never reported on behalf of one page.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from hub.errors import MalformedError

__all__ = [
    "WarningList",
    "guard",
    "is_shared_host",
    "is_shared_site",
    "parse_warning_list",
    "shared_hosts",
]

_HOSTS = frozenset({"domain", "hostname", "domain|ip", "hostname|port"})
_ADDRESSES = frozenset({"ip-src", "ip-dst", "ip-src|port", "ip-dst|port", "domain|ip"})
_MAILS = frozenset(
    {
        "email",
        "email-dst",
        "email-src",
        "email-reply-to",
        "target-email",
        "whois-registrant-email",
        "dns-soa-email",
    }
)
_ATTRIBUTES: dict[str, frozenset[str]] = {
    "domain": _HOSTS,
    "site": _HOSTS,
    "url": frozenset({"url", "uri", "link"}),
    "ip": _ADDRESSES,
    "email": _MAILS,
    "mailbox": _MAILS,
    "phone": frozenset({"phone-number", "whois-registrant-phone"}),
    "iban": frozenset({"iban"}),
    "bank-account": frozenset({"bank-account-nr"}),
    "wallet": frozenset({"btc", "dash", "xmr"}),
}
_WEB = ("domain", "site", "url", "email", "mailbox")
_SLASHED = re.compile(r"/(.*)/([a-z]*)", re.DOTALL)
_FLAGS = {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE}
_MAX_PATTERN = 1000

Matcher = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class WarningList:
    """A list that was read.

    Args:
        name: Its name, for messages.
        kind: One of the types that the module describes.
        elements: As they are written in the list.
        match: (identifier type, canonical form) to the element that holds, or None.
    """

    name: str
    kind: str
    elements: tuple[str, ...]
    match: Matcher


def parse_warning_list(raw: bytes) -> WarningList:
    """Read a warning list.

    Raises:
        MalformedError: Not such a list, or an element cannot be used.
    """
    try:
        body = json.loads(raw)
        name, kind, values = body["name"], body["type"], body["list"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MalformedError(
            "not a warning list: name, type and list are needed",
            code="bad-warning-list",
        ) from None
    texts = isinstance(values, list) and all(isinstance(v, str) and v for v in values)
    if str(kind) not in _MATCHERS or not isinstance(name, str) or not texts:
        raise MalformedError(
            f"warning list {str(name)[:60]!r}: needs a type of "
            f"{', '.join(_MATCHERS)} and a list of texts",
            code="bad-warning-list",
        )
    try:
        match = _limited(_MATCHERS[kind](values), body.get("matching_attributes"))
        return WarningList(name, kind, tuple(values), match)
    except ValueError as error:
        raise MalformedError(
            f"warning list {name[:60]!r}: {error}", code="bad-warning-list"
        ) from None


def _limited(match: Matcher, attributes: object) -> Matcher:
    """Return a matcher for the types that a list names, or for all of them.

    Raises:
        ValueError: The attributes are no list of texts.
    """
    if attributes is None:
        return match
    if not isinstance(attributes, list) or not all(
        isinstance(a, str) for a in attributes
    ):
        raise ValueError("matching_attributes should be a list of texts")
    named = frozenset(attributes)
    kinds = frozenset(k for k, names in _ATTRIBUTES.items() if names & named)
    return lambda kind, value: match(kind, value) if kind in kinds else None


def _host(kind: str, value: str) -> str:
    """Return the host in a canonical form, or nothing."""
    if kind not in _WEB:
        return ""
    return re.split(r"[:/?]", value.rpartition("@")[2], maxsplit=1)[0]


def _hostnames(values: Sequence[str]) -> Matcher:
    names = frozenset(v.lower().strip(".") for v in values)

    def match(kind: str, value: str) -> str | None:
        host = _host(kind, value)
        while host:
            if host in names:
                return host
            host = host.partition(".")[2]
        return None

    return match


def _strings(values: Sequence[str]) -> Matcher:
    texts = frozenset(v.casefold() for v in values)
    return lambda _kind, value: value if value.casefold() in texts else None


def _substrings(values: Sequence[str]) -> Matcher:
    parts = tuple(v.casefold() for v in values)

    def match(_kind: str, value: str) -> str | None:
        folded = value.casefold()
        return next((p for p in parts if p in folded), None)

    return match


def _regexes(values: Sequence[str]) -> Matcher:
    patterns = [(v, _compiled(v)) for v in values]

    def match(_kind: str, value: str) -> str | None:
        return next((v for v, p in patterns if p.search(value)), None)

    return match


def _compiled(text: str) -> re.Pattern[str]:
    if len(text) > _MAX_PATTERN:
        raise ValueError(f"a pattern has more than {_MAX_PATTERN} characters")
    slashed = _SLASHED.fullmatch(text)
    flags = re.RegexFlag(0)
    for letter in slashed[2] if slashed else "":
        flags |= _FLAGS.get(letter, re.RegexFlag(0))
    try:
        return re.compile(slashed[1] if slashed else text, flags)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{text[:60]!r} is not a pattern: {error}") from None


def _networks(values: Sequence[str]) -> Matcher:
    # By length of prefix, so that an address costs one look-up for each length.
    networks: dict[tuple[int, int], set[int]] = {}
    for text in values:
        found = ipaddress.ip_network(text, strict=False)
        first, key = int(found.network_address), (found.version, found.prefixlen)
        networks.setdefault(key, set()).add(first)

    def match(kind: str, value: str) -> str | None:
        if kind != "ip":
            return None
        address = ipaddress.ip_address(value)
        for (version, length), firsts in networks.items():
            if version == address.version:
                found = ipaddress.ip_network((address, length), strict=False)
                if int(found.network_address) in firsts:
                    return str(found)
        return None

    return match


_MATCHERS: dict[str, Callable[[Sequence[str]], Matcher]] = {
    "hostname": _hostnames,
    "substring": _substrings,
    "string": _strings,
    "regex": _regexes,
    "cidr": _networks,
}


@cache
def shared_hosts() -> WarningList:
    """Return the list of shared hosts that ships."""
    place = resources.files("hub.interop").joinpath("shared-hosts.json")
    return parse_warning_list(place.read_bytes())


def is_shared_host(kind: str, canonical: str) -> bool:
    """Tell whether strangers have pages on the host of an identifier.

    Args:
        kind: The identifier's type; those without a host are never shared.
        canonical: Its canonical form.
    """
    return shared_hosts().match(kind, canonical) is not None


@cache
def _shared_sites() -> frozenset[str]:
    labels = (h.lower().split(".") for h in shared_hosts().elements)
    return frozenset(".".join(p[i:]) for p in labels for i in range(len(p) - 1))


def is_shared_site(site: str) -> bool:
    """Tell whether reporting a site would accuse strangers who have pages on it.

    A shop's own name under a shop builder is no such site, though its host is shared;
    the site above a single shared host is one.

    Args:
        site: The canonical form of a ``site``.
    """
    return site in _shared_sites()


# What stands before a shared host's name without being a stranger's own.
_ALSO = re.compile(r"(?:m|mobile|touch|web|[a-z]{2})\.(.+)")


def _whole_shared_host(kind: str, value: str) -> bool:
    """Tell whether an identifier is a shared host as such, not a page or a shop there.

    ``social.example`` and ``m.social.example`` are; ``social.example/shop`` and
    ``shop.builder.example`` name one seller, and a mailbox is one person's.
    """
    if kind not in ("domain", "site", "url") or (kind == "url" and "/" in value):
        return False
    host = _host(kind, value)
    also = _ALSO.fullmatch(host)
    return is_shared_site(host) or bool(also and is_shared_site(also[1]))


def guard(lists: Sequence[WarningList]) -> Matcher:
    """Return what says of (type, canonical form) why not to publish it, or None.

    Args:
        lists: Allow lists, beside the list of shared hosts that ships.
    """

    def reason(kind: str, value: str) -> str | None:
        if _whole_shared_host(kind, value):
            return (
                f"{kind} is a host on which strangers have pages; name the page or "
                "the shop, or say --force"
            )
        for one in lists:
            if one.match(kind, value) is not None:
                return f"{kind} is on the allow list {one.name!r}; or say --force"
        return None

    return reason
