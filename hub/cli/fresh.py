"""How fresh a mirror is: whether it was ever pulled, and ``--require-fresh``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import click

from hub.errors import RefusedError
from hub.warning import was_pulled
from hub.wiring import Hub
from hub.witness import Aged, aged_quorums

__all__ = ["aged_in", "fresh_option", "require", "require_pulled", "too_old"]

fresh_option: Callable[[Any], Any] = click.option(
    "--require-fresh",
    is_flag=True,
    help="Refuse when too few nodes cosigned the heads of late.",
)


def aged_in(hub: Hub, feeds: Collection[str] | None = None) -> list[Aged]:
    """Say on standard error which heads are too old, and return them."""
    with hub.store.read() as tx:
        directory = hub.registry.directory(tx)
        found = aged_quorums(tx, directory, hub.clock.now(), feeds)
    for one in found:
        click.echo(f"hub: {one}", err=True)
    return found


def too_old(found: list[Aged]) -> RefusedError:
    """Return the error for heads that are too old."""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return RefusedError(
        f"{found[0]}{more}",
        code="stale-quorum",
        advice="Pull again, from another node too; if it stays, tell the officers.",
    )


def require(hub: Hub, *, fresh: bool, feeds: Collection[str] | None = None) -> None:
    """Say which heads are too old, and refuse to go on when they must not be.

    Raises:
        RefusedError: They must not be (``stale-quorum``).
    """
    found = aged_in(hub, feeds)
    if found and fresh:
        raise too_old(found)


def require_pulled(hub: Hub) -> None:
    """Refuse to answer out of a mirror that holds nobody's reports yet.

    Raises:
        RefusedError: Nothing was pulled (``not-pulled``).
    """
    if not was_pulled(hub.store):
        raise RefusedError(
            f"no feed was pulled to {hub.folder} yet, so nothing can be said of it",
            code="not-pulled",
            advice="Run hub pull first.",
        )
