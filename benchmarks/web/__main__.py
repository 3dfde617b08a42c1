"""`python -m benchmarks.web`: CPU and latency of a run, without and with 50 event streams and a scrape each second."""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

_USERS = Path(__file__).with_name("users.py")
_SECONDS_PER_TICK = 1 / os.sysconf("SC_CLK_TCK")
_WARM_UP_S = 3.0


class _Measured(NamedTuple):
    """CPU of the run's process as a share of a core, its p50 and p99 in seconds, and the bytes that listeners got."""

    cpu_ratio: float
    p50_s: float
    p99_s: float
    received: int


@contextmanager
def _started(*words: object, **how: object) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) * _SECONDS_PER_TICK


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _measure(target: int, users: int, seconds: float, streams: int) -> _Measured:
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        words = ("-m", "obswarm", "run", _USERS, "--workers", 0, "-H", f"http://127.0.0.1:{target}")
        load = ("-u", users, "-r", users, "-t", f"{seconds + 3 * _WARM_UP_S}s", "--web-port", port)
        quiet = ("--no-store", "--json", "-", "--local", "--linger", "0s")
        with _started(*words, *load, *quiet, cwd=folder, stderr=subprocess.DEVNULL) as run:
            _wait_for(port)
            with _started("-m", "benchmarks.web.listeners", port, streams) as listeners:
                time.sleep(_WARM_UP_S)
                before_s, since_s = _cpu_s(run.pid), time.monotonic()
                time.sleep(seconds)
                cpu_ratio = (_cpu_s(run.pid) - before_s) / (time.monotonic() - since_s)
                result = json.loads(run.communicate()[0])["totals"]
                received = int(listeners.communicate()[0])
    return _Measured(cpu_ratio, result["p50_s"], result["p99_s"], received)


def _wait_for(port: int) -> None:
    until_s = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="pairs of runs (7)")
    parser.add_argument("--seconds", type=float, default=10, help="seconds that are measured of each run (10)")
    parser.add_argument("--users", type=int, default=40, help="users, each with 5 requests per second (40)")
    parser.add_argument("--streams", type=int, default=50, help="event streams (50)")
    options = parser.parse_args(arguments)
    found: dict[int, list[_Measured]] = {0: [], options.streams: []}
    with _started("-m", "benchmarks.web.target") as target:
        assert target.stdout is not None
        port = int(target.stdout.readline())
        for number in range(options.rounds):
            for streams in sorted(found, reverse=number % 2 == 1):
                found[streams].append(_measure(port, options.users, options.seconds, streams))
    _show(found, options.users * 5)


def _show(found: dict[int, list[_Measured]], rate: int) -> None:
    without, those = (found[key] for key in sorted(found))
    pairs = list(zip(without, those, strict=True))
    table = Table(title=f"a run of {rate} requests/s with 20 endpoints; medians of {len(pairs)} pairs of runs")
    for heading in ("event streams", "CPU of the run", "p50", "p99", "received by each stream"):
        table.add_column(heading, justify="right")
    for streams, measured in sorted(found.items()):
        cpu, p50_s, p99_s, received = (median(values) for values in zip(*measured, strict=True))
        each = f"{received / streams / 1000:.1f} kB" if streams else "–"
        table.add_row(str(streams), f"{cpu:.1%}", f"{p50_s * 1000:.2f} ms", f"{p99_s * 1000:.2f} ms", each)
    console = Console(width=110)
    console.print(table)
    more = median(other.cpu_ratio - one.cpu_ratio for one, other in pairs)
    slower = median(other.p99_s / one.p99_s - 1 for one, other in pairs)
    console.print(f"Medians of the differences: {more:+.1%} of a core, {slower:+.1%} of the p99.")


if __name__ == "__main__":
    main()
