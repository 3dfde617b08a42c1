"""The engine's own figures that guards and requirements go by: pure functions of a snapshot."""

from collections.abc import Callable, Mapping

from obswarm.guards.conditions import EngineOperand
from obswarm.stats import TOTAL, EndpointKey, EndpointStats, Snapshot


def last_interval(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    """Its value over the last interval; None when nothing happened that it could be measured by."""
    whole = _OF_THE_RUN.get(operand.metric)
    if whole is not None:
        return whole(snapshot)
    stats = matching(snapshot.interval, operand) if operand.labels else snapshot.interval_total
    return _figure(operand, stats, snapshot.interval_s)


def whole_run(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    """Its value over everything that the statistics hold; None when nothing happened that it could be measured by."""
    stats = matching(snapshot.endpoints, operand) if operand.labels else snapshot.total
    return _figure(operand, stats, snapshot.stats_elapsed_s)


def matching(endpoints: Mapping[EndpointKey, EndpointStats], operand: EngineOperand) -> EndpointStats:
    """The endpoints that the operand's name and method choose, as one."""
    wanted = dict(operand.labels)
    chosen = EndpointStats(TOTAL)
    for key, stats in endpoints.items():
        if wanted.get("name", key.name) == key.name and wanted.get("method", key.method) == key.method:
            chosen.merge(stats)
    return chosen


def _figure(operand: EngineOperand, stats: EndpointStats, seconds: float) -> float | None:
    status = dict(operand.labels).get("status")
    match operand.metric:
        case "rps":
            count = stats.requests if status is None else _with_status(stats, status)
            return count / seconds if seconds > 0 else None
        case "failures":
            return float(stats.failures if status is None else stats.failures_by.get(status, 0))
        case "error_ratio":
            if not stats.requests:
                return None
            return (stats.failures if status is None else _with_status(stats, status)) / stats.requests
        case "avg":
            return stats.duration.mean_s
        case "max":
            return stats.max_s
    quantile = operand.quantile
    assert quantile is not None, operand
    return stats.quantile(quantile)


def _with_status(stats: EndpointStats, status: str) -> int:
    return stats.successes.get(status, 0) + stats.failures_by.get(status, 0)


def _most_lag(snapshot: Snapshot) -> float | None:
    return max((worker.loop_lag_s for worker in snapshot.workers), default=None)


def _most_cpu(snapshot: Snapshot) -> float | None:
    return max((worker.cpu_ratio for worker in snapshot.workers), default=None)


_OF_THE_RUN: dict[str, Callable[[Snapshot], float | None]] = {
    "users": lambda snapshot: float(snapshot.user_count),
    # In the closed model no iteration is ever dropped: it waits for its user.
    "dropped": lambda snapshot: 0.0,
    "loop_lag": _most_lag,
    "worker_cpu": _most_cpu,
    "workers_missing": lambda snapshot: float(sum(worker.state in ("missing", "lost") for worker in snapshot.workers)),
}
OF_THE_RUN = frozenset(_OF_THE_RUN)
