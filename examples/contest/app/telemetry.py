"""Metrics of the application, with prometheus-client.

Each uWSGI process writes to its own files; the exporter adds them up, and responds also when every process is blocked.
"""

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUEST_DURATION = Histogram(
    "http_request_duration_seconds",
    "From the start of a request in a process to its answer",
    ["endpoint"],
    buckets=_BUCKETS,
)
RESPONSES = Counter("http_responses", "Answers", ["endpoint", "status"])
QUERY_DURATION = Histogram(
    "app_db_query_duration_seconds", "Database statements, waits for locks included", ["query"], buckets=_BUCKETS
)
POOL_WAIT = Histogram("app_db_pool_wait_seconds", "Waits for a connection of the pool", buckets=_BUCKETS)
POOL_IN_USE = Gauge("app_db_pool_in_use", "Connections that are in use", multiprocess_mode="livesum")
POOL_SIZE = Gauge("app_db_pool_size", "Connections that the pools may have", multiprocess_mode="livesum")
CACHE = Counter("app_cache_requests", "Looks into a cache", ["cache", "outcome"])
REFUSED = Counter("app_refused_requests", "Requests that a protection refused", ["protection"])
PRIVILEGED = Counter("app_privileged_requests", "Signed requests of a load test that were let through")
ERRORS = Counter("app_db_errors", "Statements and connections that failed", ["error"])
PAUSE = Histogram("app_pause_seconds", "Times in which the process has executed nothing", buckets=_BUCKETS)
DEPENDENCY_DURATION = Histogram(
    "app_dependency_duration_seconds", "Requests to services outside", ["dependency"], buckets=_BUCKETS
)
