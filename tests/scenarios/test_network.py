"""Bad networks: publish and pull end in time with a reason, and go on when run again."""

from __future__ import annotations

import shutil
import time
import urllib.parse

import pytest

from hub import client as clients
from tests.conftest import Alliance
from tests.faultkit import Proxy, run
from tests.scenarios.test_kill_server import audited


@pytest.fixture
def bad_line(published, tmp_path, monkeypatch, free_port):
    """An alliance whose members reach the node through a proxy that harms."""
    shutil.copytree(published.folder, tmp_path / "alliance")
    made = Alliance(tmp_path / "alliance", published.url)
    monkeypatch.setenv("HUB__SERVER__LISTEN", f"127.0.0.1:{free_port}")
    monkeypatch.setenv("HUB__SERVER__PUBLIC_URL", published.url)
    made.proxy = Proxy(urllib.parse.urlsplit(published.url).port, free_port)
    try:
        made.serve()
        yield made
    finally:
        made.stop()
        made.proxy.close()


class Cases:
    """A file that gets one case longer each time."""

    def __init__(self, folder):
        self.file, self.rows = folder / "more.csv", ["domain"]

    def longer(self):
        self.rows.append(f"shop-{len(self.rows)}.example")
        self.file.write_text("\n".join(self.rows) + "\n")
        return self.file


PLACES = (0, 17, 400, 700, 1000, 1300, 4000)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_publication_that_is_cut_anywhere(bad_line, direction, reset):
    """Cut after any number of bytes, each case is published once in the end."""
    maison, cases, cut = bad_line.folder / "maison", Cases(bad_line.folder), 0
    for place in PLACES:
        file = cases.longer()
        bad_line.proxy.plan = {direction: place, "reset": reset}
        ran = run(maison, "publish", file)
        assert ran.status in (0, 6), ran
        if ran.status:
            cut += 1
            assert "cannot be reached" in ran.err or "cut short" in ran.err
            assert "try again" in ran.err or "again" in ran.err
        bad_line.proxy.plan = {}
        again = run(maison, "publish", file)
        assert again.status == 0, again
    assert cut > 3
    assert audited(bad_line)["maison"] == 5 + 2 * len(PLACES)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_pull_that_is_cut_anywhere(bad_line, direction, tmp_path):
    """What came whole is kept, what did not comes next time."""
    market, fresh, cut = bad_line.folder / "market", tmp_path / "fresh", 0
    shutil.copytree(market, fresh)
    for place in (*PLACES, 9000):
        shutil.rmtree(market)
        shutil.copytree(fresh, market)
        bad_line.proxy.plan = {direction: place}
        ran = run(market, "pull")
        assert ran.status in (0, 2, 6), ran
        cut += ran.status != 0
        bad_line.proxy.plan = {}
        assert audited(bad_line)["maison"] == 5
    assert cut > 3


@pytest.mark.slow
def test_a_slow_line_is_only_slow(bad_line):
    """Delays and small pieces change nothing but the time."""
    cases = Cases(bad_line.folder)
    bad_line.proxy.plan = {"piece": 200, "pause": 0.01}
    assert run(bad_line.folder / "maison", "publish", cases.longer()).status == 0
    assert audited(bad_line)["maison"] == 7


@pytest.mark.slow
def test_a_line_that_stands_still(bad_line, monkeypatch):
    """Nothing arrives any more: the command gives up, and says so."""
    monkeypatch.setattr(clients, "_PATIENCE", 1)
    file = Cases(bad_line.folder).longer()
    bad_line.proxy.plan = {"piece": 300, "pause": 3}
    begun = time.monotonic()
    ran = run(bad_line.folder / "maison", "publish", file)
    assert (ran.status, time.monotonic() - begun < 60) == (6, True)
    assert "cannot be reached" in ran.err
    bad_line.proxy.plan = {}
    assert run(bad_line.folder / "maison", "publish", file).status == 0
    assert audited(bad_line)["maison"] == 7
