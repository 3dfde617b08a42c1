"""The dashboard of a run at a glance, for who only wants to see the load test."""

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
        "Which part of the load is which. An endpoint whose rate falls while the others' stays has become slow.",
        (query(rate("obswarm_requests_total", ENDPOINTS, "method, name"), "{{method}} {{name}}"),),
    ),
    Graph(
        "p95 by endpoint",
        "s",
        "The slowest twentieth of each endpoint's requests. One that climbs alone has a cause of its own; all of them"
        " together wait for the same thing.",
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
        "Which endpoints fail. All of them at once is the load balancer or the network; one is its own code or query.",
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
        "Bodies of answers as they came over the wire. A plateau over all of them may be the network.",
        (query(rate("obswarm_response_bytes_total", ENDPOINTS, "method, name"), "{{method}} {{name}}"),),
    ),
)
_USERS = (
    Graph(
        "Tasks per second, by user class",
        "ops",
        "Finished tasks. Users that wait for answers finish fewer of them.",
        (query(rate("obswarm_iterations_total", CLASSES, "user_class"), "{{user_class}}"),),
    ),
    Graph(
        "Guards",
        "short",
        "0 is fine, 1 pending, 2 tripped, 3 no data. A guard without data has no value to evaluate: look at the"
        " target's exporter or the Prometheus.",
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
    Section("By endpoint", _BY_ENDPOINT),
    Section("Users and guards", _USERS),
    Section("Load generator", (GENERATOR_STRIP,)),
)


def build() -> Dashboard:
    return make(UID, TITLE, "A load test at a glance: load, latency, errors, endpoints.", SECTIONS)
