"""`python -m benchmarks.cluster`: a master's CPU beside Locust's, how old its snapshots are, and two workers against
one."""

import argparse
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.http.contenders import LOCUST_ENVIRONMENT, ROOT, install_locust
from obswarm.cluster.master.balancer import distribute

_OPEN_FILES = 65_536
_HERE = Path(__file__).parent
_USERS = _HERE / "users.py"
_LAG_SAMPLES = 8
_PORT, _WEB_PORT = 15_557, 18_089
console = Console(width=110)


@dataclass(frozen=True)
class Contender:
    """A master's program, that of its simulated workers, and how to know how many have joined."""

    name: str
    master: list[str]
    workers: list[str]


def contenders(workers: int, endpoints: int, requests: int) -> list[Contender]:
    numbers = [str(_PORT), str(workers), str(endpoints), str(requests)]
    users = ["-u", str(workers), "-r", "100000", "--headless", "--expect-workers", str(workers)]
    locust = str(LOCUST_ENVIRONMENT / "bin" / "locust")
    return [
        Contender(
            "obswarm",
            [
                *(sys.executable, "-m", "obswarm", "master", _USERS.name, "Nobody", "--bind", f"127.0.0.1:{_PORT}"),
                *(*users, "--only-summary", "--web-port", str(_WEB_PORT), "--fresh", "--linger", "0", "-s", "0"),
            ],
            [sys.executable, "-m", "benchmarks.cluster.obswarm_workers", *numbers],
        ),
        Contender(
            "Locust",
            [
                *(locust, "-f", _USERS.name, "Nobody", "--master", "--master-bind-host", "127.0.0.1"),
                *("--master-bind-port", str(_PORT), *users, "--only-summary"),
            ],
            [str(LOCUST_ENVIRONMENT / "bin" / "python"), str(_HERE / "locust_workers.py"), *numbers],
        ),
    ]


def cpu_of_master(contender: Contender, cores: list[int], seconds: float) -> tuple[float, float]:
    """(share of a core, oldest statistics of a worker in any sampled snapshot in seconds) while it runs."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        # Beside the repository, whose settings for pytest Locust would take for its own.
        shutil.copy(_USERS, folder)
        log = stack.enter_context(open(f"{folder}/log", "wb"))
        master = subprocess.Popen(_on_core(cores[0], contender.master), cwd=folder, stdout=log, stderr=log)
        stack.callback(_end, master)
        time.sleep(3)
        workers = subprocess.Popen(
            _on_core(cores[1], contender.workers),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
        stack.callback(_end, workers)
        process = psutil.Process(master.pid)
        time.sleep(12)
        began, cpu = time.monotonic(), _cpu_s(process)
        time.sleep(seconds)
        share = (_cpu_s(process) - cpu) / (time.monotonic() - began)
        # Only then, since a scrape of that many workers costs, too.
        oldest = 0.0
        for _ in range(_LAG_SAMPLES if contender.name == "obswarm" else 0):
            oldest = max(oldest, _oldest_statistics())
            time.sleep(0.73)
        if master.poll() is not None or workers.poll() is not None:
            raise SystemExit(Path(f"{folder}/log").read_text())
    return share, oldest


def _on_core(core: int, command: list[str]) -> list[str]:
    return ["taskset", "--cpu-list", str(core), *command]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _oldest_statistics() -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{_WEB_PORT}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return max(float(value) for value in re.findall(r"^obswarm_stats_lag_seconds\{.*\} (\S+)$", text, re.MULTILINE))


def tasks_per_second(workers: int, seconds: int) -> float:
    """Of users without wait time and without network, on that many worker processes."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "obswarm", "run", str(_USERS), "Busy", "-u", "20", "-r", "1000"),
            *("-t", f"{seconds}s", "--workers", str(workers), "--json", "-", "--only-summary", "--reset-stats"),
            *("--web-port", "0", "--linger", "0"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rps: float = json.loads(done.stdout)["totals"]["rps"]
    return rps


def dispatch_s(users: int, workers: int) -> float:
    """Seconds to give that many users of three classes out anew, over workers of different capacity."""
    draw = random.Random(1)
    weights = {f"w{number}": draw.uniform(0.5, 1.5) for number in range(workers)}
    wanted = {"Most": users * 7 // 10, "Some": users * 3 // 10 - 10, "Few": 10}
    took = []
    for _ in range(5):
        began = time.perf_counter()
        distribute(wanted, weights)
        took.append(time.perf_counter() - began)
    return median(took)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, each contender once in each (3)")
    parser.add_argument("--seconds", type=int, default=15, help="seconds that are measured in a round (15)")
    parser.add_argument("--workers", type=int, default=1_000, help="simulated workers (1000)")
    parser.add_argument("--endpoints", type=int, default=50, help="endpoints of each worker (50)")
    parser.add_argument("--requests", type=int, default=20, help="requests to each endpoint in a second (20)")
    options = parser.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("two cores are needed, one for the master and one for its workers")
    install_locust()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, _OPEN_FILES), most))
    both = contenders(options.workers, options.endpoints, options.requests)
    measured: dict[str, list[float]] = {contender.name: [] for contender in both}
    lag_s = 0.0
    for number in range(options.rounds):
        for contender in both:
            share, oldest = cpu_of_master(contender, cores, options.seconds)
            measured[contender.name].append(share)
            lag_s = max(lag_s, oldest)
            console.print(f"round {number + 1}: {contender.name:<8} master {share:6.3f} of a core")
    ratio = median(mine / theirs for mine, theirs in zip(measured["obswarm"], measured["Locust"], strict=True))
    work = f"{options.workers:,} workers × {options.endpoints} endpoints × {options.requests} requests"
    table = Table(title=f"a master with {work}, one report a second")
    for heading in ("master", "CPU, share of a core", "× Locust's"):
        table.add_column(heading, justify="left" if heading == "master" else "right")
    table.add_row("obswarm", f"{median(measured['obswarm']):.3f}", f"{ratio:.2f}")
    table.add_row("Locust", f"{median(measured['Locust']):.3f}", "1")
    console.print(table)
    console.print(f"Oldest statistics of a worker in any snapshot: {lag_s:.2f} s.")

    console.print(f"1,000,000 users are dealt out over 500 workers in {dispatch_s(1_000_000, 500) * 1000:.1f} ms.")
    ratios = []
    for number in range(options.rounds):
        one, two = tasks_per_second(1, options.seconds), tasks_per_second(2, options.seconds)
        ratios.append(two / one)
        console.print(f"round {number + 1}: one worker {one:,.0f} tasks/s, two {two:,.0f}, {two / one:.2f} ×")
    console.print(f"Two workers do {median(ratios):.2f} × what one does.")


if __name__ == "__main__":
    main()
