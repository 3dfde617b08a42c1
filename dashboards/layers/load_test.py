"""What the load test sees, and the load generator itself."""

from dashboards.panels import ENDPOINTS, OURS, RATE, Graph, Section, distribution, percentile, query, rate, share

DURATION = "obswarm_request_duration_seconds"
CLASSES = f'{OURS}, user_class=~"$user_class"'

USERS = Graph(
    "Users",
    "short",
    "Users that are there, and the number that the load heads for. A gap that stays means that workers are missing or"
    " saturated: look at the generator.",
    (
        query(f"sum by (user_class) (obswarm_users{{{CLASSES}}})", "{{user_class}}"),
        query(f"sum(obswarm_users_target{{{CLASSES}}})", "heading for"),
    ),
    decimals=0,
)
REQUESTS = Graph(
    "Requests per second",
    "reqps",
    "Finished requests, and those of them that were right. When users grow and these do not, something is saturated:"
    " the first curve further down that bends at the same time is the one to look at.",
    (
        query(rate("obswarm_requests_total", ENDPOINTS), "all"),
        query(rate("obswarm_requests_total", f'{ENDPOINTS}, outcome="success"'), "successful"),
    ),
)
LATENCY = Graph(
    "Latency",
    "s",
    "Percentiles over the chosen endpoints, failed requests included. p95 and p99 leave p50 behind when requests begin"
    " to queue; all of them together rise when everybody waits for one thing.",
    tuple(query(percentile(q, DURATION, ENDPOINTS), name) for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))),
    warn=0.5,
    bad=1,
)
HEATMAP = Graph(
    "Latency, distribution",
    "s",
    "How many requests took how long. Two bands are two kinds of request, or a cache that is hit and missed; a band"
    " that climbs is a queue that grows. Choose one endpoint to tell them apart.",
    (query(distribution(DURATION, ENDPOINTS)),),
    heat=True,
)
IN_FLIGHT = Graph(
    "Requests under way",
    "short",
    "Requests that wait for their answer. Rate times latency: when it climbs to the number of users, all of them wait"
    " for the target. Look at the layers below for the queue that they stand in.",
    (query(f"sum by (method, name) (obswarm_requests_in_flight{{{ENDPOINTS}}})", "{{method}} {{name}}"),),
    decimals=0,
    stacked=True,
)
OLDEST = Graph(
    "Oldest request under way",
    "s",
    "How long the oldest request has waited. A straight line upwards is a target that does not answer at all: no"
    " percentile can show that, as they are of answers that came.",
    (query(f"max by (method, name) (obswarm_oldest_request_seconds{{{ENDPOINTS}}})", "{{method}} {{name}}"),),
    warn=1,
    bad=5,
)
ERRORS = Graph(
    "Errors by kind",
    "reqps",
    "What went wrong, as the load test's users saw it. 503 and closed connections come from a load balancer without"
    " servers, timeouts from a target that hangs, 4xx mostly from the load test itself.",
    (query(f"topk(10, {rate('obswarm_request_errors_total', ENDPOINTS, 'error')})", "{{error}}"),),
    stacked=True,
    bad=0.1,
    enable="No errors.",
)
ERROR_RATIO = Graph(
    "Error ratio",
    "percentunit",
    "The share of requests that failed. More than a few per cent, and the latencies above are those of failing fast.",
    (
        query(
            share(
                f'(sum(rate(obswarm_requests_total{{{ENDPOINTS}, outcome="failure"}}[{RATE}])) or vector(0))',
                rate("obswarm_requests_total", ENDPOINTS),
            ),
            "failed",
        ),
    ),
    warn=0.01,
    bad=0.05,
    highest=1,
)
GENERATOR_STRIP = Graph(
    "Load generator",
    "percentunit",
    "CPU of each worker, of one core. Near 100 % the measurement is not valid: the load test waits for itself. Give it"
    " more workers.",
    (query(f"obswarm_worker_cpu_ratio{{{OURS}}}", "{{worker}}"),),
    width=24,
    height=4,
    warn=0.7,
    bad=0.9,
    highest=1,
)
GENERATOR = Section(
    "Load generator",
    (
        Graph(
            "Event loop lag",
            "s",
            "How late a worker's loop woke up at worst in each second. Above 0.1 s the latencies above are partly the"
            " generator's own: look at its dashboard.",
            (query(f"obswarm_worker_loop_lag_seconds{{{OURS}}}", "{{worker}}"),),
            height=4,
            warn=0.05,
            bad=0.1,
        ),
        Graph(
            "Workers that are saturated or missing",
            "short",
            "Anything but zero: from then on the load was not what was asked for. Look at the generator's dashboard.",
            (
                query(f"sum(obswarm_generator_saturated{{{OURS}}})", "saturated"),
                query(f'sum(obswarm_workers{{{OURS}, state=~"missing|lost"}})', "missing"),
            ),
            height=4,
            decimals=0,
            bad=1,
        ),
    ),
)
