"""The engine's own figures that guards and requirements go by: one table, of pure functions of a snapshot."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from obswarm import defaults
from obswarm.guards.conditions import EngineOperand, Operand
from obswarm.guards.latency import AtLeast, Durations, mean_of_ages, quantile_of_ages
from obswarm.stats import (
    TOTAL,
    EndpointKey,
    EndpointStats,
    InFlight,
    Snapshot,
    total_in_flight,
)

Unit = Literal["seconds", "ratio", "number"]
Value = Callable[[EngineOperand, Snapshot], float | None]
_LONG_INTERVAL_S = 1.5 * defaults.SNAPSHOT_INTERVAL_S
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: what a guard may look at. `interval` is its value over the last interval, `run` over everything that the
    statistics hold, None for what only has a value of the moment. Both give None when nothing happened that they could
    be measured by; `missing` says what that is."""

    name: str
    unit: Unit
    interval: Value
    run: Value | None = None
    labels: tuple[str, ...] = ()
    missing: str = "no request{} has finished"
    most: float = math.inf
    """Above which it never is; below 0 none is."""


def is_metric(name: str) -> bool:
    """Whether the table has a row for a name."""
    found = PERCENTILE.fullmatch(name)
    return name in METRICS or (found is not None and 0 < float(found[1]) < 100)


def metric_of(name: str) -> Metric:
    """The row for a metric's name."""
    return METRICS.get(name, _PERCENTILES)


def missing_of(operand: EngineOperand) -> str:
    """What has not happened when it has no value, in words."""
    where = f" with {operand.selector}" if operand.labels else ""
    return metric_of(operand.metric).missing.format(where)


