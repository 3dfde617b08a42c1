"""A worker with half a CPU gets fewer users by its own measurement; with equal shares it is the bottleneck, and the run says so."""

import re
from pathlib import Path

import pytest

from tests.support.fleet import Fleet
from tests.support.limited_cpu import CpuLimit
from tests.support.patience import HANG_S

LOADTEST = """
import time
from obswarm import User, between, task

class Busy(User):
    # Not constant: after one bad moment all users would go on in step, each waiting for all the others.
    wait_time = between(0.25, 0.75)

    @task
    def work(self):
        end = time.process_time() + {work_s}
        while time.process_time() < end:
            pass
        self.environment.events.request.fire(
            request_type="CPU", name=self.environment.runner.client_id, response_time=1, response_length=0, exception=None
        )
"""


def shares(folder: Path, balance: str, work_s: float) -> tuple[float, dict, str]:
    """Tasks of the fast worker per task of the slow one, the result, and what the programs said. 60 users have
    `work_s` to compute about twice a second."""
    loadtest = LOADTEST.replace("{work_s}", str(work_s))
    with CpuLimit(0.5) as half, CpuLimit(1.0) as whole, Fleet(folder, "http://127.0.0.1:1", loadtest) as fleet:
        master = fleet.master("-u", 60, "-r", 60, "-t", "8s", "--expect-workers", 2, "--balance", balance)
        workers = [fleet.worker(limit=whole), fleet.worker(limit=half)]
        assert master.wait(HANG_S) == 0, fleet.log() + fleet.log("workers.log")
        for worker in workers:
            worker.wait(HANG_S)
        result = fleet.result()
        assert [worker["stats_messages"] > 5 for worker in result["workers"]] == [True, True]
        capacities = {worker["worker"]: worker["capacity"] for worker in result["workers"]}
        tasks = {endpoint["name"]: endpoint["requests"] for endpoint in result["endpoints"]}
        slow, fast = sorted(capacities, key=lambda name: capacities[name])
        return tasks[fast] / tasks[slow], result, fleet.log() + fleet.log("workers.log")


@pytest.mark.alone
def test_users_are_given_out_by_measured_capacity_and_half_a_cpu_counts_half(tmp_path: Path) -> None:
    # A third of each one's CPU, so that nobody is too slow in a bad moment of the machine, and gives users away.
    ratio, result, log = shares(tmp_path, "capacity", 0.004)
    # A moment in which the machine is slow makes one of the measurements smaller, as it should.
    half, whole = sorted(worker["capacity"] for worker in result["workers"])
    assert ratio == pytest.approx(whole / half, rel=0.15), (result["workers"], log)
    assert sorted(re.findall(r"on (\S+) CPUs?\.", log)) == ["0.5", "1"], log
    assert result["generator"]["saturated"] is False


@pytest.mark.alone
def test_with_equal_shares_the_slow_worker_saturates_and_the_run_is_marked(tmp_path: Path) -> None:
    _, result, _ = shares(tmp_path, "equal", 0.01)
    assert result["generator"]["saturated"] is True
    capacities = sorted(result["workers"], key=lambda worker: worker["capacity"])
    assert [worker["saturated"] for worker in capacities] == [True, False]
