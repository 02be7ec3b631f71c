"""Full and failing disks: a clear answer, nothing lost, and no restart when it is over."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from hub.errors import UnavailableError
from tests.conftest import Alliance
from tests.faultkit import fill, injected, run, small_disk
from tests.hub.api.served import report_line
from tests.scenarios.test_kill_server import Writer, audited, send, worker


@contextmanager
def on_small_disk(published, tmp_path, who):
    """Serve a copy of an alliance in which one folder is on a disk of 8 MB."""
    folder = tmp_path / "alliance"
    shutil.copytree(published.folder, folder)
    with small_disk(tmp_path / "small") as place:
        (folder / who).rename(tmp_path / "moved")
        shutil.copytree(tmp_path / "moved", place / who)
        (folder / who).symlink_to(place / who)
        made = Alliance(folder, published.url)
        with pytest.MonkeyPatch.context() as patch:
            # The whole disk is smaller than the floor below which a node is not ready.
            patch.setenv("HUB__STORAGE__FLOOR_MB", "0")
            made.serve()
            try:
                yield made, place / "filler"
            finally:
                made.stop()


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def wait_for(status, url):
    """Ask until the answer is that: readiness is found out every five seconds."""
    for _ in range(80):
        if get(url) == status:
            return
        time.sleep(0.1)
    raise AssertionError(f"{url} never answered {status}")


@pytest.mark.slow
def test_the_disk_of_the_node_is_full(published, tmp_path):
    """Batches are refused with 503 and kept by their writers; the log is still read."""
    with on_small_disk(published, tmp_path, "node") as (going, filler):
        writer, file = Writer(going), going.folder / "more.csv"
        file.write_text("domain\nshop.example\n")
        body = writer.batch(*(report_line() for _ in range(200)))
        fill(filler)
        with pytest.raises(UnavailableError) as caught:
            send(going.url, body)
        assert caught.value.code == "disk-full"
        assert "Free some space" in caught.value.advice
        ran = run(going.folder / "maison", "publish", file)
        assert ran.status == 6
        assert "disk is full" in ran.err
        assert get(f"{going.url}/v1/feeds/maison/checkpoint") == 200
        assert get(f"{going.url}/v1/feeds/maison/tile/0/000.p/5") == 200
        assert get(f"{going.url}/healthz") == 200
        filler.unlink()
        assert send(going.url, body)["first"] == 5
        assert run(going.folder / "maison", "publish", file).status == 0
        assert audited(going)["maison"] == 5 + 201 + 2


@pytest.mark.slow
def test_the_disk_of_the_node_is_full_when_the_mark_is_made(published, tmp_path):
    """The batch is stored and its receipt withheld until the mark can be made."""
    with on_small_disk(published, tmp_path, "node") as (going, _):
        body = Writer(going).batch(report_line())
        with injected(worker(going), "write", "error=ENOSPC:when=1"):
            with pytest.raises(UnavailableError) as caught:
                send(going.url, body)
            assert caught.value.code == "disk-full"
        assert send(going.url, body)["first"] == 5


@pytest.mark.slow
def test_the_disk_of_a_member_is_full(published, tmp_path):
    """Pulling and publishing say so; with space again they go on where they were."""
    with on_small_disk(published, tmp_path, "market") as (going, filler):
        market, file = going.folder / "market", going.folder / "more.csv"
        file.write_text("domain\nshop.example\n")
        fill(filler)
        for words in (("pull",), ("publish", file), ("withdraw", "x"), ("audit",)):
            ran = run(market, *words)
            assert ran.status in (2, 5, 6), (words, ran)
            assert ran.err.startswith("hub: ")
        assert "full" in run(market, "pull").err
        ran = run(market, "verify", market)
        assert (ran.status, "cannot be read: Is a directory" in ran.err) == (2, True)
        filler.unlink()
        assert run(market, "publish", file).status == 0
        sizes = audited(going)
        assert (sizes["maison"], sizes["market"]) == (5, 2)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["1", "2", "3+"])
def test_a_sync_fails_at_the_node(going, when):
    """What was not durable is not acknowledged; the server goes on by itself."""
    writer, bodies, refused = Writer(going), [], []
    with injected(worker(going), "fsync,fdatasync", f"error=EIO:when={when}"):
        for _ in range(3):
            bodies.append(writer.batch(report_line()))
            try:
                send(going.url, bodies[-1])
            except UnavailableError as error:
                refused.append(error.code)
    # A sync of the mark that fails says so too.
    assert set(refused) == {"disk-failed"}
    firsts = [send(going.url, body)["first"] for body in bodies]
    assert sorted(firsts) == [5, 7, 9]
    assert audited(going)["maison"] == 11


@pytest.mark.slow
def test_readiness_writes_to_the_disk(going):
    """A node whose disk takes no write is alive and not ready."""
    with injected(worker(going), "fsync,fdatasync", "error=EIO"):
        wait_for(503, f"{going.url}/readyz")
        assert get(f"{going.url}/healthz") == 200
        assert get(f"{going.url}/v1/feeds/maison/checkpoint") == 200
    wait_for(200, f"{going.url}/readyz")


@pytest.mark.slow
@pytest.mark.parametrize("when", ["1+", "12+"])
def test_a_sync_fails_at_a_puller(going, stepper, when):
    """The pull ends with the reason, and the next one brings what is missing."""
    market = going.folder / "market"
    fault = ("fsync,fdatasync", f"error=EIO:when={when}")
    ran = stepper.run(market, "pull", fault=fault)
    assert ran.status == 6
    assert "disk failed" in ran.err
    assert "try again" in ran.err
    assert audited(going)["maison"] == 5


@pytest.mark.slow
@pytest.mark.parametrize("when", ["1+", "8+"])
def test_a_sync_fails_at_a_publisher(going, stepper, when):
    """Whatever was journalled or sent before, the case is published once."""
    maison, file = going.folder / "maison", going.folder / "more.csv"
    file.write_text("domain\nshop.example\n")
    fault = ("fsync,fdatasync", f"error=EIO:when={when}")
    ran = stepper.run(maison, "publish", file, fault=fault)
    assert ran.status == 6
    assert "disk failed" in ran.err
    assert run(maison, "publish", file).status == 0
    assert audited(going)["maison"] == 7
