"""A member's folder that has pulled and cached its tokens, for commands in this process."""

from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner

from hub.cli import hub
from tests.conftest import start

CASES = (
    "case,domain,whole,basis,confidence,goods,first_seen,last_seen\n"
    "C-1,fake-bags.example,,test-purchase,90,18;25,2026-01-02,2026-03-04\n"
    "C-2,,loose.example,court-judgment,70,14,,\n"
    "C-3,maybe.example,,automated-detection,20,,,\n"
)
SELLERS = (
    "seller,domain\n"
    "S-1,https://www.fake-bags.example/shop\n"
    "S-2,outlet.loose.example\n"
    "S-3,maybe.example\n"
    "S-4,clean.example\n"
    "S-5,own.example\n"
    "S-6,not a host\n"
    "=S-7,also-clean.example\n"
)


@pytest.fixture(scope="session")
def screened(tmp_path_factory):
    """A stopped alliance; market pulled, and has the tokens of its sellers cached."""
    made = start(tmp_path_factory.mktemp("screened"))
    try:
        made.admit("maison")
        made.admit("market")
        cases, own = made.folder / "cases.csv", made.folder / "own.csv"
        cases.write_text(CASES)
        own.write_text("case,domain\nM-1,own.example\n")
        (made.folder / "market" / "sellers.csv").write_text(SELLERS)
        options = ("--ref", "case", "--column", "whole=site")
        made.hub("maison", "publish", cases, *options)
        made.hub("market", "publish", own, "--ref", "case")
        made.hub("market", "pull")
        sellers = made.folder / "market" / "sellers.csv"
        made.hub("market", "screen", sellers, "--ref", "seller", status=3)
    finally:
        made.stop()
    return made


@pytest.fixture
def market(screened, tmp_path):
    """A copy of market's folder, in which commands are run in this process."""
    folder = tmp_path / "market"
    shutil.copytree(screened.folder / "market", folder)

    def run(*words, status=0, as_json=True, text=""):
        words = [str(w) for w in words]
        options = ["--dir", str(folder), *(["--json"] if as_json else [])]
        done = CliRunner().invoke(hub, [*options, *words], input=text)
        if not isinstance(done.exception, SystemExit | None):
            raise done.exception
        assert done.exit_code == status, done.output
        run.said = done.stderr
        return done.stdout

    run.folder, run.sellers = folder, folder / "sellers.csv"
    return run
