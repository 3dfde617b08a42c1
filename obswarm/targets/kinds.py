"""What there is to see of each kind of target: the queries that tell whether it is what gets slow.

The metrics are those of the usual exporters: mysqld_exporter, postgres_exporter, redis_exporter, node_exporter,
cAdvisor (and `obswarm container-stats`, under the same names), HAProxy's own endpoint, nginx-prometheus-exporter,
uwsgi_exporter; `app` is what Prometheus' client libraries and the demo serve.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from obswarm.targets.evaluate import metric_names, parse
from obswarm.targets.source import Target

Unit = Literal["number", "seconds", "ratio", "per_second", "bytes"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One figure of a target. `query` is PromQL within the embedded source's subset, and gives one value in `unit`:
    `ratio` is a share (1 is all of it), `per_second` events in a second, `number` whatever can be counted, cores of
    CPU among them."""

    name: str
    query: str
    unit: Unit

    def of(self, target: Target) -> str:
        """The query over the series of that target alone."""
        matchers = _matchers(target)

        def narrowed(found: re.Match[str]) -> str:
            return f"{found[1]}{{{', '.join([*matchers, found[2]] if found[2] else matchers)}}}"

        return _SELECTOR.sub(narrowed, self.query)


def _matchers(target: Target) -> list[str]:
    kind = [f'kind="{target.kind}"'] if target.has_kind_label else []
    return [f'job="{_quoted(target.name)}"', *kind]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@cache
def metrics_of(kind: str) -> frozenset[str]:
    """The names of all metrics that a kind's figures are made of."""
    return frozenset().union(*(metric_names(parse(signal.query)) for signal in KINDS[kind]))


def presence_query(target: Target) -> str:
    """PromQL beyond the embedded subset: how many series of the target are of its kind; nothing where none is."""
    names = "|".join(sorted(metrics_of(target.kind)))
    matchers = ", ".join([f'__name__=~"{names}"', *_matchers(target)])
    return f"count({{{matchers}}})"


def queries_of(targets: Iterable[Target]) -> list[tuple[Target, Signal, str]]:
    """Every figure of every target, with the query that gives it."""
    return [(target, signal, signal.of(target)) for target in targets for signal in KINDS[target.kind]]


def place_of(kind: str, figure: str = "") -> tuple[int, int]:
    """Sorts targets in the order of the request's way, and a target's figures as they stand here; what is not known
    comes last."""
    kinds = list(KINDS)
    if kind not in KINDS:
        return len(kinds), 0
    figures = [signal.name for signal in KINDS[kind]]
    return kinds.index(kind), figures.index(figure) if figure in figures else len(figures)


def title_of(name: str, kind: str) -> str:
    """What a target is called on a page: its kind, and its name where that says more."""
    title = KIND_TITLES.get(kind, kind)
    return title if name == kind else f"{title}: {name}"


_SELECTOR = re.compile(r"\b([a-z]\w*)(?:\{([^}]*)\})?(?=[\[)])")
"""A metric with its matchers, as the queries of this file have them: in brackets, or with a range."""


def _rate(metric: str) -> str:
    return f"sum(rate({metric}[15s]))"


def _mean(metric: str) -> str:
    return f"sum(rate({metric}_sum[15s])) / sum(rate({metric}_count[15s]))"


def _highest_rate(metric: str) -> str:
    return f"max(rate({metric}[15s]))"


_IDLE = 'node_cpu_seconds_total{mode="idle"}'
_HTTP = "http_request_duration_seconds"
_ROW_LOCK = "mysql_global_status_innodb_row_lock"
# cAdvisor has series of whole slices as well, which contain the containers; those have no name.
_CONTAINER = '{name!=""}'

