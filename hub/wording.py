"""Registry entries in words, for the officer who is asked to sign them. Pure.

Names and times come from entries that were validated, and free text in them has no
control characters, so nothing here can steer a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hub.directory import Directory
from hub.errors import HubError
from keys.errors import KeysError
from keys.note import parse_vkey

__all__ = ["describe"]

Entry = Mapping[str, Any]


def describe(entry: Entry, directory: Directory) -> str:
    """Return one sentence that says what an entry does.

    Args:
        entry: A valid entry.
        directory: The state before it, which tells what changes.
    """
    words = _WORDS.get(entry["kind"])
    return words(entry, directory) if words else f"{entry['kind']}: unknown here"


def _names(vkeys: list[str]) -> dict[str, str]:
    found = {}
    for text in vkeys:
        try:
            found[parse_vkey(text).name.rpartition("/")[2]] = text
        except (KeysError, HubError):
            found[text] = text
    return found


def _alliance(entry: Entry, directory: Directory) -> str:
    after = _names(entry["officers"])
    text = f"{entry['threshold']} of {len(after)} officers sign: {', '.join(after)}"
    if directory.size == 0:
        return f"Founds the alliance {entry['alliance']}; {text}."
    before = _names(list(directory.officers))
    come = [n for n, v in after.items() if before.get(n) != v]
    go = [n for n, v in before.items() if after.get(n) != v]
    change = ", ".join([f"{n} comes" for n in come] + [f"{n} goes" for n in go])
    return f"Changes the officers ({change or 'the same people'}); {text}."


def _member(entry: Entry, _directory: Directory) -> str:
    title = f" ({entry['title']})" if "title" in entry else ""
    return f"Admits the {entry['kind']} {entry['name']}{title}."


def _member_left(entry: Entry, _directory: Directory) -> str:
    how = "stand" if entry["reports"] == "stand" else "are suspended"
    return f"The member {entry['name']} leaves; its reports {how}."


def _node(entry: Entry, directory: Directory) -> str:
    known = directory.nodes.get(entry["name"])
    if known:
        return f"The node {entry['name']} moves from {known} to {entry['url']}."
    return f"Admits the node {entry['name']} at {entry['url']}."


def _key(entry: Entry, _directory: Directory) -> str:
    roles = " and ".join(entry["roles"])
    return (
        f"Registers the key {entry['label']} of {entry['owner']} for {roles}: "
        f"{entry['public']}"
    )


def _key_closed(entry: Entry, _directory: Directory) -> str:
    role = f" as {entry['role']} key" if "role" in entry else ""
    since = ""
    if "index" in entry:
        feed = entry["owner"].partition("/")[2]
        since = f"; what it signed at {feed}/{entry['index']} or above is void"
    if "when" in entry:
        since += f"; its cosignatures from {entry['when']} on do not count"
    return (
        f"Closes the key {entry['label']} of {entry['owner']}{role} "
        f"({entry['reason']}){since}."
    )


def _home(entry: Entry, directory: Directory) -> str:
    before = directory.home(entry["feed"])
    if before is None:
        return f"{entry['node']} is the home of {entry['feed']}."
    return (
        f"The home of {entry['feed']} is {entry['node']} instead of {before.node}, "
        f"from {entry['size']} lines on, with the log key {entry['key']}; lines above "
        "that under an earlier key are void."
    )


def _suspension(entry: Entry, _directory: Directory) -> str:
    names = ", ".join(entry["entries"])
    return f"Suspends {names} until {entry['until']} ({entry['ground']})."


def _erasure(entry: Entry, _directory: Directory) -> str:
    names = ", ".join(f"{entry['feed']}/{i}" for i in entry["indices"])
    return f"Orders {names} to be erased, for good ({entry['ground']})."


def _token_key(entry: Entry, _directory: Directory) -> str:
    nodes = ", ".join(s["node"] for s in entry["shares"])
    return (
        f"Makes {entry['key']} a token key; {entry['threshold']} of {nodes} evaluate "
        "it."
    )


def _retired(entry: Entry, _directory: Directory) -> str:
    return f"Retires the token key {entry['key']}."


def _grant(entry: Entry, _directory: Directory) -> str:
    return (
        f"Lets {entry['member']} ask for {entry['count']} more {entry['class']} tokens "
        f"a day until {entry['until']}."
    )


def _policy(entry: Entry, directory: Directory) -> str:
    now = directory.policy
    parts = [f"{entry['quorum']} other nodes must cosign"]
    for name in ("quotas", "valid_days"):
        before: Mapping[str, int] = getattr(now, name)
        for key, value in entry.get(name, {}).items():
            if before.get(key) != value:
                was = f", was {before[key]}" if key in before else ""
                parts.append(f"{name} of {key} {value}{was}")
    if "fresh_hours" in entry and entry["fresh_hours"] != now.fresh_hours:
        parts.append(f"a quorum is fresh for {entry['fresh_hours']} hours")
    return f"Sets the policy: {'; '.join(parts)}."


_WORDS: dict[str, Callable[[Entry, Directory], str]] = {
    "alliance": _alliance,
    "member": _member,
    "auditor": _member,
    "member-left": _member_left,
    "node": _node,
    "key": _key,
    "key-closed": _key_closed,
    "home": _home,
    "suspension": _suspension,
    "erasure": _erasure,
    "token-key": _token_key,
    "token-key-retired": _retired,
    "grant": _grant,
    "policy": _policy,
}
