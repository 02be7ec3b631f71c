"""Back up, restore and migrate the database of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from hub.cli.common import emit, folder_of, hub_of
from hub.clock import SystemClock
from hub.config import load_config
from hub.marks import Marks
from hub.restoring import Restored, restore
from hub.store.locks import claim_alone, hold_server_lock, release_server_lock
from hub.store.opening import keep_copy, migrate
from hub.wiring import read_pin

__all__ = ["COMMANDS"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def backup(context: click.Context, file: Path) -> None:
    """Write a consistent copy of the database while the node runs."""
    hub_of(context).store.backup(file)
    emit(context, {"backup": str(file)}, [f"Wrote {file}."])


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from-mirror",
    "mirrors",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Anybody's hub.db that has what the backup lacks; may be repeated.",
)
@click.option(
    "--incomplete", is_flag=True, help="Restore even if the mirrors lack something."
)
@click.pass_context
def restore_command(
    context: click.Context, file: Path, mirrors: tuple[Path, ...], incomplete: bool
) -> None:
    """Put a backup in the place of the database, while the node is stopped."""
    folder = folder_of(context)
    config = load_config(folder)
    pin, marks = read_pin(folder, config), Marks(folder / "private")
    with _alone(folder / config["storage"]["path"]) as database:
        done = restore(
            database,
            file,
            mirrors,
            pin,
            marks,
            SystemClock().now(),
            incomplete=incomplete,
        )
    body = {
        "restored": str(file),
        "feeds": [{"feed": f, "from": a, "to": b} for f, a, b in done.feeds],
        "behind": [
            {"feed": f, "size": a, "signed": b} for f, (a, b) in done.behind.items()
        ],
        "revoked": done.revoked,
        "kept": str(done.kept) if done.kept else None,
    }
    emit(context, body, _sentences(file, done))


def _sentences(file: Path, done: Restored) -> Iterator[str]:
    yield f"Restored {file}."
    yield from (f"{f}: {a} → {b} from a mirror" for f, a, b in done.feeds)
    for feed, (size, signed) in done.behind.items():
        yield (
            f"{feed} ends at {size} and this node signed {signed}: it is read-only "
            "until a mirror brings the rest (hub restore --from-mirror)."
        )
    for name in done.revoked:
        yield f"The bearer token {name} was revoked since and is revoked again."
    if done.kept:
        yield f"The former database is {done.kept}. It may hold erased lines: delete it"
        yield "when you are sure."


@click.command("migrate")
@click.option("--dry-run", is_flag=True, help="Show what would be done.")
@click.pass_context
def migrate_command(context: click.Context, dry_run: bool) -> None:
    """Bring the database of an older hub up to date, while the node is stopped."""
    folder = folder_of(context)
    with _alone(folder / load_config(folder)["storage"]["path"]) as database:
        steps, kept = migrate(database, dry_run=True), None
        if steps and not dry_run:
            kept = keep_copy(database)
            # If we crash here, then the copy stays and nothing else has happened.
            migrate(database)
    verb = "Would apply" if dry_run else "Applied"
    text = [f"{verb} {step}." for step in steps] or ["The database is up to date."]
    if kept:
        text.append(f"What it was is kept as {kept}: delete it when all is well.")
    body = {"migrations": steps, "applied": not dry_run}
    emit(context, {**body, "kept": str(kept) if kept else None}, text)


@contextmanager
def _alone(database: Path) -> Iterator[Path]:
    """Keep servers and other commands away from the database."""
    hold_server_lock(database)
    try:
        with claim_alone(database):
            yield database
    finally:
        release_server_lock(database)


COMMANDS = (backup, restore_command, migrate_command)
