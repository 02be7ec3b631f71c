"""Which commands there are, without importing them.

A command imports what it needs, the web server or the spreadsheet reader, only when it
is called, so that ``hub --help`` answers in a tenth of a second. What a command is
called and does therefore stands here a second time; a test compares both.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click

__all__ = ["COMMANDS", "Commands", "LazyGroup"]

COMMANDS: dict[str, tuple[str, str]] = {
    "access": ("access", "Bearer tokens of this node: read-only, for scripts."),
    "action": (
        "renewing",
        "Tell what was done about an own case, or about what a report names.",
    ),
    "alliance": ("founding", "Found an alliance."),
    "audit": (
        "audits",
        "Verify everything in this folder's mirror, or at nodes; trust only the pin.",
    ),
    "auditor": ("admit", "Admit auditors."),
    "backup": (
        "storage",
        "Write a consistent copy of the database while the node runs.",
    ),
    "demo": (
        "demo",
        "Tell the whole story on this machine: publish, pull, alert, withdraw, audit.",
    ),
    "dispute": ("after", "Contradict another member's report."),
    "doctor": (
        "doctor",
        "Check this folder: versions, clock, storage, keys, forms; or a hub, by --url.",
    ),
    "erase": (
        "after",
        "Order own entries to be erased; in an officer's folder, those of any member.",
    ),
    "grant": ("rules", "Quota beyond the policy's, for one member and a time."),
    "home": ("peers", "The nodes that order and sign feeds."),
    "init": ("setup", "Make a whole alliance on this machine, for trial."),
    "join": ("setup", "Make this folder's keys and the request to be admitted."),
    "key": ("keys", "Make, register, replace and close keys."),
    "lookup": ("screen", "Look up one identifier, read from standard input."),
    "member": ("admit", "Admit and remove members."),
    "migrate": (
        "storage",
        "Bring the database of an older hub up to date, while the node is stopped.",
    ),
    "node": ("admit", "Make, admit and move nodes."),
    "officer": ("founding", "Officers: their keys and folders, and who they are."),
    "peers": (
        "peers",
        "Show every other node: lag, last success, last error, cosigned heads; alarms.",
    ),
    "policy": ("rules", "Show the policy, or change what is named and keep the rest."),
    "proof": ("proofs", "Write one file that proves an entry without network."),
    "publish": (
        "publish",
        "Publish the counterfeit sellers of a file; one row is one case.",
    ),
    "pull": (
        "pulling",
        "Mirror all feeds, verified, and alert what changed on the watch list.",
    ),
    "registry": ("registry", "Proposals for the registry, passed between officers."),
    "renew": (
        "renewing",
        "Renew own reports: an entry, a case, a reference, or all that end soon.",
    ),
    "reports": (
        "looking",
        "List active reports, one's own with one's own references.",
    ),
    "restore": (
        "storage",
        "Put a backup in the place of the database, while the node is stopped.",
    ),
    "screen": (
        "screen",
        "Match the sellers of a file with the active reports, on this machine.",
    ),
    "scrub": (
        "scrub",
        "Hash everything again, and fetch what is damaged from another node.",
    ),
    "serve": ("serve", "Serve this node over HTTP until it is stopped."),
    "show": ("looking", "Show an entry of the mirror, and what became of it."),
    "suspend": ("rules", "Make entries of any feed inactive for a time."),
    "sync": ("peers", "Sync with one peer, or with all of them, now."),
    "token-key": ("keys", "Token keys."),
    "usage": ("looking", "Show how much of the token quotas is used."),
    "verify": ("proofs", "Check a proof file, or evidence, without network."),
    "watch": ("watch", "Sellers that are screened again after every pull."),
    "whoami": (
        "looking",
        "Say who this folder is, and who the hub thinks that it is.",
    ),
    "withdraw": (
        "after",
        "Withdraw entries, cases or own references; by default the whole case.",
    ),
    "worker": ("worker", "Pull on a schedule and alert, until stopped."),
}
"""The module of ``hub.cli`` that holds each command, and the first line of its help."""


class Commands(MutableMapping[str, click.Command]):
    """The commands by name; each is imported when it is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module = import_module(f"hub.cli.{COMMANDS[name][0]}")
            self._loaded.update({c.name: c for c in module.COMMANDS})
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class LazyGroup(click.Group):
    """A group that lists its commands without importing any of them."""

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the commands and what each does, as click would."""
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(map(len, names))
        shown = (click.Command(name, help=COMMANDS[name][1]) for name in names)
        rows = [(c.name or "", c.get_short_help_str(limit)) for c in shown]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
