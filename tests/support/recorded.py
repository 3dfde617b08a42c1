"""Runs that nobody has made: seconds with made-up requests, through the statistics that a real run has."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from obswarm.engine import GeneratorStatus, RunResult, StopReason
from obswarm.engine.statistics import RunStatistics, RunStatus
from obswarm.record import (
    GeneratorHealth,
    LoadTestText,
    MetricKey,
    RunMetadata,
    RunRecord,
    RunState,
    Snapshot,
    StopKind,
)
from obswarm.stats import CustomKey, CustomKind, EndpointKey, ErrorKey, ErrorStats, InFlight, StatsTable
from obswarm.store import RunWriter, Store, read_run

SECONDS = 60
THREADS = MetricKey("db", "mysql", "threads running", "number")

PAGE = EndpointKey("GET", "/page")
LOGIN = EndpointKey("POST", "/login")
CARTS = CustomKey("cart_size", CustomKind.HISTOGRAM, "items", (("shop", "north"),))
SOLD = CustomKey("sold", CustomKind.COUNTER, "items", ())


class MadeUpRun:
    """`second` gives the outputs a second in which requests of those durations were made; wall time stands in for the
    clock that the statistics have."""

    def __init__(
        self,
        outputs: Sequence[Any],
        run_id: str = "20260131-120000-abcd",
        test: str = "shop.py",
        users: int = 3,
        saturated: bool = False,
        rate: float = 0.0,
    ) -> None:
        """With a `rate`, iterations of the open model start so often in a second."""
        self.outputs = outputs
        self._rates = {"Visitor": rate} if rate else {}
        self.late_s: float | None = None
        """How long after their intended start requests are sent; None without one."""
        self.carts: tuple[float, ...] = ()
        """Values of a histogram and sum of a counter of the load test, in each second."""
        self._users = users
        self._saturated = saturated
        self._passed_s = 0
        self.pending: dict[EndpointKey, InFlight] = {}
        self.statistics = RunStatistics(run_id=run_id, test=test, host="http://shop.example", planned_s=60.0)

    def status(self) -> RunStatus:
        """What a snapshot says besides the statistics."""
        worker = GeneratorHealth("w1", 3, 0.256, 0.0123, 64 * 1024 * 1024, self._saturated, stats_lag_s=0.1)
        generator = GeneratorStatus({"Visitor": self._users}, self._users, (worker,), self.pending)
        return RunStatus(RunState.RUNNING, generator, {"Visitor": 5}, {}, rates_target=self._rates)

    def second(self, durations: Mapping[EndpointKey, Sequence[float]], failed: Sequence[EndpointKey] = ()) -> Snapshot:
        table = StatsTable()
        for key, seconds in durations.items():
            for each in seconds:
                table.endpoint(key).record(each, 100, "2xx", False)
                if self.late_s is not None:
                    table.endpoint(key).record_intended(each + self.late_s)
        for size in self.carts:
            table.custom.series(CARTS).record(size)
            table.custom.series(SOLD).add(size)
        for key in failed:
            table.endpoint(key).record(0.5, 0, "5xx", True)
            table.count_error(ErrorKey(key.method, key.name, "HTTP 500"), ErrorStats(1, 5.0, 6.0))
        table.iterations["Visitor"] = 1
        self.statistics.add(table)
        snapshot = self.statistics.emit(self.status())
        for output in self.outputs:
            output.snapshot(snapshot)
        return snapshot

    def pass_a_second(
        self, durations: Mapping[EndpointKey, Sequence[float]], failed: Sequence[EndpointKey] = ()
    ) -> None:
        """As if a second had passed since the last one; `last` is what the outputs were given."""
        outputs, self.outputs = self.outputs, ()
        found = self.second(durations, failed)
        self.outputs = outputs
        self._passed_s += 1
        self.last = replace(
            found,
            time_s=found.started_s + self._passed_s,
            elapsed_s=float(self._passed_s),
            stats_since_s=found.started_s,
            load_s=float(self._passed_s),
            interval_s=1.0,
        )
        for output in outputs:
            output.snapshot(self.last)


def result_of(final: Snapshot, reason: StopReason = StopReason(StopKind.TIME, "the planned time is over")) -> RunResult:
    """The result of a run that ended with that snapshot."""
    return RunResult(
        run_id=final.run_id,
        started_s=final.started_s,
        ended_s=final.time_s,
        duration_s=final.stats_elapsed_s,
        stop_reason=reason,
        error=None,
        users_max=final.user_count,
        final=final,
        saturated=False,
        max_loop_lag_s=0.0,
        max_cpu_ratio=0.0,
        forced=False,
    )


class Runs:
    """Made-up runs in one store, the number being the day of January 2026 on which one was made."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(
        self,
        number: int,
        slower: float = 1.0,
        seconds: int = SECONDS,
        test: str = "shop.py",
        threads: float = 4.0,
        failing: float = 0.0,
        users: int = 3,
        saturated: bool = False,
        login: bool = True,
        logins: int = 10,
        requests: bool = True,
        rate: float = 0.0,
        late_s: float | None = None,
        carts: float | None = None,
        **configuration: object,
    ) -> RunRecord:
        chance = random.Random(number)
        text = LoadTestText(test, f"slower = {slower}".encode())
        writer = RunWriter(self._path, RunMetadata("1.0.0", configuration, [text]))
        run = MadeUpRun([writer], f"2026013{number}-120000-aaaa", test, users=users, saturated=saturated, rate=rate)
        run.late_s = late_s
        for _ in range(seconds):
            pages = [slower * 0.05 * chance.lognormvariate(0, 0.3) for _ in range(40)]
            log_ins = [0.2 * chance.lognormvariate(0, 0.3) for _ in range(logins)]
            failed = [PAGE for _ in range(40) if chance.random() < failing]
            there = {PAGE: pages, **({LOGIN: log_ins} if login else {})}
            if carts is not None:
                run.carts = tuple(carts * chance.lognormvariate(0, 0.2) for _ in range(5))
            run.pass_a_second(there if requests else {}, failed)
            writer.sample(run.last.time_s, {THREADS: threads + chance.random()})
        writer.close()
        with Store(self._path) as store:
            return read_run(store, store.find(f"2026013{number}"))
