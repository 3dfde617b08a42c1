"""A worker with half a CPU gets half the users by its own measurement; with equal shares it is the bottleneck, and the run says so."""

from pathlib import Path

import pytest

from tests.support.fleet import Fleet
from tests.support.limited_cpu import CpuLimit

LOADTEST = """
import time
from obswarm import User, constant, task

class Busy(User):
    wait_time = constant(0.5)

    @task
    def work(self):
        end = time.process_time() + 0.008
        while time.process_time() < end:
            pass
        self.environment.events.request.fire(
            request_type="CPU", name=self.environment.runner.client_id, response_time=8, response_length=0, exception=None
        )
"""


def shares(folder: Path, balance: str) -> tuple[float, dict]:
    """Tasks of the fast worker per task of the slow one, and the result."""
    with CpuLimit(0.5) as limit, Fleet(folder, "http://127.0.0.1:1", LOADTEST) as fleet:
        master = fleet.master("-u", 60, "-r", 60, "-t", "12s", "--expect-workers", 2, "--balance", balance)
        workers = [fleet.worker(), fleet.worker(limit=limit)]
        assert master.wait(60) == 0, fleet.log() + fleet.log("workers.log")
        for worker in workers:
            worker.wait(20)
        result = fleet.result()
        assert [worker["stats_messages"] > 5 for worker in result["workers"]] == [True, True]
        capacities = {worker["worker"]: worker["capacity"] for worker in result["workers"]}
        tasks = {endpoint["name"]: endpoint["requests"] for endpoint in result["endpoints"]}
        slow, fast = sorted(capacities, key=lambda name: capacities[name])
        return tasks[fast] / tasks[slow], result


@pytest.mark.slow
def test_half_a_cpu_gets_half_the_users(tmp_path: Path) -> None:
    ratio, result = shares(tmp_path, "capacity")
    assert ratio == pytest.approx(2, rel=0.15)
    assert result["generator"]["saturated"] is False


@pytest.mark.slow
def test_with_equal_shares_the_slow_worker_saturates_and_the_run_is_marked(tmp_path: Path) -> None:
    _, result = shares(tmp_path, "equal")
    assert result["generator"]["saturated"] is True
    capacities = sorted(result["workers"], key=lambda worker: worker["capacity"])
    assert [worker["saturated"] for worker in capacities] == [True, False]
