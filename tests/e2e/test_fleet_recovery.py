"""A master that was started again goes on with the course of the run; many workers that come at once all get its files."""

import os
import time
from pathlib import Path

import gevent

from obswarm.store import FILE, Store, read_run
from tests.support.fleet import Fleet
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer
from tests.support.stalls import StallMeter

STEPS = """
from obswarm import FastHttpUser, LoadTestShape, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/page")

class Steps(LoadTestShape):
    def tick(self):
        seconds = self.get_run_time()
        if seconds < 5:
            return 4, 20
        if seconds < 16:
            return 12, 20
        return None
"""

LARGE = """
import hashlib
from obswarm import FastHttpUser, constant, task

with open("large.bin", "rb") as file:
    DIGEST = hashlib.sha256(file.read()).hexdigest()[:8]

class Visitor(FastHttpUser):
    wait_time = constant(0.2)

    @task
    def page(self):
        self.client.get(f"/{DIGEST}/{self.environment.runner.client_id}")
"""


def arrivals_until(quick: QuickServer, count: int, fleet: Fleet) -> None:
    wait_until(
        lambda: sum(map(len, quick.arrivals().values())) >= count, lambda: fleet.log() + fleet.log("workers.log")
    )


def test_a_shape_continues_at_the_elapsed_time_after_a_restart_of_the_master(tmp_path: Path) -> None:
    with QuickServer() as quick, Fleet(tmp_path, quick.url, STEPS) as fleet, StallMeter() as stalls:
        master = fleet.master("--expect-workers", 2)
        workers = [fleet.worker(), fleet.worker()]
        arrivals_until(quick, 60, fleet)
        master.kill()
        gevent.sleep(1.5)
        master = fleet.master("--expect-workers", 2)
        wait_until(lambda: "Continuing the run" in fleet.log(), fleet.log)
        back_s = time.time()
        assert [master.wait(HANG_S), *(worker.wait(HANG_S) for worker in workers)] == [0, 0, 0], fleet.log()
        result = fleet.result()
        times = sorted(quick.arrivals()["/page"])
        assert result["totals"]["requests"] == len(times)
        assert result["users_max"] == 12
        with Store(Path(os.environ["OBSWARM_STORE"], FILE)) as store:
            stored = read_run(store, store.find(result["run_id"]))
        assert stored.total().requests == len(times)
        assert [mark.kind for mark in stored.annotations] == [mark["kind"] for mark in result["annotations"]]
        # Once, although a second master has made the end of it; the first one's last second may be missing.
        assert 0.8 * len(times) < sum(second.total().requests for second in stored.intervals) <= len(times)
        # The shape's own end, sixteen seconds after the first beginning: the time without a master counts.
        assert 15 < times[-1] - times[0] < 16 + stalls.allowed_s(2)
        began = times[0]
        early = sum(time_s - began < 4.5 for time_s in times) / 4.5
        # Once the second master has had the time to reach its workers.
        from_s, to_s = max(began + 7.5, back_s + 2), began + 15
        assert from_s < to_s - 2, "the machine was too slow to see a second step"
        late = sum(from_s < time_s < to_s for time_s in times) / (to_s - from_s)
        assert 2 < late / early < 4


def test_a_large_bundle_goes_to_many_workers_at_once(tmp_path: Path) -> None:
    with QuickServer() as quick, Fleet(tmp_path, quick.url, LARGE) as fleet:
        (fleet.folder / "large.bin").write_bytes(os.urandom(8_000_000))
        workers = [fleet.worker() for _ in range(10)]
        master = fleet.master("-u", 20, "-r", 20, "-t", "4s", "--expect-workers", 10)
        assert master.wait(HANG_S) == 0, fleet.log()
        assert {worker.wait(HANG_S) for worker in workers} == {0}, fleet.log("workers.log")
        result = fleet.result()
        assert len(result["workers"]) == 10
        assert result["lost"] == []
        assert len({path.split("/")[1] for path in quick.arrivals()}) == 1
        assert len(quick.arrivals()) == 10
        assert result["totals"]["requests"] == sum(map(len, quick.arrivals().values()))
