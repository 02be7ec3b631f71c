"""Sellers, listings and handles on platforms: ``platform:id``.

The platform is a name of :mod:`schemas.identifiers.platforms`, one of its other names,
or a site; where ids hold in one country only, the country stands between
(``shopee:sg:123``). An account at a payment service, a shop builder or an app store is
a seller; one at a service that goes by telephone number is a ``phone``, and one that
goes by mail address an ``email``.
"""

from __future__ import annotations

import re
import unicodedata

from schemas.identifiers.countries import country_code
from schemas.identifiers.kinds import IdentifierError, IdentifierType, clean, refang
from schemas.identifiers.platforms import BY_SITE, FAMILIES, PLATFORMS, Platform
from schemas.identifiers.web import host_of, site_of

__all__ = ["TYPES", "platform_of"]

_BY_PHONE = frozenset(("whatsapp", "signal", "viber", "wa", "wa.me", "whatsapp.com"))
_PROFILE = re.compile(
    r"(?:https?://)?([a-z0-9.-]+)/@?([^/?#@]+)/?(?:[?#].*)?", re.ASCII
)
# Pages of a platform that look like profiles.
_OTHER_PAGES = (
    "channel download events explore groups hashtag home i intent invite joinchat "
    "login "
    "marketplace p pages people profile.php reel reels search share stories watch"
)
_NO_PROFILES = frozenset(_OTHER_PAGES.split())


def platform_of(text: str) -> tuple[Platform, str]:
    """Return a platform, and the country of its site if ids hold in one country.

    Args:
        text: Its name, another name of it, or its host.

    Raises:
        IdentifierError: No platform is called so.
    """
    name = re.sub(r"[\s_]+", "-", refang(clean(text)).lower())
    if name in _BY_PHONE:
        raise IdentifierError("goes by telephone number; report it as type phone")
    if name in PLATFORMS:
        return PLATFORMS[name], ""
    try:
        host = host_of(name)
    except IdentifierError:
        raise IdentifierError(
            f"{name[:40]} is no platform that is known; write its site, as in "
            "market.example:A1B2"
        ) from None
    site = site_of(host) or host
    family = FAMILIES.get(site.partition(".")[0])
    found = BY_SITE.get(host) or BY_SITE.get(site) or family or Platform(site)
    ending = site.rpartition(".")[2]
    return found, ending if found.national and len(ending) == 2 else ""


def _parts(text: str) -> tuple[Platform, str, str]:
    """Return the platform, what precedes the id, and the id."""
    front, colon, rest = clean(text).partition(":")
    rest = " ".join(rest.split())
    if not colon or not rest or rest.startswith("//"):
        raise IdentifierError(
            "should be written platform:id, as in market.example:A1B2"
        )
    platform, country = platform_of(front)
    if not platform.national:
        return platform, platform.name, rest
    first, colon, more = rest.partition(":")
    if colon and more.strip():
        country, rest = first, more.strip()
    if not country:
        raise IdentifierError(
            f"holds in one country only; write {platform.name}:sg:{rest[:40]}"
        )
    return platform, f"{platform.name}:{country_code(country).lower()}", rest


def _cased(platform: Platform, text: str) -> str:
    if platform.case == "lower":
        return _folded(text)
    return text.upper() if platform.case == "upper" and text.isascii() else text


def _folded(text: str) -> str:
    # Folding can undo the normal form and the other way round; twice is enough.
    for _ in range(3):
        text = unicodedata.normalize("NFKC", text.casefold())
    return text


def _checked(pattern: re.Pattern[str] | None, what: str, text: str) -> str:
    if pattern and not pattern.fullmatch(text):
        raise IdentifierError(f"is not a {what} id as that platform writes them")
    return text


def _seller(text: str, _region: str) -> str:
    platform, front, name = _parts(text)
    return f"{front}:{_checked(platform.seller, 'seller', _cased(platform, name))}"


def _listing(text: str, _region: str) -> str:
    platform, front, name = _parts(text)
    if platform.listing is None:
        return f"{front}:{name}"
    return f"{front}:{_checked(platform.listing, 'listing', name.upper())}"


def _handle(text: str, _region: str) -> str:
    platform, front, name = _parts(_from_profile(clean(text)))
    handle = _folded(name).strip("@ ")
    if not platform.dots:
        handle = handle.replace(".", "")
    if not handle or handle.startswith(":"):
        raise IdentifierError("has no name behind the platform")
    return f"{front}:{handle}"


def _from_profile(text: str) -> str:
    """Return ``platform:name`` of the address of a profile, else the text."""
    found = _PROFILE.fullmatch(refang(text))
    if not found:
        return text
    host = host_of(found[1])
    platform = BY_SITE.get(host) or BY_SITE.get(site_of(host))
    if platform is None or found[2].lower() in _NO_PROFILES:
        raise IdentifierError("is not the address of a profile; write platform:name")
    return f"{platform.name}:{found[2]}"


TYPES = (
    IdentifierType(
        "seller",
        "open",
        "shown on every offer",
        "`platform:id`, or `platform:country:id`",
        "a platform; on some, the form of the id; own table",
        _seller,
        ("marketplace seller", "marketplace seller id"),
    ),
    IdentifierType(
        "listing",
        "open",
        "public pages",
        "as `seller`",
        "as `seller`",
        _listing,
        ("marketplace listing", "marketplace listing id"),
    ),
    IdentifierType(
        "handle",
        "open",
        "public names",
        "`platform:name`, case folded, no `@`",
        "a platform; own table",
        _handle,
        ("social handle", "social media handle", "profile url", "social media profile"),
    ),
)
