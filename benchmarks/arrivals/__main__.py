"""`python -m benchmarks.arrivals`: accuracy of the starts of iterations, and latency of a server that stalls."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.arrivals.chart import draw
from benchmarks.arrivals.stalling_server import quantile_of_stalls
from obswarm.record import RunRecord
from obswarm.stats import Histogram
from obswarm.store import Store, read_run

_HERE = Path(__file__).parent
_USERS = _HERE / "users.py"
_STALL_S, _PERIOD_S = 2.0, 10.0
_CHART = Path("docs/images/arrivals.svg")
console = Console(width=110)


def _run(folder: Path, user: str, *options: str, **environment: str) -> RunRecord:
    """Execute a run of one of the users, and return what was stored of it."""
    command = [sys.executable, "-m", "obswarm", "run", str(_USERS), user, "--headless", "--no-report", *options]
    command += ["--store", str(folder), "--web-port", "0", "--linger", "0s", "--exit-code-on-error", "0"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    with Store(folder / "runs.sqlite") as store:
        return read_run(store, store.runs()[-1])


def accuracy(rate: int, seconds: int) -> None:
    """Print count and delay of the starts at that rate for each worker process, with one and with two."""
    table = Table(title=f"{rate:,} iterations/s per worker for {seconds} s, of a user that does nothing")
    for heading in ("workers", "arrivals", "iterations", "planned", "difference", "p50 late", "p99 late", "max late"):
        table.add_column(heading, justify="right")
    for workers in (1, 2):
        for arrivals in ("constant", "poisson"):
            with tempfile.TemporaryDirectory() as name:
                delays = Path(name) / "delays"
                load = ("--arrival-rate", f"{rate * workers}/s", "--arrivals", arrivals, "-t", f"{seconds}s")
                options = (*load, "--workers", str(workers))
                record = _run(Path(name) / "store", "Null", *options, ARRIVALS_DELAYS=str(delays))
                found = sorted(delay for line in delays.read_text().splitlines() for delay in json.loads(line))
            planned = rate * workers * seconds
            number = sum(record.intervals[-1].iterations.values())
            late = [found[min(len(found) - 1, int(q * len(found)))] for q in (0.5, 0.99, 1.0)]
            shown = [f"{each * 1000:.2f} ms" for each in late]
            table.add_row(str(workers), arrivals, f"{number:,}", f"{planned:,}", f"{number / planned - 1:+.3%}", *shown)
    console.print(table)


@dataclass(frozen=True)
class Model:
    """A way to make 100 requests a second, and the response times that it shows."""

    name: str
    options: tuple[str, ...]
    histogram: Callable[[RunRecord], Histogram | None]


_MODELS = (
    Model("open, from the intended start", ("--arrival-rate", "100/s"), lambda run: run.total().intended_duration),
    Model("closed, 4 users with constant pacing", ("-u", "4", "-r", "1000"), lambda run: run.total().duration),
)


def stalls(seconds: int) -> None:
    """Print and draw the percentiles of a server that stalls for 2 s every 10 s, for which they are known."""
    quantiles = (0.5, 0.9, 0.95, 0.99)
    table = Table(title=f"Stalls of {_STALL_S:g} s every {_PERIOD_S:g} s, 100 requests/s for {seconds} s")
    table.add_column("model")
    for heading in (*(f"p{q * 100:g}" for q in quantiles), "requests", "not started"):
        table.add_column(heading, justify="right")

    def expected(q: float) -> float:
        return quantile_of_stalls(q, _STALL_S, _PERIOD_S)

    table.add_row("expected", *(f"{expected(q):.3f} s" for q in quantiles), "", "")
    curves: dict[str, Callable[[float], float]] = {"expected": expected}
    for model in _MODELS:
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.arrivals.stalling_server", str(_STALL_S), str(_PERIOD_S)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        try:
            host = f"http://127.0.0.1:{int(server.stdout.readline())}"
            with tempfile.TemporaryDirectory() as name:
                record = _run(Path(name), "Visitor", "-H", host, "-t", f"{seconds}s", "--workers", "0", *model.options)
        finally:
            server.kill()
            server.wait()
        histogram = model.histogram(record)
        assert histogram is not None
        dropped = sum(record.intervals[-1].dropped.values())
        table.add_row(
            model.name,
            *(f"{histogram.quantile(q) or 0:.3f} s" for q in quantiles),
            f"{histogram.count:,}",
            f"{dropped:,}",
        )
        curves[model.name] = lambda q, histogram=histogram: histogram.quantile(q) or 0.0  # type: ignore[misc]
    console.print(table)
    _CHART.write_text(draw(curves), encoding="utf-8")
    console.print(f"Drawn: {_CHART}")


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5_000, help="iterations per second of each worker")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--only", choices=("accuracy", "stalls"))
    given, _ = parser.parse_known_args()
    if given.only != "stalls":
        accuracy(given.rate, given.seconds)
    if given.only != "accuracy":
        stalls(given.seconds)


if __name__ == "__main__":
    main()
