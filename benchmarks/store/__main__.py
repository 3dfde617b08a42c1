"""What keeping a long run costs: the size of the store and of the report, and the CPU that each second takes.

    python -m benchmarks.store [SECONDS]

Half an hour with 50 endpoints, 1,000 requests a second and 500 figures of targets, of which most change every second.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from obswarm import gevent_patch  # noqa: F401 - as the command has it
from obswarm.record import MetricKey, RunMetadata
from obswarm.report import run_page
from obswarm.stats import EndpointKey
from obswarm.store import FILE, RunWriter, Store, read_run
from tests.support.recorded import MadeUpRun

ENDPOINTS, REQUESTS, FIGURES = 50, 20, 500
SECONDS = 1800


def main(seconds: int = SECONDS) -> dict[str, float]:
    """Gives bytes and seconds by name."""
    chance = random.Random(1)
    keys = [EndpointKey("GET", f"/api/resource-{number}") for number in range(ENDPOINTS)]
    metrics = [MetricKey(f"target-{number % 10}", "app", f"figure {number}", "number") for number in range(FIGURES)]
    values = [chance.uniform(1, 1e6) for _ in metrics]
    with tempfile.TemporaryDirectory(prefix="obswarm-store-") as folder:
        path = Path(folder, FILE)
        writer = RunWriter(path, RunMetadata("benchmark"))
        run = MadeUpRun([])
        spent_s = 0.0
        for _ in range(seconds):
            run.pass_a_second(
                {
                    key: [0.05 * chance.lognormvariate(number / 50, 0.5) for _ in range(REQUESTS)]
                    for number, key in enumerate(keys)
                }
            )
            values = [value + chance.choice((0, 1, chance.gauss(0, 100))) for value in values]
            sampled = dict(zip(metrics, values, strict=True))
            began = time.process_time()
            writer.snapshot(run.last)
            writer.sample(run.last.time_s, sampled)
            writer._pool.join()
            spent_s += time.process_time() - began
        began = time.process_time()
        writer.finish(run.last, run.last.time_s, _RESULT)
        writer.close()
        with Store(path) as store:
            record = read_run(store, store.find("latest"))
        page = run_page(record)
        return {
            "store_bytes": path.stat().st_size,
            "core_per_second": spent_s / seconds,
            "report_bytes": len(page.encode()),
            "report_s": time.process_time() - began,
        }


_RESULT = {
    "stop_reason": {"kind": "time", "detail": "the planned time is over"},
    "users_max": 3,
    "totals": {"error_ratio": 0.0, "interrupted": 0},
    "requirements": [],
    "guards": [],
    "lost": [],
    "generator": {"saturated": False},
}

if __name__ == "__main__":
    found = main(*map(int, sys.argv[1:]))
    print(
        f"store {found['store_bytes'] / 1e6:.1f} MB, report {found['report_bytes'] / 1e6:.2f} MB,"
        f" {found['core_per_second']:.2%} of a core while the run goes, {found['report_s']:.1f} s for the report"
    )
