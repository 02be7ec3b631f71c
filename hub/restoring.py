"""Bring a node's database back from a backup, and what came after it from mirrors.

All of it happens in a new file beside the database. Only when that file is whole,
verified, and holds everything that this node ever signed does it take the database's
name, so whatever fails before leaves the former database as it was.

Not trusted: the backup and the mirrors. The registry of each is replayed from the pin,
and what a mirror adds is verified as from any peer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hub.directory import Pin
from hub.errors import HubError, RefusedError, UnavailableError
from hub.marks import Marks
from hub.registry import Registry
from hub.store import opening
from hub.store.base import BearerToken
from hub.store.sqlite import SqliteStore
from hub.sync import Mirror, pull
from keys.errors import KeysError

__all__ = ["Restored", "restore"]


@dataclass
class Restored:
    """What a restored database holds.

    Args:
        feeds: (feed, from, to) of what came from a mirror.
        behind: By feed, its size and the larger size that this node signed.
        revoked: Bearer tokens that were revoked since the backup, and are again.
        kept: Where the former database is, if there was one.
    """

    feeds: list[tuple[str, int, int]] = field(default_factory=list)
    behind: dict[str, tuple[int, int]] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    kept: Path | None = None


def restore(
    database: Path,
    backup: Path,
    mirrors: Sequence[Path],
    pin: Pin,
    marks: Marks,
    now: int,
    *,
    incomplete: bool = False,
) -> Restored:
    """Put a backup in the place of a database that nobody has open.

    Args:
        database: The place.
        backup: A copy made by ``hub backup``, perhaps by an older hub.
        mirrors: Databases of any members, auditors or nodes, with what it lacks.
        pin: What all of them must start from.
        marks: What this node signed last.
        now: The time here.
        incomplete: Accept that even with the mirrors something signed is missing.

    Raises:
        ConfigError: A file is no database of a hub that we know.
        RefusedError: A file belongs to another alliance (``other-alliance``), or the
            mirrors lack what was signed (``still-behind``).
        HubError: A mirror cannot be read or followed; its file is named.
        UnavailableError: The disk is full or failing.
    """
    fresh = database.with_name(database.name + ".restored")
    opening.remove(fresh)
    try:
        # If we crash in here, then the former database stands; the next run starts
        # by removing what this one left.
        opening.copy_of(backup, fresh)
        done = _fill(fresh, backup, mirrors, pin, now)
        done.behind = _behind(fresh, marks)
        if done.behind and mirrors and not incomplete:
            raise _still_behind(done.behind)
        done.revoked = _revoke_again(database, fresh, now)
        done.kept = opening.put_in_place(fresh, database)
    finally:
        opening.remove(fresh)
    return done


def _fill(
    fresh: Path, backup: Path, mirrors: Sequence[Path], pin: Pin, now: int
) -> Restored:
    """Verify the copy's registry, then pull what the mirrors have beyond it."""
    done, registry = Restored(), Registry(pin)
    with closing(SqliteStore(fresh)) as store:
        with _of(backup, pin), store.read() as tx:
            registry.directory(tx)
        for mirror in mirrors:
            with closing(SqliteStore(mirror)) as other:
                with _of(mirror, pin), other.read() as tx:
                    Registry(pin).directory(tx)
                found = pull(store, registry, Mirror(other, str(mirror)), now)
            for feed, problem in found.problems.items():
                raise _of_mirror(mirror, feed, problem)
            done.feeds += found.feeds
    return done


@contextmanager
def _of(file: Path, pin: Pin) -> Iterator[None]:
    """Name the file whose registry does not start from the pin."""
    try:
        yield
    except UnavailableError:
        raise
    except (HubError, KeysError) as error:
        raise RefusedError(
            f"the registry in {file} is not that of {pin.alliance}: {error}",
            code="other-alliance",
            advice="Name a file of this alliance; the pin in this folder decides.",
        ) from None


def _of_mirror(mirror: Path, feed: str, problem: HubError) -> HubError:
    problem.message = f"{feed} in {mirror}: {problem.message}"
    problem.args = (problem.message,)
    if isinstance(problem, UnavailableError) or not problem.advice:
        problem.advice = "Name another mirror; nothing was changed here."
    return problem


def _behind(fresh: Path, marks: Marks) -> dict[str, tuple[int, int]]:
    signed = marks.log_sizes()
    with closing(SqliteStore(fresh)) as store, store.read() as tx:
        sizes = {feed: tx.objects.size(feed) for feed in signed}
    return {f: (sizes[f], signed[f]) for f in signed if sizes[f] < signed[f]}


def _still_behind(behind: dict[str, tuple[int, int]]) -> RefusedError:
    lacks = ", ".join(f"{f} ends at {a} of {b}" for f, (a, b) in behind.items())
    return RefusedError(
        f"the mirrors lack what this node signed: {lacks}; nothing was changed",
        code="still-behind",
        advice="Name a further mirror (--from-mirror again), or say --incomplete: what "
        "lacks something is then served and takes no batch until it is whole.",
    )


def _revoke_again(database: Path, fresh: Path, now: int) -> list[str]:
    """Revoke the bearer tokens that were revoked after the backup.

    Only the former database knows them; without it, all stay as in the backup.
    """
    try:
        with closing(SqliteStore(database)) as former, former.read() as tx:
            ended = [row for row in tx.node.list_bearers() if row.revoked is not None]
    except HubError:
        # It is missing or damaged: that is why a backup is restored.
        return []
    with closing(SqliteStore(fresh)) as store, store.write() as tx:
        valid = {row.name: row for row in tx.node.list_bearers() if not row.revoked}
        again = [row.name for row in ended if _same(valid.get(row.name), row)]
        for name in again:
            tx.node.revoke_bearer(name, now)
    return again


def _same(here: BearerToken | None, there: BearerToken) -> bool:
    return here is not None and here.digest == there.digest
