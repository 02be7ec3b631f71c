"""Health says that the process answers; readiness whether the node can do its work."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from hub.marks import Marks
from hub.readiness import KEPT, OVERDUE, Watch
from tests.hub.api.served import NOW, slug


@pytest.fixture
def watch(served, monkeypatch):
    """A watch whose kept answers a test can let grow old."""
    made = served.serving.watch
    passed = [1000.0]
    monkeypatch.setattr("hub.readiness.time.monotonic", lambda: passed[0])

    def later(seconds=KEPT):
        passed[0] += seconds
        return made.look()

    made.later = later
    return made


def not_ready(served):
    answer = served.web.get("/readyz")
    assert (answer.status_code, slug(answer)) == (503, "not-ready")
    return answer.json["reasons"]


def test_a_sound_node_is_ready(served):
    answer = served.web.get("/readyz")
    assert answer.status_code == 200
    assert answer.json["feeds"] == 2
    assert answer.json["time"] == NOW
    assert answer.json["free"] > 0
    assert served.web.get("/healthz").json == {"ok": True}


def test_a_full_disk_is_a_reason(served, monkeypatch):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _path: SimpleNamespace(free=63 << 20)
    )
    assert not_ready(served) == ["63 MiB are free on the disk"]


def test_a_store_that_takes_no_write_is_a_reason(served, monkeypatch):
    from hub.errors import UnavailableError

    def fail():
        raise UnavailableError("The disk failed.", code="disk-failed")

    monkeypatch.setattr(served.hub.store, "write", fail)
    assert not_ready(served) == ["The disk failed."]
    assert served.web.get("/healthz").status_code == 200


def test_a_clock_that_went_back_is_a_reason(served, watch):
    """A little is what time services do; more would make signatures of yesterday."""
    assert watch.later().reasons == ()
    served.clock.time -= 60
    assert watch.later().reasons == ()
    served.clock.time -= 1
    assert watch.later().reasons == ("the clock is 1 seconds behind itself",)
    served.clock.time = NOW
    assert watch.later().reasons == ()


def test_a_clock_behind_the_last_cosignature_is_a_reason(served, watch):
    """Also when the server was started since: the mark is beside the key."""
    Marks(served.hub.folder / "private").note_witness("maison", 5, NOW + 7)
    assert watch.later().reasons == ("the clock is 7 seconds behind itself",)
    served.clock.time += 7
    assert watch.later().reasons == ()


def test_an_erasure_that_nobody_carries_out_is_a_reason(served, watch):
    with served.hub.store.write() as tx:
        tx.erasures.order("maison", [2], "maison/9", NOW)
    served.clock.time += 72 * 3600 + OVERDUE - 1
    assert watch.later().reasons == ()
    served.clock.time += 1
    (reason,) = watch.later().reasons
    assert "hub worker" in reason


def test_strangers_do_not_make_the_node_write(served, watch, monkeypatch):
    """A thousand questions are one write, and a bad answer is looked at again soon."""
    writes = []
    honest = served.hub.store.write

    def write():
        writes.append(1)
        return honest()

    monkeypatch.setattr(served.hub.store, "write", write)
    watch.look()
    for _ in range(1000):
        watch.look()
    assert len(writes) == 1
    watch.later(KEPT - 0.1)
    assert len(writes) == 1
    watch.later(0.2)
    assert len(writes) == 2


def test_a_bad_answer_is_kept_for_a_second_only(served, watch, monkeypatch):
    assert isinstance(watch, Watch)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))
    assert watch.later().reasons
    monkeypatch.undo()
    monkeypatch.setattr("hub.readiness.time.monotonic", lambda: 1010.0)
    assert watch.look().reasons == ()
