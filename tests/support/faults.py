"""Runs of a service that something happens to in the middle, each followed by one that has to run."""

import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support.patience import HANG_S
from tests.support.programs import CountingServer
from tests.support.service import LOADTEST

KINDS = ("killed", "disk full", "crashed")
_RUN_S = 6
_MOMENTS_S = (0.0, 9.0)
"""After the client was started: from before the run is asked for until about its end."""

_CRASHES = {
    "exception": """
import obswarm.engine.emitter
def crash(self):
    raise RuntimeError("a bug")
gevent.spawn_later(DELAY, setattr, obswarm.engine.emitter.SnapshotEmitter, "collect", crash)
""",
    "os._exit": "gevent.spawn_later(DELAY, os._exit, 0)",
    "sys.exit": "gevent.spawn_later(DELAY, sys.exit, 3)",
    "segmentation fault": "gevent.spawn_later(DELAY, os.kill, os.getpid(), 11)",
    "at import": "os._exit(1)",
}


class Faulty(Protocol):
    """A service that something can happen to. `arguments` are those of `obswarm run`."""

    def start_run(self, *arguments: object, cwd: Path) -> "subprocess.Popen[str]": ...

    def kill(self) -> None: ...

    def fill(self) -> None: ...

    def make_room(self) -> None: ...


@dataclass
class Outcome:
    """What happened when (seconds after the client was started), and how the two runs ended."""

    kind: str
    moment_s: float
    code: int
    counted: int | None
    """Requests in the first run's result, None when there is none."""
    served: int
    next_code: int
    next_counted: int | None
    next_served: int
    said: str

    @property
    def wrong(self) -> list[str]:
        """What should not be."""
        found = []
        if self.next_code != 0 or self.next_counted != self.next_served:
            found.append("the next run did not run, or is not exact")
        if self.counted is None and self.code not in (2, 4):
            found.append("no result, and no error")
        if self.code == 0 and self.counted != self.served:
            found.append("the first run is not exact, and does not say so")
        if self.counted is not None and self.counted > self.served:
            found.append("more was counted than was served")
        if self.kind == "disk full" and self.code != 0:
            found.append("a full disk ended the run")
        if "Traceback" in self.said:
            found.append("a traceback")
        return found


def crashing(crash: str, delay_s: float) -> str:
    """A load test that brings its master down so long after it was imported there."""
    lines = _CRASHES[crash].replace("DELAY", f"{delay_s:.2f}").strip().splitlines()
    head = "\nimport os, sys\nimport gevent\nif 'master' in sys.argv:\n"
    return LOADTEST + head + "".join(f"    {line}\n" for line in lines)


def _finish(run: "subprocess.Popen[str]") -> tuple[int, int | None, str]:
    try:
        out, err = run.communicate(timeout=HANG_S)
    except subprocess.TimeoutExpired:
        run.kill()
        out, err = run.communicate()
        return -1, None, err
    try:
        return run.returncode, json.loads(out)["totals"]["requests"], err
    except (ValueError, KeyError):
        return run.returncode, None, err + out


def happen(service: Faulty, target: CountingServer, kind: str, draw: random.Random) -> Outcome:
    """One run that this happens to, at a random moment, and the one after it."""
    moment_s = draw.uniform(*_MOMENTS_S)
    with tempfile.TemporaryDirectory(prefix="obswarm-faults-") as name:
        folder = Path(name)
        shown, text = kind, LOADTEST
        if kind == "crashed":
            crash = draw.choice(sorted(_CRASHES))
            shown, text = f"{kind}: {crash}", crashing(crash, min(moment_s, _RUN_S))
        (folder / "first.py").write_text(text)
        (folder / "next.py").write_text(LOADTEST.replace("/visit", "/next"))
        before = target.counts()
        load = ("-H", target.url, "-u", 10, "-r", 50, "--json", "-", "--headless")
        run = service.start_run(folder / "first.py", *load, "-t", f"{_RUN_S}s", cwd=folder)
        if kind != "crashed":
            time.sleep(moment_s)
            do: Callable[[], None] = service.kill if kind == "killed" else service.fill
            do()
        code, counted, said = _finish(run)
        served = target.counts()
        run = service.start_run(folder / "next.py", *load, "-t", "2s", cwd=folder)
        next_code, next_counted, next_said = _finish(run)
        now = target.counts()
        service.make_room()
        return Outcome(
            shown,
            moment_s,
            code,
            counted,
            served.get("/visit", 0) - before.get("/visit", 0),
            next_code,
            next_counted,
            now.get("/next", 0) - before.get("/next", 0),
            said + next_said,
        )


def show(service: Faulty, target: CountingServer, times: int, seed: int) -> int:
    """Every kind so often; prints a table, and gives an exit code."""
    draw = random.Random(seed)
    print(f"seed {seed}")
    print("what happened                 |   at  | exit code, counted of served | next: exit code, counted of served")
    wrong = 0
    for number in range(times * len(KINDS)):
        outcome = happen(service, target, KINDS[number % len(KINDS)], draw)
        first = (
            f"{outcome.code:2}, {outcome.counted if outcome.counted is not None else 'none':>5} of {outcome.served:5}"
        )
        second = f"{outcome.next_code:2}, {outcome.next_counted} of {outcome.next_served}"
        print(f"{outcome.kind:29} | {outcome.moment_s:3.1f} s | {first:28} | {second}", flush=True)
        for text in outcome.wrong:
            wrong += 1
            print(f"    WRONG: {text}\n{outcome.said}", flush=True)
    print(f"{times * len(KINDS)} runs that something happened to, each followed by one that ran: {wrong} wrong.")
    return 1 if wrong else 0
