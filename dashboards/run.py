"""The overview dashboard of a run, with the load test only."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.layers.load_test import (
    CLASSES,
    DURATION,
    ERROR_RATIO,
    ERRORS,
    GENERATOR_STRIP,
    HEATMAP,
    IN_FLIGHT,
    LATENCY,
    OLDEST,
    OPEN_MODEL,
    REQUESTS,
    USERS,
)
from dashboards.panels import ENDPOINTS, OURS, RATE, Graph, Section, make, query, rate

UID = "obswarm-run"
TITLE = "obswarm: run"

_BY_ENDPOINT = (
    Graph(
        "Requests per second, by endpoint",
        "reqps",
        "The load by endpoint. An endpoint whose rate falls while the others' is constant has become slow.",
        (query(rate("obswarm_requests_total", ENDPOINTS, "method, name"), "{{method}} {{name}}"),),
    ),
    Graph(
        "p95 by endpoint",
        "s",
        "95th percentile of each endpoint's latency. If one increases alone, the cause is in that endpoint; if all"
        " do, they wait for a shared resource.",
        (
            query(
                f"histogram_quantile(0.95, sum by (method, name) (rate({DURATION}{{{ENDPOINTS}}}[{RATE}])))"
                f" or histogram_quantile(0.95, sum by (le, method, name)"
                f" (rate({DURATION}_bucket{{{ENDPOINTS}}}[{RATE}])))",
                "{{method}} {{name}}",
            ),
        ),
        warn=0.5,
        bad=1,
    ),
    Graph(
        "Failures per second, by endpoint",
        "reqps",
        "If all endpoints fail at once, suspect the load balancer or the network; if one does, its own code or query.",
        (
            query(
                rate("obswarm_requests_total", f'{ENDPOINTS}, outcome="failure"', "method, name"), "{{method}} {{name}}"
            ),
        ),
        bad=0.1,
        stacked=True,
        enable="No failures.",
    ),
    Graph(
        "Bytes received, by endpoint",
        "Bps",
        "Size of response bodies as received. A plateau of the total may be a limit of the network.",
        (query(rate("obswarm_response_bytes_total", ENDPOINTS, "method, name"), "{{method}} {{name}}"),),
    ),
)
_USERS = (
    Graph(
        "Tasks per second, by user class",
        "ops",
        "Completed tasks. Users that wait for responses complete fewer.",
        (query(rate("obswarm_iterations_total", CLASSES, "user_class"), "{{user_class}}"),),
    ),
    Graph(
        "Guards",
        "short",
        "0: ok, 1: pending, 2: tripped, 3: no data. If a guard has no data, look at the target's exporter or the"
        " Prometheus.",
        (
            query(
                f'max by (guard) (obswarm_guard_state{{{OURS}, state="pending"}}'
                f' or 2 * obswarm_guard_state{{{OURS}, state="tripped"}}'
                f' or 3 * obswarm_guard_state{{{OURS}, state="no_data"}})',
                "{{guard}}",
            ),
        ),
        decimals=0,
        highest=3,
        bad=2,
        enable="The run has no guards; see --stop-when.",
    ),
)
SECTIONS = (
    Section("Load test", (USERS, REQUESTS, LATENCY, HEATMAP, IN_FLIGHT, OLDEST, ERRORS, ERROR_RATIO)),
    OPEN_MODEL,
    Section("By endpoint", _BY_ENDPOINT),
    Section("Users and guards", _USERS),
    Section("Load generator", (GENERATOR_STRIP,)),
)


def build() -> Dashboard:
    return make(UID, TITLE, "Overview of a load test: load, latency, errors, endpoints.", SECTIONS)
