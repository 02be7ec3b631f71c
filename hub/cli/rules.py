"""What the officers decide: suspensions, erasures, the policy, grants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hub.cli.common import emit
from hub.cli.office import Office, office_command
from hub.errors import ConfigError, MalformedError, UnavailableError
from hub.model import EntryName, parse_time, render_time
from hub.officers import registry_entry
from keys.encoding import parse_decimal
from keys.errors import EncodingError
from schemas.entry import BASES
from schemas.registry import CLASSES

__all__ = ["COMMANDS", "erase_by_officers"]


@click.command("suspend")
@click.argument("entries", nargs=-1, required=True)
@click.option("--ground", required=True)
@click.option("--until", required=True, help="A UTC date or time.")
@office_command
def suspend(office: Office, entries: tuple[str, ...], ground: str, until: str) -> None:
    """Make entries of any feed inactive for a time."""
    names = [str(EntryName.parse(e)) for e in entries]
    fields = {"entries": names, "ground": ground}
    end = parse_time(until)
    moment = render_time(end)
    if end <= office.hub.clock.now():
        raise ConfigError(
            f"{moment} is past: nothing would be suspended",
            advice="Say with --until when the suspension ends.",
        )

    def lines() -> Sequence[bytes]:
        now = office.hub.clock.now()
        return [registry_entry("suspension", now, until=moment, **fields)]

    office.act(lines, f"Suspended {len(names)} entries until {moment}.")


def erase_by_officers(office: Office, entries: Sequence[str], ground: str) -> None:
    """Order lines of any feed to be erased, for a member that will not or cannot."""
    by_feed: dict[str, list[int]] = {}
    for name in map(EntryName.parse, entries):
        by_feed.setdefault(name.feed, []).append(name.index)

    def lines() -> Sequence[bytes]:
        now = office.hub.clock.now()
        return [
            registry_entry(
                "erasure", now, feed=feed, indices=sorted(set(found)), ground=ground
            )
            for feed, found in by_feed.items()
        ]

    office.act(
        lines, f"Ordered {len(entries)} entries to be erased: hidden now, gone in 72 h."
    )


def _pairs(values: Sequence[str], known: Sequence[str], option: str) -> dict[str, int]:
    """Read NAME=NUMBER options."""
    found = {}
    for value in values:
        name, _, number = value.partition("=")
        if name not in known:
            raise MalformedError(
                f"{option}: {name[:40]} is none of {', '.join(known)}",
                advice=f"Write it like {option} {known[0]}=1000.",
            )
        try:
            found[name] = parse_decimal(number)
        except EncodingError:
            raise MalformedError(
                f"{option}: {number[:40]} is not a number",
                advice=f"Write it like {option} {known[0]}=1000.",
            ) from None
    return found


@click.command("policy")
@click.option("--quorum", type=click.IntRange(0), help="Other nodes that must cosign.")
@click.option("--quota", "quotas", multiple=True, help="CLASS=evaluations a day")
@click.option("--valid-days", "valid", multiple=True, help="BASIS=days")
@click.option("--fresh-hours", type=click.IntRange(1), help="How old a quorum may be.")
@office_command
def policy(
    office: Office,
    quorum: int | None,
    quotas: tuple[str, ...],
    valid: tuple[str, ...],
    fresh_hours: int | None,
) -> None:
    """Show the policy, or change what is named and keep the rest."""
    new_quotas = _pairs(quotas, CLASSES, "--quota")
    new_days = _pairs(valid, BASES, "--valid-days")
    changes = (quorum, fresh_hours, new_quotas or None, new_days or None)
    if all(change is None for change in changes):
        _show(office)
        return

    def lines() -> Sequence[bytes]:
        now = office.directory().policy
        fields: dict[str, Any] = {
            "quorum": now.quorum if quorum is None else quorum,
            "quotas": {**now.quotas, **new_quotas},
            "valid_days": {**now.valid_days, **new_days},
            "fresh_hours": fresh_hours or now.fresh_hours,
        }
        return [registry_entry("policy", office.hub.clock.now(), **fields)]

    office.act(lines, "Set the policy.")


def _show(office: Office) -> None:
    try:
        office.refresh()
    except UnavailableError as error:
        click.echo(f"hub: {error}; what was seen here last:", err=True)
    now = office.directory().policy
    body = {
        "quorum": now.quorum,
        "quotas": dict(now.quotas),
        "valid_days": dict(now.valid_days),
        "fresh_hours": now.fresh_hours,
    }
    text = [
        f"quorum: {now.quorum} other nodes",
        *(f"quota of {c}: {n} evaluations a day" for c, n in now.quotas.items()),
        *(f"valid days of {b}: {n}" for b, n in now.valid_days.items()),
        f"fresh hours: {now.fresh_hours}",
    ]
    emit(office.context, body, text)


@click.group("grant")
def grant_group() -> None:
    """Quota beyond the policy's, for one member and a time."""


@grant_group.command("add")
@click.option("--member", required=True)
@click.option("--class", "token_class", type=click.Choice(CLASSES), required=True)
@click.option("--count", type=click.IntRange(1), required=True)
@click.option("--until", required=True, help="A UTC date or time.")
@office_command
def grant_add(
    office: Office, member: str, token_class: str, count: int, until: str
) -> None:
    """Let a member ask for more tokens a day until a time."""
    moment = render_time(parse_time(until))
    fields = {"member": member, "class": token_class, "count": count}

    def lines() -> Sequence[bytes]:
        now = office.hub.clock.now()
        return [registry_entry("grant", now, until=moment, **fields)]

    done = f"{member} may ask for {count} more {token_class} tokens a day"
    office.act(lines, f"{done} until {moment}.")


COMMANDS = (suspend, policy, grant_group)
