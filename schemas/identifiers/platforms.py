"""Platforms by name: what people call them, and how their ids are written.

A name here says nothing about the platform but that people sell, post or pay on it. One
that is missing is written as its site (``market.example``). Adding one that members
already write as a site changes their canonical forms: that needs a new version.

``case``: what the platform does with the case of sellers' ids and handles.
``national``: ids hold in one country, so the country belongs to them. ``hosts`` are
sites of the platform; ``family`` means that it has the site of its name under many
endings. ``seller`` and ``listing`` are patterns of ids, where the platform has only one
form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["BY_SITE", "FAMILIES", "PLATFORMS", "QUERY_IDS", "Platform"]

_DIGITS = re.compile("[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform; see the module."""

    name: str
    aliases: str = ""
    hosts: str = ""
    case: str = "keep"
    national: bool = False
    family: bool = False
    seller: re.Pattern[str] | None = None
    listing: re.Pattern[str] | None = None
    dots: bool = True


def _marketplaces() -> Iterator[Platform]:
    asin, token = re.compile("[0-9A-Z]{10}"), re.compile("A[0-9A-Z]{6,20}")
    item = re.compile("ML[A-Z][0-9]{6,15}")
    yield Platform(
        "amazon", "amzn", case="upper", family=True, seller=token, listing=asin
    )
    yield Platform("ebay", case="lower", family=True, listing=_DIGITS)
    yield Platform("aliexpress", "ali-express", family=True, listing=_DIGITS)
    yield Platform("etsy", "", "etsy.com", case="lower", listing=_DIGITS)
    yield Platform("mercadolibre", "mercado-libre mercadolivre meli", listing=item)
    yield Platform("shopee", family=True, national=True, listing=_DIGITS)
    yield Platform("lazada", family=True, national=True, listing=_DIGITS)
    yield Platform("olx", family=True, national=True)
    yield Platform("jumia", family=True, national=True)
    for name in ("taobao", "tmall", "1688", "jd", "weidian", "temu"):
        yield Platform(name, "", f"{name}.com", listing=_DIGITS)
    for name in ("allegro.pl", "bol.com", "otto.de", "cdiscount.com", "wish.com"):
        yield Platform(name.partition(".")[0], "", name)
    for name in ("walmart", "rakuten", "vinted", "mercari", "carousell", "fruugo"):
        yield Platform(name, family=True)
    for name in ("depop", "poshmark", "wallapop", "grailed"):
        yield Platform(name, "", f"{name}.com", case="lower")
    yield Platform("alibaba", "", "alibaba.com", case="lower")
    yield Platform("dhgate", "dh-gate", "dhgate.com")
    yield Platform("pinduoduo", "pdd yangkeduo", "pinduoduo.com yangkeduo.com")
    yield Platform("shein", family=True)


def _social() -> Iterator[Platform]:
    for name, aliases, hosts in (
        ("instagram", "ig insta", "instagram.com"),
        ("tiktok", "tik-tok tt", "tiktok.com"),
        ("x", "twitter", "x.com twitter.com"),
        ("youtube", "yt", "youtube.com"),
        ("telegram", "tg", "t.me telegram.me telegram.org"),
        ("snapchat", "snap", "snapchat.com"),
        ("pinterest", "", "pinterest.com"),
        ("threads", "", "threads.net threads.com"),
        ("vk", "vkontakte", "vk.com"),
        ("reddit", "", "reddit.com"),
        ("twitch", "", "twitch.tv"),
        ("discord", "", "discord.com discord.gg"),
        ("linkedin", "", "linkedin.com"),
        ("wechat", "weixin", "wechat.com weixin.qq.com"),
        ("weibo", "", "weibo.com"),
        ("line", "", "line.me"),
        ("kakaotalk", "kakao", "kakao.com"),
        ("xiaohongshu", "rednote", "xiaohongshu.com"),
        ("douyin", "", "douyin.com"),
    ):
        yield Platform(name, aliases, hosts, case="lower")
    # Dots in a name of this one do not make another name.
    yield Platform("facebook", "fb meta", "facebook.com fb.com", "lower", dots=False)


def _services() -> Iterator[Platform]:
    yield Platform("google-play", "googleplay play-store", "play.google.com")
    yield Platform(
        "app-store", "apple-app-store itunes", "apps.apple.com itunes.apple.com"
    )
    for name in ("paypal", "stripe", "wise", "revolut", "payoneer", "shopify"):
        yield Platform(name, "", f"{name}.com")
    yield Platform("alipay", "", "alipay.com")
    for name in ("dhl", "fedex", "ups", "usps", "gls", "dpd", "tnt"):
        yield Platform(name, "", f"{name}.com", case="upper", family=True)


PLATFORMS: dict[str, Platform] = {}
BY_SITE: dict[str, Platform] = {}
FAMILIES: dict[str, Platform] = {}
for _platform in (*_marketplaces(), *_social(), *_services()):
    for _name in (_platform.name, *_platform.aliases.split()):
        PLATFORMS[_name] = _platform
    for _site in _platform.hosts.split():
        BY_SITE[_site] = _platform
    if _platform.family:
        FAMILIES[_platform.name] = _platform

# The keys of a query that name the page, by host or site, where the path does not.
QUERY_IDS: dict[str, tuple[str, ...]] = {
    "1688.com": ("offerId",),
    "facebook.com": ("fbid", "id", "story_fbid", "v"),
    "play.google.com": ("id",),
    "taobao.com": ("id", "shop_id", "user_number_id"),
    "tmall.com": ("id", "shop_id", "user_number_id"),
    "weidian.com": ("itemID", "userid"),
    "yangkeduo.com": ("goods_id", "mall_id"),
    "youtube.com": ("list", "v"),
}
