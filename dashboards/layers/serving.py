"""Panels of the load balancer and the application."""

from dashboards.panels import INSTANCES, Graph, Section, query, rate, share

_HAPROXY = "No HAProxy is scraped. Its endpoint is built in; add it with: obswarm up --target haproxy=URL"
LOAD_BALANCER = Section(
    "Load balancer",
    (
        Graph(
            "Servers that are up",
            "short",
            "Servers that pass their health checks. If one is lost, the others get its requests as well: check"
            " whether they were busy just before.",
            (
                query(
                    f'sum by (proxy) (haproxy_backend_active_servers{{{INSTANCES}, proxy!~"(?i)metrics|stats"}})',
                    "{{proxy}}",
                ),
            ),
            decimals=0,
            bad=None,
            enable=_HAPROXY,
        ),
        Graph(
            "Queue and retries",
            "short",
            "Requests waiting for a server, and retries. With a queue here and idle workers behind it, a limit"
            " (maxconn) is too low; with busy workers, there are too few of them.",
            (
                query(f"sum(haproxy_backend_current_queue{{{INSTANCES}}})", "waiting"),
                query(rate("haproxy_backend_retry_warnings_total", INSTANCES), "retries per second"),
            ),
            warn=1,
            enable=_HAPROXY,
        ),
        Graph(
            "Responses by status class",
            "reqps",
            "5xx responses that the application did not send come from the load balancer itself: it has no server"
            " left, or its timeout was exceeded.",
            (query(rate("haproxy_frontend_http_responses_total", INSTANCES, "code"), "{{code}}"),),
            stacked=True,
            enable=_HAPROXY,
        ),
        Graph(
            "Queue time and response time",
            "s",
            "Means over HAProxy's last 1,024 requests. Queue time is waiting for a server; response time is that of the"
            " servers.",
            (
                query(f"max(haproxy_backend_queue_time_average_seconds{{{INSTANCES}}})", "in the queue"),
                query(f"max(haproxy_backend_response_time_average_seconds{{{INSTANCES}}})", "for an answer"),
            ),
            bad=1,
            enable=_HAPROXY,
        ),
    ),
)

_UWSGI = "No uWSGI is scraped. Add its exporter with: obswarm up --target uwsgi=URL"
_APP = "The application exports no http_request_duration_seconds. Add it with: obswarm up --target app=URL"
APPLICATION = Section(
    "Application",
    (
        Graph(
            "Workers that are busy",
            "percentunit",
            "At 100 %, no worker is free for the next request, including health checks. Busy workers on an idle"
            " machine wait for something else: look at the database.",
            (
                query(
                    share(
                        f"sum by (job) (uwsgi_worker_busy{{{INSTANCES}}})",
                        f"sum by (job) (uwsgi_workers{{{INSTANCES}}})",
                    ),
                    "{{job}}",
                ),
            ),
            warn=0.8,
            bad=1,
            highest=1,
            enable=_UWSGI,
        ),
        Graph(
            "Listen queue",
            "short",
            "Requests that no worker has taken yet. When it is full (uWSGI's listen, 100 by default) connections are"
            " refused.",
            (query(f"sum by (job) (uwsgi_listen_queue_length{{{INSTANCES}}})", "{{job}}"),),
            warn=10,
            bad=100,
            decimals=0,
            enable=_UWSGI,
        ),
        Graph(
            "Time per request",
            "s",
            "Mean request time in the application itself. If it is much less than the latency at the top, requests wait"
            " before they reach a worker.",
            (
                query(
                    share(
                        rate("http_request_duration_seconds_sum", INSTANCES, "job"),
                        rate("http_request_duration_seconds_count", INSTANCES, "job"),
                    ),
                    "{{job}}",
                ),
            ),
            bad=1,
            enable=_APP,
        ),
        Graph(
            "Time per database query, and for a connection",
            "s",
            "Means, as measured by the application. Waiting for a connection while queries are fast means that the"
            " pool is too small.",
            (
                query(
                    share(
                        rate("app_db_query_duration_seconds_sum", INSTANCES),
                        rate("app_db_query_duration_seconds_count", INSTANCES),
                    ),
                    "a query",
                ),
                query(
                    share(
                        rate("app_db_pool_wait_seconds_sum", INSTANCES),
                        rate("app_db_pool_wait_seconds_count", INSTANCES),
                    ),
                    "a connection",
                ),
            ),
            bad=0.1,
            enable="The application exports no app_db_query_duration_seconds; see examples/contest/app/telemetry.py.",
        ),
    ),
)
