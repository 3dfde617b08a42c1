"""The metrics of each kind of target: queries that show whether it is the bottleneck.

They use the metrics of the common exporters: mysqld_exporter, postgres_exporter, redis_exporter, node_exporter,
cAdvisor (and `obswarm container-stats`, with the same names), HAProxy's own endpoint, nginx-prometheus-exporter,
uwsgi_exporter; kind `app` has the metrics of Prometheus' client libraries and of the demo.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from obswarm.targets.source import Target

Unit = Literal["number", "seconds", "ratio", "per_second", "bytes"]


@dataclass(frozen=True, slots=True)
class TargetMetric:
    """A metric of a target. `query` is PromQL within the embedded source's subset and returns one value in `unit`:
    `seconds`, `bytes`, `ratio` (1 is 100 %), `per_second` (events per second) or `number` (counts, CPU cores)."""

    name: str
    query: str
    unit: Unit

    def of(self, target: Target) -> str:
        """Return the query, restricted to the series of the target."""
        matchers = matchers_of(target)

        def narrowed(found: re.Match[str]) -> str:
            return f"{found[1]}{{{', '.join([*matchers, found[2]] if found[2] else matchers)}}}"

        return _SELECTOR.sub(narrowed, self.query)


def matchers_of(target: Target) -> list[str]:
    """Return PromQL matchers that select the series of the target."""
    kind = [f'kind="{target.kind}"'] if target.has_kind_label else []
    return [f'job="{_quoted(target.name)}"', *kind]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def queries_of(targets: Iterable[Target]) -> list[tuple[Target, TargetMetric, str]]:
    """Return (target, metric, query) for every metric of every target."""
    return [(target, metric, metric.of(target)) for target in targets for metric in KINDS[target.kind]]


def sort_key_of(kind: str, metric: str = "") -> tuple[int, int]:
    """Return a sort key: kinds in the order in which a request passes them, metrics in the order of KINDS, unknown ones
    last."""
    kinds = list(KINDS)
    if kind not in KINDS:
        return len(kinds), 0
    names = [each.name for each in KINDS[kind]]
    return kinds.index(kind), names.index(metric) if metric in names else len(names)


def title_of(name: str, kind: str) -> str:
    """Return the title of a target: its kind, and its name if it differs."""
    title = KIND_TITLES.get(kind, kind)
    return title if name == kind else f"{title}: {name}"


_SELECTOR = re.compile(r"\b([a-z]\w*)(?:\{([^}]*)\})?(?=[\[)])")
"""A metric name in the queries of this file: followed by `)`, matchers, or a range."""


def _rate(metric: str) -> str:
    return f"sum(rate({metric}[15s]))"


def _mean(metric: str) -> str:
    return f"sum(rate({metric}_sum[15s])) / sum(rate({metric}_count[15s]))"


def _highest_rate(metric: str) -> str:
    return f"max(rate({metric}[15s]))"


_IDLE = 'node_cpu_seconds_total{mode="idle"}'
_HTTP = "http_request_duration_seconds"
_ROW_LOCK = "mysql_global_status_innodb_row_lock"
# cAdvisor also has series of whole cgroup slices, which include the containers; these have no name.
_CONTAINER = '{name!=""}'

KINDS: dict[str, tuple[TargetMetric, ...]] = {
    "haproxy": (
        TargetMetric("sessions", "sum(haproxy_frontend_current_sessions)", "number"),
        TargetMetric("queue", "sum(haproxy_backend_current_queue)", "number"),
        TargetMetric("servers up", "sum(haproxy_backend_active_servers)", "number"),
        TargetMetric("response time", "max(haproxy_backend_response_time_average_seconds)", "seconds"),
        TargetMetric("queue time", "max(haproxy_backend_queue_time_average_seconds)", "seconds"),
        TargetMetric("5xx", _rate('haproxy_backend_http_responses_total{code="5xx"}'), "per_second"),
    ),
    "nginx": (
        TargetMetric("connections", "sum(nginx_connections_active)", "number"),
        TargetMetric("idle connections", "sum(nginx_connections_waiting)", "number"),
        TargetMetric("requests", _rate("nginx_http_requests_total"), "per_second"),
    ),
    "uwsgi": (
        TargetMetric("workers busy", "sum(uwsgi_worker_busy)", "number"),
        TargetMetric("workers", "sum(uwsgi_workers)", "number"),
        TargetMetric("listen queue", "sum(uwsgi_listen_queue_length)", "number"),
        TargetMetric("requests", _rate("uwsgi_worker_requests_total"), "per_second"),
    ),
    "app": (
        TargetMetric("requests", _rate(f"{_HTTP}_count"), "per_second"),
        TargetMetric("request time", _mean(_HTTP), "seconds"),
        TargetMetric("workers busy", "sum(app_workers_busy)", "number"),
        TargetMetric("queue", "sum(app_queue_length)", "number"),
        TargetMetric("database time", _mean("app_db_query_duration_seconds"), "seconds"),
        TargetMetric("CPU cores in use", _rate("process_cpu_seconds_total"), "number"),
        TargetMetric("memory", "sum(process_resident_memory_bytes)", "bytes"),
        TargetMetric("open files", "sum(process_open_fds)", "number"),
    ),
    "mysql": (
        TargetMetric("threads running", "max(mysql_global_status_threads_running)", "number"),
        TargetMetric("threads connected", "max(mysql_global_status_threads_connected)", "number"),
        TargetMetric("connections limit", "max(mysql_global_variables_max_connections)", "number"),
        TargetMetric("queries", _rate("mysql_global_status_questions"), "per_second"),
        TargetMetric("slow queries", _rate("mysql_global_status_slow_queries"), "per_second"),
        TargetMetric("row lock waits", _rate(f"{_ROW_LOCK}_waits"), "per_second"),
        TargetMetric("waiting for row locks", f"sum({_ROW_LOCK}_current_waits)", "number"),
        # The server counts in milliseconds.
        TargetMetric(
            "time per row lock wait",
            f"{_rate(f'{_ROW_LOCK}_time')} / {_rate(f'{_ROW_LOCK}_waits')} / 1000",
            "seconds",
        ),
    ),
    "postgres": (
        TargetMetric("active backends", 'sum(pg_stat_activity_count{state="active"})', "number"),
        TargetMetric("backends", "sum(pg_stat_activity_count)", "number"),
        TargetMetric("connections limit", "max(pg_settings_max_connections)", "number"),
        TargetMetric("commits", _rate("pg_stat_database_xact_commit"), "per_second"),
        TargetMetric("rollbacks", _rate("pg_stat_database_xact_rollback"), "per_second"),
        TargetMetric("deadlocks", _rate("pg_stat_database_deadlocks"), "per_second"),
        TargetMetric("locks", "sum(pg_locks_count)", "number"),
    ),
    "redis": (
        TargetMetric("commands", _rate("redis_commands_processed_total"), "per_second"),
        TargetMetric("connected clients", "sum(redis_connected_clients)", "number"),
        TargetMetric("blocked clients", "sum(redis_blocked_clients)", "number"),
        TargetMetric("memory", "sum(redis_memory_used_bytes)", "bytes"),
        TargetMetric("evictions", _rate("redis_evicted_keys_total"), "per_second"),
    ),
    "node": (
        TargetMetric("CPU", f"1 - {_rate(_IDLE)} / {_rate('node_cpu_seconds_total')}", "ratio"),
        TargetMetric("load", "max(node_load1)", "number"),
        TargetMetric("memory available", "sum(node_memory_MemAvailable_bytes)", "bytes"),
        TargetMetric("CPU pressure", _highest_rate("node_pressure_cpu_waiting_seconds_total"), "ratio"),
        TargetMetric("I/O pressure", _highest_rate("node_pressure_io_waiting_seconds_total"), "ratio"),
        TargetMetric("disk time", _highest_rate("node_disk_io_time_seconds_total"), "ratio"),
    ),
    "cadvisor": (
        TargetMetric("CPU cores in use", _rate(f"container_cpu_usage_seconds_total{_CONTAINER}"), "number"),
        TargetMetric(
            "periods throttled",
            f"{_rate(f'container_cpu_cfs_throttled_periods_total{_CONTAINER}')}"
            f" / {_rate(f'container_cpu_cfs_periods_total{_CONTAINER}')}",
            "ratio",
        ),
        TargetMetric("memory", f"sum(container_memory_working_set_bytes{_CONTAINER})", "bytes"),
    ),
}
"""Kind → metrics, in the order in which a request passes them: load balancer, app server, application, database and
cache; then machines and containers."""

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
"""Display names of the kinds."""
