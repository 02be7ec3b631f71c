"""Who is part of the alliance: members, auditors, nodes, and the homes of feeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from hub.cli.office import Office, office_command, office_command_with_url
from hub.cli.setup import node_new
from hub.directory import Directory
from hub.enrolment import Request, parse_request
from hub.errors import ConfigError, RefusedError
from hub.model import REGISTRY
from hub.officers import admission, registry_entry
from keys.encoding import to_base64

__all__ = ["COMMANDS", "home_group", "move_entries", "read_request"]

_REQUEST = click.argument("request", type=click.Path(path_type=Path))


def read_request(office: Office, file: Path, kind: str) -> Request:
    """Read a request that somebody sent.

    Raises:
        ConfigError: The file cannot be read.
        MalformedError: It is no request of that kind.
    """
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    return parse_request(text, kind, office.hub.registry.pin.alliance)


def _admit(office: Office, file: Path, kind: str) -> None:
    request = read_request(office, file, kind)

    def lines() -> Sequence[bytes]:
        return admission(request, office.directory(), office.hub.clock.now())

    office.act(lines, f"Admitted the {kind} {request['name']}.")


@click.group("member")
def member_group() -> None:
    """Admit and remove members."""


@member_group.command("add")
@_REQUEST
@office_command
def member_add(office: Office, request: Path) -> None:
    """Admit a member from its request.json."""
    _admit(office, request, "member")


@member_group.command("remove")
@click.argument("name")
@click.option("--reports", type=click.Choice(["stand", "suspended"]), required=True)
@office_command
def member_remove(office: Office, name: str, reports: str) -> None:
    """End a member's access; its reports stand or are suspended."""

    def lines() -> Sequence[bytes]:
        now = office.hub.clock.now()
        return [registry_entry("member-left", now, name=name, reports=reports)]

    how = "stand" if reports == "stand" else "are suspended"
    office.act(lines, f"{name} left; its reports {how}.")


@click.group("auditor")
def auditor_group() -> None:
    """Admit auditors."""


@auditor_group.command("add")
@_REQUEST
@office_command
def auditor_add(office: Office, request: Path) -> None:
    """Admit an auditor from its request.json."""
    _admit(office, request, "auditor")


@click.group("node")
def node_group() -> None:
    """Make, admit and move nodes."""


@node_group.command("add")
@_REQUEST
@office_command
def node_add(office: Office, request: Path) -> None:
    """Admit a node from its request.json."""
    _admit(office, request, "node")


@node_group.command("move")
@click.argument("name")
@click.option("--url", "new", required=True, help="Its new public URL.")
@office_command_with_url
def node_move(office: Office, name: str, new: str) -> None:
    """Register another public URL of a node."""

    def lines() -> Sequence[bytes]:
        if name not in office.directory().nodes:
            raise _no_node(office.directory(), name)
        now = office.hub.clock.now()
        return [registry_entry("node", now, name=name, url=new.rstrip("/"))]

    done = (
        f"{name} is at {new.rstrip('/')} now. Its operator sets server.public_url to "
        "that and restarts it."
    )
    office.act(lines, done)


def _no_node(directory: Directory, name: str) -> RefusedError:
    return RefusedError(
        f"there is no node called {name}",
        code="not-found",
        advice=f"The nodes are {', '.join(directory.nodes)}.",
    )


@click.group("home")
def home_group() -> None:
    """The nodes that order and sign feeds."""


@home_group.command("move")
@click.argument("feeds", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All feeds, the registry too.")
@click.option(
    "--to", "--node", "node", required=True, help="The node that goes on with them."
)
@office_command
def home_move(office: Office, feeds: tuple[str, ...], every: bool, node: str) -> None:
    """Give feeds another home, from the heads that the new one holds."""
    if every == bool(feeds):
        raise click.UsageError("name feeds, or say --all")

    def lines() -> Sequence[bytes]:
        state = office.directory()
        if node not in state.nodes:
            raise _no_node(state, node)
        chosen = sorted(state.homes) if every else feeds
        return move_entries(office, list(chosen), node)

    what = "All feeds" if every else ", ".join(feeds)
    office.act(lines, f"{what} moved to {node}.")


def move_entries(
    office: Office, feeds: list[str], node: str, fresh: bytes | None = None
) -> list[bytes]:
    """Return home entries that move feeds to a node.

    Args:
        office: The officer's office.
        feeds: The feeds.
        node: Their new home.
        fresh: Its log key, if the same batch registers it.

    Raises:
        RefusedError: The node has no log key that a feed did not have before.
    """
    state, now = office.directory(), office.hub.clock.now()
    found = []
    # The registry comes first: whoever reads on knows its new key from then on.
    for feed in sorted(feeds, key=lambda f: (f != REGISTRY, f)):
        head = office.head_of(feed, node)
        fields = {"feed": feed, "node": node, "size": head.size}
        key = to_base64(fresh or _log_key(state, feed, node))
        root = to_base64(head.root)
        found.append(registry_entry("home", now, **fields, key=key, root=root))
    return found


def _log_key(state: Directory, feed: str, node: str) -> bytes:
    used = {home.public for home in state.homes.get(feed, ())}
    if feed != REGISTRY and feed not in state.members:
        raise RefusedError(f"there is no feed called {feed}", code="unknown-feed")
    for key in state.with_role("log", f"node/{node}"):
        if key.is_open("log") and key.public not in used:
            return key.public
    raise RefusedError(
        f"{node} has no log key that {feed} did not have before",
        code="no-log-key",
        advice="Its operator runs hub key new --role log, then an officer hub key add.",
    )


node_group.add_command(node_new)
# The operator's side of moving a feed is in ``hub.cli.peers``, with the group itself.
COMMANDS = (member_group, auditor_group, node_group)
