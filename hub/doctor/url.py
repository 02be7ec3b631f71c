"""The checks of a hub as it is reached: through the network, TLS and its proxy."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from hub.client import Answer, Client
from hub.clock import Clock
from hub.doctor.checks import Check, ok, skipped, warning, wrong
from hub.errors import HubError, RefusedError, UnavailableError
from hub.model import REGISTRY
from hub.tlog.batch import MAX_BYTES
from hub.wiring import Hub
from keys.errors import KeysError

__all__ = ["clock_check", "examine_url"]

_APART, _TOO_FAR = 60, 300
_SOON = 14 * 86400
_CACHES = "Let the proxy pass on ETag, If-None-Match and Cache-Control as they are."
# A proxy that tidies up paths or queries breaks signatures over them.
_ODD = "/v1/whoami?check=a%2Fb%20c&check=&z"


def examine_url(hub: Hub, url: str) -> Iterator[Check]:
    """Yield the checks of the hub at a URL."""
    client = hub.new_client(url)
    try:
        try:
            answer = client.probe("GET", "/healthz")
        except UnavailableError as error:
            yield wrong("reach", str(error), error.advice)
            return
        yield _health(url, answer)
        yield _tls(url, answer, hub.clock.now())
        yield clock_check(answer, hub.clock)
        registry = list(_registry(hub, url))
        yield from registry
        yield _signed(hub, url)
        yield _large(client)
        if all(check.state != "wrong" for check in registry):
            yield from _caching(client)
    finally:
        client.close()


def _health(url: str, answer: Answer) -> Check:
    with suppress(ValueError):
        if answer.status == 200 and json.loads(answer.body) == {"ok": True}:
            return ok("reach", f"{url}/healthz answers")
    return wrong(
        "reach",
        f"{url}/healthz answers {answer.status} and is no hub",
        "Check the address, and that the proxy passes all paths on to the node.",
    )


def _is_local(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _tls(url: str, answer: Answer, now: int) -> Check:
    parts = urlsplit(url)
    if parts.scheme != "https":
        if _is_local(parts.hostname or ""):
            return ok("tls", "none, on this machine alone")
        return wrong(
            "tls",
            "none: who listens on the way reads every line",
            "Put a proxy with TLS in front, or set server.tls_cert and tls_key.",
        )
    if answer.tls_ends is not None and answer.tls_ends - now < _SOON:
        days = (answer.tls_ends - now) // 86400
        return warning(
            "tls", f"{answer.tls}; the certificate ends in {days} days", "Renew it."
        )
    return ok("tls", f"{answer.tls}, with a certificate for {parts.hostname}")


def clock_check(answer: Answer, clock: Clock) -> Check:
    """Compare the clock here with the time that an answer bears."""
    here = clock.now()
    try:
        there = int(parsedate_to_datetime(answer.fields["date"]).timestamp())
    except (KeyError, ValueError):
        return skipped("clock", "the hub's answer bears no time")
    apart = abs(here - there)
    text = f"{apart} s {'ahead of' if here > there else 'behind'} the hub's"
    if apart > _TOO_FAR:
        return wrong("clock", text, "Set it: signed requests are refused.")
    if apart > _APART:
        return warning("clock", text, "Run a time service; five minutes are too many.")
    return ok("clock", text)


def _registry(hub: Hub, url: str) -> Iterator[Check]:
    try:
        found = hub.pull_registry(url)
        problem: HubError | None = found.problems.get(REGISTRY)
    except HubError as error:
        problem = error
    if problem is not None:
        yield wrong("alliance", str(problem), problem.advice or "Compare the pin.")
        return
    directory = hub.directory()
    if directory.size == 0:
        yield warning("alliance", "no registry yet", "Submit the first batch.")
        return
    yield ok("alliance", f"{directory.alliance}, {directory.size} registry lines")
    names = [name for name, known in directory.nodes.items() if known == url]
    if names:
        yield ok("public-url", f"{names[0]} is registered with this URL")
        return
    known = ", ".join(sorted(directory.nodes.values()))
    yield wrong(
        "public-url",
        f"no node is registered with it; registered: {known}",
        "Requests are signed for the registered URL: use that one, or run hub node "
        "move.",
    )


def _signed(hub: Hub, url: str) -> Check:
    name = "signed-request"
    if hub.role == "officer":
        return skipped(name, "officers sign no requests")
    if not hub.directory().has_access(f"{hub.role}/{hub.name}"):
        return skipped(name, f"{hub.name} is not admitted yet")
    try:
        owner = _asked(hub, url)
    except RefusedError as error:
        return wrong(
            name,
            str(error),
            "The proxy must pass path and query on as they were sent, and the node's "
            "server.public_url must be this URL.",
        )
    except (HubError, KeysError) as error:
        return wrong(name, str(error), error.advice)
    if owner != f"{hub.role}/{hub.name}":
        return wrong(name, f"taken for {owner}", "Another hub answers there.")
    return ok(name, f"arrives unchanged, from {owner}")


def _asked(hub: Hub, url: str) -> object:
    client = hub.new_client(url, hub.identity())
    try:
        return client.get_json(_ODD).get("owner")
    finally:
        client.close()


def _large(client: Client) -> Check:
    """Send as much as a batch may have; its header is none, so nothing is published."""
    body = b"x\n" * (MAX_BYTES // 2)
    headers = {"Content-Type": "application/x-ndjson"}
    path = f"/v1/feeds/{REGISTRY}/batches"
    try:
        answer = client.probe("POST", path, body, headers)
    except UnavailableError:
        # The hub refuses the header at once and need not read the rest.
        return ok("large-body", "the hub hung up on it, as it may; no proxy refused it")
    ours = answer.fields.get("content-type", "").startswith("application/problem+json")
    if answer.status == 413 or not ours:
        return wrong(
            "large-body",
            f"a body of {MAX_BYTES >> 20} MiB is answered with {answer.status} before "
            "it reaches the hub",
            "Let the proxy pass 65 MiB on (nginx: client_max_body_size 65m).",
        )
    return ok("large-body", f"{MAX_BYTES >> 20} MiB reach the hub")


def _caching(client: Client) -> Iterator[Check]:
    heads = client.probe("GET", "/v1/feeds")
    etag = heads.fields.get("etag", "")
    again = client.probe("GET", "/v1/feeds", headers={"If-None-Match": etag})
    if not etag or again.status != 304:
        yield wrong(
            "caching",
            "heads have no ETag that holds, so every idle pull fetches all of them",
            _CACHES,
        )
    elif int(heads.fields.get("age", "0") or 0) > 0:
        yield wrong(
            "caching", "heads come from a cache and may be old", "Cache tiles alone."
        )
    else:
        yield ok("caching", "heads are fresh and have their ETag")
    tile = client.probe("GET", f"/v1/feeds/{REGISTRY}/tile/entries/000.p/1")
    control = tile.fields.get("cache-control", "")
    digest = hashlib.sha256(tile.body).hexdigest()[:8]
    if tile.status == 200 and "immutable" in control:
        yield ok("caching", f"tiles may be kept for ever ({digest})")
    else:
        yield warning("caching", f"a tile says {control or 'nothing'}", _CACHES)
