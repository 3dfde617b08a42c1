"""The dashboard of the load generator itself: whether its measurements are valid."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.panels import OURS, RATE, Graph, Section, make, query

UID = "obswarm-generator"
TITLE = "obswarm: generator health"

_VALIDITY = (
    Graph(
        "Saturated workers",
        "short",
        "Workers that have been the bottleneck of this run. If there is one, latencies are at least partly those of the"
        " generator.",
        (query(f"sum(obswarm_generator_saturated{{{OURS}}})", "saturated"),),
        decimals=0,
        bad=1,
    ),
    Graph(
        "Event loop lag",
        "s",
        "Largest delay of a worker's event loop in each second; it is added to the measured latencies. Above 0.1 s, use"
        " fewer users per worker, or do less work in the load test's own code.",
        (query(f"obswarm_worker_loop_lag_seconds{{{OURS}}}", "{{worker}}"),),
        warn=0.05,
        bad=0.1,
    ),
    Graph(
        "CPU of workers",
        "percentunit",
        "100 % is one core. Above 90 % for some seconds, a worker counts as saturated, and users move to other"
        " workers.",
        (query(f"obswarm_worker_cpu_ratio{{{OURS}}}", "{{worker}}"),),
        warn=0.7,
        bad=0.9,
    ),
    Graph(
        "Memory of workers",
        "bytes",
        "Resident memory. A steady increase means that the load test keeps references to responses or other data.",
        (query(f"obswarm_worker_memory_bytes{{{OURS}}}", "{{worker}}"),),
        stacked=True,
    ),
)
_FLEET = (
    Graph(
        "Workers by state",
        "short",
        "Missing workers have sent no heartbeat response for three seconds, and their users have moved to others; up"
        " to a second of the statistics of a lost worker is missing.",
        (query(f"sum by (state) (obswarm_workers{{{OURS}}})", "{{state}}"),),
        decimals=0,
    ),
    Graph(
        "Users per worker",
        "short",
        "In proportion to the workers' measured capacities. A step is a worker that joined, left, or became saturated.",
        (query(f"obswarm_worker_users{{{OURS}}}", "{{worker}}"),),
        decimals=0,
        stacked=True,
    ),
    Graph(
        "Measured capacity",
        "reqps",
        "Requests per second of each worker in its benchmark at startup. Large differences mean different machines or"
        " CPU quotas.",
        (query(f"obswarm_worker_capacity{{{OURS}}}", "{{worker}}"),),
    ),
    Graph(
        "Age of the newest statistics",
        "s",
        "By worker. More than one or two seconds mean a slow network or a blocked worker.",
        (query(f"obswarm_stats_lag_seconds{{{OURS}}}", "{{worker}}"),),
        warn=2,
        bad=5,
    ),
    Graph(
        "Statistics messages",
        "cps",
        "Merged and lost messages per second. Each worker sends one a second; the requests in lost ones are not"
        " counted.",
        (
            query(f"sum(rate(obswarm_stats_messages_total{{{OURS}}}[{RATE}]))", "merged"),
            query(f"sum(rate(obswarm_stats_lost_total{{{OURS}}}[{RATE}]))", "lost"),
        ),
    ),
    Graph(
        "Requests cut off, exceptions in the load test",
        "cps",
        "Requests in flight when their user was stopped, and errors in the load test's own code. Neither is caused by"
        " the target.",
        (
            query(f"sum(rate(obswarm_requests_interrupted_total{{{OURS}}}[{RATE}]))", "cut off"),
            query(f"sum(rate(obswarm_task_exceptions_total{{{OURS}}}[{RATE}]))", "exceptions"),
        ),
        bad=0.1,
    ),
)
SECTIONS = (Section("Is the measurement valid?", _VALIDITY), Section("Workers", _FLEET))


def build() -> Dashboard:
    return make(UID, TITLE, "Whether the measurements of the load generator are valid.", SECTIONS)
