"""The checks of a folder: versions, storage, key files, forms, the registry."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import stat
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from hub.directory import Directory
from hub.doctor.checks import Check, ok, skipped, warning, wrong
from hub.enrolment import label_of
from hub.errors import HubError
from hub.selftest import check_forms, drifted_libraries
from hub.store.engine import WAL_RESET_FAULT, sqlite3
from hub.wiring import Hub
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.errors import KeysError
from keys.keyfile import KeyFacts, inspect_key, read_key
from keys.libraries import libsodium_version, openssl_version
from keys.voprf import public_of
from keys.x25519 import sealing_public
from schemas.identifiers import VERSION, installed_versions

__all__ = ["examine_folder", "examine_keys", "examine_machine"]

_LOW, _NONE = 5 * 2**30, 200 * 2**20
_PUBLIC: dict[str, Callable[[bytes], bytes]] = {
    "ed25519": lambda secret: Signer(secret).public,
    "voprf": public_of,
    "x25519": sealing_public,
}


def examine_machine(folder: Path) -> Iterator[Check]:
    """Yield the checks that need no alliance: versions, forms, disk."""
    try:
        version = metadata.version("alliance-hub")
    except metadata.PackageNotFoundError:
        version = "not installed"
    yield ok("versions", f"alliance-hub {version}, Python {platform.python_version()}")
    yield ok(
        "libraries",
        f"libsodium {libsodium_version()}, {openssl_version()} for keys, "
        f"{ssl.OPENSSL_VERSION} for TLS",
    )
    if WAL_RESET_FAULT:
        yield warning(
            "sqlite",
            f"SQLite {sqlite3.sqlite_version} can damage a file when a checkpoint "
            "races with a writer; writers take turns here because of it",
            "Use SQLite 3.51.3 or newer: pip install pysqlite3, where it has a wheel.",
        )
    else:
        yield ok("sqlite", f"SQLite {sqlite3.sqlite_version}")
    yield from _forms()
    yield _disk(folder)


def _forms() -> Iterator[Check]:
    try:
        forms, tokens = check_forms()
    except HubError as error:
        yield wrong("canonical-forms", str(error), error.advice)
        return
    found = f"version {VERSION}, {forms} forms and {tokens} tokens agree"
    yield ok("canonical-forms", found)
    libraries = ", ".join(f"{n} {v}" for n, v in installed_versions().items())
    yield ok("canonical-forms", f"libraries {libraries}")
    for drift in drifted_libraries():
        yield warning("canonical-forms", drift, "Install what requirements.lock names.")


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free"
    if free < _NONE:
        return wrong("disk", text, "Make room now: nothing is published or pulled.")
    if free < _LOW:
        return warning("disk", text, "Make room before the disk is full.")
    return ok("disk", text)


def examine_folder(hub: Hub) -> Iterator[Check]:
    """Yield the checks of a folder that has its pin."""
    try:
        hub.store.check()
    except HubError as error:
        yield wrong("storage", str(error), error.advice or "Restore a backup.")
        return
    with hub.store.read() as tx:
        feeds = {name: head.size for name, head in tx.heads.all().items()}
    lines = sum(feeds.values())
    yield ok("storage", f"{len(feeds)} feeds with {lines} lines, none damaged")
    try:
        directory = hub.directory()
    except HubError as error:
        yield wrong("registry", str(error), "Restore a backup, or pull anew.")
        return
    yield _standing(hub, directory)
    yield from examine_keys(hub.folder, directory)
    yield from _whole_keys(directory)


def _standing(hub: Hub, directory: Directory) -> Check:
    text = f"{directory.size} lines of {directory.alliance}"
    if directory.size == 0:
        return warning(
            "registry",
            "this folder has not seen it yet",
            "Run hub pull; an officer says hub registry show --url the first time; an "
            "empty node waits for the first batch.",
        )
    if hub.role == "officer":
        return ok("registry", text)
    if not directory.has_access(f"{hub.role}/{hub.name}"):
        return warning(
            "registry",
            f"{hub.role} {hub.name} is not in it",
            "Send request.json to an officer, or run hub pull if that was done.",
        )
    return ok("registry", f"{text}; {hub.role} {hub.name} is in it")


def examine_keys(folder: Path, directory: Directory | None) -> Iterator[Check]:
    """Yield a check for each key file: who can read it, and who knows the key."""
    private = folder / "private"
    if not private.is_dir():
        yield wrong("keys", f"there is no {private}", "Restore it from its copy.")
        return
    if stat.S_IMODE(private.stat().st_mode) & 0o077:
        yield wrong("keys", f"{private} is open to others", f"Run: chmod 700 {private}")
    for path in sorted(private.glob("*.key")):
        yield _key(folder, path, directory)


def _key(folder: Path, path: Path, directory: Directory | None) -> Check:
    name = f"key {path.stem}"
    try:
        facts = inspect_key(path)
        if facts.mode & 0o077:
            return wrong(name, "can be read by others", f"Run: chmod 600 {path}")
        public = _public_of(path, facts)
    except KeysError as error:
        return wrong(name, str(error), error.advice or "Restore it from its copy.")
    how = "sealed" if facts.sealed else "plain, readable by its owner alone"
    if public is None:
        return warning(
            name, f"{how}, not opened", "Set HUB_PASSPHRASE to compare it as well."
        )
    if directory is None or directory.size == 0:
        return ok(name, how)
    return _known(name, how, label_of(folder, path.stem), public, directory)


def _public_of(path: Path, facts: KeyFacts) -> bytes | None:
    """Return the public half, or None for a sealed file without its passphrase."""
    phrase = os.environ.get("HUB_PASSPHRASE")
    if facts.sealed and phrase is None:
        return None
    return _PUBLIC[facts.kind](read_key(path, kind=facts.kind, passphrase=phrase))


def _known(
    name: str, how: str, label: str, public: bytes, directory: Directory
) -> Check:
    """Say what the registry knows of a key."""
    officers = {v.public: v.name for v in directory.officer_vkeys()}
    if public in officers:
        return ok(name, f"{how}; {officers[public]}")
    if public in directory.former:
        return warning(name, f"{how}; a former officer's", "Destroy it.")
    for key in directory.keys:
        if key.public != public:
            continue
        open_roles = [role for role in key.roles if key.is_open(role)]
        if open_roles:
            roles = " and ".join(open_roles)
            return ok(name, f"{how}; {key.label} of {key.owner} for {roles}")
        return warning(
            name, f"{how}; {key.label} of {key.owner} is closed", "Destroy it."
        )
    for token_key in directory.token_keys.values():
        if public in {share for _, _, share in token_key.shares}:
            retired = ", retired" if token_key.name in directory.retired else ""
            return ok(name, f"{how}; a share of {token_key.name}{retired}")
    return warning(
        name,
        f"{how}; the registry does not know {label}, {to_base64(public)}",
        "Send its request to an officer, or destroy it.",
    )


def _whole_keys(directory: Directory) -> Iterator[Check]:
    active = [
        k for k in directory.token_keys.values() if k.name not in directory.retired
    ]
    whole = [k.name for k in active if k.threshold == 1]
    if whole:
        yield warning(
            "token-keys",
            f"{', '.join(whole)}: one node holds the whole key, so its operator could "
            "test guesses of identifiers",
            "See docs/trust.md; it takes keys in shares of several nodes.",
        )
    elif active:
        yield ok("token-keys", ", ".join(k.name for k in active))
    else:
        yield skipped("token-keys", "the registry names none yet")
