"""Documents are kept true: the demo's story, every command, setting and route."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hub.cli import hub
from schemas.config import DEFAULTS

ROOT = Path(__file__).parents[1]


def commands(group, prefix="hub"):
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def test_the_readme_tells_what_the_demo_says():
    """Numbers of ports and rates aside, line by line."""
    done = subprocess.run(
        [sys.executable, "-m", "hub", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    readme = (ROOT / "README.md").read_text()
    varying = re.compile(r"[0-9.:]+ entries/s|127.0.0.1:[0-9]+|[0-9.]+ s,")
    told = varying.sub("#", done.stdout).splitlines()
    story = re.compile(r"^[0-9]+\. .*", re.MULTILINE)
    block = next(b for b in readme.split("```")[1::2] if "\n1. " in b)
    assert varying.sub("#", block).strip().splitlines()[-len(told) :] == told
    assert story.findall(done.stdout)[-1].startswith("17. ")


def test_a_list_without_a_usable_row_ends_the_demo_with_a_reason(tmp_path):
    """Somebody's first try with a wrong file says which row is wrong, and why."""
    file = tmp_path / "list.csv"
    file.write_text("domain\nnot a host\n")
    done = subprocess.run(
        [sys.executable, "-m", "hub", "demo", "--input", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 2
    assert "row 2: domain" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("name", "command"), list(commands(hub)))
def test_every_command_is_documented_and_explains_itself(name, command):
    text = (ROOT / "docs" / "commands.md").read_text()
    assert re.search(rf"^## `?{re.escape(name)}`?$", text, re.MULTILINE), name
    assert command.help


@pytest.mark.parametrize(
    "key", [f"{s}.{k}" for s, keys in DEFAULTS.items() for k in keys]
)
def test_every_setting_is_documented(key):
    assert key in (ROOT / "docs" / "commands.md").read_text()


def test_every_route_is_documented():
    text = (ROOT / "docs" / "protocol.md").read_text()
    sources = "".join(p.read_text() for p in (ROOT / "hub" / "api").glob("*.py"))
    for route in re.findall(r'\.route\("([^"]*)"', sources):
        last = re.sub(r"<[^>]*>", "", route).strip("/").split("/")[-1] or "v1/feeds"
        assert last in text, route
