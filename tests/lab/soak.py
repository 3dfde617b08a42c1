"""`make lab-soak`: an hour's worth of users that come and go, in minutes: resident memory of every process stays flat.

Waves of both kinds of users against a loopback target: each user makes a few requests, with many names, failures and
exceptions, and each wave ends most users and starts new ones, several thousand in OBSWARM_LAB_MINUTES (six by default). Prints memory, open files and users over time, and
fails if memory grows from one half of the run to the other.
"""

# The monkey-patch has to stand before everything else.
import obswarm.gevent_patch  # noqa: F401, I001

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.programs import QuickServer, command, ROOT

MOST_GROWTH_BYTES_PER_MINUTE = 1_500_000
"""What a process may gain a minute in the second half. The history of a run that a report needs is about 5 kB a second
in the process that has it."""

_LOOK_EVERY_S = 1.0
_LOADTEST = """
import itertools

from locust import FastHttpUser, HttpUser, LoadTestShape, between

numbers = itertools.count()


def page(user):
    user.left -= 1
    user.client.get(f"/page/{user.number}-{user.left}", name=f"/page/{user.number % 200}")


def judged(user):
    with user.client.post("/order", json={"number": user.number}, catch_response=True) as response:
        response.failure("not accepted") if user.left % 2 else response.success()


def broken(user):
    raise ValueError(f"visitor {user.number % 5}")


class Visit:
    tasks = {page: 20, judged: 3, broken: 1}
    wait_time = between(0.05, 0.15)

    def on_start(self):
        self.left = 0
        self.number = next(numbers)


class Plain(Visit, HttpUser):
    pass


class Fast(Visit, FastHttpUser):
    weight = 3


class Waves(LoadTestShape):
    seconds = 0

    def tick(self):
        now = self.get_run_time()
        if now > SECONDS:
            return None
        return (20 if int(now / 5) % 2 else 200), 200
"""


@dataclass(frozen=True)
class Look:
    """What the processes of a run have at a moment; bytes."""

    at_s: float
    memory: dict[str, int]
    descriptors: dict[str, int]


def main() -> int:
    minutes = float(os.environ.get("OBSWARM_LAB_MINUTES", "6"))
    with tempfile.TemporaryDirectory(prefix="obswarm-soak-") as folder, QuickServer() as target:
        file = Path(folder, "loadtest.py")
        file.write_text(_LOADTEST.replace("SECONDS", str(minutes * 60)))
        options = ("-H", target.url, "--headless", "--workers", 1, "--json", "result.json", "--no-report")
        with open(Path(folder, "output.txt"), "w") as output:
            process = subprocess.Popen(
                command("run", file, *options),
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            looks = _watch(process)
        served = target.total()
        if process.returncode not in (0, 1):
            print(Path(folder, "output.txt").read_text()[-2000:])
            return 1
        result = json.loads(Path(folder, "result.json").read_text())
    return _report(looks, result, served)


def _watch(process: subprocess.Popen[bytes]) -> list[Look]:
    """Look at the process and its workers until it ends."""
    looks, start_s = [], time.monotonic()
    while process.poll() is None:
        try:
            looks.append(_look(psutil.Process(process.pid), time.monotonic() - start_s))
        except psutil.NoSuchProcess:
            pass  # It has just ended.
        time.sleep(_LOOK_EVERY_S)
    return looks


def _look(top: psutil.Process, at_s: float) -> Look:
    processes = {"master": top, **{f"worker {number}": each for number, each in enumerate(top.children(), 1)}}
    return Look(
        at_s,
        {name: each.memory_info().rss for name, each in processes.items()},
        {name: each.num_fds() for name, each in processes.items()},
    )


def _report(looks: list[Look], result: dict[str, object], served: int) -> int:
    names = list(looks[len(looks) // 2].memory)
    print("time   | " + " | ".join(f"{name:20}" for name in names))
    for look in looks[:: max(1, len(looks) // 12)]:
        shown = (
            f"{look.memory[name] / 1e6:7.1f} MB {look.descriptors[name]:4} files" if name in look.memory else ""
            for name in names
        )
        print(f"{look.at_s:4.0f} s | " + " | ".join(f"{each:20}" for each in shown))
    wrong = []
    totals: dict[str, int] = result["totals"]  # type: ignore[assignment]
    if totals["requests"] != served:
        wrong.append(f"{served} requests were served, {totals['requests']} counted")
    for name in names:
        grown, opened = _growth(looks, name)
        print(f"{name}: {grown / 1e6:+.2f} MB a minute in the second half, {opened:+} files")
        if grown > MOST_GROWTH_BYTES_PER_MINUTE:
            wrong.append(f"{name} grew by {grown / 1e6:.2f} MB a minute")
        if opened > 20:
            wrong.append(f"{name} has {opened} more files open")
    print(f"{totals['requests']} requests, {served} served.")
    for text in wrong:
        print(text)
    return 1 if wrong else 0


def _growth(looks: list[Look], name: str) -> tuple[float, int]:
    """Return the growth of the second half of the run: bytes a minute, and open files. Quarters are compared by their
    medians, since the waves come and go."""
    mine = [look for look in looks if name in look.memory]
    half = mine[len(mine) // 2 :]
    first, last = half[: len(half) // 2], half[len(half) // 2 :]
    minutes = (statistics.fmean(look.at_s for look in last) - statistics.fmean(look.at_s for look in first)) / 60
    memory = [statistics.median(look.memory[name] for look in part) for part in (first, last)]
    files = [statistics.median(look.descriptors[name] for look in part) for part in (first, last)]
    return (memory[1] - memory[0]) / minutes, int(files[1] - files[0])


if __name__ == "__main__":
    sys.exit(main())
