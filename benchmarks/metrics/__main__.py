"""`python -m benchmarks.metrics`: CPU and size of a scrape, and its longest turn, by number of endpoints."""

import argparse
import random
import time
from statistics import median

from rich.console import Console
from rich.table import Table

from obswarm.api import Environment, Events, User, task
from obswarm.engine import ClosedExecutor, LocalGenerator, Ramp, Run
from obswarm.metrics import SnapshotRegistry
from obswarm.metrics.exposition import compressed, slices
from obswarm.metrics.exposition import cooperative as in_turns
from obswarm.stats import Recorder

_ENDPOINTS = (10, 100, 1_000)
_REQUESTS_EACH = 500
_FORMATS = {
    "text": "text/plain",
    "OpenMetrics": "application/openmetrics-text; version=1.0.0",
    "protobuf": "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
}


class _Nobody(User):
    @task
    def nothing(self) -> None: ...


def _recorded(endpoints: int) -> tuple[SnapshotRegistry, float]:
    """A snapshot with as many endpoints, latencies spread as real ones are; and how long taking a snapshot took when
    every endpoint had changed."""
    environment = Environment(events=Events(), recorder=Recorder(endpoints + 10), user_classes=[_Nobody])
    executor = ClosedExecutor(Ramp(1, 1), environment.user_classes)
    generator = LocalGenerator(environment)
    run = Run(environment, executor, generator, test="benchmark", max_endpoints=endpoints + 10)
    draw = random.Random(1)
    latest = SnapshotRegistry()
    for _ in range(2):
        for number in range(endpoints):
            for _ in range(_REQUESTS_EACH // 2):
                environment.recorder.record("GET", f"/page/{number}", draw.lognormvariate(-3, 0.8), 1000, 200)
        started = time.process_time()
        snapshot = run.latest()
        took = time.process_time() - started
        latest.snapshot(snapshot)
    return latest, took


def _scrape(latest: SnapshotRegistry, accept: str) -> tuple[float, float, int, int]:
    """(CPU seconds, longest turn in seconds, bytes, bytes when compressed) of one scrape."""
    turns: list[float] = []
    since = time.perf_counter()

    def pause() -> None:
        nonlocal since
        turns.append(time.perf_counter() - since)
        since = time.perf_counter()

    cpu = time.process_time()
    _, pieces = slices(latest, {}, accept)
    body = b"".join(in_turns(pieces, pause))
    cpu = time.process_time() - cpu
    pause()
    return cpu, max(turns), len(body), len(b"".join(compressed([body])))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="scrapes of each kind (7)")
    options = parser.parse_args()
    console = Console(width=110)
    table = Table(title=f"a scrape, {_REQUESTS_EACH} requests per endpoint; medians of {options.rounds}")
    for heading in ("endpoints", "format", "CPU", "longest turn", "size", "gzipped", "snapshot"):
        table.add_column(heading, justify="left" if heading == "format" else "right")
    for endpoints in _ENDPOINTS:
        latest, snapshot_s = _recorded(endpoints)
        for name, accept in _FORMATS.items():
            rounds = [_scrape(latest, accept) for _ in range(options.rounds)]
            cpu, turn = median(each[0] for each in rounds), max(each[1] for each in rounds)
            table.add_row(
                f"{endpoints:,}",
                name,
                f"{cpu * 1000:.1f} ms",
                f"{turn * 1000:.1f} ms",
                f"{rounds[0][2] / 1000:,.0f} kB",
                f"{rounds[0][3] / 1000:,.0f} kB",
                f"{snapshot_s * 1000:.1f} ms",
            )
    console.print(table)


if __name__ == "__main__":
    main()
