"""Runs that nobody has made: seconds with made-up requests, through the statistics that a real run has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from obswarm.engine import RunResult, StopReason
from obswarm.engine.statistics import RunStatistics
from obswarm.stats import (
    EndpointKey,
    ErrorKey,
    ErrorStats,
    GeneratorHealth,
    InFlight,
    RunState,
    Snapshot,
    StatsTable,
)

PAGE = EndpointKey("GET", "/page")
LOGIN = EndpointKey("POST", "/login")


class MadeUpRun:
    """`second` gives the outputs a second in which requests of those durations were made; wall time stands in for the
    clock that the statistics have."""

    state = RunState.RUNNING

    def __init__(
        self,
        outputs: Sequence[Any],
        run_id: str = "20260131-120000-abcd",
        test: str = "shop.py",
        users: int = 3,
        saturated: bool = False,
    ) -> None:
        self.outputs = outputs
        self._users = users
        self._saturated = saturated
        self._passed_s = 0
        self.under_way: dict[EndpointKey, InFlight] = {}
        self.statistics = RunStatistics(run_id=run_id, test=test, host="http://shop.example", planned_s=60.0)

    def user_counts(self) -> Mapping[str, int]:
        return {"Visitor": self._users}

    def user_targets(self) -> Mapping[str, int]:
        return {"Visitor": 5}

    def workers(self) -> tuple[GeneratorHealth, ...]:
        return (GeneratorHealth("w1", 3, 0.256, 0.0123, 64 * 1024 * 1024, self._saturated, stats_lag_s=0.1),)

    def marks(self) -> Mapping[str, int]:
        return {}

    def in_flight(self) -> Mapping[EndpointKey, InFlight]:
        return self.under_way

    def second(self, durations: Mapping[EndpointKey, Sequence[float]], failed: Sequence[EndpointKey] = ()) -> Snapshot:
        table = StatsTable()
        for key, seconds in durations.items():
            for each in seconds:
                table.endpoint(key).record(each, 100, "2xx", False)
        for key in failed:
            table.endpoint(key).record(0.5, 0, "5xx", True)
            table.count_error(ErrorKey(*key, "HTTP 500"), ErrorStats(1, 5.0, 6.0))
        table.iterations["Visitor"] = 1
        self.statistics.add(table)
        snapshot = self.statistics.emit(self)
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


def result_of(final: Snapshot, reason: StopReason = StopReason("time", "the planned time is over")) -> RunResult:
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
