"""`python -m benchmarks.before_after FOLDER`: this tree beside another one, such as that of the last release.

FOLDER is a clone with a virtual environment in `.venv`, in which obswarm is installed. In turn, in one run: the CPU
time of a request of both clients, the memory of idle users, and the CPU of a master with simulated workers. Ratios are
this tree's figures divided by the other's, medians over the rounds.
"""

import argparse
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.http.contenders import ROOT, Contender, install_tools, measure_memory, measure_speed, obswarm
from benchmarks.http.server import Nginx

_IDLE_USERS = 5_001
_MASTER = """
import resource
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
from benchmarks.cluster.__main__ import contenders, cpu_of_master
print(cpu_of_master(contenders({workers}, 50, 20)[0], {cores}, 12)[0])
"""
"""Each tree has simulated workers of its own, since the protocol may have changed."""

console = Console(width=110)


def of_tree(tree: Path, user_class: str) -> Contender:
    """Return the load test of the HTTP benchmark, run by another tree."""
    here = obswarm(user_class)
    program = (str(tree / ".venv" / "bin" / "python"), "-m", "obswarm", "run", str(tree / "benchmarks/http/users.py"))
    # A store of its own, since its schema may have changed.
    return Contender(str(tree), program, (*here.arguments, "--store", str(tree / ".obswarm")))


def cpu_of_master(tree: Path, workers: int, cores: list[int]) -> float:
    """Share of a core that the tree's master takes."""
    code = _MASTER.format(workers=workers, cores=cores[:2])
    python = tree / ".venv" / "bin" / "python"
    done = subprocess.run([python, "-c", code], cwd=tree, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.before_after", description=__doc__)
    parser.add_argument("folder", type=Path, help="the other tree, with .venv")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each tree once in each (5)")
    parser.add_argument("--workers", type=int, default=1_000, help="simulated workers of the master (1000)")
    options = parser.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("two cores are needed, one for the server and one for the client")
    install_tools()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    before, after = options.folder.resolve(), ROOT
    table = Table(title=f"this tree beside {before}")
    for heading in ("", "other", "this", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")

    def compare(name: str, unit: str, measure: Callable[[Path], float], rounds: int) -> None:
        pairs = []
        for number in range(rounds):
            order = (before, after) if number % 2 == 0 else (after, before)
            measured = {tree: measure(tree) for tree in order}
            pairs.append((measured[before], measured[after]))
            console.print(f"{name}, round {number + 1}: {pairs[-1][0]:.3f}, {pairs[-1][1]:.3f} {unit}")
        olds, news = zip(*pairs, strict=True)
        ratio = median(new / old for old, new in pairs)
        table.add_row(f"{name}, {unit}", f"{median(olds):.3f}", f"{median(news):.3f}", f"{ratio:.3f}")

    with Nginx(cores[0]) as server:

        def cpu_us(user_class: str) -> Callable[[Path], float]:
            return lambda tree: 1e6 * measure_speed(of_tree(tree, user_class), server, server.url, cores[1], 4).cpu_s

        def memory_kb(user_class: str) -> Callable[[Path], float]:
            def per_user(tree: Path) -> float:
                contender = of_tree(tree, user_class)
                first, many = (measure_memory(contender, server, cores[1], users) for users in (1, _IDLE_USERS))
                return (many.pss_bytes - first.pss_bytes) / (_IDLE_USERS - 1) / 1000

            return per_user

        for user_class in ("FastBusy", "PlainBusy"):
            compare(f"a request of {user_class}", "µs of CPU", cpu_us(user_class), options.rounds)
        for user_class in ("FastIdle", "PlainIdle"):
            compare(f"a user of {user_class}", "kB", memory_kb(user_class), 1)
    workers = options.workers
    compare(
        f"a master with {workers:,} workers",
        "of a core",
        lambda tree: cpu_of_master(tree, workers, cores),
        options.rounds,
    )
    console.print(table)


if __name__ == "__main__":
    main()