KINDS: dict[str, tuple[Signal, ...]] = {
    "haproxy": (
        Signal("sessions", "sum(haproxy_frontend_current_sessions)", "number"),
        Signal("queue", "sum(haproxy_backend_current_queue)", "number"),
        Signal("servers up", "sum(haproxy_backend_active_servers)", "number"),
        Signal("response time", "max(haproxy_backend_response_time_average_seconds)", "seconds"),
        Signal("queue time", "max(haproxy_backend_queue_time_average_seconds)", "seconds"),
        Signal("5xx", _rate('haproxy_backend_http_responses_total{code="5xx"}'), "per_second"),
    ),
    "nginx": (
        Signal("connections", "sum(nginx_connections_active)", "number"),
        Signal("idle connections", "sum(nginx_connections_waiting)", "number"),
        Signal("requests", _rate("nginx_http_requests_total"), "per_second"),
    ),
    "uwsgi": (
        Signal("workers busy", "sum(uwsgi_worker_busy)", "number"),
        Signal("workers", "sum(uwsgi_workers)", "number"),
        Signal("listen queue", "sum(uwsgi_listen_queue_length)", "number"),
        Signal("requests", _rate("uwsgi_worker_requests_total"), "per_second"),
    ),
    "app": (
        Signal("requests", _rate(f"{_HTTP}_count"), "per_second"),
        Signal("request time", _mean(_HTTP), "seconds"),
        Signal("workers busy", "sum(app_workers_busy)", "number"),
        Signal("queue", "sum(app_queue_length)", "number"),
        Signal("database time", _mean("app_db_query_duration_seconds"), "seconds"),
        Signal("CPU cores in use", _rate("process_cpu_seconds_total"), "number"),
        Signal("memory", "sum(process_resident_memory_bytes)", "bytes"),
        Signal("open files", "sum(process_open_fds)", "number"),
    ),
    "mysql": (
        Signal("threads running", "max(mysql_global_status_threads_running)", "number"),
        Signal("threads connected", "max(mysql_global_status_threads_connected)", "number"),
        Signal("connections limit", "max(mysql_global_variables_max_connections)", "number"),
        Signal("queries", _rate("mysql_global_status_questions"), "per_second"),
        Signal("slow queries", _rate("mysql_global_status_slow_queries"), "per_second"),
        Signal("row lock waits", _rate(f"{_ROW_LOCK}_waits"), "per_second"),
        Signal("waiting for row locks", f"sum({_ROW_LOCK}_current_waits)", "number"),
        # The server counts milliseconds.
        Signal(
            "time per row lock wait",
            f"{_rate(f'{_ROW_LOCK}_time')} / {_rate(f'{_ROW_LOCK}_waits')} / 1000",
            "seconds",
        ),
    ),
    "postgres": (
        Signal("active backends", 'sum(pg_stat_activity_count{state="active"})', "number"),
        Signal("backends", "sum(pg_stat_activity_count)", "number"),
        Signal("connections limit", "max(pg_settings_max_connections)", "number"),
        Signal("commits", _rate("pg_stat_database_xact_commit"), "per_second"),
        Signal("rollbacks", _rate("pg_stat_database_xact_rollback"), "per_second"),
        Signal("deadlocks", _rate("pg_stat_database_deadlocks"), "per_second"),
        Signal("locks", "sum(pg_locks_count)", "number"),
    ),
    "redis": (
        Signal("commands", _rate("redis_commands_processed_total"), "per_second"),
        Signal("connected clients", "sum(redis_connected_clients)", "number"),
        Signal("blocked clients", "sum(redis_blocked_clients)", "number"),
        Signal("memory", "sum(redis_memory_used_bytes)", "bytes"),
        Signal("evictions", _rate("redis_evicted_keys_total"), "per_second"),
    ),
    "node": (
        Signal("CPU", f"1 - {_rate(_IDLE)} / {_rate('node_cpu_seconds_total')}", "ratio"),
        Signal("load", "max(node_load1)", "number"),
        Signal("memory available", "sum(node_memory_MemAvailable_bytes)", "bytes"),
        Signal("CPU pressure", _highest_rate("node_pressure_cpu_waiting_seconds_total"), "ratio"),
        Signal("I/O pressure", _highest_rate("node_pressure_io_waiting_seconds_total"), "ratio"),
        Signal("disk time", _highest_rate("node_disk_io_time_seconds_total"), "ratio"),
    ),
    "cadvisor": (
        Signal("CPU cores in use", _rate(f"container_cpu_usage_seconds_total{_CONTAINER}"), "number"),
        Signal(
            "periods throttled",
            f"{_rate(f'container_cpu_cfs_throttled_periods_total{_CONTAINER}')}"
            f" / {_rate(f'container_cpu_cfs_periods_total{_CONTAINER}')}",
            "ratio",
        ),
        Signal("memory", f"sum(container_memory_working_set_bytes{_CONTAINER})", "bytes"),
    ),
}
"""By kind, in the order of the request's way: load balancer, app server, application, database and cache, machines and
containers."""

KIND_TITLES = {
    "haproxy": "HAProxy",
    "nginx": "nginx",
    "uwsgi": "uWSGI",
    "app": "Application",
    "mysql": "MySQL",
    "postgres": "PostgreSQL",
    "redis": "Redis",
    "node": "Machines",
    "cadvisor": "Containers",
}
"""What people call them."""
