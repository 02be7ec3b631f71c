"""Jobs under leases: one run at a time, renewed while it lasts, tried again."""

from __future__ import annotations

import copy
import threading
import time
from itertools import pairwise

import pytest

from hub import scheduler
from hub.clock import SystemClock
from hub.errors import ConflictError, UnavailableError
from hub.scheduler import Job, Worker, leased, tidy
from hub.store.base import ReadRow
from hub.store.records import GRACE
from hub.wiring import Hub
from schemas.config import DEFAULTS
from tests.world import new_world


@pytest.fixture
def hub(tmp_path):
    now = SystemClock().now()
    world = new_world(tmp_path, now)
    config = copy.deepcopy(DEFAULTS)
    made = Hub(tmp_path, config, SystemClock(), world.store, world.directory_of)
    yield made
    made.close()


def eventually(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_a_job_is_run_by_one_worker_at_a_time(hub):
    with (
        leased(hub, "pull"),
        pytest.raises(ConflictError),
        leased(hub, "pull"),
    ):
        raise AssertionError("two at once")
    with leased(hub, "pull"):
        pass


def test_other_jobs_have_leases_of_their_own(hub):
    with leased(hub, "pull"), leased(hub, "tidy"):
        pass


def test_a_run_that_takes_longer_than_its_lease_keeps_it(hub):
    """It is renewed in time, so nobody begins beside it."""
    with leased(hub, "pull", seconds=2):
        for _ in range(8):
            time.sleep(0.5)
            with pytest.raises(ConflictError), leased(hub, "pull"):
                raise AssertionError("two at once")


def test_the_lease_of_a_worker_that_died_is_free_after_its_time(hub):
    now = hub.clock.now()
    with hub.store.write() as tx:
        tx.node.lease("pull", "somebody-dead", now + 1, now)
    with pytest.raises(ConflictError), leased(hub, "pull"):
        raise AssertionError("too early")
    time.sleep(1.1)
    with leased(hub, "pull"):
        pass


def test_an_error_gives_the_lease_back(hub):
    with pytest.raises(UnavailableError), leased(hub, "pull"):
        raise UnavailableError("no")
    with leased(hub, "pull"):
        pass


def test_a_job_that_fails_is_tried_again_before_its_next_turn(hub, monkeypatch):
    """Later each time; after a success it has its usual turn again."""
    monkeypatch.setattr(scheduler, "pause_of", lambda failures: 0.2 * 2**failures)
    times = []

    def run():
        times.append(time.monotonic())
        if len(times) < 4:
            raise UnavailableError("not yet")

    worker = Worker(hub, [Job("pull", run, minutes=60)])
    worker.start()
    try:
        eventually(lambda: len(times) == 4)
        time.sleep(0.5)
    finally:
        worker.stop()
    assert len(times) == 4
    # Only lower bounds hold on a machine that is busy.
    for failures, (one, next_) in enumerate(pairwise(times)):
        assert next_ - one > 0.9 * 0.2 * 2**failures


def test_the_pause_doubles():
    assert [scheduler.pause_of(n) for n in range(4)] == [30, 60, 120, 240]
    assert scheduler.pause_of(10**6) < 10**9


def test_a_fault_of_ours_ends_one_run_and_not_the_worker(hub, caplog):
    """Even what nobody foresaw: the other jobs and the next turn go on."""
    done = threading.Event()

    def fault():
        raise ZeroDivisionError

    jobs = [Job("pull", fault, 60), Job("tidy", done.set, 60)]
    worker = Worker(hub, jobs)
    worker.start()
    try:
        assert done.wait(20)
        eventually(lambda: "ZeroDivisionError" in caplog.text)
        assert worker.names() == {"pull", "tidy"}
    finally:
        worker.stop()


def test_stopping_waits_for_the_run_that_is_under_way(hub):
    begun, ended = threading.Event(), threading.Event()

    def run():
        begun.set()
        time.sleep(0.5)
        ended.set()

    worker = Worker(hub, [Job("pull", run, minutes=60)])
    worker.start()
    assert begun.wait(20)
    worker.stop()
    assert ended.is_set()
    # The lease was given back, too.
    with leased(hub, "pull"):
        pass


def test_a_run_that_looks_at_the_jobs_does_not_hold_up_the_end(hub):
    """It may ask for them and plan itself again while everybody waits for it."""
    begun, workers = threading.Event(), []

    def run():
        begun.set()
        time.sleep(0.5)
        assert workers[0].names() == {"peers"}
        raise UnavailableError("try again")

    workers.append(Worker(hub, [Job("peers", run, minutes=60)]))
    workers[0].start()
    assert begun.wait(20)
    ending = threading.Thread(target=workers[0].stop)
    ending.start()
    ending.join(20)
    assert not ending.is_alive()


def test_tidying_forgets_what_has_had_its_time(hub):
    """Old reads and spent nonces go; what is younger stays."""
    now = hub.clock.now()
    old = ReadRow(now - 91 * 86400, "member/maison", "maison", 0, 1)
    young = ReadRow(now - 89 * 86400, "member/maison", "maison", 0, 1)
    with hub.store.write() as tx:
        tx.node.add_read(old)
        tx.node.add_read(young)
        tx.node.use_nonce("k", "old", now - GRACE - 10, now - GRACE - 300)
    tidy(hub).run()
    with hub.store.write() as tx:
        assert tx.node.list_reads() == [young]
        assert tx.node.forget_nonces(now) == 0
