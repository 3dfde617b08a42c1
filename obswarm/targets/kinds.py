"""What there is to see of each kind of target: the queries that tell whether it is what gets slow.

The metrics are those of the usual exporters: mysqld_exporter, postgres_exporter, redis_exporter, node_exporter,
cAdvisor, HAProxy's own endpoint, nginx-prometheus-exporter, uwsgi_exporter; `app` is what Prometheus' client
libraries and the demo serve.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from obswarm.targets.source import Target

Unit = Literal["number", "seconds", "ratio", "per_second", "bytes"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One figure of a target. `query` is PromQL within the embedded source's subset, and gives one value."""

    name: str
    query: str
    unit: Unit

    def of(self, job: str) -> str:
        """The query over the series of one job alone."""
        text = job.replace("\\", "\\\\").replace('"', '\\"')

        def narrowed(found: re.Match[str]) -> str:
            return f'{found[1]}{{job="{text}"{f", {found[2]}" if found[2] else ""}}}'

        return _SELECTOR.sub(narrowed, self.query)


def queries_of(targets: Iterable[Target]) -> list[tuple[Target, Signal, str]]:
    """Every figure of every target, with the query that gives it."""
    return [(target, signal, signal.of(target.name)) for target in targets for signal in KINDS[target.kind]]


_SELECTOR = re.compile(r"\b([a-z]\w*)(?:\{([^}]*)\})?(?=[\[)])")
"""A metric with its matchers, as the queries of this file have them: in brackets, or with a range."""


def _rate(metric: str) -> str:
    return f"sum(rate({metric}[15s]))"


def _mean(metric: str) -> str:
    return f"sum(rate({metric}_sum[15s])) / sum(rate({metric}_count[15s]))"


_IDLE = 'node_cpu_seconds_total{mode="idle"}'
_GO_HTTP = "http_request_duration_seconds"

KINDS: dict[str, tuple[Signal, ...]] = {
    "mysql": (
        Signal("threads running", "max(mysql_global_status_threads_running)", "number"),
        Signal("threads connected", "max(mysql_global_status_threads_connected)", "number"),
        Signal("connections limit", "max(mysql_global_variables_max_connections)", "number"),
        Signal("queries", _rate("mysql_global_status_questions"), "per_second"),
        Signal("slow queries", _rate("mysql_global_status_slow_queries"), "per_second"),
        Signal("row lock waits", _rate("mysql_global_status_innodb_row_lock_waits"), "per_second"),
        Signal("row lock time", "max(mysql_global_status_innodb_row_lock_current_waits)", "number"),
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
    "haproxy": (
        Signal("sessions", "sum(haproxy_frontend_current_sessions)", "number"),
        Signal("queue", "sum(haproxy_backend_current_queue)", "number"),
        Signal("servers up", "sum(haproxy_backend_active_servers)", "number"),
        Signal("response time", "max(haproxy_backend_response_time_average_seconds)", "seconds"),
        Signal("queue time", "max(haproxy_backend_queue_time_average_seconds)", "seconds"),
        Signal("5xx", 'sum(rate(haproxy_backend_http_responses_total{code="5xx"}[15s]))', "per_second"),
    ),
    "nginx": (
        Signal("connections", "sum(nginx_connections_active)", "number"),
        Signal("waiting", "sum(nginx_connections_waiting)", "number"),
        Signal("requests", _rate("nginx_http_requests_total"), "per_second"),
    ),
    "uwsgi": (
        Signal("workers busy", "sum(uwsgi_worker_busy)", "number"),
        Signal("workers", "sum(uwsgi_workers)", "number"),
        Signal("listen queue", "sum(uwsgi_listen_queue)", "number"),
        Signal("requests", _rate("uwsgi_worker_requests_total"), "per_second"),
    ),
    "node": (
        Signal(
            "CPU",
            '1 - sum(rate(node_cpu_seconds_total{mode="idle"}[15s])) / sum(rate(node_cpu_seconds_total[15s]))',
            "ratio",
        ),
        Signal("load", "max(node_load1)", "number"),
        Signal("memory available", "sum(node_memory_MemAvailable_bytes)", "bytes"),
        Signal("CPU pressure", _rate("node_pressure_cpu_waiting_seconds_total"), "ratio"),
        Signal("I/O pressure", _rate("node_pressure_io_waiting_seconds_total"), "ratio"),
        Signal("disk time", "max(rate(node_disk_io_time_seconds_total[15s]))", "ratio"),
    ),
    "cadvisor": (
        Signal("CPU", _rate("container_cpu_usage_seconds_total"), "number"),
        Signal("throttled", _rate("container_cpu_cfs_throttled_seconds_total"), "ratio"),
        Signal("memory", "sum(container_memory_working_set_bytes)", "bytes"),
    ),
    "app": (
        Signal("requests", _rate(f"{_GO_HTTP}_count"), "per_second"),
        Signal("request time", _mean(_GO_HTTP), "seconds"),
        Signal("workers busy", "sum(app_workers_busy)", "number"),
        Signal("queue", "sum(app_queue_length)", "number"),
        Signal("database time", _mean("app_db_query_duration_seconds"), "seconds"),
        Signal("CPU", _rate("process_cpu_seconds_total"), "number"),
        Signal("memory", "sum(process_resident_memory_bytes)", "bytes"),
        Signal("open files", "max(process_open_fds)", "number"),
    ),
}
