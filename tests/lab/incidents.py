"""`make lab`: records the contest's incidents, with which the tests of `obswarm explain` are made.

For each fault of the contest, at three loads and twice, a short run: all users within four seconds, a healthy time, then
the fault. Besides, runs without a fault, and with more users than the contest can take. What there is already is not
recorded again, so an aborted lab goes on when it is started again. Needs the contest's programs and root; prints a line
for each recording.

OBSWARM_LAB_FAULTS="no-index pauses" records those alone; OBSWARM_LAB_MINUTES begins no recording after that time;
OBSWARM_LAB_FOLDER is where to write to.
"""

import itertools
import json
import lzma
import math
import os
import random
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from obswarm.api import RequestSigner
from obswarm.record import Interval, RunRecord
from obswarm.stats import total_of
from obswarm.store import FILE, Store, export_run, read_run
from tests.support.contest import FOLDER as CONTEST
from tests.support.contest import Contest
from tests.support.recordings import FOLDER, HEALTHY, OVERLOAD, SUFFIX, read_split

LOADS = (160, 80, 240)
HIGHER_LOADS = (240, 160, 320)
HIGHEST_LOADS = (320, 240, 400)
LOADS_OF = {
    **dict.fromkeys(("neighbour", "few-connections", "cpu-quota"), HIGHER_LOADS),
    **dict.fromkeys(("few-processes", "low-maxconn", "small-buffer"), HIGHEST_LOADS),
}
"""Of faults that nobody notices with fewer users."""
REPETITIONS = 2
HEALTHY_REPETITIONS = 4
OVERLOAD_USERS = 900
OVERLOAD_REPETITIONS = 3

RUN_S = 38.0
FAULT_S = 20.0
"""Since the start of the run."""
_RAMP_S = 4.0
_SLOWER = 2.0
_SLOWER_S = 0.005
_FAILING = 0.01
_PAUSE_S = 1.0
_PROBES = 20
_PROBE_S = 0.05
_RECOVERY_S = 30.0

_LOADTEST = f"""
import sys

sys.path.insert(0, {str(CONTEST)!r})
from loadtest import Contestant, add_options, share_accounts
"""


@dataclass(frozen=True)
class Planned:
    fault: str
    users: int
    repetition: int

    @property
    def name(self) -> str:
        return f"{self.fault}.{self.users}.{self.repetition}"

    @property
    def is_fault(self) -> bool:
        return self.fault not in (HEALTHY, OVERLOAD)


def planned() -> Iterator[Planned]:
    """Yield all recordings: the first repetition of everything before the second one."""
    split = read_split()
    faults = [name for name in split["truth"] if name not in (HEALTHY, OVERLOAD, *split["left_out"])]
    for repetition in range(1, max(REPETITIONS, HEALTHY_REPETITIONS, OVERLOAD_REPETITIONS) + 1):
        for number, users in enumerate(LOADS):
            if repetition <= REPETITIONS:
                yield from (Planned(fault, LOADS_OF.get(fault, LOADS)[number], repetition) for fault in faults)
            if repetition <= HEALTHY_REPETITIONS:
                yield Planned(HEALTHY, users, repetition)
        if repetition <= OVERLOAD_REPETITIONS:
            yield Planned(OVERLOAD, OVERLOAD_USERS, repetition)


