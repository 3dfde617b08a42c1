"""Panels of the load test and of the load generator."""

from dashboards.panels import ENDPOINTS, OURS, RATE, Graph, Section, distribution, percentile, query, rate, share

DURATION = "obswarm_request_duration_seconds"
CLASSES = f'{OURS}, user_class=~"$user_class"'

USERS = Graph(
    "Users",
    "short",
    "Running users and their target number. A lasting difference means that workers are missing or saturated: look at"
    " the generator.",
    (
        query(f"sum by (user_class) (obswarm_users{{{CLASSES}}})", "{{user_class}}"),
        query(f"sum(obswarm_users_target{{{CLASSES}}})", "target"),
    ),
    decimals=0,
)
REQUESTS = Graph(
    "Requests per second",
    "reqps",
    "All and successful requests. If users increase and these do not, something is saturated: look for the first curve"
    " further down that changes at the same time.",
    (
        query(rate("obswarm_requests_total", ENDPOINTS), "all"),
        query(rate("obswarm_requests_total", f'{ENDPOINTS}, outcome="success"'), "successful"),
    ),
)
LATENCY = Graph(
    "Latency",
    "s",
    "Percentiles over the selected endpoints, including failed requests. If p95 and p99 increase more than p50,"
    " requests queue; if all increase together, all requests wait for a shared resource.",
    tuple(query(percentile(q, DURATION, ENDPOINTS), name) for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))),
    warn=0.5,
    bad=1,
)
HEATMAP = Graph(
    "Latency, distribution",
    "s",
    "Number of requests by latency. Two bands are two kinds of requests, or cache hits and misses; a rising band is a"
    " growing queue. Select one endpoint to distinguish them.",
    (query(distribution(DURATION, ENDPOINTS)),),
    heat=True,
)
IN_FLIGHT = Graph(
    "Requests in flight",
    "short",
    "Requests waiting for their response: rate times latency. If it reaches the number of users, all of them wait for"
    " the target. Look for the queue in the layers below.",
    (query(f"sum by (method, name) (obswarm_requests_in_flight{{{ENDPOINTS}}})", "{{method}} {{name}}"),),
    decimals=0,
    stacked=True,
)
OLDEST = Graph(
    "Oldest request in flight",
    "s",
    "Age of the oldest request in flight. A straight rising line is a target that does not respond at all, which"
    " percentiles cannot show, as they only contain finished requests.",
    (query(f"max by (method, name) (obswarm_oldest_request_seconds{{{ENDPOINTS}}})", "{{method}} {{name}}"),),
    warn=1,
    bad=5,
)
ERRORS = Graph(
    "Errors by kind",
    "reqps",
    "Failed requests by error message. 503 and closed connections come from a load balancer without servers, timeouts"
    " from a target that hangs, 4xx mostly from the load test itself.",
    (query(f"topk(10, {rate('obswarm_request_errors_total', ENDPOINTS, 'error')})", "{{error}}"),),
    stacked=True,
    bad=0.1,
    enable="No errors.",
)
ERROR_RATIO = Graph(
    "Error ratio",
    "percentunit",
    "Share of failed requests. With more than a few per cent, the latencies above are dominated by failures.",
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
_CLOSED = "The load of the run is a number of users; see --arrival-rate."
_STARTED = (
    f"sum(obswarm_iterations_target_per_second{{{CLASSES}}})"
    f" - (sum(rate(obswarm_dropped_iterations_total{{{CLASSES}}}[{RATE}])) or vector(0))"
)
ITERATIONS = Graph(
    "Iterations per second",
    "ops",
    "Target rate of the open model, what was started of it, and what finished. Started less than the target: iterations"
    " were dropped, see the next panel. Finished less than started: the target keeps them waiting, and requests in"
    " flight increase.",
    (
        query(f"sum(obswarm_iterations_target_per_second{{{CLASSES}}})", "target"),
        query(_STARTED, "started"),
        query(
            f"sum(rate(obswarm_iterations_total{{{CLASSES}}}[{RATE}])"
            f" and on (user_class) obswarm_iterations_target_per_second{{{CLASSES}}})",
            "finished",
        ),
    ),
    enable=_CLOSED,
)
DROPPED = Graph(
    "Iterations that were not started, by reason",
    "ops",
    "no_free_user: the target is too slow for the rate with --max-users; generator_behind: the worker was late, look at"
    " the generator; pacing: users with constant pacing were still busy. The load is lower than planned by these.",
    (query(rate("obswarm_dropped_iterations_total", CLASSES, "reason"), "{{reason}}"),),
    stacked=True,
    bad=0.1,
    enable="All iterations were started.",
)
INTENDED = Graph(
    "Latency from the intended start",
    "s",
    "Percentiles from the moment at which a request would have been sent if its iteration had started on time. Higher"
    " than the latency from the send: iterations start late, since users take long to start or a worker is behind.",
    tuple(
        query(percentile(q, "obswarm_request_intended_duration_seconds", ENDPOINTS), name)
        for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    ),
    warn=0.5,
    bad=1,
    enable=_CLOSED,
)
OPEN_MODEL = Section("Rate of iterations", (ITERATIONS, DROPPED, INTENDED))
GENERATOR_STRIP = Graph(
    "Load generator",
    "percentunit",
    "CPU of each worker; 100 % is one core. Near 100 %, the measurement is not valid: the load generator is the"
    " bottleneck. Use more workers.",
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
            "Largest delay of a worker's event loop in each second. Above 0.1 s, the latencies above are partly the"
            " generator's own: look at its dashboard.",
            (query(f"obswarm_worker_loop_lag_seconds{{{OURS}}}", "{{worker}}"),),
            height=4,
            warn=0.05,
            bad=0.1,
        ),
        Graph(
            "Workers that are saturated or missing",
            "short",
            "If not zero, the load is no longer the requested one. Look at the generator's dashboard.",
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
