"""Metrics of a load test's own count the same as its requests, whatever happens to the master and a worker."""

from pathlib import Path
from typing import Any

from tests.support.fleet import Fleet, run_with_kills
from tests.support.patience import HANG_S
from tests.support.programs import QuickServer

LOADTEST = """
from obswarm import FastHttpUser, between, metrics, task

pages = metrics.counter("pages", labels=("worker",))
sizes = metrics.histogram("sizes")
value = metrics.gauge("value")

class Visitor(FastHttpUser):
    wait_time = between(0.02, 0.05)

    @task
    def page(self):
        worker = self.environment.runner.client_id
        self.client.get("/" + worker)
        pages.add(1, worker=worker)
        sizes.record(3)
        value.set(1.5)
"""


def by_worker(result: dict[str, Any]) -> dict[str, int]:
    return {each["labels"]["worker"]: each["sum"] for each in result["metrics"] if each["name"] == "pages"}


def test_a_fleets_metrics_are_exact_though_its_master_and_a_worker_are_killed(tmp_path: Path) -> None:
    with QuickServer() as target, Fleet(tmp_path, target.url, LOADTEST) as fleet:
        run_with_kills(fleet, target, 3, "-u", 8, "-r", 8, "--require", 'metric("pages").sum > 10')
        result = fleet.result()
        arrivals = {path.strip("/"): len(times) for path, times in target.arrivals().items()}
        counted = {each["name"].strip("/"): each["requests"] for each in result["endpoints"]}
        (lost,) = {each["worker"] for each in result["lost"]}
        assert by_worker(result) == counted, "each request has one"
        assert {name: number for name, number in counted.items() if name != lost} == {
            name: number for name, number in arrivals.items() if name != lost
        }
        (sizes,) = (each for each in result["metrics"] if each["name"] == "sizes")
        assert sizes["count"] * 3 == sizes["sum"]
        assert sizes["count"] == result["totals"]["requests"]
        assert [each["met"] for each in result["requirements"]] == [True]


def test_a_guard_about_a_metric_that_does_not_exist_is_refused_before_the_run(tmp_path: Path) -> None:
    with Fleet(tmp_path, "http://127.0.0.1:9", LOADTEST) as fleet:
        master = fleet.master("--stop-when", 'metric("page").rate > 5')
        assert master.wait(HANG_S) == 2
        assert (
            "The load test has no metric page; its metrics are pages, sizes, value. Did you mean pages?" in fleet.log()
        )


def test_a_guard_stops_a_fleet_by_a_metric_of_its_own(tmp_path: Path) -> None:
    with QuickServer() as target, Fleet(tmp_path, target.url, LOADTEST) as fleet:
        master = fleet.master(
            *("-u", 4, "-r", 4, "-t", "60s", "--expect-workers", 1),
            *("--stop-when", 'metric("sizes").max >= 3'),
        )
        fleet.worker()
        assert master.wait(HANG_S) == 3, fleet.log()
        assert fleet.result()["guards"][0]["trips"] == 1
