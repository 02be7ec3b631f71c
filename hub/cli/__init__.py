"""The command ``hub``: the only home of exit statuses.

0 done, 1 findings of an audit, 2 usage or could not finish, 3 something matched,
4 rows rejected, 5 refused, 6 unreachable.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from hub.cli.lazy import Commands, LazyGroup
from hub.errors import (
    ConflictError,
    HubError,
    MisbehaviourError,
    RefusedError,
    UnavailableError,
)
from keys.errors import KeysError

__all__ = ["main"]


@click.group(
    cls=LazyGroup,
    commands=Commands(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="alliance-hub", prog_name="hub")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: os.environ.get("HUB_DIR", "."),
    help="The folder with config.toml, keys and database (or HUB_DIR).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.pass_context
def hub(context: click.Context, folder: Path, as_json: bool) -> None:
    """Share signed, hashed indicators of counterfeit sellers."""
    context.obj = {"folder": folder, "json": as_json}


def _status(error: Exception) -> int:
    if isinstance(error, UnavailableError):
        return 6
    if isinstance(error, RefusedError | ConflictError):
        return 5
    return 1 if isinstance(error, MisbehaviourError) else 2


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        status = hub.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except BrokenPipeError:
        # Whoever reads has enough, as `head` does; Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(2)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (HubError, KeysError) as error:
        click.echo(f"hub: {error}", err=True)
        if error.advice:
            click.echo(f"     {error.advice}", err=True)
        sys.exit(_status(error))
    except OSError as error:
        # A file that a person named, or one beside it; the stores speak for themselves.
        where = f": {error.filename}" if error.filename else ""
        click.echo(f"hub: {error.strerror or error}{where}", err=True)
        click.echo("     Look at the disk and permissions, then try again.", err=True)
        sys.exit(2)
