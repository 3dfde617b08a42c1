"""The dashboard of the load generator itself: can its figures be trusted?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.panels import OURS, RATE, Graph, Section, make, query

UID = "obswarm-generator"
TITLE = "obswarm: generator health"

_VALIDITY = (
    Graph(
        "Saturated workers",
        "short",
        "Workers that have been the bottleneck of this run. One is enough for latencies to say more about the generator"
        " than about the target.",
        (query(f"sum(obswarm_generator_saturated{{{OURS}}})", "saturated"),),
        decimals=0,
        bad=1,
    ),
    Graph(
        "Event loop lag",
        "s",
        "How late a worker's loop woke up at worst in each second. Above 0.1 s it measures itself: fewer users per"
        " worker, or less work in the load test's own code.",
        (query(f"obswarm_worker_loop_lag_seconds{{{OURS}}}", "{{worker}}"),),
        warn=0.05,
        bad=0.1,
    ),
    Graph(
        "CPU of workers",
        "percentunit",
        "Of one core each. Above 90 % for some seconds a worker counts as saturated, and gives users to others.",
        (query(f"obswarm_worker_cpu_ratio{{{OURS}}}", "{{worker}}"),),
        warn=0.7,
        bad=0.9,
    ),
    Graph(
        "Memory of workers",
        "bytes",
        "Resident. A steady climb is a load test that keeps what it gets.",
        (query(f"obswarm_worker_memory_bytes{{{OURS}}}", "{{worker}}"),),
        stacked=True,
    ),
)
_FLEET = (
    Graph(
        "Workers by state",
        "short",
        "Missing ones have not been heard of for three seconds, and others have their users; lost ones took up to a"
        " second of statistics with them.",
        (query(f"sum by (state) (obswarm_workers{{{OURS}}})", "{{state}}"),),
        decimals=0,
    ),
    Graph(
        "Users per worker",
        "short",
        "In proportion to what each measured of itself. A step is a worker that came, went, or got saturated.",
        (query(f"obswarm_worker_users{{{OURS}}}", "{{worker}}"),),
        decimals=0,
        stacked=True,
    ),
    Graph(
        "Capacity by their own measurement",
        "reqps",
        "Requests per second that each worker believed it could make when it joined. Very different ones are different"
        " machines, or quotas.",
        (query(f"obswarm_worker_capacity{{{OURS}}}", "{{worker}}"),),
    ),
    Graph(
        "Age of the newest statistics",
        "s",
        "Of each worker. More than a second or two is a network that is slow, or a worker that hangs.",
        (query(f"obswarm_stats_lag_seconds{{{OURS}}}", "{{worker}}"),),
        warn=2,
        bad=5,
    ),
    Graph(
        "Statistics messages",
        "cps",
        "Merged per second, and lost ones. Each worker sends one a second; lost ones are in no figure.",
        (
            query(f"sum(rate(obswarm_stats_messages_total{{{OURS}}}[{RATE}]))", "merged"),
            query(f"sum(rate(obswarm_stats_lost_total{{{OURS}}}[{RATE}]))", "lost"),
        ),
    ),
    Graph(
        "Requests cut off, exceptions in the load test",
        "cps",
        "Requests that were under way when their user was stopped, and errors in the load test's own code. Neither"
        " is the target's doing.",
        (
            query(f"sum(rate(obswarm_requests_interrupted_total{{{OURS}}}[{RATE}]))", "cut off"),
            query(f"sum(rate(obswarm_task_exceptions_total{{{OURS}}}[{RATE}]))", "exceptions"),
        ),
        bad=0.1,
    ),
)
SECTIONS = (Section("Is the measurement valid?", _VALIDITY), Section("Fleet", _FLEET))


def build() -> Dashboard:
    return make(UID, TITLE, "Whether the load generator's figures can be trusted.", SECTIONS)
