"""Commands are imported when they are called, and listed as they are."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import hub.cli
from hub.cli.lazy import COMMANDS

SERVER = {"flask", "gunicorn", "apscheduler", "jinja2", "flask_smorest"}
HEAVY = {*SERVER, "openpyxl", "schemas", "sqlite_utils", "cryptography", "httpx2"}


def commands_of_modules():
    """Return (name, module, first line of the help) of every command there is."""
    for found in pkgutil.iter_modules(hub.cli.__path__):
        module = import_module(f"hub.cli.{found.name}")
        if isinstance(commands := getattr(module, "COMMANDS", None), tuple):
            for command in commands:
                yield command.name, (found.name, command.get_short_help_str(1000))


def test_the_table_names_every_command_as_it_is():
    """Whoever adds a command or changes its first line changes the table too."""
    assert dict(commands_of_modules()) == COMMANDS
    assert list(COMMANDS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_listed_command_is_found_by_its_name(name):
    assert hub.cli.hub.commands[name].name == name


def test_an_unknown_command_is_none():
    assert hub.cli.hub.get_command(None, "republish") is None


def modules_after(*words):
    """Return the top-level packages that a command line had imported at its end."""
    code = (
        "import sys, json, atexit\n"
        "def say():\n"
        "    names = {name.partition('.')[0] for name in sys.modules}\n"
        "    print(json.dumps(sorted(names)), file=sys.stderr)\n"
        "atexit.register(say)\n"
        "from hub.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done, set(json.loads(done.stderr.splitlines()[-1]))


def test_help_imports_next_to_nothing():
    done, imported = modules_after("--help")
    assert done.returncode == 0
    assert "publish" in done.stdout
    assert not imported & HEAVY


@pytest.mark.parametrize("words", [["whoami"], ["doctor"], ["show", "maison/1"]])
def test_a_simple_command_imports_no_web_server(words, tmp_path):
    """Also where it fails, as here, where there is no configuration."""
    done, imported = modules_after("--dir", str(tmp_path), *words)
    assert done.returncode != 0
    assert not imported & SERVER


@pytest.mark.parametrize("words", [["home", "seal"], ["home", "move"], ["node", "new"]])
def test_a_group_has_all_its_commands_when_it_alone_is_imported(words):
    """Commands of one group stand in several files."""
    done, _ = modules_after(*words, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
