"""The command that looks after a folder."""

from __future__ import annotations

import click

from hub.cli.common import emit, folder_of, hub_of
from hub.model import render_time

__all__ = ["COMMANDS"]


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check versions, storage, keys and canonical forms of this folder."""
    from hub.selftest import check_forms, drifted_libraries
    from hub.store.engine import sqlite3
    from keys._sodium import lib
    from schemas.identifiers import VERSION, installed_versions

    hub = hub_of(context)
    hub.store.check()
    forms, tokens = check_forms()
    directory = hub.directory()
    whole = [k.name for k in directory.token_keys.values() if k.threshold == 1]
    lib.sodium_version_string.restype = __import__("ctypes").c_char_p
    sodium = lib.sodium_version_string().decode()
    lines = [
        f"folder: {folder_of(context)} ({hub.role} {hub.name})",
        f"time: {render_time(hub.clock.now())}",
        f"SQLite {sqlite3.sqlite_version}, libsodium {sodium}",
        f"canonical forms: version {VERSION}, {forms} forms and {tokens} tokens agree",
        "libraries: " + ", ".join(f"{n} {v}" for n, v in installed_versions().items()),
        f"registry: {directory.size} lines",
    ]
    if whole:
        lines.append(
            f"warning: {', '.join(whole)}: one node holds the whole token key, so its "
            "operator could test guesses of identifiers"
        )
    lines += [f"warning: {drift}" for drift in drifted_libraries()]
    body = {"ok": True, "whole_token_keys": whole, "libraries": installed_versions()}
    emit(context, body, lines)


COMMANDS = (doctor,)