def last_interval(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    """Its value over the last interval: AtLeast one where it is known from below only, None when nothing happened that
    it could be measured by, or it chooses endpoints of which there was no request yet."""
    if chooses_endpoints(operand) and not matches_something(operand, snapshot):
        return None
    return metric_of(operand.metric).interval(operand, snapshot)


def whole_run(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    """Its value over everything that the statistics hold; None when nothing happened that it could be measured by."""
    over_the_run = metric_of(operand.metric).run
    assert over_the_run is not None, operand
    return over_the_run(operand, snapshot)


def is_of_the_run(operand: EngineOperand) -> bool:
    """Whether it has a value for a whole run."""
    return metric_of(operand.metric).run is not None


def chooses_endpoints(operand: Operand) -> bool:
    """Whether it is about requests of some endpoints alone."""
    return isinstance(operand, EngineOperand) and bool(_wanted(operand))


def matches_something(operand: EngineOperand, snapshot: Snapshot) -> bool:
    """Whether an endpoint that its labels choose has had a request, or has one under way."""
    wanted = _wanted(operand)
    return any(_fits(wanted, key) for keys in (snapshot.endpoints, snapshot.in_flight) for key in keys)


def _wanted(operand: EngineOperand) -> Mapping[str, str]:
    return {name: text for name, text in operand.labels if name != "status"}


def _fits(wanted: Mapping[str, str], key: EndpointKey) -> bool:
    return wanted.get("name", key.name) == key.name and wanted.get("method", key.method) == key.method


def matching(endpoints: Mapping[EndpointKey, EndpointStats], operand: EngineOperand) -> EndpointStats:
    """The endpoints that the operand's name and method choose, as one."""
    wanted = _wanted(operand)
    chosen = EndpointStats(TOTAL)
    for key, stats in endpoints.items():
        if _fits(wanted, key):
            chosen.merge(stats)
    return chosen


def _finished(operand: EngineOperand, snapshot: Snapshot) -> EndpointStats:
    return matching(snapshot.interval, operand) if operand.labels else snapshot.interval_total


def _of_the_run(operand: EngineOperand, snapshot: Snapshot) -> EndpointStats:
    return matching(snapshot.endpoints, operand) if operand.labels else snapshot.total


def _under_way(operand: EngineOperand, snapshot: Snapshot) -> InFlight:
    wanted = _wanted(operand)
    return total_in_flight(each for key, each in snapshot.in_flight.items() if _fits(wanted, key))


# Counts and shares.
def _with_status(stats: EndpointStats, operand: EngineOperand) -> int:
    status = dict(operand.labels).get("status")
    if status is None:
        return stats.requests
    return stats.successes.get(status, 0) + stats.failures_by.get(status, 0)


def _failed(stats: EndpointStats, operand: EngineOperand) -> float:
    status = dict(operand.labels).get("status")
    return float(stats.failures if status is None else stats.failures_by.get(status, 0))


def _in_a_second(count: float, snapshot: Snapshot) -> float:
    """A count of the interval. One that is much longer has what came together while a master was away or held up: of
    that, what a second had."""
    return count / snapshot.interval_s if snapshot.interval_s > _LONG_INTERVAL_S else count


def _error_ratio(stats: EndpointStats, operand: EngineOperand) -> float | None:
    if not stats.requests:
        return None
    has_status = "status" in dict(operand.labels)
    return (_with_status(stats, operand) if has_status else stats.failures) / stats.requests


def _rate(stats: EndpointStats, operand: EngineOperand, seconds: float) -> float | None:
    return _with_status(stats, operand) / seconds if seconds > 0 else None


def _rate_of_the_run(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    status = dict(operand.labels).get("status")
    return _of_the_run(operand, snapshot).rate(snapshot.load_s, status) if snapshot.load_s > 0 else None


# Latencies.
def _quantile(operand: EngineOperand) -> float:
    found = PERCENTILE.fullmatch(operand.metric)
    assert found is not None, operand
    return float(found[1]) / 100


def _estimated(stats: EndpointStats, under_way: InFlight, snapshot: Snapshot) -> Durations:
    return Durations(stats.duration, under_way.ages, snapshot.interval_s)


def _resting_users(operand: EngineOperand, snapshot: Snapshot) -> float:
    """How many users wait for no answer, and could have made a request that the operand looks at: those without a
    request under way, by the share that such requests have had in the run."""
    total = sum(stats.duration.count for stats in snapshot.endpoints.values())
    if not total:
        return 0.0
    waiting = total_in_flight(snapshot.in_flight.values()).ages.count
    return max(0, snapshot.user_count - waiting) * _of_the_run(operand, snapshot).duration.count / total


def _or_more(finished: float | None, estimated: float | None) -> float | None:
    """Requests under way never make a value smaller than finished ones alone do."""
    if finished is None or estimated is None:
        return estimated if finished is None else finished
    return max(finished, float(estimated))


def _percentile(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    stats, under_way, q = _finished(operand, snapshot), _under_way(operand, snapshot), _quantile(operand)
    if not under_way.ages.count:
        return stats.quantile(q)
    if not stats.duration.count:
        return quantile_of_ages(under_way.ages, _resting_users(operand, snapshot), q)
    return _or_more(stats.quantile(q), _estimated(stats, under_way, snapshot).quantile(q))


def _mean(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    stats, under_way = _finished(operand, snapshot), _under_way(operand, snapshot)
    if not under_way.ages.count:
        return stats.duration.mean_s
    if not stats.duration.count:
        return mean_of_ages(under_way.ages, _resting_users(operand, snapshot))
    return _or_more(stats.duration.mean_s, AtLeast(_estimated(stats, under_way, snapshot).mean_s or 0.0))


def _longest(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    stats, under_way = _finished(operand, snapshot), _under_way(operand, snapshot)
    oldest_s = under_way.oldest_unanswered_s
    return _or_more(stats.max_s, None if oldest_s is None else AtLeast(oldest_s))


def _rows() -> tuple[Metric, ...]:
    endpoint = ("name", "method")
    status = (*endpoint, "status")
    no_worker = "no worker has reported"
    return (
        Metric(
            "error_ratio",
            "ratio",
            lambda operand, snapshot: _error_ratio(_finished(operand, snapshot), operand),
            lambda operand, snapshot: _error_ratio(_of_the_run(operand, snapshot), operand),
            status,
            most=1.0,
        ),
        Metric(
            "failures",
            "number",
            lambda operand, snapshot: _in_a_second(_failed(_finished(operand, snapshot), operand), snapshot),
            lambda operand, snapshot: _failed(_of_the_run(operand, snapshot), operand),
            status,
        ),
        Metric(
            "rps",
            "number",
            lambda operand, snapshot: _rate(_finished(operand, snapshot), operand, snapshot.interval_s),
            _rate_of_the_run,
            status,
        ),
        Metric(
            "avg",
            "seconds",
            _mean,
            lambda operand, snapshot: _of_the_run(operand, snapshot).duration.mean_s,
            endpoint,
        ),
        Metric("max", "seconds", _longest, lambda operand, snapshot: _of_the_run(operand, snapshot).max_s, endpoint),
        Metric(
            "in_flight",
            "number",
            lambda operand, snapshot: float(_under_way(operand, snapshot).count),
            labels=endpoint,
        ),
        Metric("oldest", "seconds", lambda operand, snapshot: _under_way(operand, snapshot).oldest_s, labels=endpoint),
        Metric("users", "number", lambda operand, snapshot: float(snapshot.user_count)),
        Metric(
            "exceptions",
            "number",
            lambda operand, snapshot: _in_a_second(float(snapshot.interval_exceptions), snapshot),
            lambda operand, snapshot: float(sum(found.count for found in snapshot.exceptions.values())),
        ),
        Metric(
            "interrupted",
            "number",
            lambda operand, snapshot: _in_a_second(float(snapshot.interval_interrupted), snapshot),
            lambda operand, snapshot: float(snapshot.interrupted),
        ),
        Metric(
            "loop_lag",
            "seconds",
            lambda operand, snapshot: max((worker.loop_lag_s for worker in snapshot.workers), default=None),
            missing=no_worker,
        ),
        Metric(
            "worker_cpu",
            "ratio",
            lambda operand, snapshot: max((worker.cpu_ratio for worker in snapshot.workers), default=None),
            missing=no_worker,
        ),
        Metric(
            "workers_missing",
            "number",
            lambda operand, snapshot: float(sum(worker.state in ("missing", "lost") for worker in snapshot.workers)),
        ),
    )


METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _rows()}
_PERCENTILES = Metric(
    "p50 to p99.9",
    "seconds",
    _percentile,
    lambda operand, snapshot: _of_the_run(operand, snapshot).quantile(_quantile(operand)),
    ("name", "method"),
)
REQUIREMENT_OPERANDS = tuple(metric.name for metric in (*METRICS.values(), _PERCENTILES) if metric.run is not None)
