"""The auditor's tutorial is run, line by line, against a real node."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, start

TEXT = (ROOT / "docs" / "tutorial-auditor.md").read_text()
TIME = re.compile(r"202[6-9]-[0-9T:-]+Z")


def steps():
    """Yield (command, expected lines) of every block that has commands."""
    for block in re.findall(r"^```\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *expected = step.splitlines()
            yield command, expected


def run(alliance, command):
    """Run a shell command as the reader would, with ``hub`` and ``python`` of here."""
    python = shlex.quote(sys.executable)
    text = command.replace("http://127.0.0.1:8750", alliance.url)
    shell = f'hub() {{ {python} -m hub "$@"; }}\npython() {{ {python} "$@"; }}\n{text}'
    done = subprocess.run(
        ["bash", "-c", shell],
        cwd=alliance.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode in (0, 1), (command, done.stderr)
    said = done.stdout.replace(alliance.url, "http://127.0.0.1:8750")
    return said.splitlines()


def test_every_command_of_the_tutorial_says_what_it_says(tmp_path):
    """Times aside."""
    alliance = start(tmp_path)
    try:
        alliance.admit("maison")
        cases = tmp_path / "cases.csv"
        cases.write_text(
            "domain,email\nfake-bags.example,x@fake-bags.example\nb.example,\n"
            "c.example,\n"
        )
        alliance.hub("maison", "publish", cases)
        for command, expected in steps():
            said = [TIME.sub("TIME", line) for line in run(alliance, command)]
            assert said == [TIME.sub("TIME", line) for line in expected], command
    finally:
        alliance.stop()
    assert (Path(tmp_path) / "audit.html").stat().st_size > 2000
