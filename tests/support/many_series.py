"""A stored run with many metrics: noise, of which every tenth is three times as high from the moment on at which the run
becomes slow."""

import random
from pathlib import Path

from obswarm.record import MetricKey, RunMetadata
from obswarm.store import RunWriter
from tests.support.recorded import PAGE, MadeUpRun

PER_TARGET = 50


def write_run(path: Path, series: int, seconds: int) -> None:
    """Write a run with a sample of each metric in each second; it becomes slow after two thirds of them."""
    chance = random.Random(1)
    keys = [
        MetricKey(f"target {number // PER_TARGET}", "other", f"series {number}", "number") for number in range(series)
    ]
    levels = [chance.uniform(1, 100) for _ in keys]
    writer = RunWriter(path, RunMetadata("1.0.0"))
    run = MadeUpRun([writer])
    for second in range(seconds):
        is_slow = second >= seconds * 2 // 3
        run.pass_a_second({PAGE: [(1.0 if is_slow else 0.05) * (1 + number / 100) for number in range(20)]})
        factors = [3.0 if is_slow and number % 10 == 0 else 1.0 for number in range(series)]
        values = [level * factor * chance.gauss(1, 0.05) for level, factor in zip(levels, factors, strict=True)]
        writer.sample(run.last.time_s, dict(zip(keys, values, strict=True)))
        # The queue would have all of them.
        writer._pool.join()
    writer.close()
