"""Runs that nobody has made: seconds with made-up requests, through the statistics that a real run has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from obswarm.engine.statistics import RunStatistics
from obswarm.stats import (
    EndpointKey,
    ErrorKey,
    ErrorStats,
    GeneratorHealth,
    RunState,
    Sink,
    Snapshot,
    StatsTable,
)

PAGE = EndpointKey("GET", "/page")
LOGIN = EndpointKey("POST", "/login")


class MadeUpRun:
    """`second` gives the sinks a second in which requests of those durations were made; wall time stands in for the
    clock that the statistics have."""

    state = RunState.RUNNING

    def __init__(
        self,
        sinks: Sequence[Sink],
        run_id: str = "20260131-120000-abcd",
        test: str = "shop.py",
        users: int = 3,
        saturated: bool = False,
    ) -> None:
        self._sinks = sinks
        self._users = users
        self._saturated = saturated
        self._passed_s = 0
        self.statistics = RunStatistics(
            run_id=run_id, test=test, host="http://shop.example", planned_s=60.0, sinks=sinks
        )

    def user_counts(self) -> Mapping[str, int]:
        return {"Visitor": self._users}

    def user_targets(self) -> Mapping[str, int]:
        return {"Visitor": 5}

    def workers(self) -> tuple[GeneratorHealth, ...]:
        return (GeneratorHealth("w1", 3, 0.256, 0.0123, 64 * 1024 * 1024, self._saturated, stats_lag_s=0.1),)

    def marks(self) -> Mapping[str, int]:
        return {}

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
        return self.statistics.emit(self)

    def pass_a_second(
        self, durations: Mapping[EndpointKey, Sequence[float]], failed: Sequence[EndpointKey] = ()
    ) -> None:
        """As if a second had passed since the last one; `last` is what the sinks were given."""
        sinks, self.statistics._sinks = self._sinks, ()
        found = self.second(durations, failed)
        self._passed_s += 1
        self.last = replace(
            found,
            time_s=found.started_s + self._passed_s,
            elapsed_s=float(self._passed_s),
            stats_since_s=found.started_s,
            interval_s=1.0,
        )
        for sink in sinks:
            sink.receive(self.last)