class Lab:
    """Writes recordings to a folder."""

    def __init__(self, contest: Contest, work: Path, folder: Path) -> None:
        self._contest = contest
        self._work = work
        self._folder = folder
        self._index = folder / "recordings.json"
        self._entries: dict[str, dict[str, object]] = (
            json.loads(self._index.read_text()) if self._index.exists() else {}
        )
        self._loadtest = work / "steady.py"
        self._loadtest.write_text(_LOADTEST)
        # Errors do not end these runs.
        settings = contest.folder / "obswarm.toml"
        settings.write_text(settings.read_text().split("[[guards]]")[0])

    def has(self, one: Planned) -> bool:
        return one.name in self._entries

    def record(self, one: Planned) -> str:
        """Make one recording; returns what it has."""
        store = self._work / one.name
        ramp_s = RUN_S if one.fault == OVERLOAD else _RAMP_S
        program = self._contest.run(
            self._loadtest,
            *("-u", one.users, "-r", one.users / ramp_s, "-t", f"{RUN_S:g}s"),
            *("--web-port", 0, "--store", store, "--no-report", "--workers", 0, "--account-slices", 1),
        )
        try:
            fault_s = self._switch_on(one, store) if one.is_fault else None
            program.wait(RUN_S + 60)
        finally:
            program.kill()
            program.wait()
            if one.is_fault:
                self._contest.must("fault", one.fault, "off")
        with Store(store / FILE) as runs:
            (info,) = runs.runs()
            file = self._work / f"{one.name}.db"
            export_run(runs, info, file)
            run = read_run(runs, info)
        at_s = None if fault_s is None else fault_s - info.started_s
        felt = felt_of(run, FAULT_S if at_s is None else at_s)
        self._keep(one, file, at_s, felt)
        self._wait_until_healthy()
        return felt.text + f", {sum(map(len, run.samples.values())):,} values of {len(run.samples)} series"

    def _switch_on(self, one: Planned, store: Path) -> float:
        """Return the time of the clock at which the fault was switched on."""
        deadline = time.monotonic() + 30
        while not (store / FILE).exists():
            assert time.monotonic() < deadline, self._contest.log_file.read_text()
            time.sleep(0.05)
        # Not always at the same moment of a second.
        time.sleep(FAULT_S + random.random())
        moment_s = time.time()
        self._contest.must("fault", one.fault, "on")
        return moment_s

    def _keep(self, one: Planned, file: Path, at_s: float | None, felt: "Felt") -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        packed = lzma.compress(file.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
        (self._folder / f"{one.name}{SUFFIX}").write_bytes(packed)
        self._entries[one.name] = {
            "fault": one.fault,
            "users": one.users,
            "repetition": one.repetition,
            "fault_on_s": None if at_s is None else round(at_s, 2),
            "is_felt": felt.is_felt,
            "p95_before_s": felt.before_s,
            "p95_after_s": felt.after_s,
            "errors_after": felt.errors,
        }
        new = self._index.with_suffix(".new")
        new.write_text(json.dumps(dict(sorted(self._entries.items())), indent=1) + "\n")
        new.replace(self._index)

    def _wait_until_healthy(self) -> None:
        """Until requests are as fast as ever, and both clusters have them."""
        deadline = time.monotonic() + _RECOVERY_S
        time.sleep(_PAUSE_S)
        fast = 0
        signer = RequestSigner(self._contest.key)
        while fast < _PROBES and time.monotonic() < deadline:
            begun_s = time.monotonic()
            request = urllib.request.Request(
                f"{self._contest.url}/problems/73", headers=dict(signer.headers("/problems/73", "lab"))
            )
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    answer.read()
                fast = fast + 1 if time.monotonic() - begun_s < _PROBE_S else 0
            except (OSError, urllib.error.HTTPError):
                fast = 0
                time.sleep(0.2)
        time.sleep(_PAUSE_S)


@dataclass(frozen=True)
class Felt:
    """Whether users noticed the fault, by a criterion that has nothing to do with `obswarm explain`: the p95 of the
    whole time after its beginning is twice that of the ten seconds before, and 5 ms more, or 1 % failed."""

    before_s: float
    after_s: float
    errors: float

    @property
    def is_felt(self) -> bool:
        slower = self.after_s >= max(_SLOWER * self.before_s, self.before_s + _SLOWER_S)
        return slower or self.errors >= _FAILING

    @property
    def text(self) -> str:
        return (
            f"{'' if self.is_felt else 'NOT FELT: '}p95 {self.before_s * 1000:.1f} -> {self.after_s * 1000:.1f} ms,"
            f" {self.errors:.1%} errors"
        )


def felt_of(run: RunRecord, at_s: float) -> Felt:
    def total(intervals: list[Interval]) -> tuple[float, float]:
        merged = total_of(each.total() for each in intervals)
        return round(merged.quantile(0.95) or math.inf, 5), round(merged.error_ratio, 5)

    before_s, _ = total([each for each in run.intervals if at_s - 10 <= each.elapsed_s < at_s])
    after_s, errors = total([each for each in run.intervals if at_s + 2 <= each.elapsed_s < RUN_S])
    return Felt(before_s, after_s, errors)


def main() -> int:
    begun_s = time.monotonic()
    chosen = os.environ.get("OBSWARM_LAB_FAULTS", "").split()
    until_s = float(os.environ.get("OBSWARM_LAB_MINUTES", "inf")) * 60
    folder = Path(os.environ.get("OBSWARM_LAB_FOLDER", FOLDER))
    with tempfile.TemporaryDirectory() as work, Contest(Path(work) / "contest") as contest:
        lab = Lab(contest, Path(work), folder)
        waiting = [one for one in planned() if not lab.has(one) and (not chosen or one.fault in chosen)]
        for number, one in zip(itertools.count(1), waiting, strict=False):
            if time.monotonic() - begun_s > until_s:
                break
            found = lab.record(one)
            print(f"{time.monotonic() - begun_s:5.0f} s  {number}/{len(waiting)}  {one.name}: {found}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
