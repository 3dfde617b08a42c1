"""The documents of a run's measurements, made from a snapshot."""

from collections.abc import Iterable

from obswarm.engine import name_of
from obswarm.record import Annotation, Snapshot
from obswarm.stats import NONE_IN_FLIGHT, TOTAL, EndpointKey, EndpointStats, total_in_flight
from obswarm.units import rounded
from obswarm.web.rest.documents import (
    AlertRow,
    AnnotationRow,
    Endpoint,
    ErrorRow,
    ExceptionRow,
    Guard,
    LastInterval,
    Scenario,
    Worker,
)

_QUANTILES = (0.5, 0.9, 0.95, 0.99)
_RECENT_QUANTILES = (0.5, 0.95, 0.99)
TOTAL_NAME = "Aggregated"
"""The name of the row with all requests, as in Locust."""


def percentiles(stats: EndpointStats, qs: tuple[float, ...]) -> list[float | None]:
    """Return percentiles in seconds, None without requests."""
    return [rounded(value) for value in stats.quantiles(qs) or (None,) * len(qs)]


def total_row(snapshot: Snapshot) -> Endpoint:
    """Return the row of all requests."""
    in_flight = total_in_flight(snapshot.in_flight.values()).count
    row = _row(TOTAL, snapshot.total, snapshot.interval_total, snapshot, in_flight)
    row.method, row.name = "", TOTAL_NAME
    return row


def endpoint_rows(snapshot: Snapshot, keys: Iterable[EndpointKey] | None = None) -> list[Endpoint]:
    """Return the rows of endpoints, those with these keys or all, by name."""
    chosen = snapshot.endpoints if keys is None else [key for key in keys if key in snapshot.endpoints]
    return [
        _row(
            key,
            snapshot.endpoints[key],
            snapshot.interval.get(key),
            snapshot,
            snapshot.in_flight.get(key, NONE_IN_FLIGHT).count,
        )
        for key in sorted(chosen, key=lambda key: (key.name, key.method))
    ]


def _row(
    key: EndpointKey, stats: EndpointStats, recent: EndpointStats | None, snapshot: Snapshot, in_flight: int
) -> Endpoint:
    load_s = snapshot.load_s
    p50, p90, p95, p99 = percentiles(stats, _QUANTILES)
    return Endpoint(
        method=key.method,
        name=key.full_name,
        requests=stats.requests,
        failures=stats.failures,
        error_ratio=round(stats.error_ratio, 6),
        rps=round(stats.rate(load_s), 6),
        failures_per_s=round(stats.failure_rate(load_s), 6),
        mean_s=rounded(stats.duration.mean_s),
        min_s=rounded(stats.min_s),
        max_s=rounded(stats.max_s),
        p50_s=p50,
        p90_s=p90,
        p95_s=p95,
        p99_s=p99,
        response_bytes=stats.response_bytes,
        in_flight=in_flight,
        now=last_interval(recent, snapshot.interval_s),
    )


def last_interval(stats: EndpointStats | None, interval_s: float) -> LastInterval:
    """Return the statistics of an interval. Requests that finished after the end of the load count, too: they show that
    the target still responds."""
    if stats is None:
        return LastInterval(0.0, 0.0, None, None, None)
    rates = (round(number / interval_s, 6) for number in (stats.requests, stats.failures))
    return LastInterval(*rates, *percentiles(stats, _RECENT_QUANTILES))


def error_rows(snapshot: Snapshot) -> list[ErrorRow]:
    """Return the errors, the most frequent first."""
    found = sorted(snapshot.errors.items(), key=lambda item: (-item[1].count, item[0]))
    return [
        ErrorRow(
            key.method, key.name, key.message, seen.example or None, seen.count, seen.first_seen_s, seen.last_seen_s
        )
        for key, seen in found
    ]


def exception_rows(snapshot: Snapshot) -> list[ExceptionRow]:
    """Return the exceptions of tasks, the most frequent first."""
    found = sorted(snapshot.exceptions.values(), key=lambda each: -each.count)
    return [ExceptionRow(each.message, each.traceback, each.count) for each in found]


def worker_rows(snapshot: Snapshot) -> list[Worker]:
    """Return the load-generating processes."""
    return [
        Worker(
            worker=each.worker,
            state=each.state,
            users=each.users,
            cpu_ratio=round(each.cpu_ratio, 6),
            max_cpu_ratio=round(each.max_cpu_ratio, 6),
            loop_lag_s=round(each.loop_lag_s, 6),
            max_loop_lag_s=round(each.max_loop_lag_s, 6),
            memory_bytes=each.memory_bytes,
            saturated=each.saturated,
            capacity=rounded(each.capacity),
            stats_lost=each.stats_lost,
        )
        for each in snapshot.workers
    ]


def guard_rows(snapshot: Snapshot) -> list[Guard]:
    """Return the guards with their present values and why they are as they are."""
    return [
        Guard(
            name=each.name,
            when=each.when,
            action=each.action,
            state=each.state,
            value=rounded(each.value),
            shown=each.shown,
            since_s=each.since_s,
            trips=sum(count for _, count in each.trips),
            matched=each.matched,
            data_ratio=rounded(each.data_ratio),
            no_data_reason=each.no_data_reason or None,
            suspect=each.suspect or None,
            stopped=each.stopped or None,
        )
        for each in snapshot.guards
    ]


def alert_rows(snapshot: Snapshot) -> list[AlertRow]:
    """Return the received alerts."""
    return [AlertRow(each.alertname, each.status, each.source, each.count) for each in snapshot.alerts]


def scenario_rows(snapshot: Snapshot) -> list[Scenario]:
    """Return users and iterations by user class."""
    names = dict.fromkeys([*snapshot.users_target, *snapshot.users, *snapshot.rates_target, *snapshot.iterations])
    dropped = dict.fromkeys(names, 0)
    for (name, _), count in snapshot.dropped.items():
        dropped[name] = dropped.get(name, 0) + count
    return [
        Scenario(
            name,
            snapshot.users.get(name, 0),
            snapshot.users_target.get(name, 0),
            snapshot.iterations.get(name, 0),
            snapshot.rates_target.get(name),
            dropped[name],
        )
        for name in names
    ]


def annotation_row(annotation: Annotation) -> AnnotationRow:
    return AnnotationRow(annotation.time_s, str(annotation.kind), annotation.text)


def holders(in_force: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return name and action of each action in force, from pairs of id and action."""
    return [(name_of(by), action) for by, action in in_force]
